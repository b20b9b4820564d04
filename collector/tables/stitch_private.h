/* The pool of rows that wait, from inside: shared by stitch.c (partners) and
 * stitch_rows.c (what waits as bytes, and its texts). */
#ifndef COLLECTOR_TABLES_STITCH_PRIVATE_H
#define COLLECTOR_TABLES_STITCH_PRIVATE_H

#include <string.h>

#include "collector/tables/stitch.h"

#define STITCH_NONE UINT32_MAX

enum stitch_kind { KIND_PLAIN, KIND_REQUEST, KIND_REPLY };

/* The lower end first; everything is compared as bytes, so no padding. */
struct stitch_key {
	struct address ends[2];
	int64_t exporter, domain;
	uint32_t ports[2];
	uint16_t protocol;
	uint16_t is_flipped; /* the source is ends[1] */
	uint32_t kind;
};

struct stitch_waiting {
	uint32_t next, previous; /* of its bucket, the latest first */
	uint32_t older, newer;
	uint64_t hash;
	struct stitch_key key;
	uint64_t arrival; /* since when it waits */
	int64_t start, filed, place;
	struct layout_nulls nulls;
	uint8_t row[]; /* as in a batch, a row long */
};

struct stitch {
	const struct layout *layout;
	struct stitch_settings settings;
	stitch_each each;
	void *data;
	struct stitch_counts counts;
	uint64_t now_ns; /* of arrival */
	uint8_t *pool;
	size_t stride, mapped;
	uint32_t *buckets;
	size_t bucket_bytes;
	unsigned bucket_bits;
	uint32_t used, free; /* entries never touched begin at used */
	uint32_t oldest, newest, waiting;
	/* What goes out: rows with the same NULL fields. */
	struct batch out;
	struct layout_nulls out_nulls;
	int64_t filed[BATCH_ROWS], places[BATCH_ROWS];
};

static inline struct stitch_waiting *
stitch_at(const struct stitch *s, uint32_t i)
{
	return (struct stitch_waiting *)(void *)(s->pool + i * s->stride);
}

static inline size_t
stitch_row_bytes(const struct layout *l)
{
	return l->bytes / BATCH_ROWS;
}

static inline size_t
stitch_width(const struct layout_field *f)
{
	return f->kind == KIND_ADDRESS ? sizeof(struct address) : 8;
}

static inline int64_t
stitch_number(const struct layout *l, const uint8_t *row, int field)
{
	int64_t v;

	memcpy(&v, row + l->fields[field].offset / BATCH_ROWS, sizeof v);
	return v;
}

static inline void
stitch_set_number(const struct layout *l, uint8_t *row, int field, int64_t v)
{
	memcpy(row + l->fields[field].offset / BATCH_ROWS, &v, sizeof v);
}

/* There is one entry more than may wait. */
uint32_t stitch_take_entry(struct stitch *s);
void stitch_give_back(struct stitch *s, uint32_t i);
/* What tells the partners of a row, but for exporter and domain; false: it can have
 * none. */
bool stitch_make_key(
    const struct stitch *s, const struct stitch_waiting *w, struct stitch_key *ret);
/* The row, whose key is complete, waits from now on; where too many do, the one that
 * waits longest goes out. */
void stitch_link(struct stitch *s, uint32_t i);
/* After keys have changed. */
void stitch_relink(struct stitch *s);
/* The row, which does not wait, goes out one-way. */
void stitch_put_alone(struct stitch *s, uint32_t i);
/* What was put out goes to each(). */
void stitch_send(struct stitch *s);

#endif
