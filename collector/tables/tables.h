/* The tables: rows in, reduced by key, flushed as sorted runs to the store.
 * Declared in schemas/tables/ and schemas/records/ and nowhere else.
 *   schema.h     the YAML of tables and records, checked
 *   layout.h     the row: the union of what loaded tables name, fixed at start-up
 *   normalise.h  a template compiled to "these bytes to those columns"
 *   reduce.h     hash by key, bounded
 *   store.h      where flushes go
 * Threads: the processing thread.  Memory: bounded by max_keys of each table. */
#ifndef COLLECTOR_TABLES_TABLES_H
#define COLLECTOR_TABLES_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "collector/session/session.h"
#include "collector/tables/stitch.h"
#include "common/base/err.h"
#include "common/ipfix/element.h"
#include "common/ipfix/template.h"

struct tables;
struct store;

struct tables_settings {
	const char *schema_directory; /* holds records/ and tables/ */
	const char *const *names;     /* tables to load; NULL: every file in tables/ */
	unsigned name_count;
	uint64_t lateness_ns; /* into the past; live records of peers without a verified
				 certificate only */
	uint64_t skew_ns;     /* into the future; live records only */
	uint64_t max_keys;    /* per table, unless the schema says otherwise */
	size_t plan_bytes;    /* memory for templates' plans; 0: 256 MiB */
};

struct tables_counts {
	uint64_t records;  /* in */
	uint64_t unused;   /* of these: their template has nothing that tables need */
	uint64_t rows;     /* emitted into tables; a rollup that is derived from
			      another table counts that table's rows */
	uint64_t filtered; /* `where` or no `emit` matched */
	uint64_t late, early; /* filed under their arrival time */
	uint64_t undated;   /* no flow start in the record: filed under arrival time */
	uint64_t saturated; /* sums that reached the top */
	struct stitch_counts stitched; /* of one-way records, for each window */
	uint64_t flushes, rows_written;
};

/* Loads and compiles the schemas.  elements is read, never kept changed. */
int tables_new(const struct tables_settings *s, const struct elements *elements,
    struct tables **ret, struct err *e);
void tables_free(struct tables *t);
/* Human-readable: row layout, keys, reductions and the DDL of each table. */
void tables_explain(const struct tables *t, FILE *out);

/* A session_new() set callback; data is the struct tables. */
int tables_add_set(const struct template *t, const uint8_t *bytes, size_t length,
    const struct origin *o, void *tables);
/* Session counters become rows of the tables that come `from: exporter`. */
void tables_add_exporter(const struct session_counts *c, void *tables);
/* Arrival time passes, before records of that time come: what has waited for its other
 * direction for longer than `stitch` says goes into the tables.  Whether there was any.
 */
bool tables_pass_time(struct tables *t, uint64_t now_ns);
/* The source ends: nothing waits any more.  Whether anything did. */
bool tables_release(struct tables *t);
/* Whether n more records surely fit; if not, flush first (positions are message ends).
 */
bool tables_have_room(const struct tables *t, size_t records);
bool tables_are_empty(const struct tables *t);
/* Memory that templates' plans take now. */
size_t tables_plan_bytes(const struct tables *t);
void tables_counts(const struct tables *t, struct tables_counts *ret);

/* Whether SQLite understands every table and view, those of day files too: what a store
 * would not take is told before there is one, and not at midnight.  Negative with the
 * schema's file in e. */
int store_check(const struct tables *t, struct err *e);
/* Opens (or makes) the store in a directory for these tables; one writer per store
 * (lock). sqlite:DIR or a plain directory. */
int store_open(
    const char *target, const struct tables *t, struct store **ret, struct err *e);
void store_close(struct store *s);
/* Position up to which this source is completely stored; 0: never seen.  *ret_pending
 * is the position that some partitions have beyond it, after a crash in mid flush (else
 * equal): replay up to exactly there, then call tables_flush with it: partitions that
 * have it are skipped. */
int store_progress(struct store *s, const struct source_id *source,
    uint64_t *ret_complete, uint64_t *ret_pending, struct err *e);
/* Marks a file source as wholly imported / asks. */
bool store_is_finished(struct store *s, const struct source_id *source);

/* What waited for its other direction at the complete position of this source waits
 * again; nothing of another source does.  is_pending: parts of the store have more.
 * -EINVAL: tables do not stitch as they did when it began to wait. */
int tables_resume(struct tables *t, struct store *s, const struct source_id *source,
    bool is_pending, struct err *e);
/* Writes every table's rows as sorted runs, each partition in one transaction with
 * (source, position), what waits for its other direction and the catalog last; then
 * clears memory of all but what waits.  On failure memory stays as it is: call again
 * with the same position.  finished: this source ends here, after tables_release(). */
int tables_flush(struct tables *t, struct store *s, const struct source_id *source,
    uint64_t position, bool finished, struct err *e);

#endif
