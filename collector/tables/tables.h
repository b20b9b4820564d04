/* The tables: rows in, reduced by key, until the store writes them as sorted runs.
 * Declared in schemas/tables/ and schemas/records/ and nowhere else.
 *   schema.h     the YAML of tables and records, checked
 *   layout.h     the row: the union of what loaded tables name, fixed at start-up
 *   normalise.h  a template compiled to "these bytes to those columns"
 *   reduce.h     hash by key, bounded
 * Threads: the processing thread.  Memory: bounded by max_keys of each table. */
#ifndef COLLECTOR_TABLES_TABLES_H
#define COLLECTOR_TABLES_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/session/session.h"
#include "collector/tables/stitch.h"
#include "common/base/err.h"
#include "common/ipfix/element.h"
#include "common/ipfix/template.h"

struct tables;

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
	uint64_t dropped;   /* of `rows`: their table was full, or memory short */
	struct stitch_counts stitched; /* of one-way records, for each window */
	uint64_t flushes, rows_written;
};

/* Loads and compiles the schemas.  elements is read, never kept changed. */
int tables_new(const struct tables_settings *s, const struct elements *elements,
    struct tables **ret, struct err *e);
void tables_free(struct tables *t);

/* A session_new() set callback; data is the struct tables. */
int tables_add_set(const struct template *t, const uint8_t *bytes, size_t length,
    const struct origin *o, void *tables);
/* Session counters become rows of the tables that come `from: exporter`.  0 or -ENOMEM.
 */
int tables_add_exporter(struct tables *t, const struct session_counts *c);
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

#endif
