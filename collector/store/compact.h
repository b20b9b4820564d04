/* Compaction: a day file of a table of storage `runs` whose day is over becomes one
 * sorted run, one row per key, with indexes on the first addresses of the key.
 *
 * One transaction of the day file merges the runs into a new table, drops the old one,
 * writes the extent and makes the indexes: readers see the runs or the merged day, a
 * crash leaves the runs, and positions stay as they are.  A second file and a rename
 * would need no space in the old one, but a reader that has the file open would find
 * another database's WAL under its name.  The space of the runs stays in the file,
 * for indexes and for what comes late: late rows are a new run, and the day is
 * compacted again.
 *
 * Costs about 2 us of CPU for a row that is stored (500,000 rows of 41 runs: 1 s) and
 * 50 MB to 100 MB, whatever the size of the day.  Processing waits meanwhile, as it
 * does for a flush; reception goes on into the journal while that has free buffers.
 * Threads: the processing thread. */
#ifndef COLLECTOR_STORE_COMPACT_H
#define COLLECTOR_STORE_COMPACT_H

#include "collector/store/store.h"
#include "common/base/clock.h"
#include "common/base/err.h"

struct compact;

/* touched: only files that are written from now on; else every file of the store is
 * looked at once, too.  The store is borrowed. */
int compact_new(struct store *s, bool touched, struct compact **ret, struct err *e);
void compact_free(struct compact *c);
/* Compacts one day that ended more than the table's lateness before now_ns, and that
 * nobody wrote to for COMPACT_QUIET of such times.  1: done, try again for more; 0:
 * nothing to do.  On failure the day stays as it is, and is not tried again before it
 * is written to. */
int compact_next(struct compact *c, uint64_t now_ns, struct err *e);

#define COMPACT_QUIET (10 * NS_PER_MINUTE)
/* As now_ns: whatever the time is. */
#define COMPACT_ALL UINT64_MAX

#endif
