/* A timing wheel of vectors: when to look at which conversation again.  A packet never
 * touches it: each live conversation has an entry at a deadline it once had, and when
 * that comes, the caller takes the entry, computes the real deadline, and pushes it
 * again or ends the conversation.  Entries of ended conversations stay until they are
 * taken; a generation tells them from those of their successors.
 * Threads: the table's owner.  Memory: 8 bytes an entry, in blocks of 4 KiB that go
 * from slot to slot. */
#ifndef EXPORTER_CONVERSATION_EXPIRY_H
#define EXPORTER_CONVERSATION_EXPIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPIRY_SLOTS 512u

struct expiry_block;

struct expiry_entry {
	uint32_t number;
	uint16_t generation;
};

struct expiry {
	struct expiry_block *slots[EXPIRY_SLOTS];
	struct expiry_block *spare;
	uint64_t slot_ns; /* width of a slot */
	uint64_t at; /* slots before this one (in slot widths since 1970) are empty */
	uint64_t count; /* entries, stale ones too */
	/* Entry `number` is at base + number * stride, and prefetched. */
	const char *base;
	size_t stride;
};

/* horizon_ns: no deadline is further away than this. */
void expiry_init(
    struct expiry *x, uint64_t horizon_ns, const void *base, size_t stride);
void expiry_done(struct expiry *x);
/* What the wheel can hold: no deadline, as it was pushed, is further away. */
uint64_t expiry_span(const struct expiry *x);
/* Where time begins.  The wheel must be empty. */
void expiry_start(struct expiry *x, uint64_t now_ns);
/* 0 or -ENOMEM.  A deadline in the past is looked at next. */
int expiry_push(
    struct expiry *x, uint32_t number, uint16_t generation, uint64_t due_ns);
/* Takes one entry whose slot lies wholly before now_ns, earliest slot first;
 * UINT64_MAX: the earliest there is.  *ret_slot_ns is the end of its slot: the deadline
 * it was pushed with is not later. */
bool expiry_take(
    struct expiry *x, uint64_t now_ns, struct expiry_entry *ret, uint64_t *ret_slot_ns);
/* Drops every entry for which alive() says false. */
void expiry_compact(struct expiry *x,
    bool (*alive)(const struct expiry_entry *e, void *data), void *data);

#endif
