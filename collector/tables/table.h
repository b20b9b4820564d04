/* One table, compiled from its schema onto a layout: which rows it takes, how they
 * become entries (reduce.h), and what its columns are.
 * Threads: the processing thread. */
#ifndef COLLECTOR_TABLES_TABLE_H
#define COLLECTOR_TABLES_TABLE_H

#include "collector/rows/filter.h"
#include "collector/rows/layout.h"
#include "collector/rows/normalise.h"
#include "collector/schema/schema.h"
#include "collector/tables/reduce.h"
#include "common/base/cursor.h"

/* In what the store keeps of firstWriteWins and lastWriteWins: hex digits of start and
 * place before the value. */
#define TABLE_STATE_PREFIX 32

enum table_kind { /* as flowpair_columns has them */
	TABLE_ADDRESS,
	TABLE_PREFIX,
	TABLE_TIME,
	TABLE_DATE,
	TABLE_INTEGER,
	TABLE_REAL,
	TABLE_TEXT,
	TABLE_MAC, /* text outside */
};

struct table_column {
	const char *name;
	enum schema_role role;
	enum table_kind kind;
	const struct schema_column *schema;
	int fields[SCHEMA_MAX_EMITS]; /* where it comes from, for each emit */
	unsigned ipv4_bits, ipv6_bits;
	unsigned offset; /* in an entry: key bytes, or an 8-byte value */
	unsigned width;  /* of key bytes */
	unsigned bit;    /* key: of the NULL bits; value: of the mask */
	bool is_signed;
};

/* How far the start of a live record may lie from its arrival. */
struct table_bounds {
	uint64_t lateness_ns, skew_ns;
};

struct table {
	const struct schema_table *schema;
	struct layout *layout;
	struct table_column columns[SCHEMA_MAX_COLUMNS]; /* as in the schema */
	unsigned key_count, column_count;
	unsigned null_offset; /* in an entry: the NULL bits of the key */
	struct filter *where[SCHEMA_MAX_EMITS]; /* where and when together */
	unsigned where_count[SCHEMA_MAX_EMITS];
	struct reduce_shape shape;
	struct reduce *reduce;
	struct table_bounds bounds;
	bool has_own_lateness;
	uint64_t rows, filtered;
};

/* Where rows stand in time and in their source. */
struct table_moment {
	int64_t arrival_ns;
	bool is_live;
	/* Filed times by the general lateness; a table with its own computes its own.
	 */
	const int64_t *filed_ns;
	bool is_filed;         /* by what the tables say themselves */
	int64_t place;         /* of the batch's first row */
	const int64_t *places; /* of each row, instead; or NULL */
};

/* Declares the table's fields in l, before layout_finish(). */
int table_new(const struct schema_table *schema, struct layout *l, struct table **ret,
    struct err *e);
void table_free(struct table *t);
/* After layout_finish(): shapes entries and reserves memory. */
int table_start(struct table *t, uint64_t max_keys, uint64_t seed, struct err *e);
void table_add(struct table *t, const struct batch *b, const struct table_moment *m);

/* Rows of one of a batch's groups that the conditions of each emit let pass. */
struct taken {
	unsigned count[SCHEMA_MAX_EMITS];
	uint8_t rows[SCHEMA_MAX_EMITS][BATCH_ROWS];
};
/* The two halves of table_add(), for a caller that fills in a batch's columns as they
 * are needed: take looks at those of the conditions only, and counts. */
void table_take(
    struct table *t, const struct batch *b, unsigned group, struct taken *ret);
void table_add_taken(struct table *t, const struct batch *b, unsigned group,
    const struct taken *taken, const struct table_moment *m);

/* The time under which each row is filed: its start, or its arrival when it has none
 * or, live, when its start lies outside [arrival - lateness, arrival + skew]. */
struct table_filed {
	uint64_t late, early, undated;
};
struct table_filed table_file_times(const struct batch *b, const struct table_moment *m,
    struct table_bounds bounds, int64_t out[static BATCH_ROWS]);

const char *table_kind_name(enum table_kind k);
/* The day that an entry belongs to (partition day). */
int64_t table_day(const struct table *t, const uint8_t *entry);

/* Whether the same columns are NULL in two entries: key bits, padding (zero) and mask
 * of values are the end of the header. */
static inline bool
table_same_nulls(const struct table *t, const uint8_t *a, const uint8_t *b)
{
	unsigned at = t->null_offset / 8 * 8;
	uint64_t differ = (load_u64(a + at) ^ load_u64(b + at))
			  << t->null_offset % 8 * 8;

	for (at += 8; at < t->shape.header; at += 8) {
		differ |= load_u64(a + at) ^ load_u64(b + at);
	}
	return differ == 0;
}

#endif
