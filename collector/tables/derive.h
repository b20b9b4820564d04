/* A rollup that follows from a table that is already reduced is made from its entries at
 * a flush, not from every record: services from pairs.  That holds where the base takes
 * every record and the rollup's keys and conditions look only at key columns of the
 * base (or its day), and its values merge further what the base has merged the same
 * way.
 * Threads: the processing thread. */
#ifndef COLLECTOR_TABLES_DERIVE_H
#define COLLECTOR_TABLES_DERIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/rows/normalise.h"
#include "collector/tables/table.h"

/* One column of a base entry that becomes a field again. */
struct derive_field {
	int field;
	const struct table_column *column;
	bool is_condition; /* of any emit */
	uint32_t emits;    /* a bit for each that makes a key or a value of it */
};

struct derive {
	const struct table *base;
	struct derive_field fields[LAYOUT_MAX_FIELDS];
	unsigned count;
	/* What the derived table had counted when it was last written: a flush that is
	 * tried again derives again. */
	uint64_t rows, filtered;
};

/* Whether t can be derived from base, and how. */
bool derive_compile(
    const struct table *t, const struct table *base, struct derive *ret);
/* Fills t, which is emptied first, from the entries of its base.  b is for this alone.
 */
void derive_run(struct table *t, struct derive *d, struct batch *b);
/* After t was written. */
void derive_written(const struct table *t, struct derive *d);

#endif
