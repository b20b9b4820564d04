/* The k-way merge behind compaction: sorted runs of one day become one.
 * Threads: the processing thread.  Memory: bounded, however many runs there are. */
#ifndef COLLECTOR_STORE_COMPACT_MERGE_H
#define COLLECTOR_STORE_COMPACT_MERGE_H

#include "collector/tables/table.h"
#include "common/sqlite/database.h"

struct compact_runs {
	struct compact_run { /* rowids */
		int64_t first, last;
	} * items;
	size_t count;
};

/* Reads runs of t in `from` and appends one row per key, in their order, to the table
 * that `to` has for them.  -EBADMSG: a run is not sorted as this table sorts. */
int compact_merge(const struct table *t, const struct compact_runs *runs,
    struct database *from, struct database *to, struct err *e);

#endif
