#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/tables/reduce.h"
#include "common/base/cursor.h"
#include "common/base/pages.h"

#define INSERTION 24 /* so many items are sorted by insertion */
/* Bits of the prefix that are sorted by at a time: of so many items, and of fewer. */
#define MANY      65536
#define MANY_BITS 11
#define FEW_BITS  8

/* An entry as it is sorted: the first 64 key bits in which entries differ at all, as
 * one number; the whole key only where those are equal. */
struct item {
	uint64_t prefix;
	uint32_t number;
};

/* A key byte whose differing bits are part of the prefix, closed up by a look into
 * `bits`. */
struct place {
	uint16_t at;
	uint8_t count;
	uint8_t bits[256];
};

struct sorter {
	const struct reduce *reduce;
	struct reduce_shape shape;
	const uint32_t *ranks; /* of texts, NULL: the key has none */
	uint32_t rank_most;
	struct place places[64];
	unsigned place_count, bit_count;
	uint32_t *order; /* where the next number is written down */
	bool is_whole;   /* the prefix has every bit that differs */
	bool has_texts;  /* that differ */
};

/* The header with texts as their ranks. */
static void
ranked_key(const struct sorter *s, uint32_t number, uint8_t *out)
{
	memcpy(out, reduce_entry(s->reduce, number), s->shape.header);
	for (unsigned i = 0; i < s->shape.text_count; i++) {
		uint8_t *p = out + s->shape.texts[i];
		store_u32(p, s->ranks[load_u32(p)]);
	}
}

/* Texts whose numbers differ anywhere may differ in every bit of their ranks. */
static void
widen_texts(struct sorter *s, uint8_t *differ)
{
	for (unsigned i = 0; i < s->shape.text_count; i++) {
		uint8_t *p = differ + s->shape.texts[i];
		if (load_u32(p) != 0) {
			store_u32(p, UINT32_MAX >> __builtin_clz(s->rank_most | 1));
			s->has_texts = true;
		}
	}
}

/* Takes the first `room` of the bits in mask. */
static void
make_place(struct place *p, unsigned at, uint8_t mask, unsigned room)
{
	unsigned count = (unsigned)__builtin_popcount(mask);

	p->at = (uint16_t)at;
	p->count = (uint8_t)(count < room ? count : room);
	for (unsigned v = 0; v < 256; v++) {
		unsigned closed = 0;
		for (unsigned bit = 8; bit-- > 0;) {
			if ((mask >> bit & 1) != 0) {
				closed = closed << 1 | (v >> bit & 1);
			}
		}
		p->bits[v] = (uint8_t)(closed >> (count - p->count));
	}
}

static void
choose_places(struct sorter *s)
{
	uint8_t differ[REDUCE_MAX_HEADER];

	memcpy(differ, reduce_differ(s->reduce), s->shape.header);
	widen_texts(s, differ);
	s->is_whole = true;
	for (unsigned k = 0; k < s->shape.key_length && s->is_whole; k++) {
		uint8_t mask = differ[k];
		unsigned room = 64 - s->bit_count;
		s->is_whole = (unsigned)__builtin_popcount(mask) <= room;
		if (mask != 0 && room > 0) {
			struct place *p = &s->places[s->place_count++];
			make_place(p, k, mask, room);
			s->bit_count += p->count;
		}
	}
}

static void
fill_items(const struct sorter *s, struct item *items)
{
	uint64_t count = reduce_count(s->reduce);
	uint8_t key[REDUCE_MAX_HEADER];

	for (uint64_t i = 0; i < count; i++) {
		const uint8_t *p = reduce_entry(s->reduce, i);
		uint64_t prefix = 0;
		if (s->has_texts) {
			ranked_key(s, (uint32_t)i, key);
			p = key;
		}
		for (unsigned k = 0; k < s->place_count; k++) {
			const struct place *place = &s->places[k];
			prefix = prefix << place->count | place->bits[p[place->at]];
		}
		prefix <<= s->bit_count > 0 ? 64 - s->bit_count : 0;
		items[i] = (struct item){.prefix = prefix, .number = (uint32_t)i};
	}
}

static bool
comes_before(const struct sorter *s, const struct item *a, const struct item *b)
{
	uint8_t x[REDUCE_MAX_HEADER], y[REDUCE_MAX_HEADER];
	int order = 0;

	if (a->prefix != b->prefix) {
		return a->prefix < b->prefix;
	}
	if (!s->is_whole) {
		ranked_key(s, a->number, x);
		ranked_key(s, b->number, y);
		order = memcmp(x, y, s->shape.key_length);
	}
	return order != 0 ? order < 0 : a->number < b->number;
}

static void
insertion_sort(const struct sorter *s, struct item *items, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct item moved = items[i];
		size_t k = i;
		for (; k > 0 && comes_before(s, &moved, &items[k - 1]); k--) {
			items[k] = items[k - 1];
		}
		items[k] = moved;
	}
}

static int
compare_items(const void *a, const void *b, void *data)
{
	return comes_before(data, a, b) ? -1 : 1;
}

/* Sorts n items, too few for radix_sort() or alike in all of the prefix, and writes
 * down their numbers. */
static void
finish_items(struct sorter *s, struct item *items, size_t n)
{
	uint32_t *order = s->order;

	if (n <= INSERTION) {
		insertion_sort(s, items, n);
	} else {
		qsort_r(items, n, sizeof *items, compare_items, s);
	}
	for (size_t i = 0; i < n; i++) {
		*order++ = items[i].number;
	}
	s->order = order;
}

/* Radix sort of items that are alike in the first `sorted` bits: count what the next
 * bits are, move every item into its bucket in the spare memory (reading on and on,
 * writing in some streams: caches like that better than swapping in place), and go on
 * in the buckets. */
static void
radix_sort(
    struct sorter *s, struct item *items, struct item *spare, size_t n, unsigned sorted)
{
	unsigned bits = n >= MANY ? MANY_BITS : FEW_BITS, shift, buckets;
	uint32_t at[1 << MANY_BITS], sum = 0, begin = 0;

	bits = bits < 64 - sorted ? bits : 64 - sorted;
	shift = 64 - sorted - bits;
	buckets = 1u << bits;
	memset(at, 0, buckets * sizeof at[0]);
	for (size_t i = 0; i < n; i++) {
		at[items[i].prefix >> shift & (buckets - 1)]++;
	}
	for (unsigned b = 0; b < buckets; b++) {
		uint32_t length = at[b];
		at[b] = sum;
		sum += length;
	}
	for (size_t i = 0; i < n; i++) {
		spare[at[items[i].prefix >> shift & (buckets - 1)]++] = items[i];
	}
	for (unsigned b = 0; b < buckets; b++) {
		uint32_t length = at[b] - begin;
		if (length <= INSERTION || shift == 0) {
			finish_items(s, spare + begin, length);
		} else {
			radix_sort(
			    s, spare + begin, items + begin, length, sorted + bits);
		}
		begin = at[b];
	}
}

void
reduce_scratch_free(struct reduce_scratch *s)
{
	pages_free(s->bytes, s->size);
	*s = (struct reduce_scratch){NULL, 0};
}

/* With some to spare: counts differ a little from flush to flush, and memory that is
 * not touched costs nothing. */
static int
grow_scratch(struct reduce_scratch *s, size_t bytes)
{
	if (s->size >= bytes) {
		return 0;
	}
	reduce_scratch_free(s);
	bytes += bytes / 4;
	s->bytes = pages_new(bytes);
	s->size = s->bytes != NULL ? bytes : 0;
	return s->bytes != NULL ? 0 : -ENOMEM;
}

int
reduce_sort(const struct reduce *r, const struct intern *texts,
    struct reduce_scratch *scratch, const uint32_t **ret_order)
{
	struct sorter s = {.reduce = r, .shape = *reduce_shape_of(r)};
	uint64_t count = reduce_count(r);
	uint32_t *ranks = NULL;
	struct item *items;
	int rc;

	*ret_order = NULL;
	if (count == 0) {
		return 0;
	}
	rc = grow_scratch(scratch, (2 * sizeof *items + sizeof **ret_order) * count);
	if (rc < 0) {
		return rc;
	}
	if (s.shape.text_count > 0) {
		ranks = malloc((intern_count(texts) + 1) * sizeof *ranks);
		if (ranks == NULL || intern_ranks(texts, ranks) < 0) {
			free(ranks);
			return -ENOMEM;
		}
		s.ranks = ranks;
		s.rank_most = (uint32_t)intern_count(texts);
	}
	items = scratch->bytes;
	s.order = (uint32_t *)(items + 2 * count);
	*ret_order = s.order;
	choose_places(&s);
	fill_items(&s, items);
	radix_sort(&s, items, items + count, count, 0);
	free(ranks);
	return 0;
}
