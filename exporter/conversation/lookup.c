#include "exporter/conversation/lookup.h"

#include <errno.h>

#include "common/base/pages.h"

#define FIRST_SLOTS 4096u /* 32 KiB */

int
lookup_init(struct lookup *l)
{
	*l = (struct lookup){.slots = pages_new(FIRST_SLOTS * sizeof(uint64_t)),
	    .mask = FIRST_SLOTS - 1};
	return l->slots == NULL ? -ENOMEM : 0;
}

void
lookup_done(struct lookup *l)
{
	pages_free(l->slots, ((uint64_t)l->mask + 1) * sizeof *l->slots);
	*l = (struct lookup){0};
}

static void
place(struct lookup *l, uint64_t slot)
{
	uint32_t at = (uint32_t)(slot >> 32) & l->mask;

	while (l->slots[at] != 0) {
		at = (at + 1) & l->mask;
	}
	l->slots[at] = slot;
}

static int
grow(struct lookup *l)
{
	struct lookup bigger = {.used = l->used};
	uint64_t count = ((uint64_t)l->mask + 1) * 2;

	if (count > (uint64_t)1 << 32) {
		return -ENOMEM;
	}
	bigger.mask = (uint32_t)(count - 1);
	bigger.slots = pages_new(count * sizeof *bigger.slots);
	if (bigger.slots == NULL) {
		return -ENOMEM;
	}
	for (uint64_t i = 0; i <= l->mask; i++) {
		if (l->slots[i] != 0) {
			place(&bigger, l->slots[i]);
		}
	}
	pages_free(l->slots, ((uint64_t)l->mask + 1) * sizeof *l->slots);
	*l = bigger;
	return 0;
}

int
lookup_reserve(struct lookup *l)
{
	uint64_t count = (uint64_t)l->mask + 1;

	return l->used + (uint64_t)1 > count / 8 * 5 ? grow(l) : 0;
}

int
lookup_add(struct lookup *l, uint32_t hash, uint32_t number)
{
	int rc = lookup_reserve(l);

	if (rc < 0) {
		return rc;
	}
	place(l, (uint64_t)hash << 32 | (number + 1));
	l->used++;
	return 0;
}

/* Deletes without tombstones: every later slot of the same run that would no longer be
 * found across the hole moves back into it (Knuth 6.4, algorithm R). */
void
lookup_remove(struct lookup *l, uint32_t hash, uint32_t number)
{
	uint64_t wanted = (uint64_t)hash << 32 | (number + 1);
	uint32_t hole = hash & l->mask;

	while (l->slots[hole] != wanted) {
		if (l->slots[hole] == 0) {
			return;
		}
		hole = (hole + 1) & l->mask;
	}
	for (uint32_t at = (hole + 1) & l->mask; l->slots[at] != 0;
	     at = (at + 1) & l->mask) {
		uint32_t home = (uint32_t)(l->slots[at] >> 32) & l->mask;
		if (((at - home) & l->mask) >= ((at - hole) & l->mask)) {
			l->slots[hole] = l->slots[at];
			hole = at;
		}
	}
	l->slots[hole] = 0;
	l->used--;
}
