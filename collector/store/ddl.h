/* The SQL of a table: what is stored, and the views people read.  Written to a stream,
 * for the store and for --explain.  store.h says what the names promise.
 * Threads: the processing thread. */
#ifndef COLLECTOR_STORE_DDL_H
#define COLLECTOR_STORE_DDL_H

#include <stdio.h>

#include "collector/tables/table.h"

/* CREATE TABLE for what is stored: "services", "pairs_runs" (with pairs_extent) or
 * "conversations_rows". */
void ddl_table(const struct table *t, FILE *out);
/* CREATE VIEW pairs, pairs_iso and the schema's own; each after DROP VIEW IF EXISTS. */
void ddl_views(const struct table *t, FILE *out);
/* ALTER TABLE ... ADD COLUMN for one column. */
void ddl_add_column(const struct table *t, const struct table_column *c, FILE *out);
/* INSERT of LOAD_ROWS (database_load.h) into an upsert table: one c<i> for each stored
 * column, in their order; keys that are there merge. */
void ddl_upsert(const struct table *t, FILE *out);
/* What a stored column is called in its table, without quotes. */
void ddl_column_name(const struct table_column *c, char out[static 96]);
/* SQL of a computed column, for flowpair_columns too. */
void ddl_expression(const struct table *t, const struct table_column *c, FILE *out);
/* "services", "pairs_runs", "conversations_rows" */
void ddl_stored_name(const struct table *t, char out[static 80]);

/* The SQL that write(t, out) writes, such as ddl_table(); the caller frees.  NULL: no
 * memory. */
char *ddl_text(const struct table *t, void (*write)(const struct table *t, FILE *out));

/* What is stored of a table: the columns in their order, and what they are called. */
struct ddl_stored {
	char table[80];
	unsigned count;
	const struct table_column *columns[SCHEMA_MAX_COLUMNS];
	const char *names[SCHEMA_MAX_COLUMNS];
	char texts[SCHEMA_MAX_COLUMNS][96];
};
void ddl_stored(const struct table *t, struct ddl_stored *ret);

/* What is stored of a column: nothing (computed), its value, or the state of
 * firstWriteWins and lastWriteWins: the text of (start, place, value), which sorts. */
static inline bool
ddl_is_stored(const struct table_column *c)
{
	return c->role != ROLE_COMPUTED;
}

static inline bool
ddl_is_state(const struct table_column *c)
{
	return c->role == ROLE_FIRST || c->role == ROLE_LAST;
}

#endif
