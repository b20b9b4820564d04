#include "exporter/decode/decode_fragment.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/hash.h"

enum { FRAGMENTS_MAX = 1024, FRAGMENTS_BUCKETS = 2048 };
#define FRAGMENT_LIFE (30 * NS_PER_SECOND)
#define NONE          UINT16_MAX

struct fragment {
	struct fragment_key key;
	struct fragment_ends ends;
	uint16_t next; /* in the bucket; NONE: last */
	uint16_t bucket;
	uint64_t time_ns;
};

/* A ring in order of arrival, where the next fragment replaces the oldest, and hash
 * chains through it, newest first, so that a reused id finds the newest. */
struct fragments {
	uint64_t seed;
	uint32_t next, count;
	uint16_t bucket[FRAGMENTS_BUCKETS];
	struct fragment ring[FRAGMENTS_MAX];
};

struct fragments *
fragments_new(void)
{
	struct fragments *f = calloc(1, sizeof *f);

	if (f == NULL) {
		return NULL;
	}
	f->seed = hash_seed();
	memset(f->bucket, 0xff, sizeof f->bucket); /* NONE */
	return f;
}

void
fragments_free(struct fragments *f)
{
	free(f);
}

static uint16_t
bucket_of(const struct fragments *f, const struct fragment_key *key)
{
	return hash_bytes(key, sizeof *key, f->seed) % FRAGMENTS_BUCKETS;
}

static void
unlink_at(struct fragments *f, uint16_t i)
{
	uint16_t *link = &f->bucket[f->ring[i].bucket];

	while (*link != i) {
		link = &f->ring[*link].next;
	}
	*link = f->ring[i].next;
}

void
fragments_add(struct fragments *f, const struct fragment_key *key,
    const struct fragment_ends *ends, uint64_t time_ns)
{
	uint16_t i = (uint16_t)f->next;
	struct fragment *new = &f->ring[i];

	if (f->count == FRAGMENTS_MAX) {
		unlink_at(f, i);
	} else {
		f->count++;
	}
	f->next = (f->next + 1) % FRAGMENTS_MAX;
	new->key = *key;
	new->ends = *ends;
	new->time_ns = time_ns;
	new->bucket = bucket_of(f, key);
	new->next = f->bucket[new->bucket];
	f->bucket[new->bucket] = i;
}

const struct fragment_ends *
fragments_find(
    const struct fragments *f, const struct fragment_key *key, uint64_t time_ns)
{
	uint16_t i = f->bucket[bucket_of(f, key)];

	for (; i != NONE; i = f->ring[i].next) {
		const struct fragment *at = &f->ring[i];
		if (memcmp(&at->key, key, sizeof *key) == 0) {
			return time_ns <= at->time_ns + FRAGMENT_LIFE ? &at->ends
								      : NULL;
		}
	}
	return NULL;
}
