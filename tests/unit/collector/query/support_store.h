/* A small store on disk, laid out as collector/store/store.h says, for tests of its readers.
 *   pairs          two days (2017-04-26 in two runs, 2017-04-27), one key in both runs
 *   services       one file, with the view net_services
 *   conversations  one day, with a mean
 *   late           a table that the day's file was written without one column of */
#ifndef TESTS_COLLECTOR_QUERY_SUPPORT_STORE_H
#define TESTS_COLLECTOR_QUERY_SUPPORT_STORE_H

/* Makes it in a new folder, whose name it returns; ends the test on failure. */
const char *store_make(void);
void store_remove(void);
/* Runs SQL in one file of it. */
void store_run(const char *file, const char *sql);

/* What flowpair-query would write to a store for these words (table first); CSV. */
struct store_request {
	const char *table;
	const char *where[6];
	const char *from, *to, *by, *columns, *sort;
	unsigned top, limit;
};
/* The CSV, or the complaint.  Free it. */
char *store_ask(const struct store_request *r);

#endif
