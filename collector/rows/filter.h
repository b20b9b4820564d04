/* Conditions on rows, compiled from `where` and `when`: a list of row numbers goes in,
 * those that fulfil the condition stay.  A field that a record does not carry fulfils
 * none.
 * Threads: the processing thread. */
#ifndef COLLECTOR_ROWS_FILTER_H
#define COLLECTOR_ROWS_FILTER_H

#include "collector/rows/batch.h"
#include "collector/schema/schema.h"

struct operand {
	int64_t number; /* integer, time, mac; real: as layout_order_real() has it */
	struct address address;
	unsigned bits; /* of a prefix */
	const char *text;
};

struct filter {
	int field;
	enum layout_kind kind;
	enum schema_operator op;
	struct operand *operands;
	unsigned operand_count;
	/* Of numbers: what the conditions come to. */
	int64_t low, high;   /* bounds, both included; low > high: none */
	bool is_outside;     /* numbers beyond the bounds are kept, instead */
	bool is_set;         /* numbers in the set below, instead */
	uint64_t numbers[4]; /* a bit each, from 0 to 255 */
};

/* f->field is what c->field means in l.  An operand that the field cannot have is
 * refused at its place in y; filter_done() also then. */
int filter_compile(struct filter *f, const struct schema_condition *c,
    const struct layout *l, const struct yaml *y, struct err *e);
void filter_done(struct filter *c);
/* Keeps the rows that fulfil c; returns how many. */
unsigned filter_rows(const struct filter *c, const struct batch *b,
    const struct layout_nulls *nulls, uint8_t *rows, unsigned n);

#endif
