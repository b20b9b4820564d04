#include "collector/rows/intern.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/utf8.h"

struct entry {
	uint32_t offset; /* of the text in the arena */
	uint16_t length;
	uint16_t raw_length; /* before cutting; 0xffff: this long or longer */
	uint64_t hash;       /* of the bytes before cleaning and cutting */
};

struct intern {
	uint64_t seed;
	char *arena;
	size_t used, capacity;
	struct entry *entries;
	uint32_t count, entry_capacity;
	uint32_t *slots; /* number + 1; 0: free */
	uint32_t slot_count;
	uint64_t failures;
};

static int
grow(void **array, size_t size, size_t count)
{
	void *p = realloc(*array, size * count);
	if (p == NULL) {
		return -ENOMEM;
	}
	*array = p;
	return 0;
}

static int
grow_slots(struct intern *s, uint32_t count)
{
	uint32_t *slots = calloc(count, sizeof *slots);

	if (slots == NULL) {
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < s->count; i++) {
		uint32_t at = (uint32_t)s->entries[i].hash & (count - 1);
		while (slots[at] != 0) {
			at = (at + 1) & (count - 1);
		}
		slots[at] = i + 1;
	}
	free(s->slots);
	s->slots = slots;
	s->slot_count = count;
	return 0;
}

struct intern *
intern_new(void)
{
	struct intern *s = calloc(1, sizeof *s);

	if (s == NULL) {
		return NULL;
	}
	s->seed = hash_seed();
	s->capacity = 4096;
	s->entry_capacity = 64;
	s->arena = malloc(s->capacity);
	s->entries = calloc(s->entry_capacity, sizeof *s->entries);
	if (s->arena == NULL || s->entries == NULL || grow_slots(s, 256) < 0) {
		intern_free(s);
		return NULL;
	}
	intern_clear(s);
	return s;
}

void
intern_free(struct intern *s)
{
	if (s != NULL) {
		free(s->arena);
		free(s->entries);
		free(s->slots);
		free(s);
	}
}

/* Writes at most `most` bytes of valid UTF-8 to out, '?' for each invalid byte.
 * Returns their count. */
static size_t
clean(const uint8_t *bytes, size_t length, size_t most, char *out)
{
	size_t n = 0, step;

	for (size_t i = 0; i < length && bytes[i] != 0; i += step) {
		step = utf8_length(bytes + i, length - i);
		if (n + (step == 0 ? 1 : step) > most) {
			break;
		}
		if (step == 0) {
			out[n++] = '?';
			step = 1;
		} else {
			memcpy(out + n, bytes + i, step);
			n += step;
		}
	}
	return n;
}

static bool
has_room(struct intern *s, size_t most)
{
	if (s->used + most + 1 > s->capacity) {
		if (s->capacity >= UINT32_MAX / 2 ||
		    grow((void **)&s->arena, 1, s->capacity * 2 + most) < 0) {
			return false;
		}
		s->capacity = s->capacity * 2 + most;
	}
	if (s->count == s->entry_capacity) {
		if (grow((void **)&s->entries, sizeof *s->entries,
			(size_t)s->entry_capacity * 2) < 0) {
			return false;
		}
		s->entry_capacity *= 2;
	}
	return s->count * 2 < s->slot_count || grow_slots(s, s->slot_count * 2) == 0;
}

/* Where the text with this hash is, or would be. */
static uint32_t
find_slot(const struct intern *s, uint64_t hash, uint16_t raw_length)
{
	uint32_t at = (uint32_t)hash & (s->slot_count - 1);

	while (s->slots[at] != 0) {
		const struct entry *e = &s->entries[s->slots[at] - 1];
		if (e->hash == hash && e->raw_length == raw_length) {
			break;
		}
		at = (at + 1) & (s->slot_count - 1);
	}
	return at;
}

/* Texts are told apart by the 64-bit seeded hash of what came and, short of 64 KiB, its
 * length: nobody outside can make two texts meet, and chance will not. */
static uint32_t
add(struct intern *s, const void *bytes, size_t length, size_t most)
{
	/* A text that is kept whole is another than the same one cut. */
	uint64_t seed = length > INTERN_MAX && most > INTERN_MAX ? ~s->seed : s->seed;
	uint64_t hash = hash_bytes(bytes, length, seed);
	uint16_t raw_length = length < 0xffff ? (uint16_t)length : 0xffff;
	uint32_t at = find_slot(s, hash, raw_length);
	struct entry *e;

	if (s->slots[at] != 0) {
		return s->slots[at] - 1;
	}
	if (!has_room(s, most)) {
		s->failures++;
		return INTERN_NONE;
	}
	e = &s->entries[s->count];
	*e = (struct entry){
	    .offset = (uint32_t)s->used, .raw_length = raw_length, .hash = hash};
	e->length = (uint16_t)clean(bytes, length, most, s->arena + s->used);
	s->arena[s->used + e->length] = '\0';
	s->used += e->length + 1u;
	/* has_room() may have added slots. */
	s->slots[find_slot(s, hash, raw_length)] = ++s->count;
	return s->count - 1;
}

uint32_t
intern_add(struct intern *s, const void *bytes, size_t length)
{
	return add(s, bytes, length, INTERN_MAX);
}

uint32_t
intern_add_long(struct intern *s, const void *bytes, size_t length)
{
	return add(s, bytes, length, INTERN_LONG_MAX);
}

const char *
intern_text(const struct intern *s, uint32_t id, size_t *ret_length)
{
	const struct entry *e = &s->entries[id < s->count ? id : 0];

	if (ret_length != NULL) {
		*ret_length = e->length;
	}
	return s->arena + e->offset;
}

uint64_t
intern_failures(const struct intern *s)
{
	return s->failures;
}

uint32_t
intern_count(const struct intern *s)
{
	return s->count;
}

size_t
intern_bytes(const struct intern *s)
{
	return s->used + s->count * (sizeof(struct entry) + 2 * sizeof(uint32_t));
}

void
intern_clear(struct intern *s)
{
	s->used = 0;
	s->count = 0;
	memset(s->slots, 0, s->slot_count * sizeof *s->slots);
	intern_add(s, "", 0);
}

/* A text that lies in the arena, in or behind the place where the next one goes. */
static uint32_t
add_again(struct intern *s, const struct entry *old)
{
	char *text = s->arena + old->offset;
	uint64_t seed = old->length > INTERN_MAX ? ~s->seed : s->seed;
	uint64_t hash = hash_bytes(text, old->length, seed);
	uint32_t at = find_slot(s, hash, old->length);

	if (s->slots[at] == 0) {
		s->entries[s->count] = (struct entry){.offset = (uint32_t)s->used,
		    .length = old->length,
		    .raw_length = old->length,
		    .hash = hash};
		memmove(s->arena + s->used, text, old->length + 1u);
		s->used += old->length + 1u;
		s->slots[at] = ++s->count;
	}
	return s->slots[at] - 1;
}

void
intern_keep(struct intern *s, uint32_t *marks)
{
	uint32_t count = s->count;

	marks[0] = 1; /* "" is always there */
	s->used = 0;
	s->count = 0;
	memset(s->slots, 0, s->slot_count * sizeof *s->slots);
	for (uint32_t i = 0; i < count; i++) {
		struct entry old = s->entries[i];
		if (marks[i] != 0) {
			marks[i] = add_again(s, &old);
		}
	}
}

static int
compare_texts(const void *a, const void *b, void *data)
{
	const struct intern *s = data;
	return strcmp(intern_text(s, *(const uint32_t *)a, NULL),
	    intern_text(s, *(const uint32_t *)b, NULL));
}

int
intern_ranks(const struct intern *s, uint32_t *ret)
{
	uint32_t *order = malloc(s->count * sizeof *order);

	if (order == NULL) {
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < s->count; i++) {
		order[i] = i;
	}
	qsort_r(order, s->count, sizeof *order, compare_texts, (void *)s);
	for (uint32_t i = 0; i < s->count; i++) {
		ret[order[i]] = i;
	}
	free(order);
	return 0;
}
