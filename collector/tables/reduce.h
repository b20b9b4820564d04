/* Entries by key: a hash of (tag, number) slots over dense entries.  Entries come as
 * images in batches, are found with prefetch, and merge; the result does not depend on
 * the order or grouping in which they come.
 *
 * An entry is
 * - a header: key bytes (big-endian, so that memcmp orders them), padding, and in its
 *   last bytes the mask of values that are not NULL,
 * - int64_t sums[], mins[], maxes[] (NULL: 0, INT64_MAX, INT64_MIN),
 * - double reals[], sums as well (NULL: 0),
 * - struct reduce_timed firsts[], lasts[].
 *
 * Sums saturate.  An append table keeps every image, without hashing.
 * Threads: the processing thread.  Memory: reserved once, touched as it fills. */
#ifndef COLLECTOR_TABLES_REDUCE_H
#define COLLECTOR_TABLES_REDUCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/rows/intern.h"
#include "collector/rows/layout.h"

#define REDUCE_MAX_KEY    496 /* bytes */
#define REDUCE_MAX_HEADER 512 /* with the mask */
#define REDUCE_MAX_VALUES 64
#define REDUCE_MAX_TEXTS  32 /* text columns in a key */

/* A value that goes with its (flow start, place in the source). */
struct reduce_timed {
	int64_t start;
	int64_t place;
	int64_t value[2]; /* an address takes both */
};

struct reduce_shape {
	unsigned key_length;
	unsigned header; /* multiple of 8 */
	unsigned mask_bytes;
	unsigned sums, mins, maxes, reals, firsts, lasts;
	size_t entry; /* bytes, multiple of 8 */
	bool is_append;
	unsigned text_count; /* interned texts in the key, 4 bytes at these offsets */
	uint16_t texts[REDUCE_MAX_TEXTS];
};

/* Header and entry size from the other members. */
void reduce_shape_finish(struct reduce_shape *s, unsigned values, size_t value_bytes);

struct reduce;

/* max_entries are promised; seed: see hash_seed().  NULL: no memory. */
struct reduce *reduce_new(
    const struct reduce_shape *s, uint64_t max_entries, uint64_t seed);
void reduce_free(struct reduce *r);
/* Where the next images are made, at most BATCH_ROWS, back to back, s->entry bytes
 * each; and adds n of them.  They may wait for the next batch or reduce_settle(), which
 * comes before entries are looked at. */
uint8_t *reduce_images(struct reduce *r);
void reduce_add(struct reduce *r, unsigned n);
void reduce_settle(struct reduce *r);
/* Entries; while some wait, at most so many. */
uint64_t reduce_count(const struct reduce *r);
uint64_t reduce_max(const struct reduce *r);
const struct reduce_shape *reduce_shape_of(const struct reduce *r);
const uint8_t *reduce_entry(const struct reduce *r, uint64_t i);
/* A header with the bits set in which headers differ from each other. */
const uint8_t *reduce_differ(const struct reduce *r);
uint64_t reduce_saturated(const struct reduce *r); /* sums that reached the top */
uint64_t reduce_dropped(const struct reduce *r);   /* rows, full or no memory */
void reduce_clear(struct reduce *r);

/* What sorting needs, kept for the next time.  Zero at first. */
struct reduce_scratch {
	void *bytes;
	size_t size;
};
void reduce_scratch_free(struct reduce_scratch *s);

/* Entry numbers in the order of their keys, texts in byte order; equal keys (append
 * tables) in order of arrival.  They lie in the scratch memory.  0 or -ENOMEM. */
int reduce_sort(const struct reduce *r, const struct intern *texts,
    struct reduce_scratch *scratch, const uint32_t **ret_order);

/* Adds to a sum, which saturates; whether it did. */
static inline bool
reduce_sum(int64_t *to, int64_t from)
{
	if (!__builtin_add_overflow(*to, from, to)) {
		return false;
	}
	*to = from < 0 ? INT64_MIN : INT64_MAX;
	return true;
}

#endif
