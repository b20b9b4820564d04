/* Bounded hand-over of pointers from one thread to one other thread.
 * Back-pressure: ring_push() waits while the ring is full, ring_try_push() returns
 * -EAGAIN.  Waiting is by futex, never by polling; an uncontended push or pop makes no
 * system call. */
#ifndef COMMON_BASE_RING_H
#define COMMON_BASE_RING_H

#include <stdbool.h>
#include <stdint.h>

struct ring;

/* capacity is rounded up to a power of two.  NULL: no memory. */
struct ring *ring_new(unsigned capacity);
void ring_free(struct ring *r);                /* what is inside stays the caller's */
int ring_try_push(struct ring *r, void *item); /* 0 or -EAGAIN */
void ring_push(struct ring *r, void *item);
/* The oldest item; waits at most timeout_ns (UINT64_MAX: for ever).  NULL: nothing
 * came, or the ring is closed and empty. */
void *ring_pop(struct ring *r, uint64_t timeout_ns);
/* No more pushes will come: poppers drain, then get NULL at once. */
void ring_close(struct ring *r);
bool ring_is_closed(const struct ring *r); /* closed and empty */

#endif
