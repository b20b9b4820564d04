/* Hash -> entry number, for the conversation table: open addressing with linear probing
 * over 8-byte slots {hash, number}.  Does not know keys: the caller compares them.
 * Grows by doubling without touching the entries, because each slot holds the full
 * hash.
 * Threads: the table's owner.  Memory: 8 bytes a slot, at most 5/8 of them used. */
#ifndef EXPORTER_CONVERSATION_LOOKUP_H
#define EXPORTER_CONVERSATION_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#define LOOKUP_NONE UINT32_MAX

struct lookup {
	uint64_t *slots; /* hash << 32 | number + 1; 0: free */
	uint32_t mask;
	uint32_t used;
};

int lookup_init(struct lookup *l); /* 0 or -ENOMEM */
void lookup_done(struct lookup *l);
/* Number below LOOKUP_NONE - 1.  0, or -ENOMEM when it would have to grow and cannot.
 */
int lookup_add(struct lookup *l, uint32_t hash, uint32_t number);
/* Makes sure that the next lookup_add() succeeds.  0 or -ENOMEM. */
int lookup_reserve(struct lookup *l);
void lookup_remove(struct lookup *l, uint32_t hash, uint32_t number);

static inline void
lookup_prefetch(const struct lookup *l, uint32_t hash)
{
	__builtin_prefetch(&l->slots[hash & l->mask]);
}

/* The next number under this hash, or LOOKUP_NONE.  *at starts as the hash. */
static inline uint32_t
lookup_next(const struct lookup *l, uint32_t hash, uint32_t *at)
{
	for (;;) {
		uint64_t slot = l->slots[(*at)++ & l->mask];
		if (slot == 0) {
			return LOOKUP_NONE;
		}
		if (slot >> 32 == hash) {
			return (uint32_t)slot - 1;
		}
	}
}

#endif
