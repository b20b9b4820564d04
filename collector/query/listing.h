/* The tables and views of a store, one row each.  Threads: one. */
#ifndef COLLECTOR_QUERY_LISTING_H
#define COLLECTOR_QUERY_LISTING_H

#include <stdint.h>

#include "collector/query/catalog.h"
#include "collector/query/output.h"

#define LISTING_COLUMNS 6
extern const struct output_column listing_columns[LISTING_COLUMNS];

/* Table, kind, days, first and last day, and stored rows: of a table that keeps runs, a
 * key that came in several flushes counts once for each until its day is compacted. */
int listing_write(
    const struct catalog *c, uint64_t deadline_ns, struct output *out, struct err *e);

#endif
