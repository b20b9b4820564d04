#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/reduce.h"
#include "common/cursor.h"

#define INSERTION 24 /* fewer items than this are sorted by insertion */

/* An entry as it is sorted: the first eight key bytes in which entries differ at all,
 * as one number; the whole key only where those are equal. */
struct item {
	uint64_t prefix;
	uint32_t number;
};

struct sorter {
	const struct reduce *reduce;
	struct reduce_shape shape;
	const uint32_t *ranks; /* of texts, NULL: the key has none */
	uint16_t places[8];    /* key bytes that make the prefix */
	unsigned place_count;
	bool is_whole; /* the prefix has every byte that differs */
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

static void
choose_places(struct sorter *s)
{
	uint64_t first[REDUCE_MAX_HEADER / 8], key[REDUCE_MAX_HEADER / 8];
	uint64_t differ_words[REDUCE_MAX_HEADER / 8] = {0};
	const uint8_t *differ = (const uint8_t *)differ_words;
	uint64_t count = reduce_count(s->reduce);
	unsigned n = s->shape.key_length;

	ranked_key(s, 0, (uint8_t *)first);
	for (uint64_t i = 1; i < count; i++) {
		ranked_key(s, (uint32_t)i, (uint8_t *)key);
		for (unsigned k = 0; k < s->shape.header / 8; k++) {
			differ_words[k] |= key[k] ^ first[k];
		}
	}
	s->is_whole = true;
	for (unsigned k = 0; k < n; k++) {
		if (differ[k] == 0) {
			continue;
		}
		if (s->place_count == 8) {
			s->is_whole = false;
			break;
		}
		s->places[s->place_count++] = (uint16_t)k;
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
		if (s->shape.text_count > 0) {
			ranked_key(s, (uint32_t)i, key);
			p = key;
		}
		for (unsigned k = 0; k < s->place_count; k++) {
			prefix = prefix << 8 | p[s->places[k]];
		}
		prefix <<= s->place_count > 0 ? 64 - 8 * s->place_count : 0;
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

/* American flag sort: count each value of one byte, swap every item into its bucket, go
 * on with the next byte inside the buckets. */
static void
flag_sort(const struct sorter *s, struct item *items, size_t n, unsigned shift)
{
	size_t at[256], end[256], sum = 0;

	memset(end, 0, sizeof end);
	for (size_t i = 0; i < n; i++) {
		end[items[i].prefix >> shift & 255]++;
	}
	for (unsigned b = 0; b < 256; b++) {
		at[b] = sum;
		sum += end[b];
		end[b] = sum;
	}
	for (unsigned b = 0; b < 256; b++) {
		while (at[b] < end[b]) {
			struct item moved = items[at[b]];
			unsigned to = moved.prefix >> shift & 255;
			while (to != b) {
				struct item other = items[at[to]];
				items[at[to]++] = moved;
				moved = other;
				to = moved.prefix >> shift & 255;
			}
			items[at[b]++] = moved;
		}
	}
	for (unsigned b = 0; b < 256; b++) {
		size_t begin = b == 0 ? 0 : end[b - 1], length = end[b] - begin;
		if (length < 2) {
			continue;
		}
		if (length <= INSERTION) {
			insertion_sort(s, items + begin, length);
		} else if (shift > 0) {
			flag_sort(s, items + begin, length, shift - 8);
		} else {
			qsort_r(items + begin, length, sizeof *items, compare_items,
			    (void *)s);
		}
	}
}

int
reduce_sort(const struct reduce *r, const struct intern *texts, uint32_t **ret_order)
{
	struct sorter s = {.reduce = r, .shape = *reduce_shape_of(r)};
	uint64_t count = reduce_count(r);
	struct item *items = malloc((count + 1) * sizeof *items);
	uint32_t *ranks = NULL;
	uint32_t *order;
	int rc = -ENOMEM;

	if (items == NULL) {
		goto out;
	}
	if (s.shape.text_count > 0) {
		ranks = malloc((intern_count(texts) + 1) * sizeof *ranks);
		if (ranks == NULL || intern_ranks(texts, ranks) < 0) {
			goto out;
		}
		s.ranks = ranks;
	}
	if (count > 0) {
		choose_places(&s);
		fill_items(&s, items);
		if (count <= INSERTION) {
			insertion_sort(&s, items, count);
		} else {
			flag_sort(&s, items, count, 56);
		}
	}
	/* Numbers move to the front of the same memory. */
	order = (uint32_t *)(void *)items;
	for (uint64_t i = 0; i < count; i++) {
		uint32_t number = items[i].number;
		memcpy(&order[i], &number, sizeof number);
	}
	*ret_order = order;
	items = NULL;
	rc = 0;
out:
	free(items);
	free(ranks);
	return rc;
}
