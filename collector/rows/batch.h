/* Rows on their way into the tables: at most BATCH_ROWS of one layout, column after
 * column.  A plan fills them (normalise.h), filters and tables read them.
 * Threads: the processing thread.  Memory: a batch owns its columns. */
#ifndef COLLECTOR_ROWS_BATCH_H
#define COLLECTOR_ROWS_BATCH_H

#include <stdint.h>

#include "collector/protocol/protocol.h"
#include "collector/rows/intern.h"
#include "collector/rows/layout.h"
#include "collector/rows/structured_data.h"

/* Rows of a layout.  Rows that were swapped may have other NULL fields than the rest,
 * so they are two groups, each a list of row numbers. */
struct batch {
	const struct layout *layout;
	struct intern *intern; /* numbers of texts; borrowed */
	uint8_t *columns;
	unsigned count;
	const struct layout_nulls *nulls[2];
	uint8_t rows[2][BATCH_ROWS];
	unsigned row_count[2];
	uint64_t saturated; /* counters that did not fit; only grows */
	uint64_t
	    no_memory;     /* rows left out for want of memory for a text; only grows */
	uint64_t failures; /* of intern, that rows were searched for */
	/* Of the rows to come: set before decoding. */
	int64_t exporter, domain;
	struct protocol_clock clock;
	const struct sampling *sampling; /* may be NULL */
	struct structured_data lists;    /* what lists refer to */
};

/* 0 or -ENOMEM. */
int batch_init(struct batch *b, const struct layout *l, struct intern *intern);
void batch_done(struct batch *b);

static inline int64_t *
batch_values(const struct batch *b, int field)
{
	return (int64_t *)(void *)(b->columns + b->layout->fields[field].offset);
}

static inline struct address *
batch_addresses(const struct batch *b, int field)
{
	return (struct address *)(void *)(b->columns + b->layout->fields[field].offset);
}

#endif
