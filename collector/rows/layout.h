/* The row: the union of what the loaded tables name, fixed at start-up.
 * Rows lie in batches of BATCH_ROWS, column after column.  A value has 8 bytes, an
 * address 16:
 *   address         struct address
 *   time            int64_t, ns since 1970
 *   integer, mac    int64_t
 *   real            double, finite
 *   text            int64_t, number of an interned text
 * Which fields are NULL is the same for all rows of a template.
 * Threads: built at start-up, read-only afterwards. */
#ifndef COLLECTOR_ROWS_LAYOUT_H
#define COLLECTOR_ROWS_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/protocol/sampling.h"
#include "collector/schema/schema.h"
#include "common/base/address.h"
#include "common/base/err.h"
#include "common/ipfix/element.h"

#define BATCH_ROWS        64
#define LAYOUT_MAX_FIELDS 256
/* Lists of one element in a record; those behind are left out. */
#define LAYOUT_MAX_LISTS 16

enum layout_kind {
	KIND_ADDRESS,
	KIND_TIME,
	KIND_INTEGER,
	KIND_REAL,
	KIND_TEXT,
	KIND_MAC,
};

enum layout_source {
	SOURCE_ELEMENTS, /* the first of `from` that a template carries */
	/* deltaFlowCount, else 1 unless flowEndReason is 2 (active) or firewallEvent
	 * says that the flow goes on. */
	SOURCE_FLOWS,
	SOURCE_DURATION, /* end - start in ms, else flowDurationMilliseconds */
	SOURCE_EXPORTER,
	SOURCE_DOMAIN,
	SOURCE_SCALED, /* another field times the sampling rate */
	SOURCE_RATE,   /* of sampling: a real, 1 where nothing is known */
	SOURCE_GIVEN,  /* the caller fills the column (session counters) */
};

struct layout_field {
	const char *name; /* borrowed from schema, elements or the program */
	const char *side; /* "forward", "reverse" or "" */
	enum layout_kind kind;
	enum layout_source source;
	bool
	    is_time; /* declared: integers that count from the exporter's clocks are times */
	bool is_signed;
	unsigned width;    /* bytes that every value fits in: for packed keys */
	bool is_list;      /* a text that structured data becomes (structured_data.h) */
	size_t text_bytes; /* of such a text at most: what a row has room for */
	const struct element **from;
	unsigned from_count;
	bool has_one_way; /* a reverse side's value when nothing reverse is sent */
	int64_t one_way;
	int scaled_of; /* SOURCE_SCALED */
	int forward;   /* of a reverse side: its forward field, else -1 */
	int partner;   /* swapped with this one where biflowDirection is 2, else -1 */
	bool swaps_if_both; /* only where a template carries both */
	size_t offset;      /* of the column in a batch */
};

struct layout {
	const struct schema_record *record; /* NULL: given */
	const struct elements *elements;
	struct layout_field fields[LAYOUT_MAX_FIELDS];
	unsigned count;
	size_t bytes; /* of a batch */
	/* Fields with a meaning of their own; -1: not there. */
	int start, end, end_reason, direction, event;
	/* Where one-way flows are stitched, else -1: source's, destination's. */
	int ends[2], ports[2], protocol;
	/* Where something is scaled, else -1: the rate, and what tells it. */
	bool is_scaling;
	int rate, rate_inputs[SAMPLING_INPUTS];
	int sampler, selector, ingress, egress;
	/* A template with none of these is one-way. */
	const struct element **reverse;
	unsigned reverse_count;
	int required[16]; /* a template without them is not this record */
	unsigned required_count;
};

/* A bit per field. */
struct layout_nulls {
	uint64_t words[LAYOUT_MAX_FIELDS / 64];
};

static inline bool
nulls_has(const struct layout_nulls *n, int field)
{
	return (n->words[field / 64] >> (field % 64) & 1) != 0;
}

static inline void
nulls_set(struct layout_nulls *n, int field)
{
	n->words[field / 64] |= (uint64_t)1 << (field % 64);
}

/* Reals as integers that order the same, and back. */
static inline int64_t
layout_order_real(int64_t bits)
{
	return bits ^ (int64_t)((uint64_t)(bits >> 63) >> 1);
}

/* Of a record schema, or of `exporter`, whose fields the program gives (record NULL).
 * Everything is borrowed. */
int layout_new(const struct schema_record *record, const struct elements *elements,
    struct layout **ret, struct err *e);
void layout_free(struct layout *l);

/* The field that `name` means here, added where it is new: a field of the record,
 * forward.X, reverse.X or side.X, something computed, or any element.  Returns its
 * number; complains at name with the nearest one. */
int layout_field(struct layout *l, const struct yaml *y, const struct yaml_node *name,
    enum schema_side side, struct err *e);
/* The same for a name of the program's: a field of the record or an element.  -ENOENT
 * without a sentence: neither. */
int layout_add_named(struct layout *l, const char *name, struct err *e);
/* Replaces *field, a number, by its product with the sampling rate.  Complains at node.
 */
int layout_scaled(struct layout *l, const struct yaml *y, const struct yaml_node *node,
    int *field, struct err *e);
/* No more fields: adds what computing and swapping need, and places the columns. */
int layout_finish(struct layout *l, struct err *e);
/* A list's text, and that of the field it is swapped with, has at most this many bytes.
 */
void layout_bound_text(struct layout *l, int field, size_t most);
const char *layout_kind_name(enum layout_kind k);

/* Integers that are times where a field of type time takes them: they count from the
 * exporter's clocks. */
enum layout_relative {
	RELATIVE_NONE,
	RELATIVE_UPTIME, /* ms since the exporter started: flowStartSysUpTime */
	RELATIVE_EXPORT, /* us before it was sent: flowStartDeltaMicroseconds */
};
enum layout_relative layout_relative(const struct element *element);

/* Fields of `exporter` rows, in this order (collector/protocol/drop.h). */
enum layout_exporter {
	EXPORTER_NAME,
	EXPORTER_PEER,
	EXPORTER_TRANSPORT,
	EXPORTER_IDENTITY,
	EXPORTER_PROTOCOL,
	EXPORTER_DOMAIN,
	EXPORTER_FIRST_SEEN,
	EXPORTER_LAST_SEEN,
	EXPORTER_MESSAGES,
	EXPORTER_OCTETS,
	EXPORTER_TEMPLATES,
	EXPORTER_OPTION_TEMPLATES,
	EXPORTER_UNKNOWN,
	EXPORTER_LAST_ERROR,
	EXPORTER_RECORDS,
	EXPORTER_OPTIONS,
	EXPORTER_COUNTER_SAMPLES,
	EXPORTER_LOST,
	EXPORTER_REORDERED,
	EXPORTER_DROPPED, /* the first of DROPS */
};

#endif
