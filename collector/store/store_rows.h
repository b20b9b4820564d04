/* Entries of a table as rows of SQLite: numbers, canonical texts, states.
 * Threads: the processing thread. */
#ifndef COLLECTOR_STORE_STORE_ROWS_H
#define COLLECTOR_STORE_STORE_ROWS_H

#include "collector/tables/table.h"
#include "common/sqlite/database.h"

/* Writes the entries order[0..count) of t, in that order, into the table that d has for
 * them. */
int store_rows_write(const struct table *t, const struct intern *intern,
    const uint32_t *order, size_t count, struct database *d, struct err *e);

#endif
