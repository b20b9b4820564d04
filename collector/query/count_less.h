/* Counts less a number, in computed columns: n inter-arrival times lie between n + 1
 * packets, so means of them divide by ("fwd_packets" - 1).  For rows put together the
 * divisor is not the sum of the packets less 1, but the sum of each row's packets less
 * 1: such a difference is gathered as a column of its own, named "fwd_packets - 1". */
#ifndef COLLECTOR_QUERY_COUNT_LESS_H
#define COLLECTOR_QUERY_COUNT_LESS_H

#include <stdbool.h>

#include "collector/query/catalog.h"
#include "collector/query/sql.h"

#define LESS_MAX 32

struct count_less {
	unsigned column; /* of the table */
	unsigned long number;
};

struct count_less_list {
	struct count_less items[LESS_MAX];
	unsigned count;
};

/* Adds the differences that the expression of a computed column has. */
void count_less_find(
    const struct table *t, const char *expression, struct count_less_list *ret);
/* Adds the expression, its differences replaced by the columns that hold them. */
void count_less_expression(const struct table *t, const char *expression,
    const struct count_less_list *list, struct sql *s);
/* "fwd_packets - 1" */
void count_less_name(const struct table *t, const struct count_less *l, struct sql *s);
/* The sum of it, over rows of the table (is_part) or over parts. */
void count_less_sum(
    const struct table *t, const struct count_less *l, bool is_part, struct sql *s);

#endif
