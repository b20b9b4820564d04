/* When a question may read the runs of a table instead of the view that puts them
 * together, which costs many times as much.  Threads: one. */
#ifndef COLLECTOR_QUERY_RUNS_H
#define COLLECTOR_QUERY_RUNS_H

#include <stdbool.h>

#include "collector/query/catalog_file.h"
#include "collector/query/question.h"

enum runs_use {
	RUNS_NONE, /* read the view */
	RUNS_ANY,  /* parts of rows will do: read the runs */
	RUNS_ONE,  /* read the one run: its rows are whole, in the order of the key */
};

/* needs_rows: what is asked for cannot be told from parts of rows.  The file's
 * transaction keeps runs from being added between this and the question. */
int runs_find(const struct question *q, const struct catalog_scan *scan,
    bool needs_rows, enum runs_use *ret, struct err *e);

/* The top N of a table in several runs, without putting all rows together.  Of R runs
 * with values that are never negative: the (N x R)-th greatest value of any run is at
 * most what the N-th row sums up to, T; and a row that sums up to T has at least T / R
 * in some run.  So only keys with such a value matter.  *ret_bound is that value; 0:
 * the question is not of this kind, or the bound would leave out nothing. */
int runs_bound(const struct question *q, const struct catalog_scan *scan,
    int64_t *ret_bound, struct err *e);
/* Adds the rows of those keys, whole, as what to select from. */
void runs_add_bounded(const struct question *q, const struct catalog_scan *scan,
    int64_t bound, struct sql *s);

#define RUNS_MAX 64

struct runs {
	int64_t first[RUNS_MAX], last[RUNS_MAX]; /* rowids */
	unsigned count;
};

/* The first N rows of a table in several runs: each run is in the order of the key, so
 * they are among the first N of every run.  ret->count is 0 where the question is not
 * of this kind. */
int runs_first(const struct question *q, const struct catalog_scan *scan,
    struct runs *ret, struct err *e);
/* Adds the rows of those keys, whole, as what to select from. */
void runs_add_first(const struct question *q, const struct catalog_scan *scan,
    const struct runs *runs, struct sql *s);

#endif
