/* A question: the words of the command line, looked up in a table's columns.
 * Threads: any.  Memory: a question owns its lists; it borrows the table. */
#ifndef COLLECTOR_QUERY_QUESTION_H
#define COLLECTOR_QUERY_QUESTION_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/query/catalog.h"
#include "collector/query/condition.h"

/* As it was typed; NULL and 0: not given. */
struct request {
	const char *const *where;
	unsigned where_count;
	const char *from, *to;
	uint64_t now_ns; /* that from and to may count from, since 1970 */
	const char *by, *columns, *sort; /* names separated by commas; sort: one */
	uint64_t top, limit;
};

struct question {
	const struct table *table;
	struct condition *conditions;
	unsigned condition_count;
	uint64_t from_ns, to_ns; /* [from, to); 0 and UINT64_MAX: open */
	unsigned *by;            /* columns of the table, as below */
	unsigned by_count;
	unsigned *columns; /* to show */
	unsigned column_count;
	int sort; /* -1: key order */
	bool is_descending;
	uint64_t limit; /* UINT64_MAX: all */
};

int question_new(const struct table *t, const struct request *r, struct question **ret,
    struct err *e);
void question_free(struct question *q);

#endif
