/* Short statements of the store, and where its files stand.
 * Threads: the processing thread. */
#ifndef COLLECTOR_STORE_STORE_QUERY_H
#define COLLECTOR_STORE_STORE_QUERY_H

#include "collector/journal/frame.h"
#include "common/sqlite/database.h"

/* A statement with few parameters: the texts, up to the first NULL, then the numbers. */
struct store_query {
	const char *sql;
	const char *texts[3];
	int64_t numbers[2];
};
/* Runs it.  1: *ret, where it is not NULL, is the first column of the first row; 0: there
 * is no row. */
int store_query(
    struct database *d, const struct store_query *q, int64_t *ret, struct err *e);

/* The position that it asks for; 0: there is no row. */
int store_query_position(
    struct database *d, const struct store_query *q, uint64_t *ret, struct err *e);

/* Ends a transaction: commits where rc is 0, else or when that fails takes all of it
 * back.  Returns rc, or why it could not be committed. */
int store_commit(struct database *d, int rc, struct err *e);

/* Position of a source in flowpair_progress; 0: not there. */
int store_position(
    struct database *d, const struct source_id *source, uint64_t *ret, struct err *e);
int store_set_position(struct database *d, const struct source_id *source,
    uint64_t position, struct err *e);

#endif
