/* What struct tables is, for the files that make it up: tables_load.c makes it from
 * schemas, tables.c fills it with records, and the store writes it out. */
#ifndef COLLECTOR_TABLES_TABLES_PRIVATE_H
#define COLLECTOR_TABLES_TABLES_PRIVATE_H

#include "collector/rows/intern.h"
#include "collector/rows/layout.h"
#include "collector/rows/normalise.h"
#include "collector/schema/schema.h"
#include "collector/tables/derive.h"
#include "collector/tables/stitch.h"
#include "collector/tables/table.h"
#include "collector/tables/tables.h"

#define TABLES_MAX          64
#define TABLES_MAX_SOURCES  8
#define TABLES_MAX_STITCHES 8
#define TABLES_TEXT_BYTES   (64u << 20) /* before a flush is due */

/* Tables that stitch alike: one pool. */
struct tables_stitch {
	struct stitch *stitch;
	uint64_t window_ns, max_waiting;
	struct table_bounds bounds;
	bool has_own_lateness;
	char *words; /* record and tables for which rows wait: "flow: pairs services" */
	struct table *tables[TABLES_MAX];
	unsigned table_count;
};

/* A kind of record and the tables that it feeds. */
struct tables_source {
	struct schema_record *record; /* NULL: exporter */
	struct layout *layout;
	struct batch batch;
	struct table *tables[TABLES_MAX]; /* those that take every record */
	unsigned table_count;
	struct batch derived; /* for derive_run() */
	struct tables_stitch stitches[TABLES_MAX_STITCHES];
	unsigned stitch_count;
};

/* Plans of one template, one for each source. */
struct plans {
	struct tables *tables;
	struct reader *reader; /* of their template, which the session owns */
	struct plans *newer, *older;
	size_t bytes;
	unsigned count;
	struct plan *items[TABLES_MAX_SOURCES];
};

struct tables {
	struct tables_settings settings;
	const struct elements *elements;
	struct schema_table *schemas[TABLES_MAX];
	struct table *tables[TABLES_MAX];   /* in the order of their names */
	struct derive *derives[TABLES_MAX]; /* NULL: not derived */
	unsigned table_count;
	struct tables_source sources[TABLES_MAX_SOURCES];
	unsigned source_count;
	struct plans *newest_plans, *oldest_plans; /* by use */
	size_t plan_bytes;
	struct intern *intern;
	struct reduce_scratch scratch;
	struct tables_counts counts;
	uint64_t last_position; /* of the message that records came from last */
	int64_t last_index;     /* records of that message so far */
};

/* NULL: no memory. */
struct plans *tables_plans(struct tables *t, struct template *template);
/* Of all templates; these may live on. */
void tables_plans_done(struct tables *t);

/* Puts a table that stitches with those of its source that do alike;
 * tables_stitch_start() makes their pools. */
int tables_stitch_table(
    struct tables *t, struct tables_source *s, struct table *table, struct err *e);
int tables_stitch_start(struct tables *t, struct err *e);
void tables_stitch_done(struct tables *t);
/* Rows of a batch, one-way or not, for the tables that stitch. */
void tables_stitch_add(
    struct tables_source *s, const struct table_moment *m, bool is_one_way);
/* Most rows that wait for any table. */
uint64_t tables_stitch_waiting(const struct tables *t);
/* Rows of a table that may wait besides those in it. */
uint64_t tables_stitch_room(const struct table *table);
/* Everything but the texts of what waits goes; marks: intern_count() entries. */
void tables_stitch_keep_texts(struct tables *t, uint32_t *marks);
bool tables_stitches(const struct tables *t);

#endif
