/* The files of a store: which of them hold rows of a table, and one of them as a
 * question reads it.  Files come and go while a collector writes; what was removed
 * since the folder was read holds nothing.  Threads: one. */
#ifndef COLLECTOR_QUERY_CATALOG_FILE_H
#define COLLECTOR_QUERY_CATALOG_FILE_H

#include "collector/query/catalog.h"
#include "common/sqlite/database.h"

struct catalog_file {
	char *path;
	int64_t day; /* since 1970; -1: not of one day */
};

struct catalog_files {
	struct catalog_file *items;
	unsigned count;
};

struct catalog_days { /* since 1970, both included */
	int64_t first, last;
};
#define CATALOG_EVERY_DAY ((struct catalog_days){INT64_MIN, INT64_MAX})

/* The files in a store's directory that hold rows of t with these days, oldest first.
 */
int catalog_files(const char *directory, const struct table *t,
    struct catalog_days days, struct catalog_files *ret, struct err *e);
void catalog_files_free(struct catalog_files *files);

/* An open file. */
struct catalog_scan {
	const struct catalog_file *file;
	struct database *database;
	bool *missing; /* per column of the table: the file was written without it */
};

/* 1: *ret is open, in a transaction; 0: the file holds no such table (or is gone). */
int catalog_file_open(const struct catalog_file *f, const struct table *t,
    uint64_t deadline_ns, struct catalog_scan *ret, struct err *e);
void catalog_file_close(struct catalog_scan *scan);
/* Whether an open file has a table or view called this. */
int catalog_file_has(struct database *d, const char *name, struct err *e);

#endif
