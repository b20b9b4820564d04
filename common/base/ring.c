#include "common/base/ring.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"

#define CACHE_LINE   64
#define CAPACITY_MAX (1U << 30)

/* Indexes count items for ever and wrap at 2^32; an item lies at index & mask.  Each
 * side writes its own index and keeps an old copy of the other's, which it refreshes
 * only when the copy says full or empty, so that in steady state neither side touches
 * the other's cache line.
 *
 * Sleeping: a side announces itself in its `sleeps` word, looks at the ring once more,
 * then waits for that word to leave 1.  The other side publishes its index first and
 * looks at the word afterwards.  Both steps are sequentially consistent, so one of the
 * two always sees the other and no wake-up is lost. */
struct side {
	alignas(CACHE_LINE) _Atomic uint32_t index;  /* written by this side */
	uint32_t other;                              /* last seen index of the other */
	alignas(CACHE_LINE) _Atomic uint32_t sleeps; /* futex word; 1: waits */
};

struct ring {
	struct side producer, consumer;
	alignas(CACHE_LINE) _Atomic uint32_t closed;
	uint32_t mask;
	void *items[];
};

static long
futex(_Atomic uint32_t *word, int operation, uint32_t value, const struct timespec *t)
{
	return syscall(SYS_futex, (uint32_t *)word, operation | FUTEX_PRIVATE_FLAG,
	    value, t, NULL, 0);
}

static void
wake(struct side *s)
{
	if (atomic_load(&s->sleeps) != 0) {
		atomic_store(&s->sleeps, 0);
		futex(&s->sleeps, FUTEX_WAKE, 1, NULL);
	}
}

struct ring *
ring_new(unsigned capacity)
{
	uint32_t n = 1;
	size_t bytes;
	struct ring *r;

	if (capacity > CAPACITY_MAX) {
		return NULL;
	}
	while (n < capacity) {
		n *= 2;
	}
	bytes = sizeof *r + n * sizeof r->items[0];
	bytes = (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	r = aligned_alloc(CACHE_LINE, bytes);
	if (r == NULL) {
		return NULL;
	}
	r->producer.other = r->consumer.other = 0;
	atomic_init(&r->producer.index, 0);
	atomic_init(&r->consumer.index, 0);
	atomic_init(&r->producer.sleeps, 0);
	atomic_init(&r->consumer.sleeps, 0);
	atomic_init(&r->closed, 0);
	r->mask = n - 1;
	return r;
}

void
ring_free(struct ring *r)
{
	free(r);
}

int
ring_try_push(struct ring *r, void *item)
{
	uint32_t tail = atomic_load_explicit(&r->producer.index, memory_order_relaxed);

	if (tail - r->producer.other > r->mask) {
		r->producer.other = atomic_load(&r->consumer.index);
		if (tail - r->producer.other > r->mask) {
			return -EAGAIN;
		}
	}
	r->items[tail & r->mask] = item;
	atomic_store(&r->producer.index, tail + 1);
	wake(&r->consumer);
	return 0;
}

void
ring_push(struct ring *r, void *item)
{
	while (ring_try_push(r, item) < 0) {
		atomic_store(&r->producer.sleeps, 1);
		if (ring_try_push(r, item) == 0) {
			atomic_store(&r->producer.sleeps, 0);
			return;
		}
		futex(&r->producer.sleeps, FUTEX_WAIT, 1, NULL);
	}
}

static bool
take(struct ring *r, void **ret)
{
	uint32_t head = atomic_load_explicit(&r->consumer.index, memory_order_relaxed);

	if (head == r->consumer.other) {
		r->consumer.other = atomic_load(&r->producer.index);
		if (head == r->consumer.other) {
			return false;
		}
	}
	*ret = r->items[head & r->mask];
	atomic_store(&r->consumer.index, head + 1);
	wake(&r->producer);
	return true;
}

/* Waits until the producer or ring_close() wakes us, or deadline (monotonic).  False
 * when the time is over. */
static bool
sleep_until(struct side *s, uint64_t deadline)
{
	struct timespec t;
	uint64_t now;

	if (deadline == UINT64_MAX) {
		futex(&s->sleeps, FUTEX_WAIT, 1, NULL);
		return true;
	}
	now = clock_monotonic_ns();
	if (now >= deadline) {
		return false;
	}
	t.tv_sec = (time_t)((deadline - now) / NS_PER_SECOND);
	t.tv_nsec = (long)((deadline - now) % NS_PER_SECOND);
	futex(&s->sleeps, FUTEX_WAIT, 1, &t);
	return true;
}

void *
ring_pop(struct ring *r, uint64_t timeout_ns)
{
	uint64_t deadline = 0;
	void *item = NULL;

	if (take(r, &item) || timeout_ns == 0) {
		return item;
	}
	if (timeout_ns == UINT64_MAX ||
	    __builtin_add_overflow(clock_monotonic_ns(), timeout_ns, &deadline)) {
		deadline = UINT64_MAX;
	}
	for (;;) {
		/* closed is read before the ring: what was pushed before is found */
		bool is_closed;
		atomic_store(&r->consumer.sleeps, 1);
		is_closed = atomic_load(&r->closed) != 0;
		if (take(r, &item) || is_closed ||
		    !sleep_until(&r->consumer, deadline)) {
			break;
		}
	}
	atomic_store(&r->consumer.sleeps, 0);
	return item;
}

void
ring_close(struct ring *r)
{
	atomic_store(&r->closed, 1);
	wake(&r->consumer);
}

bool
ring_is_closed(const struct ring *r)
{
	return atomic_load(&r->closed) != 0 &&
	       atomic_load(&r->producer.index) == atomic_load(&r->consumer.index);
}
