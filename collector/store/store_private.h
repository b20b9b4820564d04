/* What struct store is, for the files that make it up: store.c opens it and keeps its
 * catalog, store_schema.c brings files up to the schema, store_flush.c writes rows. */
#ifndef COLLECTOR_STORE_STORE_PRIVATE_H
#define COLLECTOR_STORE_STORE_PRIVATE_H

#include <stdio.h>

#include "collector/store/store.h"
#include "collector/tables/table.h"
#include "collector/tables/tables_private.h"
#include "common/sqlite/database.h"

#define STORE_OPEN_MAX 8 /* day files kept open */

struct store_partition { /* a day file that is open */
	char file[128];  /* name without directory; "": free */
	struct database *database;
	uint64_t inode; /* of the file, which may be deleted meanwhile */
	uint64_t used;  /* when last, for choosing which to close */
};

struct store {
	char *directory;
	int lock_fd;
	struct database *main;
	struct tables *tables;
	struct store_partition open[STORE_OPEN_MAX];
	uint64_t uses;
};

/* "pairs-2017-04-26.sqlite", "pairs.v2-2017-04-26.sqlite" */
void store_partition_file(const struct table *t, int64_t day, char out[static 128]);
/* The open day file, made and brought up to the schema where needed. */
int store_partition(struct store *s, const struct table *t, const char *file,
    struct database **ret, struct err *e);
void store_path(const struct store *s, const char *file, char out[static 4096]);

/* Tables of the catalog in any file, and the tables and views of t in the file where
 * its rows lie.  A table that is there is compared: new columns are added, what cannot
 * be joined is an error that says what to do. */
int store_schema_prepare(struct database *d, struct err *e);
int store_schema_apply(
    struct database *d, const char *file, const struct table *t, struct err *e);
/* Runs the SQL that write(t, out) says, such as ddl_table(). */
int store_schema_run(struct database *d, const struct table *t,
    void (*write)(const struct table *t, FILE *out), struct err *e);
/* The main file: its own tables, and what every table is, for readers. */
int store_schema_apply_main(struct database *d, const struct tables *t, struct err *e);

#endif
