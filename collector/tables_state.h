/* What struct tables is, for the files that make it up: tables.c fills it from schemas
 * and records, flush.c and store.c write it out. */
#ifndef COLLECTOR_TABLES_STATE_H
#define COLLECTOR_TABLES_STATE_H

#include "collector/derive.h"
#include "collector/intern.h"
#include "collector/layout.h"
#include "collector/normalise.h"
#include "collector/schema.h"
#include "collector/table.h"
#include "collector/tables.h"

#define TABLES_MAX         64
#define TABLES_MAX_SOURCES 8

/* A kind of record and the tables that it feeds. */
struct tables_source {
	struct schema_record *record; /* NULL: exporter */
	struct layout *layout;
	struct batch batch;
	struct table *tables[TABLES_MAX]; /* those that take every record */
	unsigned table_count;
	struct batch derived; /* for derive_run() */
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
	struct intern *intern;
	struct tables_counts counts;
	uint64_t last_position; /* of the message that records came from last */
	int64_t last_index;     /* records of that message so far */
};

#endif
