/* When the runs of a table may be read instead of the view that puts them together,
 * which costs many times as much. */
#ifndef COLLECTOR_QUERY_RUNS_H
#define COLLECTOR_QUERY_RUNS_H

#include <stdbool.h>

#include "collector/query/question.h"

enum runs_use {
	RUNS_NONE, /* read the view */
	RUNS_ANY,  /* parts of rows will do: read the runs */
	RUNS_ONE,  /* there is one run: its rows are whole, and in the order of the key
		    */
};

/* missing: columns that the file lacks; needs_rows: what is asked for cannot be told
 * from parts of rows.  The database must be in a transaction, so that no run is added
 * between this and the question. */
int runs_find(const struct question *q, const struct catalog_file *f,
    const bool *missing, bool needs_rows, struct database *d, enum runs_use *ret,
    struct err *e);

#endif
