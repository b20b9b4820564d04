/* A small store on disk, laid out as collector/store/store.h says, for tests of its readers.
 *   pairs          two days (2017-04-26 in two runs, 2017-04-27), one key in both runs
 *   services       one file, with the view net_services
 *   conversations  one day, with a mean
 *   late           a table that the day's file was written without one column of */
#ifndef TESTS_COLLECTOR_QUERY_SUPPORT_STORE_H
#define TESTS_COLLECTOR_QUERY_SUPPORT_STORE_H

#include <stdlib.h>

#include "collector/query/catalog_file.h"
#include "collector/query/question.h"

/* Makes it in a new folder, whose name it returns; ends the test on failure. */
const char *store_make(void);
void store_remove(void);
const char *store_folder(void);
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

/* A question and the first file that it reads; the test ends when it cannot be asked. */
struct store_scan {
	struct catalog *catalog;
	struct question *question;
	struct catalog_files files;
	struct catalog_scan scan;
};
void store_scan_open(struct store_scan *s, const struct store_request *r);
void store_scan_close(struct store_scan *s);
/* The question alone, or the complaint; no file is opened. */
const char *store_complaint(const struct store_request *r);

/* For tests: one store for all tests of a program, and what it says. */
int store_setup(void **state);
int store_teardown(void **state);
#define ASK(expected, ...)                                                             \
	do {                                                                           \
		struct store_request request = {__VA_ARGS__};                          \
		char *text = store_ask(&request);                                      \
		assert_string_equal(text, expected);                                   \
		free(text);                                                            \
	} while (0)

#endif
