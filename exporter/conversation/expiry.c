#include "exporter/conversation/expiry.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/clock.h"

#define BLOCK_ENTRIES 510u
#define CACHE_LINE    64u
#define LOOK_AHEAD    12u /* entries: as far as memory latency asks for */

struct expiry_block {
	struct expiry_block *next;
	uint64_t used;
	uint64_t entries[BLOCK_ENTRIES]; /* generation << 32 | number */
};
_Static_assert(sizeof(struct expiry_block) == 4096, "a block is a page");

void
expiry_init(struct expiry *x, uint64_t horizon_ns, const void *base, size_t stride)
{
	uint64_t slot_ns = horizon_ns / (EXPIRY_SLOTS - 4) / NS_PER_SECOND + 1;

	*x = (struct expiry){
	    .slot_ns = slot_ns * NS_PER_SECOND, .base = base, .stride = stride};
}

static void
blocks_free(struct expiry_block *b)
{
	while (b != NULL) {
		struct expiry_block *next = b->next;
		free(b);
		b = next;
	}
}

void
expiry_done(struct expiry *x)
{
	for (unsigned i = 0; i < EXPIRY_SLOTS; i++) {
		blocks_free(x->slots[i]);
	}
	blocks_free(x->spare);
	*x = (struct expiry){0};
}

uint64_t
expiry_span(const struct expiry *x)
{
	return EXPIRY_SLOTS * x->slot_ns;
}

void
expiry_start(struct expiry *x, uint64_t now_ns)
{
	x->at = now_ns / x->slot_ns;
}

/* The slot's first block, with room for one more entry; NULL: no memory. */
static struct expiry_block *
slot_block(struct expiry *x, unsigned slot)
{
	struct expiry_block *b = x->slots[slot];

	if (b != NULL && b->used < BLOCK_ENTRIES) {
		return b;
	}
	b = x->spare;
	if (b != NULL) {
		x->spare = b->next;
	} else {
		b = malloc(sizeof *b);
		if (b == NULL) {
			return NULL;
		}
	}
	b->used = 0;
	b->next = x->slots[slot];
	x->slots[slot] = b;
	return b;
}

int
expiry_push(struct expiry *x, uint32_t number, uint16_t generation, uint64_t due_ns)
{
	uint64_t slot = due_ns / x->slot_ns + 1;
	struct expiry_block *b;

	if (slot < x->at) {
		slot = x->at;
	} else if (slot >= x->at + EXPIRY_SLOTS) {
		slot = x->at + EXPIRY_SLOTS - 1;
	}
	b = slot_block(x, slot % EXPIRY_SLOTS);
	if (b == NULL) {
		return -ENOMEM;
	}
	b->entries[b->used++] = (uint64_t)generation << 32 | number;
	x->count++;
	return 0;
}

bool
expiry_take(
    struct expiry *x, uint64_t now_ns, struct expiry_entry *ret, uint64_t *ret_slot_ns)
{
	uint64_t until = now_ns == UINT64_MAX ? UINT64_MAX : now_ns / x->slot_ns;
	struct expiry_block *b;
	uint64_t entry;

	if (x->count == 0) {
		if (now_ns != UINT64_MAX && until > x->at) {
			x->at = until;
		}
		return false;
	}
	while ((b = x->slots[x->at % EXPIRY_SLOTS]) == NULL) {
		if (x->at >= until) {
			return false;
		}
		x->at++;
	}
	if (x->at > until) {
		return false;
	}
	entry = b->entries[--b->used];
	if (b->used >= LOOK_AHEAD) {
		uint32_t later = (uint32_t)b->entries[b->used - LOOK_AHEAD];
		for (size_t i = 0; i < x->stride; i += CACHE_LINE) {
			__builtin_prefetch(x->base + later * x->stride + i, 1);
		}
	}
	if (b->used == 0) {
		x->slots[x->at % EXPIRY_SLOTS] = b->next;
		b->next = x->spare;
		x->spare = b;
	}
	x->count--;
	ret->number = (uint32_t)entry;
	ret->generation = (uint16_t)(entry >> 32);
	*ret_slot_ns = x->at * x->slot_ns;
	return true;
}

static void
block_compact(struct expiry *x, struct expiry_block *b,
    bool (*alive)(const struct expiry_entry *e, void *data), void *data)
{
	uint64_t kept = 0;

	for (uint64_t i = 0; i < b->used; i++) {
		struct expiry_entry e = {
		    (uint32_t)b->entries[i], (uint16_t)(b->entries[i] >> 32)};
		if (alive(&e, data)) {
			b->entries[kept++] = b->entries[i];
		}
	}
	x->count -= b->used - kept;
	b->used = kept;
}

/* Puts b's entries behind those of *list, whose first block may have room; only the
 * first block of a slot is ever partly filled. */
static void
block_merge(struct expiry *x, struct expiry_block **list, struct expiry_block *b)
{
	struct expiry_block *first = *list;

	while (first != NULL && first->used < BLOCK_ENTRIES && b->used > 0) {
		first->entries[first->used++] = b->entries[--b->used];
	}
	if (b->used > 0) {
		b->next = first;
		*list = b;
	} else {
		b->next = x->spare;
		x->spare = b;
	}
}

void
expiry_compact(struct expiry *x,
    bool (*alive)(const struct expiry_entry *e, void *data), void *data)
{
	for (unsigned i = 0; i < EXPIRY_SLOTS; i++) {
		struct expiry_block *b = x->slots[i];
		x->slots[i] = NULL;
		while (b != NULL) {
			struct expiry_block *next = b->next;
			block_compact(x, b, alive, data);
			block_merge(x, &x->slots[i], b);
			b = next;
		}
	}
}
