/* The SQLite store on disk: what any client may rely on, and what flowpair-query reads.
 *
 * DIR/flowpair.sqlite             the catalog, and every table of storage `upsert`
 *                                 (services, exporters)
 * DIR/<table>-YYYY-MM-DD.sqlite   one day of a table of storage `runs` or `append`; from
 *                                 version 2 on <table>.v2-YYYY-MM-DD.sqlite
 * DIR/lock                        flock()ed by the one writer
 * The directory is 0750 and files are 0640, so that analysts read by group.
 *
 * In every file:
 *   flowpair_columns(table_name, position, column_name, kind, role, expression)
 *     kind: address prefix time_ns date integer real text
 *     role: key sum minimize maximize first last value computed
 *     expression: SQL of a computed column (mean, stddev), else NULL
 *     The main file has those of the day files' tables, too.
 *   flowpair_progress(source TEXT PRIMARY KEY, position INTEGER): what this file holds
 * In flowpair.sqlite also:
 *   flowpair_tables(table_name, storage, partition, version, is_view)
 *   flowpair_sources(source TEXT PRIMARY KEY, position INTEGER, finished INTEGER,
 *     name TEXT)
 *   flowpair_partitions(file TEXT, source TEXT, position INTEGER,
 *     PRIMARY KEY (file, source))
 *   flowpair_contents(source TEXT PRIMARY KEY, length INTEGER, end INTEGER, name TEXT):
 *     files that were imported: bytes, position behind the last message, path
 *   flowpair_waiting(source, tables, window_ns, max_waiting, waiting, rows): one-way
 *     records up to the source's position that wait for their other direction (`stitch`)
 *     and are in no table yet: their number and they themselves, for the collector alone
 *     (stitch_rows.c)
 *
 * upsert: table <name>, PRIMARY KEY over the key columns, WITHOUT ROWID.  A key column
 *   without a value holds an empty text (SQL keys cannot be NULL).
 * runs:   table <name>_runs (no index, rows appended in sorted runs),
 *   <name>_extent(first, last) with the rowids of each run, and view <name> that groups
 *   by the key columns, so a key may lie in many runs; after compaction one run remains.
 * append: table <name>_rows, and view <name> with the computed columns.
 * firstWriteWins and lastWriteWins are stored as flowpair_state_<column>: 16 hex digits
 *   of the flow start, 16 of the place in the source, the value; min() or max() merges
 *   them.
 * View <name>_iso: as <name>, with times as ISO 8601 text (start_ns becomes start,
 *   first_seen_ns becomes first_seen).
 * Addresses are canonical text; times are integer nanoseconds since 1970 (UTC).
 *
 * A flush writes each day file in one transaction with its position, and the main file
 * last, in one transaction with the catalog.  A day file may be removed to forget its
 * day.
 * Threads: the processing thread. */
#ifndef COLLECTOR_STORE_STORE_H
#define COLLECTOR_STORE_STORE_H

#include "collector/journal/frame.h"
#include "collector/tables/tables.h"
#include "common/base/err.h"

#define STORE_MAIN_FILE "flowpair.sqlite"

struct store;

/* Whether SQLite understands every table and view, those of day files too, so that a
 * start tells what a store would refuse at midnight.  Negative with the schema's file
 * in e. */
int store_check(const struct tables *t, struct err *e);
/* Opens (or makes) the store in a directory for these tables, which are borrowed; one
 * writer per store (lock).  sqlite:DIR or a plain directory. */
int store_open(const char *target, struct tables *t, struct store **ret, struct err *e);
void store_close(struct store *s);
struct tables *store_tables(const struct store *s);
/* Position up to which this source is completely stored; 0: never seen.  *ret_pending
 * is the position that some partitions have beyond it, after a crash in the middle of a
 * flush (else equal): replay up to exactly there, then call store_flush() with it:
 * partitions that have it are skipped. */
int store_progress(struct store *s, const struct source_id *source,
    uint64_t *ret_complete, uint64_t *ret_pending, struct err *e);
/* Whether a flush said that this source ends there. */
bool store_is_finished(struct store *s, const struct source_id *source);

/* What waited for its other direction at the complete position of this source waits
 * again in the tables; nothing of another source does.  is_pending: parts of the store
 * have more.  -EINVAL: tables do not stitch as they did when it began to wait. */
int store_resume(
    struct store *s, const struct source_id *source, bool is_pending, struct err *e);
/* Writes every table's rows as sorted runs, each partition in one transaction with
 * (source, position), what waits for its other direction and the catalog last; then
 * clears memory of all but what waits.  On failure memory stays as it is: call again
 * with the same position.  finished: this source ends here, after tables_release(). */
int store_flush(struct store *s, const struct source_id *source, uint64_t position,
    bool finished, struct err *e);

#endif
