/* What a plan is, for the files that make it up: normalise_plan.c compiles templates,
 * normalise.c runs the operations. */
#ifndef COLLECTOR_ROWS_NORMALISE_PLAN_H
#define COLLECTOR_ROWS_NORMALISE_PLAN_H

#include "collector/rows/normalise.h"

enum op_kind {
	OP_U8,
	OP_U16,
	OP_U32,
	OP_U64,
	OP_UINT, /* 3, 5, 6 or 7 bytes */
	OP_INT,  /* 1 to 8 bytes */
	OP_BOOL,
	OP_F32,
	OP_F64,
	OP_TIME_S,
	OP_TIME_MS,
	OP_TIME_US,
	OP_TIME_NS,
	OP_UPTIME,        /* ms since the exporter started, by its message's clock */
	OP_BEFORE_EXPORT, /* us */
	OP_IPV4,
	OP_IPV6,
	OP_TEXT,
	OP_OCTETS,
	/* Where the column has no address, or 0, so far: */
	OP_ADDRESS_ELSE, /* 4 or 16 bytes */
	OP_UINT_ELSE,    /* 1 to 8 bytes */
	/* From several fields: */
	OP_SEVERAL,
	/* As OP_UPTIME, but the record says since when: field `since`. */
	OP_UPTIME_SINCE = OP_SEVERAL,
	/* Lists, all of one element in the record, as a text of `constant` bytes. */
	OP_LISTS,
	/* Not from the wire: */
	OP_CONSTANT,
	OP_EXPORTER,
	OP_DOMAIN,
	OP_START,          /* end less what the column holds, in units of constant ns */
	OP_END,            /* start and what the column holds */
	OP_AT_END,         /* a total: 0 unless the record ends its flow */
	OP_UNLESS_UPDATED, /* 0 where updates of its flow have counted it */
	OP_LIMIT,          /* at most constant */
	OP_RATE,           /* of sampling */
	OP_SCALED,         /* column `constant` times the rate */
	OP_FLOWS,    /* 1 unless an active timeout cut it or an event is not its end */
	OP_DURATION, /* from start and end */
	OP_MICRO_TO_MS, /* the column itself */
};

struct op {
	enum op_kind kind;
	uint16_t field;  /* of the template */
	uint16_t length; /* on the wire; variable: 65535 */
	uint32_t offset; /* in the record, fixed-length templates */
	uint16_t since;
	uint32_t since_offset;
	int column;
	int64_t constant;
};

struct swap {
	int a, b;
};

struct plan {
	const struct layout *layout;
	const struct template *of;
	bool is_usable, is_one_way;
	struct layout_nulls nulls[2]; /* as sent, swapped */
	bool nulls_differ;
	/* The same where the message has no uptime and times need it. */
	bool needs_uptime;
	struct layout_nulls undated[2];
	int direction; /* column that tells which rows to swap, -1: none */
	unsigned op_count, swap_count;
	struct op *ops;
	struct swap *swaps;
	const uint8_t **starts; /* of each template field; NULL: fixed records */
	uint32_t *lengths;
};

/* normalise_lists.c: the text of all lists of an OP_LISTS' element in one record: its
 * fields lie one after the other in it, or where it was walked (record NULL). */
int64_t normalise_lists(
    const struct plan *p, const struct op *op, const uint8_t *record, struct batch *b);

/* normalise_read.c: how a field of this element and length is read; false: not at all.
 * The second: where it is a time that counts from the exporter's clocks. */
bool plan_op_for(const struct element *element, uint16_t length, enum op_kind *ret);
bool plan_op_for_relative(
    const struct element *element, uint16_t length, enum op_kind *ret);
/* normalise_computed.c: an operation that reads no wire bytes, on all rows. */
void plan_compute(const struct plan *p, const struct op *op, struct batch *b);

#endif
