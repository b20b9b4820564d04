/* A store as its readers see it: its tables and views, what their columns mean, and
 * which files hold them (collector/store/store.h describes the layout).  It only reads;
 * a collector may write meanwhile.  Threads: one.  Tables belong to the catalog. */
#ifndef COLLECTOR_QUERY_CATALOG_H
#define COLLECTOR_QUERY_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

#define CATALOG_MAIN_FILE "flowpair.sqlite"

enum column_kind {
	COLUMN_ADDRESS,
	COLUMN_PREFIX,  /* "10.200.7.0/24" */
	COLUMN_TIME_NS, /* since 1970 */
	COLUMN_DATE,    /* "2017-04-26" */
	COLUMN_INTEGER,
	COLUMN_REAL,
	COLUMN_TEXT,
	COLUMN_KINDS,
};

enum column_role {
	COLUMN_KEY,
	COLUMN_SUM,
	COLUMN_MINIMIZE,
	COLUMN_MAXIMIZE,
	COLUMN_FIRST,
	COLUMN_LAST,
	COLUMN_VALUE, /* of a table that reduces nothing */
	COLUMN_COMPUTED,
	COLUMN_ROLES,
};

/* What happens to a column when rows are put together by others. */
enum column_group {
	GROUP_NONE, /* it has no value for a group */
	GROUP_SUM,
	GROUP_MINIMIZE,
	GROUP_MAXIMIZE,
	GROUP_COMPUTED, /* again from the group's sums */
	GROUP_COUNT,    /* the number of rows: `records`, which no file holds */
};

struct column {
	const char *name;  /* "start_ns" */
	const char *shown; /* as people see it: "start" */
	enum column_kind kind;
	enum column_role role;
	enum column_group group;
	const char *expression; /* SQL of a computed column */
};

enum table_storage { TABLE_UPSERT, TABLE_RUNS, TABLE_APPEND };

struct table {
	const char *name;
	enum table_storage storage;
	bool is_view;
	bool by_day; /* one file per UTC day */
	struct column *columns;
	unsigned count;
};

struct catalog;

/* directory: a store, or sqlite:DIR. */
int catalog_open(const char *directory, struct catalog **ret, struct err *e);
/* Closes the store; names and meanings stay until catalog_close(). */
void catalog_detach(struct catalog *c);
void catalog_close(struct catalog *c);
const char *catalog_directory(const struct catalog *c);
unsigned catalog_count(const struct catalog *c);
const struct table *catalog_at(const struct catalog *c, unsigned i); /* by name */
/* The table of this name, or a complaint that names the nearest one. */
int catalog_find(
    const struct catalog *c, const char *name, const struct table **ret, struct err *e);

/* The column called this (as stored or as shown), or -1. */
int table_column(const struct table *t, const char *name);
/* As table_column(), with a complaint that names the nearest column. */
int table_require(const struct table *t, const char *name, struct err *e);

#endif
