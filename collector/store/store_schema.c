#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/ddl.h"
#include "collector/store/store_content.h"
#include "collector/store/store_private.h"
#include "collector/store/store_query.h"
#include "collector/store/store_waiting.h"

/* What flowpair_columns says of a table. */
struct stored_columns {
	struct stored_column {
		char name[64], kind[16], role[16];
	} items[SCHEMA_MAX_COLUMNS];
	unsigned count;
};

static int
no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "not enough memory");
}

int
store_schema_prepare(struct database *d, struct err *e)
{
	return database_exec_text(d,
	    "CREATE TABLE IF NOT EXISTS flowpair_columns(table_name TEXT, position "
	    "INTEGER, "
	    "column_name TEXT, kind TEXT, role TEXT, expression TEXT, "
	    "PRIMARY KEY(table_name, position)) WITHOUT ROWID;"
	    "CREATE TABLE IF NOT EXISTS flowpair_progress(source TEXT PRIMARY KEY, "
	    "position INTEGER NOT NULL) WITHOUT ROWID",
	    e);
}

static int
prepare_main(struct database *d, struct err *e)
{
	int rc = store_schema_prepare(d, e);

	if (rc == 0) {
		rc = store_waiting_prepare(d, e);
	}
	if (rc == 0) {
		rc = store_content_prepare(d, e);
	}
	if (rc < 0) {
		return rc;
	}
	return database_exec_text(d,
	    "CREATE TABLE IF NOT EXISTS flowpair_tables(table_name TEXT PRIMARY KEY, "
	    "storage TEXT, partition TEXT, version INTEGER, is_view INTEGER) WITHOUT "
	    "ROWID;"
	    "CREATE TABLE IF NOT EXISTS flowpair_sources(source TEXT PRIMARY KEY, "
	    "position "
	    "INTEGER NOT NULL, finished INTEGER NOT NULL DEFAULT 0, name TEXT) WITHOUT "
	    "ROWID;"
	    "CREATE TABLE IF NOT EXISTS flowpair_partitions(file TEXT, source TEXT, "
	    "position INTEGER NOT NULL, PRIMARY KEY(file, source)) WITHOUT ROWID",
	    e);
}

static void
copy_text(char *to, size_t size, const char *text)
{
	size_t n = strlen(text);
	n = n < size ? n : size - 1;
	memcpy(to, text, n);
	to[n] = '\0';
}

static int
read_columns(
    struct database *d, const char *table, struct stored_columns *ret, struct err *e)
{
	struct statement *s = NULL;
	int rc = statement_new(d,
	    "SELECT column_name, kind, role FROM flowpair_columns WHERE table_name = ? "
	    "ORDER BY position",
	    &s, e);

	if (rc < 0) {
		return rc;
	}
	statement_bind_text(s, 1, table);
	ret->count = 0;
	while ((rc = statement_step(s, e)) > 0 && ret->count < SCHEMA_MAX_COLUMNS) {
		struct stored_column *c = &ret->items[ret->count++];
		copy_text(c->name, sizeof c->name, statement_text(s, 0));
		copy_text(c->kind, sizeof c->kind, statement_text(s, 1));
		copy_text(c->role, sizeof c->role, statement_text(s, 2));
	}
	statement_free(s);
	return rc < 0 ? rc : 0;
}

static int
refuse(const char *file, const struct table *t, struct err *e, const char *what,
    const char *column)
{
	return err_set(e, -EINVAL,
	    "%s: column '%s' of table %s %s; undo the change, or set 'version: "
	    "%llu' in %s to start a new table (stored rows stay)",
	    file, column, t->schema->name, what,
	    (unsigned long long)t->schema->version + 1, yaml_name(t->schema->yaml));
}

static const struct stored_column *
find_stored(const struct stored_columns *list, const char *name)
{
	for (unsigned i = 0; i < list->count; i++) {
		if (strcmp(list->items[i].name, name) == 0) {
			return &list->items[i];
		}
	}
	return NULL;
}

/* Whether what is stored and what the schema says can go on together: same key, and
 * columns of one name mean one thing. */
static int
compare_columns(const char *file, const struct table *t,
    const struct stored_columns *list, struct err *e)
{
	unsigned keys = 0;

	for (unsigned i = 0; i < list->count; i++) {
		keys += strcmp(list->items[i].role, "key") == 0;
	}
	for (unsigned i = 0; i < t->key_count || i < keys; i++) {
		if (i >= t->key_count) {
			return refuse(
			    file, t, e, "is no longer in the key", list->items[i].name);
		}
		if (i >= keys || strcmp(list->items[i].name, t->columns[i].name) != 0) {
			return refuse(
			    file, t, e, "is new in the key", t->columns[i].name);
		}
	}
	for (unsigned i = 0; i < t->column_count; i++) {
		const struct table_column *c = &t->columns[i];
		const struct stored_column *s = find_stored(list, c->name);
		if (s == NULL) {
			continue;
		}
		if (strcmp(s->kind, table_kind_name(c->kind)) != 0) {
			return refuse(file, t, e, "is of another kind now", c->name);
		}
		if (strcmp(s->role, schema_role_name(c->role)) != 0) {
			return refuse(
			    file, t, e, "is reduced in another way now", c->name);
		}
	}
	return 0;
}

static int
write_columns(struct database *d, const struct table *t, struct err *e)
{
	struct statement *s = NULL;
	int rc = database_exec(d, e,
	    "DELETE FROM flowpair_columns WHERE table_name = '%s'", t->schema->name);

	if (rc == 0) {
		rc = statement_new(
		    d, "INSERT INTO flowpair_columns VALUES (?, ?, ?, ?, ?, ?)", &s, e);
	}
	for (unsigned i = 0; rc == 0 && i < t->column_count; i++) {
		const struct table_column *c = &t->columns[i];
		char *sql = NULL;
		size_t length = 0;
		FILE *out = open_memstream(&sql, &length);
		if (out == NULL) {
			rc = no_memory(e);
			break;
		}
		if (c->role == ROLE_COMPUTED) {
			ddl_expression(t, c, out);
		}
		fclose(out);
		statement_reset(s);
		statement_bind_text(s, 1, t->schema->name);
		statement_bind_i64(s, 2, i);
		statement_bind_text(s, 3, c->name);
		statement_bind_text(s, 4, table_kind_name(c->kind));
		statement_bind_text(s, 5, schema_role_name(c->role));
		if (c->role == ROLE_COMPUTED) {
			statement_bind_text(s, 6, sql);
		} else {
			statement_bind_null(s, 6);
		}
		rc = statement_step(s, e);
		free(sql);
	}
	statement_free(s);
	return rc;
}

int
store_schema_run(struct database *d, const struct table *t,
    void (*write)(const struct table *t, FILE *out), struct err *e)
{
	char *sql = ddl_text(t, write);
	int rc = sql == NULL ? no_memory(e) : database_exec_text(d, sql, e);

	free(sql);
	return rc;
}

/* Columns once removed from a schema stay in the file; naming one again would join two
 * halves of a history, so it is refused like any other change of meaning. */
static int
check_new_column(struct database *d, const char *file, const struct table *t,
    const struct table_column *c, struct err *e)
{
	char name[80];
	const struct store_query q = {
	    .sql = "SELECT 1 FROM pragma_table_xinfo(?) WHERE name = ?",
	    .texts = {name, c->name}};
	int rc;

	ddl_stored_name(t, name);
	rc = store_query(d, &q, NULL, e);
	return rc > 0
		   ? refuse(file, t, e, "was removed once and is named again", c->name)
		   : rc;
}

static int
add_columns(struct database *d, const char *file, const struct table *t,
    const struct stored_columns *list, struct err *e)
{
	char *sql = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&sql, &length);
	int rc = 0;

	if (out == NULL) {
		return no_memory(e);
	}
	for (unsigned i = 0; rc == 0 && i < t->column_count; i++) {
		if (find_stored(list, t->columns[i].name) == NULL) {
			rc = check_new_column(d, file, t, &t->columns[i], e);
			ddl_add_column(t, &t->columns[i], out);
		}
	}
	if (fclose(out) != 0) {
		rc = no_memory(e);
	}
	if (rc == 0) {
		rc = database_exec_text(d, sql, e);
	}
	free(sql);
	return rc;
}

static int
check_views(struct database *d, const struct table *t, struct err *e)
{
	struct statement *s = NULL;
	char sql[128];
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < t->schema->view_count; i++) {
		snprintf(sql, sizeof sql, "SELECT * FROM \"%s\" LIMIT 0",
		    t->schema->views[i].name);
		rc = statement_new(d, sql, &s, e);
		if (rc < 0) {
			return err_prefix(e, rc, "%s: view '%s'",
			    yaml_name(t->schema->yaml), t->schema->views[i].name);
		}
		statement_free(s);
		s = NULL;
	}
	return rc;
}

int
store_schema_apply(
    struct database *d, const char *file, const struct table *t, struct err *e)
{
	struct stored_columns list;
	int rc = read_columns(d, t->schema->name, &list, e);

	if (rc == 0 && list.count == 0) {
		rc = store_schema_run(d, t, ddl_table, e);
	} else if (rc == 0) {
		rc = compare_columns(file, t, &list, e);
		if (rc == 0) {
			rc = add_columns(d, file, t, &list, e);
		}
	}
	if (rc == 0) {
		rc = write_columns(d, t, e);
	}
	if (rc == 0) {
		rc = store_schema_run(d, t, ddl_views, e);
		if (rc < 0) {
			return err_prefix(e, rc, "%s", yaml_name(t->schema->yaml));
		}
	}
	return rc < 0 ? rc : check_views(d, t, e);
}

/* The version that the store has of a table; 0: none. */
static int
stored_version(struct database *d, const struct table *t, uint64_t *ret, struct err *e)
{
	struct statement *s = NULL;
	int rc = statement_new(d,
	    "SELECT version, storage, partition FROM flowpair_tables WHERE table_name "
	    "= ?",
	    &s, e);

	if (rc < 0) {
		return rc;
	}
	statement_bind_text(s, 1, t->schema->name);
	rc = statement_step(s, e);
	*ret = rc > 0 ? (uint64_t)statement_i64(s, 0) : 0;
	if (rc > 0 && *ret == t->schema->version &&
	    (strcmp(statement_text(s, 1), schema_storage_name(t->schema->storage)) !=
		    0 ||
		strcmp(statement_text(s, 2),
		    schema_partition_name(t->schema->partition)) != 0)) {
		rc = err_set(e, -EINVAL,
		    "table %s is stored as %s, not %s; set 'version: %llu' in %s to start "
		    "a new table",
		    t->schema->name, statement_text(s, 1),
		    schema_storage_name(t->schema->storage),
		    (unsigned long long)t->schema->version + 1,
		    yaml_name(t->schema->yaml));
	} else if (rc > 0 && *ret > t->schema->version) {
		rc = err_set(e, -EINVAL,
		    "table %s is stored in version %llu, but %s says version %llu; set it "
		    "to at least %llu",
		    t->schema->name, (unsigned long long)*ret,
		    yaml_name(t->schema->yaml), (unsigned long long)t->schema->version,
		    (unsigned long long)*ret);
	}
	statement_free(s);
	return rc < 0 ? rc : 0;
}

/* A new version begins: an upsert table's old rows stay under <name>_v<old>; day files
 * carry the version in their names. */
static int
retire(struct database *d, const struct table *t, uint64_t old, struct err *e)
{
	const char *name = t->schema->name;
	const struct store_query is_there = {
	    .sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?",
	    .texts = {name}};
	int rc = database_exec(d, e,
	    "DROP VIEW IF EXISTS \"%s_iso\"; DELETE FROM flowpair_columns WHERE "
	    "table_name "
	    "= '%s'",
	    name, name);

	for (unsigned i = 0; rc == 0 && i < t->schema->view_count; i++) {
		rc = database_exec(
		    d, e, "DROP VIEW IF EXISTS \"%s\"", t->schema->views[i].name);
	}
	if (rc == 0) {
		rc = store_query(d, &is_there, NULL, e);
	}
	if (rc > 0) {
		rc = database_exec(d, e, "ALTER TABLE \"%s\" RENAME TO \"%s_v%llu\"",
		    name, name, (unsigned long long)old);
	}
	return rc;
}

static int
write_tables(struct database *d, const struct table *t, struct err *e)
{
	const struct schema_table *s = t->schema;
	int rc = database_exec(d, e,
	    "INSERT OR REPLACE INTO flowpair_tables VALUES ('%s', '%s', '%s', %llu, 0)",
	    s->name, schema_storage_name(s->storage),
	    schema_partition_name(s->partition), (unsigned long long)s->version);

	for (unsigned i = 0; rc == 0 && i < s->view_count; i++) {
		rc = database_exec(d, e,
		    "INSERT OR REPLACE INTO flowpair_tables VALUES ('%s', '%s', '%s', "
		    "%llu, 1)",
		    s->views[i].name, schema_storage_name(s->storage),
		    schema_partition_name(s->partition),
		    (unsigned long long)s->version);
	}
	return rc;
}

static int
apply_main_table(struct database *d, const struct table *t, struct err *e)
{
	struct stored_columns list;
	uint64_t version = 0;
	int rc = stored_version(d, t, &version, e);

	if (rc == 0 && version > 0 && version < t->schema->version) {
		rc = retire(d, t, version, e);
	}
	if (rc < 0) {
		return rc;
	}
	if (t->schema->storage == STORAGE_UPSERT) {
		rc = store_schema_apply(d, STORE_MAIN_FILE, t, e);
	} else {
		/* Readers find here what the day files hold; a change that these cannot
		 * take is told at start-up, not at midnight. */
		rc = read_columns(d, t->schema->name, &list, e);
		if (rc == 0 && list.count > 0) {
			rc = compare_columns(STORE_MAIN_FILE, t, &list, e);
		}
		if (rc == 0) {
			rc = write_columns(d, t, e);
		}
	}
	return rc < 0 ? rc : write_tables(d, t, e);
}

int
store_schema_apply_main(struct database *d, const struct tables *t, struct err *e)
{
	int rc = database_exec_text(d, "BEGIN IMMEDIATE", e);

	if (rc < 0) {
		return rc;
	}
	rc = prepare_main(d, e);
	for (unsigned i = 0; rc == 0 && i < t->table_count; i++) {
		rc = apply_main_table(d, t->tables[i], e);
	}
	return store_commit(d, rc, e);
}

static int
try_day_table(const struct table *t, struct err *e)
{
	struct database *d = NULL;
	int rc = database_open("SQLite", DATABASE_MEMORY, &d, e);

	if (rc == 0) {
		rc = store_schema_prepare(d, e);
	}
	if (rc == 0) {
		rc = store_schema_apply(d, t->schema->name, t, e);
	}
	database_close(d);
	return rc;
}

int
store_check(const struct tables *t, struct err *e)
{
	struct database *d = NULL;
	int rc = database_open("SQLite", DATABASE_MEMORY, &d, e);

	if (rc == 0) {
		rc = store_schema_apply_main(d, t, e);
	}
	for (unsigned i = 0; rc == 0 && i < t->table_count; i++) {
		if (t->tables[i]->schema->storage != STORAGE_UPSERT) {
			rc = try_day_table(t->tables[i], e);
		}
	}
	database_close(d);
	return rc;
}
