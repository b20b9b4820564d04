#include "collector/store/ddl.h"

#include <stdlib.h>
#include <string.h>

#include "common/sqlite/database_load.h"

#define TOP "9223372036854775807"

void
ddl_stored_name(const struct table *t, char out[static 80])
{
	snprintf(out, 80, "%s%s", t->schema->name,
	    t->schema->storage == STORAGE_RUNS     ? "_runs"
	    : t->schema->storage == STORAGE_APPEND ? "_rows"
						   : "");
}

static const char *
sql_type(const struct table_column *c)
{
	switch (c->kind) {
	case TABLE_TIME:
	case TABLE_INTEGER:
		return "INTEGER";
	case TABLE_REAL:
		return "REAL";
	default:
		return "TEXT";
	}
}

void
ddl_expression(const struct table *t, const struct table_column *c, FILE *out)
{
	const struct schema_column *s = c->schema;
	const char *sum = t->columns[s->sum].name, *count = t->columns[s->count].name;
	char n[128];

	if (s->less > 0) {
		snprintf(
		    n, sizeof n, "(\"%s\" - %llu)", count, (unsigned long long)s->less);
	} else {
		snprintf(n, sizeof n, "\"%s\"", count);
	}
	if (s->computed == COMPUTED_MEAN) {
		fprintf(out, "CASE WHEN %s > 0 THEN CAST(\"%s\" AS REAL) / %s END", n,
		    sum, n);
		return;
	}
	/* Population deviation; max() takes away what rounding leaves below zero. */
	fprintf(out,
	    "CASE WHEN %s > 0 THEN sqrt(max(0.0, CAST(\"%s\" AS REAL) / %s - "
	    "(CAST(\"%s\" AS REAL) / %s) * (CAST(\"%s\" AS REAL) / %s))) END",
	    n, t->columns[s->sumsq].name, n, sum, n, sum, n);
}

/* The value inside a state of firstWriteWins or lastWriteWins. */
static void
write_state_value(const struct table_column *c, const char *state, FILE *out)
{
	if (strcmp(sql_type(c), "TEXT") == 0) {
		fprintf(out, "substr(%s, %d)", state, TABLE_STATE_PREFIX + 1);
	} else {
		fprintf(out, "CAST(substr(%s, %d) AS %s)", state,
		    TABLE_STATE_PREFIX + 1, sql_type(c));
	}
}

void
ddl_column_name(const struct table_column *c, char out[static 96])
{
	snprintf(out, 96, "%s%s", ddl_is_state(c) ? "flowpair_state_" : "", c->name);
}

char *
ddl_text(const struct table *t, void (*write)(const struct table *t, FILE *out))
{
	char *sql = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&sql, &length);

	if (out == NULL) {
		return NULL;
	}
	write(t, out);
	if (fclose(out) != 0) {
		free(sql);
		return NULL;
	}
	return sql;
}

void
ddl_stored(const struct table *t, struct ddl_stored *ret)
{
	ret->count = 0;
	ddl_stored_name(t, ret->table);
	for (unsigned i = 0; i < t->column_count; i++) {
		if (ddl_is_stored(&t->columns[i])) {
			unsigned n = ret->count++;
			ret->columns[n] = &t->columns[i];
			ret->names[n] = ret->texts[n];
			ddl_column_name(&t->columns[i], ret->texts[n]);
		}
	}
}

static void
state_name(const struct table_column *c, char out[static 96])
{
	snprintf(out, 96, "\"flowpair_state_%s\"", c->name);
}

/* Columns as CREATE TABLE and ADD COLUMN want them.  Upsert tables compute inside the
 * table, the others in their view. */
static bool
write_column(
    const struct table *t, const struct table_column *c, const char *before, FILE *out)
{
	bool is_upsert = t->schema->storage == STORAGE_UPSERT;
	char state[96];

	if (ddl_is_state(c)) {
		state_name(c, state);
		fprintf(out, "%s%s TEXT", before, state);
		if (is_upsert) {
			fprintf(out, "%s\"%s\" %s GENERATED ALWAYS AS (", before,
			    c->name, sql_type(c));
			write_state_value(c, state, out);
			fputs(") VIRTUAL", out);
		}
		return true;
	}
	if (ddl_is_stored(c)) {
		fprintf(out, "%s\"%s\" %s%s", before, c->name, sql_type(c),
		    is_upsert && c->role == ROLE_KEY ? " NOT NULL" : "");
		return true;
	}
	if (is_upsert) {
		fprintf(out, "%s\"%s\" REAL GENERATED ALWAYS AS (", before, c->name);
		ddl_expression(t, c, out);
		fputs(") VIRTUAL", out);
	}
	return is_upsert;
}

static void
write_keys(const struct table *t, FILE *out)
{
	for (unsigned i = 0; i < t->key_count; i++) {
		fprintf(out, "%s\"%s\"", i > 0 ? ", " : "", t->columns[i].name);
	}
}

void
ddl_table(const struct table *t, FILE *out)
{
	char name[80];
	bool is_first = true;

	ddl_stored_name(t, name);
	fprintf(out, "CREATE TABLE \"%s\"(", name);
	for (unsigned i = 0; i < t->column_count; i++) {
		if (write_column(t, &t->columns[i], is_first ? "\n  " : ",\n  ", out)) {
			is_first = false;
		}
	}
	if (t->schema->storage == STORAGE_UPSERT) {
		fputs(",\n  PRIMARY KEY(", out);
		write_keys(t, out);
		fputs(")\n) WITHOUT ROWID;\n", out);
		return;
	}
	fputs("\n);\n", out);
	if (t->schema->storage == STORAGE_RUNS) {
		fprintf(out,
		    "CREATE TABLE \"%s_extent\"(first INTEGER, last INTEGER);\n",
		    t->schema->name);
	}
}

void
ddl_add_column(const struct table *t, const struct table_column *c, FILE *out)
{
	char name[80], before[120];

	ddl_stored_name(t, name);
	snprintf(before, sizeof before, ";\nALTER TABLE \"%s\" ADD COLUMN ", name);
	write_column(t, c, before, out);
	fputs(";\n", out);
}

/* One output column of a runs view.  A plain sum() would fail for ever once a hostile
 * counter overflows it, so halves are summed and saturate. */
static void
write_aggregate(const struct table_column *c, FILE *out)
{
	char state[96], aggregate[128];

	switch (c->role) {
	case ROLE_SUM:
		if (c->kind == TABLE_REAL) {
			fprintf(out, "sum(\"%s\")", c->name);
			break;
		}
		fprintf(out,
		    "CASE WHEN total(\"%s\") < 9.2e18 THEN (sum(\"%s\" >> 32) << 32) + "
		    "sum(\"%s\" & 4294967295) WHEN count(\"%s\") > 0 THEN " TOP " END",
		    c->name, c->name, c->name, c->name);
		break;
	case ROLE_MINIMIZE:
		fprintf(out, "min(\"%s\")", c->name);
		break;
	case ROLE_MAXIMIZE:
		fprintf(out, "max(\"%s\")", c->name);
		break;
	case ROLE_FIRST:
	case ROLE_LAST:
		state_name(c, state);
		snprintf(aggregate, sizeof aggregate, "%s(%s)",
		    c->role == ROLE_FIRST ? "min" : "max", state);
		write_state_value(c, aggregate, out);
		break;
	default:
		fprintf(out, "\"%s\"", c->name);
	}
}

static bool
has_computed(const struct table *t)
{
	for (unsigned i = 0; i < t->column_count; i++) {
		if (t->columns[i].role == ROLE_COMPUTED) {
			return true;
		}
	}
	return false;
}

static void
write_grouped(const struct table *t, FILE *out)
{
	const char *before = "";

	fputs("SELECT ", out);
	for (unsigned i = 0; i < t->column_count; i++) {
		const struct table_column *c = &t->columns[i];
		if (c->role == ROLE_COMPUTED) {
			continue;
		}
		fputs(before, out);
		before = ",\n  ";
		write_aggregate(c, out);
		if (c->role != ROLE_KEY) {
			fprintf(out, " AS \"%s\"", c->name);
		}
	}
	fprintf(out, "\nFROM \"%s_runs\" GROUP BY ", t->schema->name);
	write_keys(t, out);
}

static void
write_columns(const struct table *t, FILE *out)
{
	for (unsigned i = 0; i < t->column_count; i++) {
		const struct table_column *c = &t->columns[i];
		fputs(i > 0 ? ",\n  " : "", out);
		if (c->role == ROLE_COMPUTED) {
			ddl_expression(t, c, out);
			fprintf(out, " AS \"%s\"", c->name);
		} else {
			fprintf(out, "\"%s\"", c->name);
		}
	}
}

static void
write_main_view(const struct table *t, FILE *out)
{
	const char *name = t->schema->name;

	fprintf(
	    out, "DROP VIEW IF EXISTS \"%s\";\nCREATE VIEW \"%s\" AS\n", name, name);
	if (t->schema->storage == STORAGE_APPEND) {
		fputs("SELECT ", out);
		write_columns(t, out);
		fprintf(out, "\nFROM \"%s_rows\";\n", name);
	} else if (has_computed(t)) {
		fputs("SELECT ", out);
		write_columns(t, out);
		fputs("\nFROM (", out);
		write_grouped(t, out);
		fputs(");\n", out);
	} else {
		write_grouped(t, out);
		fputs(";\n", out);
	}
}

/* ISO 8601 with as many digits as there are: 0, 3, 6 or 9. */
static void
write_iso_time(const struct table *t, const struct table_column *c, FILE *out)
{
	const char *n = c->name;
	size_t length = strlen(n);
	char name[64];

	snprintf(name, sizeof name, "%s", n);
	if (length > 3 && strcmp(n + length - 3, "_ns") == 0) {
		name[length - 3] = '\0';
	}
	for (unsigned i = 0; i < t->column_count; i++) {
		if (strcmp(t->columns[i].name, name) == 0) {
			snprintf(name, sizeof name, "%s", n); /* taken: keep its own */
		}
	}
	fprintf(out,
	    "strftime('%%Y-%%m-%%dT%%H:%%M:%%S', \"%s\" / 1000000000, 'unixepoch') || "
	    "CASE WHEN \"%s\" %% 1000000000 = 0 THEN 'Z' "
	    "WHEN \"%s\" %% 1000000 = 0 THEN printf('.%%03dZ', \"%s\" / 1000000 %% "
	    "1000) "
	    "WHEN \"%s\" %% 1000 = 0 THEN printf('.%%06dZ', \"%s\" / 1000 %% 1000000) "
	    "ELSE printf('.%%09dZ', \"%s\" %% 1000000000) END AS \"%s\"",
	    n, n, n, n, n, n, n, name);
}

static void
write_iso_view(const struct table *t, FILE *out)
{
	const char *name = t->schema->name;

	fprintf(out,
	    "DROP VIEW IF EXISTS \"%s_iso\";\nCREATE VIEW \"%s_iso\" AS\nSELECT ", name,
	    name);
	for (unsigned i = 0; i < t->column_count; i++) {
		fputs(i > 0 ? ",\n  " : "", out);
		if (t->columns[i].kind == TABLE_TIME) {
			write_iso_time(t, &t->columns[i], out);
		} else {
			fprintf(out, "\"%s\"", t->columns[i].name);
		}
	}
	fprintf(out, "\nFROM \"%s\";\n", name);
}

void
ddl_views(const struct table *t, FILE *out)
{
	const struct schema_table *s = t->schema;

	if (s->storage != STORAGE_UPSERT) {
		write_main_view(t, out);
	}
	write_iso_view(t, out);
	for (unsigned i = 0; i < s->view_count; i++) {
		fprintf(out,
		    "DROP VIEW IF EXISTS \"%s\";\nCREATE VIEW \"%s\" AS\n%s;\n",
		    s->views[i].name, s->views[i].name, s->views[i].sql);
	}
}

/* What a stored column and its newer value come to.  NULL does not count; sums saturate,
 * where SQLite would continue in floating point. */
static void
write_merge(const struct table *t, const struct table_column *c, FILE *out)
{
	char name[96], own[200];

	snprintf(name, sizeof name, "\"%s\"", c->name);
	if (ddl_is_state(c)) {
		state_name(c, name);
	}
	snprintf(own, sizeof own, "\"%s\".%s", t->schema->name, name);
	fprintf(out, "%s = ", name);
	if (c->role == ROLE_SUM && c->kind == TABLE_REAL) {
		fprintf(out, "coalesce(%s + excluded.%s, %s, excluded.%s)", own, name,
		    own, name);
	} else if (c->role == ROLE_SUM) {
		fprintf(out,
		    "CASE WHEN %s > " TOP " - excluded.%s THEN " TOP
		    " ELSE coalesce(%s + excluded.%s, %s, excluded.%s) END",
		    own, name, own, name, own, name);
	} else {
		const char *f =
		    c->role == ROLE_MINIMIZE || c->role == ROLE_FIRST ? "min" : "max";
		fprintf(out, "coalesce(%s(%s, excluded.%s), %s, excluded.%s)", f, own,
		    name, own, name);
	}
}

void
ddl_upsert(const struct table *t, FILE *out)
{
	const char *before = "";
	struct ddl_stored stored;

	ddl_stored(t, &stored);
	fprintf(out, "INSERT INTO \"%s\"(", stored.table);
	for (unsigned i = 0; i < stored.count; i++) {
		fprintf(out, "%s\"%s\"", i > 0 ? ", " : "", stored.names[i]);
	}
	fputs(") SELECT * FROM " LOAD_ROWS, out);
	fputs(" WHERE true ON CONFLICT(", out);
	write_keys(t, out);
	fputs(") DO UPDATE SET ", out);
	for (unsigned i = t->key_count; i < stored.count; i++) {
		fputs(before, out);
		write_merge(t, stored.columns[i], out);
		before = ", ";
	}
}
