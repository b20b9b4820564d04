#include "collector/tables/reduce.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/pages.h"

#define SLACK       131072u /* entries beyond what is promised */
#define FIRST_SLOTS 16384u

struct reduce {
	struct reduce_shape shape;
	uint64_t seed;
	uint64_t max, capacity, count;
	uint64_t saturated, dropped;
	uint8_t *entries;
	size_t mapped;
	/* tag << 32 | number + 1, 0: free.  A slot's place is the top bits of its tag.
	 */
	uint64_t *slots;
	unsigned slot_bits;
	uint64_t last_word; /* which bits of the header's last word are key */
	/* Images of two batches: one is being made while the other, hashed, waits for
	 * its slots and entries to come from memory. */
	uint8_t *images;
	uint64_t hashes[2][BATCH_ROWS];
	unsigned filling, waiting;
	/* Bits in which some header differs from that of the first entry. */
	uint64_t differ[REDUCE_MAX_HEADER / 8];
};

void
reduce_shape_finish(struct reduce_shape *s, unsigned values, size_t value_bytes)
{
	s->mask_bytes = (values + 7) / 8;
	s->header = (s->key_length + s->mask_bytes + 7) / 8 * 8;
	s->entry = s->header + value_bytes;
}

static void
free_slots(struct reduce *r)
{
	pages_free(r->slots, sizeof *r->slots << r->slot_bits);
	r->slots = NULL;
}

static int
grow_slots(struct reduce *r, unsigned bits)
{
	size_t bytes = sizeof *r->slots << bits, mask = ((size_t)1 << bits) - 1;
	uint64_t *slots = pages_new(bytes);

	if (slots == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; r->slots != NULL && i < (size_t)1 << r->slot_bits; i++) {
		size_t at = (size_t)(r->slots[i] >> (64 - bits));
		if (r->slots[i] == 0) {
			continue;
		}
		while (slots[at] != 0) {
			at = (at + 1) & mask;
		}
		slots[at] = r->slots[i];
	}
	free_slots(r);
	r->slots = slots;
	r->slot_bits = bits;
	return 0;
}

struct reduce *
reduce_new(const struct reduce_shape *s, uint64_t max_entries, uint64_t seed)
{
	struct reduce *r = calloc(1, sizeof *r);
	unsigned key_bits = 8 * (8 - s->mask_bytes);

	if (r == NULL) {
		return NULL;
	}
	r->shape = *s;
	r->seed = seed;
	r->max = max_entries;
	r->capacity = max_entries + SLACK;
	r->mapped = s->entry * r->capacity;
	r->entries = pages_new(r->mapped);
	/* The mask lies in the last bytes of the last word: little-endian, high bits.
	 */
	r->last_word = key_bits == 0 ? 0 : UINT64_MAX >> (64 - key_bits);
	r->images = malloc(2 * BATCH_ROWS * s->entry);
	if (r->entries == NULL || r->images == NULL ||
	    (!s->is_append && grow_slots(r, __builtin_ctz(FIRST_SLOTS)) < 0)) {
		reduce_free(r);
		return NULL;
	}
	return r;
}

void
reduce_free(struct reduce *r)
{
	if (r == NULL) {
		return;
	}
	pages_free(r->entries, r->mapped);
	free(r->images);
	free_slots(r);
	free(r);
}

static inline uint8_t *
entry_at(const struct reduce *r, uint64_t i)
{
	return r->entries + i * r->shape.entry;
}

static inline uint64_t
word_at(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static inline bool
key_equals(const struct reduce *r, const uint8_t *a, const uint8_t *b)
{
	unsigned last = r->shape.header - 8;
	uint64_t differ =
	    (le64toh(word_at(a + last)) ^ le64toh(word_at(b + last))) & r->last_word;

	for (unsigned i = 0; i < last; i += 8) {
		differ |= word_at(a + i) ^ word_at(b + i);
	}
	return differ == 0;
}

static inline bool
timed_before(const struct reduce_timed *a, const struct reduce_timed *b)
{
	if (a->start != b->start) {
		return a->start < b->start;
	}
	if (a->place != b->place) {
		return a->place < b->place;
	}
	/* Two sources may agree on all of that: the value itself decides. */
	return a->value[0] != b->value[0] ? a->value[0] < b->value[0]
					  : a->value[1] < b->value[1];
}

static void
merge_timed(const struct reduce_shape *s, struct reduce_timed *to,
    const struct reduce_timed *from)
{
	unsigned i = 0;

	for (; i < s->firsts; i++) {
		if (timed_before(&from[i], &to[i])) {
			to[i] = from[i];
		}
	}
	for (; i < s->firsts + s->lasts; i++) {
		if (timed_before(&to[i], &from[i])) {
			to[i] = from[i];
		}
	}
}

static void
merge(struct reduce *r, uint8_t *entry, const uint8_t *image)
{
	const struct reduce_shape *s = &r->shape;
	int64_t *to = (int64_t *)(void *)(entry + s->header);
	const int64_t *from = (const int64_t *)(const void *)(image + s->header);
	uint64_t word = word_at(entry + s->header - 8) | word_at(image + s->header - 8);
	unsigned i = 0, end = s->sums, saturated = 0;

	/* The key bytes in this word are equal, so OR leaves them and joins the masks.
	 */
	memcpy(entry + s->header - 8, &word, sizeof word);
	for (; i < end; i++) {
		saturated += reduce_sum(&to[i], from[i]);
	}
	r->saturated += saturated;
	for (end += s->mins; i < end; i++) {
		to[i] = from[i] < to[i] ? from[i] : to[i];
	}
	for (end += s->maxes; i < end; i++) {
		to[i] = from[i] > to[i] ? from[i] : to[i];
	}
	for (end += s->reals; i < end; i++) {
		double a, b;
		memcpy(&a, &to[i], sizeof a);
		memcpy(&b, &from[i], sizeof b);
		a += b;
		memcpy(&to[i], &a, sizeof a);
	}
	if (s->firsts + s->lasts > 0) {
		merge_timed(s, (struct reduce_timed *)(void *)(to + end),
		    (const struct reduce_timed *)(const void *)(from + end));
	}
}

/* A new entry, at the end; there is room. */
static void
put_entry(struct reduce *r, const uint8_t *image)
{
	memcpy(entry_at(r, r->count++), image, r->shape.entry);
	for (unsigned i = 0; i < r->shape.header; i += 8) {
		r->differ[i / 8] |= word_at(image + i) ^ word_at(r->entries + i);
	}
}

/* Finds the key or takes the free slot where it belongs. */
static void
add_one(struct reduce *r, uint64_t hash, const uint8_t *image)
{
	size_t mask = ((size_t)1 << r->slot_bits) - 1;
	size_t at = (size_t)(hash >> (64 - r->slot_bits));
	uint64_t tag = hash >> 32;

	for (; r->slots[at] != 0; at = (at + 1) & mask) {
		if (r->slots[at] >> 32 == tag) {
			uint8_t *entry = entry_at(r, (r->slots[at] & UINT32_MAX) - 1);
			if (key_equals(r, entry, image)) {
				merge(r, entry, image);
				return;
			}
		}
	}
	if (r->count == r->capacity) {
		r->dropped++;
		return;
	}
	put_entry(r, image);
	r->slots[at] = tag << 32 | r->count;
}

static void
append(struct reduce *r, const uint8_t *images, unsigned n)
{
	unsigned room =
	    r->capacity - r->count < n ? (unsigned)(r->capacity - r->count) : n;

	for (unsigned i = 0; i < room; i++) {
		put_entry(r, images + i * r->shape.entry);
	}
	r->dropped += n - room;
}

static inline uint8_t *
batch_images(const struct reduce *r, unsigned batch)
{
	return r->images + batch * BATCH_ROWS * r->shape.entry;
}

uint8_t *
reduce_images(struct reduce *r)
{
	return batch_images(r, r->filling);
}

void
reduce_settle(struct reduce *r)
{
	const uint8_t *images = batch_images(r, !r->filling);
	const uint64_t *hashes = r->hashes[!r->filling];

	for (unsigned i = 0; i < r->waiting; i++) {
		add_one(r, hashes[i], images + i * r->shape.entry);
	}
	r->waiting = 0;
}

/* Whether n more find slots. */
static bool
has_slots(struct reduce *r, unsigned n)
{
	return (r->count + n) * 2 <= (uint64_t)1 << r->slot_bits ||
	       (r->slot_bits < 31 && grow_slots(r, r->slot_bits + 1) == 0) ||
	       r->count + n < (uint64_t)1 << r->slot_bits;
}

static void
prefetch_entries(const struct reduce *r, const uint64_t *hashes, unsigned n)
{
	unsigned shift = 64 - r->slot_bits;

	for (unsigned i = 0; i < n; i++) {
		uint64_t slot = r->slots[hashes[i] >> shift];
		if (slot != 0) {
			const uint8_t *entry = entry_at(r, (slot & UINT32_MAX) - 1);
			for (size_t k = 0; k < r->shape.entry; k += 64) {
				__builtin_prefetch(entry + k, 1);
			}
		}
	}
}

void
reduce_add(struct reduce *r, unsigned n)
{
	const uint8_t *images = reduce_images(r);
	uint64_t *hashes = r->hashes[r->filling];
	unsigned shift = 64 - r->slot_bits;

	if (r->shape.is_append) {
		append(r, images, n);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		hashes[i] = hash_bytes(
		    images + i * r->shape.entry, r->shape.key_length, r->seed);
		__builtin_prefetch(&r->slots[hashes[i] >> shift], 1);
	}
	reduce_settle(r);
	if (!has_slots(r, n)) {
		r->dropped += n;
		return;
	}
	prefetch_entries(r, hashes, n);
	r->waiting = n;
	r->filling = !r->filling;
}

uint64_t
reduce_count(const struct reduce *r)
{
	return r->count + r->waiting;
}

uint64_t
reduce_max(const struct reduce *r)
{
	return r->max;
}

const struct reduce_shape *
reduce_shape_of(const struct reduce *r)
{
	return &r->shape;
}

const uint8_t *
reduce_differ(const struct reduce *r)
{
	return (const uint8_t *)r->differ;
}

const uint8_t *
reduce_entry(const struct reduce *r, uint64_t i)
{
	return entry_at(r, i);
}

uint64_t
reduce_saturated(const struct reduce *r)
{
	return r->saturated;
}

uint64_t
reduce_dropped(const struct reduce *r)
{
	return r->dropped;
}

void
reduce_clear(struct reduce *r)
{
	if (r->count > 0 && r->slots != NULL) {
		memset(r->slots, 0, sizeof *r->slots << r->slot_bits);
	}
	r->count = r->waiting = 0;
	memset(r->differ, 0, sizeof r->differ);
}
