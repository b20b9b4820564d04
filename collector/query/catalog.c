#include "collector/query/catalog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/query/catalog_file.h"
#include "collector/query/sql.h"

#define COUNT "records" /* the column that counts rows of a group */

struct catalog {
	char *directory;
	struct database *database; /* the main file */
	struct table *tables;
	unsigned count;
};

static const char *const kind_names[COLUMN_KINDS] = {
    "address", "prefix", "time_ns", "date", "integer", "real", "text"};
static const char *const role_names[COLUMN_ROLES] = {
    "key", "sum", "minimize", "maximize", "first", "last", "value", "computed"};

static unsigned
name_index(const char *name, const char *const *names, unsigned n, unsigned otherwise)
{
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(name, names[i]) == 0) {
			return i;
		}
	}
	return otherwise;
}

static bool
ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	return n >= m && strcmp(text + n - m, end) == 0;
}

/* Tables of single records declare no reductions.  Their counters are known by the
 * names that the reduced tables use for the same words. */
static enum column_group
group_of_value(const struct column *c)
{
	static const char *const sums[] = {
	    "packets", "octets", "bytes", "flows", "_sum", "_sumsq", "_ms", "millis"};

	if (c->kind == COLUMN_TIME_NS) {
		return strncmp(c->name, "end", 3) == 0 ||
			       strncmp(c->name, "last", 4) == 0
			   ? GROUP_MAXIMIZE
			   : GROUP_MINIMIZE;
	}
	if (c->kind != COLUMN_INTEGER && c->kind != COLUMN_REAL) {
		return GROUP_NONE;
	}
	if (ends_with(c->name, "_min")) {
		return GROUP_MINIMIZE;
	}
	if (ends_with(c->name, "_max")) {
		return GROUP_MAXIMIZE;
	}
	for (unsigned i = 0; i < sizeof sums / sizeof sums[0]; i++) {
		if (ends_with(c->name, sums[i])) {
			return GROUP_SUM;
		}
	}
	return GROUP_NONE;
}

static enum column_group
group_of(const struct column *c)
{
	switch (c->role) {
	case COLUMN_SUM:
		return GROUP_SUM;
	case COLUMN_MINIMIZE:
		return GROUP_MINIMIZE;
	case COLUMN_MAXIMIZE:
		return GROUP_MAXIMIZE;
	case COLUMN_COMPUTED:
		return c->expression != NULL ? GROUP_COMPUTED : GROUP_NONE;
	case COLUMN_VALUE:
		return group_of_value(c);
	default:
		return GROUP_NONE;
	}
}

/* Adds a column; expression may be NULL. */
static int
table_add(struct table *t, const char *name, enum column_kind kind,
    enum column_role role, const char *expression)
{
	struct column *more = reallocarray(t->columns, t->count + 1, sizeof *more);
	struct column *c;
	size_t n = strlen(name);

	if (more == NULL) {
		return -ENOMEM;
	}
	t->columns = more;
	c = &more[t->count];
	*c = (struct column){.kind = kind, .role = role};
	if (kind == COLUMN_TIME_NS && n > 3 && ends_with(name, "_ns")) {
		n -= 3;
	}
	c->name = strdup(name);
	c->shown = strndup(name, n);
	c->expression = expression != NULL ? strdup(expression) : NULL;
	t->count++;
	if (c->name == NULL || c->shown == NULL ||
	    (expression != NULL && c->expression == NULL)) {
		return -ENOMEM;
	}
	c->group = group_of(c);
	return 0;
}

/* Reads what a file's flowpair_columns says about t. */
static int
read_columns(struct database *d, struct table *t, struct err *e)
{
	struct statement *s = NULL;
	int rc = statement_new(d,
	    "SELECT column_name, kind, role, expression FROM flowpair_columns "
	    "WHERE table_name = ? ORDER BY position",
	    &s, e);

	if (rc == 0) {
		rc = statement_bind_text(s, 1, t->name);
	}
	while (rc >= 0 && (rc = statement_step(s, e)) > 0) {
		bool computed = statement_type(s, 3) == DATABASE_TEXT;
		rc = table_add(t, statement_text(s, 0),
		    name_index(
			statement_text(s, 1), kind_names, COLUMN_KINDS, COLUMN_TEXT),
		    name_index(
			statement_text(s, 2), role_names, COLUMN_ROLES, COLUMN_VALUE),
		    computed ? statement_text(s, 3) : NULL);
	}
	statement_free(s);
	return rc;
}

/* A view that says nothing about its columns: they mean what columns of the same name
 * mean elsewhere in the file, except that text which was made is text. */
static int
read_view_columns(struct database *d, struct table *t, struct err *e)
{
	struct statement *view = NULL, *known = NULL;
	struct sql *sql = sql_new();
	int rc;

	sql_add(sql, "SELECT * FROM ");
	sql_name(sql, t->name);
	sql_add(sql, " LIMIT 0");
	rc = sql_prepare(sql, d, &view, e);
	if (rc == 0) {
		rc = statement_new(d,
		    "SELECT kind, role FROM flowpair_columns WHERE column_name = ? "
		    "AND role <> 'computed' ORDER BY table_name LIMIT 1",
		    &known, e);
	}
	for (int i = 0; rc == 0 && i < statement_columns(view); i++) {
		const char *name = statement_column_name(view, i);
		unsigned kind = COLUMN_TEXT, role = COLUMN_VALUE;
		statement_reset(known);
		rc = statement_bind_text(known, 1, name);
		rc = rc == 0 ? statement_step(known, e) : rc;
		if (rc > 0) {
			kind = name_index(statement_text(known, 0), kind_names,
			    COLUMN_KINDS, COLUMN_TEXT);
			role = name_index(statement_text(known, 1), role_names,
			    COLUMN_ROLES, COLUMN_VALUE);
		}
		if (kind == COLUMN_ADDRESS || kind == COLUMN_PREFIX) {
			kind = COLUMN_TEXT;
		}
		rc = rc >= 0 ? table_add(t, name, kind, role, NULL) : rc;
	}
	statement_free(known);
	statement_free(view);
	sql_free(sql);
	return rc;
}

/* The main file knows the columns of every table; where it does not (an older store),
 * the newest day's file does. */
static int
load_columns(struct catalog *c, struct table *t, struct err *e)
{
	struct catalog_files files = {0};
	struct database *d = NULL;
	int rc = read_columns(c->database, t, e);

	if (rc == 0 && t->count == 0 && !t->by_day) {
		rc = read_view_columns(c->database, t, e);
	}
	if (rc == 0 && t->count == 0 && t->by_day) {
		rc = catalog_files(c->directory, t, CATALOG_EVERY_DAY, &files, e);
	}
	for (unsigned i = files.count; rc == 0 && t->count == 0 && i > 0; i--) {
		int has = database_open(files.items[i - 1].path, DATABASE_READ, &d, e);
		has = has == 0 ? catalog_file_has(d, t->name, e) : has;
		rc = has < 0 && has != -ENOENT ? has : 0;
		rc = has > 0 ? read_columns(d, t, e) : rc;
		if (rc == 0 && has > 0 && t->count == 0 && t->is_view) {
			rc = read_view_columns(d, t, e);
		}
		database_close(d);
		d = NULL;
	}
	catalog_files_free(&files);
	if (rc == 0 && t->storage == TABLE_APPEND && !t->is_view && t->count > 0 &&
	    table_column(t, COUNT) < 0) {
		rc = table_add(t, COUNT, COLUMN_INTEGER, COLUMN_VALUE, NULL);
		if (rc == 0) {
			t->columns[t->count - 1].group = GROUP_COUNT;
		}
	}
	return rc;
}

static int
load_tables(struct catalog *c, struct err *e)
{
	static const char *const storages[] = {"upsert", "runs", "append"};
	struct statement *s = NULL;
	int rc = catalog_file_has(c->database, "flowpair_tables", e);

	if (rc <= 0) {
		return rc;
	}
	rc = statement_new(c->database,
	    "SELECT table_name, storage, partition, is_view FROM flowpair_tables "
	    "ORDER BY table_name",
	    &s, e);
	while (rc >= 0 && (rc = statement_step(s, e)) > 0) {
		struct table *more =
		    reallocarray(c->tables, c->count + 1, sizeof *more);
		if (more == NULL) {
			rc = -ENOMEM;
			break;
		}
		c->tables = more;
		more[c->count] = (struct table){
		    .name = strdup(statement_text(s, 0)),
		    .storage =
			name_index(statement_text(s, 1), storages, 3, TABLE_UPSERT),
		    .by_day = strcmp(statement_text(s, 2), "day") == 0,
		    .is_view = statement_i64(s, 3) != 0,
		};
		rc = more[c->count++].name == NULL ? -ENOMEM : 0;
	}
	statement_free(s);
	for (unsigned i = 0; rc == 0 && i < c->count; i++) {
		rc = load_columns(c, &c->tables[i], e);
	}
	return rc;
}

int
catalog_open(const char *directory, struct catalog **ret, struct err *e)
{
	struct catalog *c = calloc(1, sizeof *c);
	char *path = NULL;
	int rc = -ENOMEM;

	if (strncmp(directory, "sqlite:", 7) == 0) {
		directory += 7;
	}
	err_set(e, rc, "no memory to read the store");
	if (c == NULL || (c->directory = strdup(directory)) == NULL ||
	    asprintf(&path, "%s/" CATALOG_MAIN_FILE, directory) < 0) {
		goto out;
	}
	rc = database_open(path, DATABASE_READ, &c->database, e);
	if (rc == -ENOTDIR) {
		rc = err_set(e, rc,
		    "%s: is a file; name the directory that flowpair-collector --store "
		    "names",
		    directory);
	}
	if (rc == -ENOENT) {
		rc = err_set(e, rc,
		    "%s: there is no flowpair store here (" CATALOG_MAIN_FILE
		    " is missing); name the directory that flowpair-collector --store "
		    "names",
		    directory);
	}
	if (rc == -EACCES) {
		rc = err_set(e, rc,
		    "%s: no permission to read this store; its owner and group may",
		    directory);
	}
	if (rc < 0) {
		goto out;
	}
	rc = load_tables(c, e);
	if (rc < 0) {
		goto out;
	}
	*ret = c;
	c = NULL;
out:
	free(path);
	catalog_close(c);
	return rc;
}

void
catalog_detach(struct catalog *c)
{
	if (c != NULL) {
		database_close(c->database);
		c->database = NULL;
	}
}

void
catalog_close(struct catalog *c)
{
	if (c == NULL) {
		return;
	}
	for (unsigned i = 0; i < c->count; i++) {
		struct table *t = &c->tables[i];
		for (unsigned k = 0; k < t->count; k++) {
			free((char *)t->columns[k].name);
			free((char *)t->columns[k].shown);
			free((char *)t->columns[k].expression);
		}
		free(t->columns);
		free((char *)t->name);
	}
	free(c->tables);
	database_close(c->database);
	free(c->directory);
	free(c);
}

const char *
catalog_directory(const struct catalog *c)
{
	return c->directory;
}

unsigned
catalog_count(const struct catalog *c)
{
	return c->count;
}

const struct table *
catalog_at(const struct catalog *c, unsigned i)
{
	return &c->tables[i];
}

int
catalog_find(
    const struct catalog *c, const char *name, const struct table **ret, struct err *e)
{
	const char *names[64], *nearest;
	unsigned n = 0;

	for (unsigned i = 0; i < c->count; i++) {
		if (strcmp(c->tables[i].name, name) == 0) {
			*ret = &c->tables[i];
			return 0;
		}
		if (n < 64) {
			names[n++] = c->tables[i].name;
		}
	}
	nearest = err_nearest(name, names, n);
	if (nearest != NULL) {
		return err_set(e, -EINVAL,
		    "the store has no table \"%s\"; the nearest is \"%s\"", name,
		    nearest);
	}
	return err_set(e, -EINVAL,
	    "the store has no table \"%s\"; run without a table to list its tables",
	    name);
}

int
table_column(const struct table *t, const char *name)
{
	for (unsigned i = 0; i < t->count; i++) {
		if (strcmp(t->columns[i].name, name) == 0) {
			return (int)i;
		}
	}
	for (unsigned i = 0; i < t->count; i++) {
		if (strcmp(t->columns[i].shown, name) == 0) {
			return (int)i;
		}
	}
	return -1;
}

/* "a, b, c"; what does not fit is dots. */
static const char *
list_names(const char *const *names, unsigned n, char *out, size_t capacity)
{
	size_t used = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		size_t more = strlen(names[i]) + 2;
		if (used + more + sizeof "..." > capacity) {
			strcpy(out + used, "...");
			break;
		}
		used += (size_t)sprintf(
		    out + used, "%s%s", names[i], i + 1 < n ? ", " : "");
	}
	return out;
}

int
table_require(const struct table *t, const char *name, struct err *e)
{
	const char *names[256] = {0}, *nearest;
	char list[320];
	unsigned n = 0;
	int i = table_column(t, name);

	if (i >= 0) {
		return i;
	}
	for (unsigned k = 0; k < t->count && n < 256; k++) {
		names[n++] = t->columns[k].name;
	}
	nearest = err_nearest(name, names, n);
	if (nearest != NULL) {
		return err_set(e, -EINVAL,
		    "table %s has no column \"%s\"; the nearest is \"%s\"", t->name,
		    name, nearest);
	}
	return err_set(e, -EINVAL, "table %s has no column \"%s\"; it has %s", t->name,
	    name, list_names(names, n, list, sizeof list));
}
