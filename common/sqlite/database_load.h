/* Rows on their way from our memory into a table: each is written as a record, records
 * are gathered as pages of a database in memory (database_image.h), and SQLite takes
 * them from there, a few MiB at a time.
 * Threads: the connection's.  Memory: a fixed number of pages. */
#ifndef COMMON_SQLITE_DATABASE_LOAD_H
#define COMMON_SQLITE_DATABASE_LOAD_H

#include "common/sqlite/database.h"
#include "common/sqlite/database_record.h"

struct database_load;

struct database_columns {
	const char *table;
	const char *const *names; /* count of them */
	unsigned count;
};

/* Appends to a table without indexes, after its last row: records are copied, at a
 * third of the cost of giving SQLite their values.  Every row has a value for each of
 * these columns. */
int database_load_append(struct database *d, const struct database_columns *c,
    struct database_load **ret, struct err *e);
/* Runs sql over the rows, in which the table LOAD_ROWS with the columns c0, c1, ... has
 * them in their order: INSERT INTO t SELECT * FROM LOAD_ROWS. */
#define LOAD_ROWS "flowpair_image.t"
int database_load_sql(struct database *d, const char *sql, unsigned columns,
    struct database_load **ret, struct err *e);
void database_load_free(struct database_load *l);

/* How many values a record has, and which of the caller's is its i-th; -1: NULL, of a
 * column of the table that was not named. */
unsigned database_load_columns(const struct database_load *l);
int database_load_order(const struct database_load *l, unsigned i);
/* An empty record for the next row.  database_load_row() takes it. */
struct database_record *database_load_record(struct database_load *l);
int database_load_row(struct database_load *l, struct err *e);
/* What was taken may wait in memory until here. */
int database_load_finish(struct database_load *l, struct err *e);

#endif
