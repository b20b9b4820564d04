#include "collector/query/catalog_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
add_file(
    struct catalog_files *files, const char *directory, const char *name, int64_t day)
{
	struct catalog_file *more =
	    reallocarray(files->items, files->count + 1, sizeof *more);

	if (more == NULL) {
		return -ENOMEM;
	}
	files->items = more;
	more += files->count;
	if (asprintf(&more->path, "%s/%s", directory, name) < 0) {
		return -ENOMEM;
	}
	more->day = day;
	files->count++;
	return 0;
}

/* The files that are one day's each. */
static int
add_day_files(struct catalog_files *files, const char *directory, const struct table *t,
    struct catalog_days days)
{
	DIR *dir = opendir(directory);
	struct dirent *entry = NULL;
	int rc = dir == NULL ? -errno : 0;

	while (rc == 0) {
		int64_t day;
		errno = 0;
		entry = readdir(dir);
		if (entry == NULL) {
			rc = -errno;
			break;
		}
		/* A view lies in the files of the table that it reads. */
		if (file_day(entry->d_name, t->is_view ? NULL : t->name, &day) &&
		    day >= days.first && day <= days.last) {
			rc = add_file(files, directory, entry->d_name, day);
		}
	}
	if (dir != NULL) {
		closedir(dir);
	}
	return rc;
}

int
catalog_files(const char *directory, const struct table *t, struct catalog_days days,
    struct catalog_files *ret, struct err *e)
{
	struct catalog_files files = {0};
	int rc = t->by_day ? add_day_files(&files, directory, t, days)
			   : add_file(&files, directory, CATALOG_MAIN_FILE, -1);

	if (rc < 0) {
		catalog_files_free(&files);
		return err_set(e, rc, "%s: %s", directory, strerror(-rc));
	}
	if (files.count > 1) {
		qsort(files.items, files.count, sizeof *files.items, file_order);
	}
	*ret = files;
	return 0;
}

void
catalog_files_free(struct catalog_files *files)
{
	for (unsigned i = 0; i < files->count; i++) {
		free(files->items[i].path);
	}
	free(files->items);
}

int
catalog_file_has(struct database *d, const char *name, struct err *e)
{
	struct statement *s = NULL;
	int rc = statement_new(d, "SELECT 1 FROM sqlite_schema WHERE name = ?", &s, e);

	if (rc == 0) {
		rc = statement_bind_text(s, 1, name);
	}
	if (rc == 0) {
		rc = statement_step(s, e);
	}
	statement_free(s);
	return rc;
}

/* Which of t's columns this file lacks, by what a query of it would give. */
static int
find_missing(struct catalog_scan *scan, const struct table *t, struct err *e)
{
	struct statement *s = NULL;
	struct sql *sql = sql_new();
	int rc = -ENOMEM;

	scan->missing = calloc(t->count + 1, sizeof *scan->missing);
	if (scan->missing == NULL) {
		err_set(e, rc, "no memory to read %s", scan->file->path);
		goto out;
	}
	sql_add(sql, "SELECT * FROM ");
	sql_name(sql, t->name);
	sql_add(sql, " LIMIT 0");
	rc = sql_prepare(sql, scan->database, &s, e);
	for (unsigned i = 0; rc == 0 && i < t->count; i++) {
		scan->missing[i] = true;
		for (int k = 0; scan->missing[i] && k < statement_columns(s); k++) {
			scan->missing[i] = strcmp(statement_column_name(s, k),
					       t->columns[i].name) != 0;
		}
	}
out:
	statement_free(s);
	sql_free(sql);
	return rc;
}

int
catalog_file_open(const struct catalog_file *f, const struct table *t,
    uint64_t deadline_ns, struct catalog_scan *ret, struct err *e)
{
	struct catalog_scan scan = {.file = f};
	int rc = database_open(f->path, DATABASE_READ, &scan.database, e);

	if (rc == -ENOENT) { /* its day has been removed since the folder was read */
		return 0;
	}
	if (rc == 0) {
		database_deadline(scan.database, deadline_ns);
		rc = database_add_functions(scan.database, e);
	}
	if (rc == 0) { /* all that is asked of the file sees the same rows */
		rc = database_exec_text(scan.database, "BEGIN", e);
	}
	if (rc == 0) {
		rc = catalog_file_has(scan.database, t->name, e);
	}
	if (rc > 0) {
		rc = find_missing(&scan, t, e);
		rc = rc == 0 ? 1 : rc;
	}
	if (rc <= 0) {
		catalog_file_close(&scan);
		return rc;
	}
	*ret = scan;
	return 1;
}

void
catalog_file_close(struct catalog_scan *scan)
{
	database_close(scan->database);
	free(scan->missing);
}
