/* The SQLite store on disk; what any client may rely on, and what flowpair-query reads.
 *
 * DIR/flowpair.sqlite             every table of storage `upsert` (services,
 * exporters), and the catalog DIR/<table>-YYYY-MM-DD.sqlite   one day of a table of
 * storage `runs` or `append`; from version 2 on <table>.v2-YYYY-MM-DD.sqlite DIR/lock
 * flock()ed by the one writer The directory is 0750 and files are 0640, so that
 * analysts read by group.
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
 *   flowpair_sources(source TEXT PRIMARY KEY, position INTEGER, finished INTEGER, name
 *     TEXT)
 *   flowpair_partitions(file TEXT, source TEXT, position INTEGER, PRIMARY KEY (file,
 *     source))
 *   flowpair_waiting(source, tables, window_ns, max_waiting, waiting, rows): one-way
 *     records up to the source's position that wait for their other direction
 *     (`stitch`) and are in no table yet: their number and they themselves, for the
 *     collector alone (stitch_rows.c)
 *
 * upsert: table <name>, PRIMARY KEY over the key columns, WITHOUT ROWID.  A key column
 *   without a value holds an empty text (SQL keys cannot be NULL).
 * runs:   table <name>_runs (no index, rows appended in sorted runs),
 *   <name>_extent(first, last) rowids of each run, and view <name> that groups by the
 * key columns, so a key may lie in many runs; after compaction one run remains. append:
 * table <name>_rows, and view <name> with the computed columns. firstWriteWins and
 * lastWriteWins are stored as flowpair_state_<column>: 16 hex digits of the flow start,
 * 16 of the place in the source, the value; min() or max() merges them. View
 * <name>_iso: as <name>, with times as ISO 8601 text (start_ns becomes start,
 *   first_seen_ns becomes first_seen).  Addresses are canonical text; times are integer
 *   nanoseconds since 1970 (UTC).
 *
 * A flush writes each day file in one transaction with its position, and the main file
 * last, in one transaction with the catalog.  A day file may be removed to forget its
 * day. */
#ifndef COLLECTOR_STORE_STORE_H
#define COLLECTOR_STORE_STORE_H

#define STORE_MAIN_FILE "flowpair.sqlite"

#endif
