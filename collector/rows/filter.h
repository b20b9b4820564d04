/* Conditions on rows, compiled from `where` and `when`: a list of row numbers goes in,
 * those that hold stay.  A field that a record does not carry fulfils nothing.
 * Threads: the processing thread. */
#ifndef COLLECTOR_ROWS_FILTER_H
#define COLLECTOR_ROWS_FILTER_H

#include "collector/rows/batch.h"
#include "collector/schema/schema.h"

struct operand {
	int64_t
	    number; /* integer, time, mac; real as bits that order (layout_order_real) */
	struct address address;
	unsigned bits; /* of a prefix */
	const char *text;
};

struct filter {
	int field;
	enum layout_kind kind;
	enum schema_operator operator;
	struct operand *operands;
	unsigned operand_count;
	/* Of numbers: what the conditions come to. */
	int64_t low, high;   /* bounds, both included; low > high: none */
	bool is_outside;     /* numbers beyond the bounds are kept, instead */
	bool is_set;         /* numbers in the set below, instead */
	uint64_t numbers[4]; /* a bit each, from 0 to 255 */
};

/* field is what c->field means in l. */
int filter_compile(const struct schema_table *t, const struct schema_condition *c,
    const struct layout *l, int field, struct filter *ret, struct err *e);
void filter_done(struct filter *c);
/* Keeps the rows that fulfil c; returns how many. */
unsigned filter_rows(const struct filter *c, const struct batch *b,
    const struct layout_nulls *nulls, uint8_t *rows, unsigned n);

#endif
