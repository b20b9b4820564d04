/* Entries of a table as rows of SQLite: numbers, canonical texts, states.
 * Threads: the processing thread. */
#ifndef COLLECTOR_STORE_STORE_ROWS_H
#define COLLECTOR_STORE_STORE_ROWS_H

#include "collector/tables/table.h"
#include "common/sqlite/database.h"

/* Entries order[0..count) of a table, in that order. */
struct store_rows {
	const struct table *table;
	const struct intern *intern;
	const uint32_t *order;
	size_t count;
};

/* Writes them into the table that d has for them. */
int store_rows_write(const struct store_rows *rows, struct database *d, struct err *e);

#endif
