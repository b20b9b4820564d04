#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/query/catalog.h"
#include "collector/query/sql.h"
#include "common/base/clock.h"

#define DAY_TEXT 10 /* 2017-04-26 */

/* "<table>-2017-04-26.sqlite" -> its day.  table NULL: any table's. */
static bool
file_day(const char *name, const char *table, int64_t *ret_day)
{
	static const char end[] = ".sqlite";
	size_t n = strlen(name), tail = DAY_TEXT + sizeof end - 1;
	char day[DAY_TEXT + 1];
	uint64_t ns;

	if (n < tail + 2 || strcmp(name + n - (sizeof end - 1), end) != 0 ||
	    name[n - tail - 1] != '-') {
		return false;
	}
	if (table != NULL && (strlen(table) != n - tail - 1 ||
				 strncmp(name, table, n - tail - 1) != 0)) {
		return false;
	}
	memcpy(day, name + n - tail, DAY_TEXT);
	day[DAY_TEXT] = '\0';
	if (clock_parse_iso(day, &ns) < 0) {
		return false;
	}
	*ret_day = (int64_t)(ns / NS_PER_DAY);
	return true;
}

static int
file_order(const void *a, const void *b)
{
	const struct catalog_file *x = a, *y = b;

	if (x->day != y->day) {
		return x->day < y->day ? -1 : 1;
	}
	return strcmp(x->path, y->path);
}

static int
add_file(struct catalog_file **files, unsigned *count, const char *directory,
    const char *name, int64_t day)
{
	struct catalog_file *more = reallocarray(*files, *count + 1, sizeof *more);

	if (more == NULL) {
		return -ENOMEM;
	}
	*files = more;
	if (asprintf(&more[*count].path, "%s/%s", directory, name) < 0) {
		return -ENOMEM;
	}
	more[*count].day = day;
	(*count)++;
	return 0;
}

int
catalog_files(const struct catalog *c, const struct table *t, int64_t first_day,
    int64_t last_day, struct catalog_file **ret, unsigned *ret_count, struct err *e)
{
	const char *directory = catalog_directory(c);
	struct catalog_file *files = NULL;
	unsigned count = 0;
	DIR *dir = NULL;
	int rc = 0;

	if (!t->by_day) {
		rc = add_file(&files, &count, directory, CATALOG_MAIN_FILE, -1);
	} else if ((dir = opendir(directory)) == NULL) {
		rc = -errno;
	}
	while (rc == 0 && dir != NULL) {
		struct dirent *entry;
		int64_t day;
		errno = 0;
		entry = readdir(dir);
		if (entry == NULL) {
			rc = -errno;
			break;
		}
		/* A view lies in the files of the table that it reads. */
		if (file_day(entry->d_name, t->is_view ? NULL : t->name, &day) &&
		    day >= first_day && day <= last_day) {
			rc = add_file(&files, &count, directory, entry->d_name, day);
		}
	}
	if (dir != NULL) {
		closedir(dir);
	}
	if (rc < 0) {
		catalog_files_free(files, count);
		return err_set(e, rc, "%s: %s", directory, strerror(-rc));
	}
	if (count > 1) {
		qsort(files, count, sizeof *files, file_order);
	}
	*ret = files;
	*ret_count = count;
	return 0;
}

void
catalog_files_free(struct catalog_file *files, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		free(files[i].path);
	}
	free(files);
}

/* Which of t's columns this file lacks, by what a query of it would give. */
static int
find_missing(
    struct database *d, const struct table *t, bool *ret_missing, struct err *e)
{
	struct statement *s = NULL;
	struct sql *sql = sql_new();
	int rc = sql == NULL ? -ENOMEM : 0;

	if (rc == 0) {
		sql_add(sql, "SELECT * FROM ");
		sql_name(sql, t->name);
		sql_add(sql, " LIMIT 0");
		rc = sql_prepare(sql, d, &s, e);
	}
	for (unsigned i = 0; rc == 0 && i < t->count; i++) {
		ret_missing[i] = true;
		for (int k = 0; k < statement_columns(s); k++) {
			if (strcmp(statement_column_name(s, k), t->columns[i].name) ==
			    0) {
				ret_missing[i] = false;
			}
		}
	}
	statement_free(s);
	sql_free(sql);
	return rc;
}

int
catalog_file_open(const struct catalog_file *f, const struct table *t,
    uint64_t deadline_ns, struct database **ret, bool *ret_missing, struct err *e)
{
	struct database *d = NULL;
	int rc = database_open(f->path, DATABASE_READ, &d, e);

	if (rc == -ENOENT) { /* its day has been removed since the folder was read */
		return 0;
	}
	if (rc == 0) {
		database_deadline(d, deadline_ns);
		rc = database_add_address_functions(d, e);
	}
	if (rc == 0) { /* all that is asked of the file sees the same rows */
		rc = database_exec_text(d, "BEGIN", e);
	}
	if (rc == 0) {
		rc = catalog_file_has(d, t->name, e);
	}
	if (rc > 0) {
		rc = find_missing(d, t, ret_missing, e);
		rc = rc == 0 ? 1 : rc;
	}
	if (rc <= 0) {
		database_close(d);
		return rc;
	}
	*ret = d;
	return 1;
}
