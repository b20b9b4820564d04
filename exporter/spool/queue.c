#include "exporter/spool/queue.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/ipfix/message.h"

#define BYTES_PER_SLOT 256u /* of the ring; shorter messages exhaust the slots first */
#define SLOTS_LEAST    4096u

struct slot {
	uint64_t position, total;
	uint32_t records, data;
};

/* The bytes are mapped twice in a row, so that every message and every gather is
 * contiguous.  A ring of slots holds what is known of each message. */
struct queue {
	uint8_t *bytes;
	size_t capacity;
	struct slot *slots;
	uint64_t slot_count;
	uint64_t total;              /* the pusher's: data records */
	bool (*may_wait)(void *arg); /* NULL: pushes never wait */
	void *may_wait_arg;
	int fd;
	_Atomic uint64_t head, tail; /* bytes ever released and pushed */
	_Atomic uint64_t first, end; /* the same in messages */
	_Atomic uint64_t wake_at; /* the taker sleeps until this many bytes; 0: awake */
	_Atomic uint32_t space_turn; /* futex of a waiting push */
	_Atomic bool wants_space, is_hurried, is_over;
};

/* Maps the same memory twice in a row; NULL: errno. */
static uint8_t *
map_twice(size_t capacity)
{
	int fd = memfd_create("queue", MFD_CLOEXEC);
	uint8_t *p = MAP_FAILED, *q = MAP_FAILED;

	if (fd < 0) {
		return NULL;
	}
	if (ftruncate(fd, (off_t)capacity) == 0) {
		p = mmap(
		    NULL, 2 * capacity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	if (p != MAP_FAILED) {
		q = mmap(
		    p, capacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
		if (q != MAP_FAILED) {
			q = mmap(p + capacity, capacity, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_FIXED, fd, 0);
		}
		if (q == MAP_FAILED) {
			munmap(p, 2 * capacity);
		}
	}
	close(fd);
	return q == MAP_FAILED ? NULL : p;
}

struct queue *
queue_new(uint64_t capacity)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct queue *q = calloc(1, sizeof *q);

	if (q == NULL) {
		return NULL;
	}
	if (capacity < 4 * QUEUE_GATHER) {
		capacity = 4 * QUEUE_GATHER;
	}
	q->capacity = ((size_t)capacity + page - 1) / page * page;
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->slot_count = q->capacity / BYTES_PER_SLOT + SLOTS_LEAST;
	q->slots = calloc(q->slot_count, sizeof *q->slots);
	if (q->fd >= 0 && q->slots != NULL) {
		q->bytes = map_twice(q->capacity);
	}
	if (q->bytes == NULL) {
		int code = errno;
		queue_free(q);
		errno = code;
		q = NULL;
	}
	return q;
}

void
queue_free(struct queue *q)
{
	if (q == NULL) {
		return;
	}
	if (q->bytes != NULL) {
		munmap(q->bytes, 2 * q->capacity);
	}
	if (q->fd >= 0) {
		close(q->fd);
	}
	free(q->slots);
	free(q);
}

size_t
queue_capacity(const struct queue *q)
{
	return q->capacity;
}

uint64_t
queue_most_messages(const struct queue *q)
{
	return q->slot_count;
}

static uint8_t *
at(const struct queue *q, uint64_t position)
{
	return q->bytes + position % q->capacity;
}

uint64_t
queue_bytes(struct queue *q)
{
	/* Head first: tail is never behind it. */
	uint64_t head = atomic_load(&q->head);

	return atomic_load(&q->tail) - head;
}

void
queue_wake(struct queue *q)
{
	uint64_t one = 1;
	ssize_t n = write(q->fd, &one, sizeof one);

	(void)n; /* fails only if it is readable already */
}

static void
wake_pusher(struct queue *q)
{
	atomic_fetch_add(&q->space_turn, 1);
	syscall(SYS_futex, &q->space_turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Pushing. */

static bool
has_room(struct queue *q, size_t length)
{
	return q->capacity - queue_bytes(q) >= length &&
	       atomic_load(&q->end) - atomic_load(&q->first) < q->slot_count;
}

static bool
is_full(struct queue *q, size_t length)
{
	return !has_room(q, length) && !atomic_load(&q->is_hurried) &&
	       !atomic_load(&q->is_over);
}

/* Sleeps until the taker makes room, a signal arrives or a second has passed, because a
 * signal may arrive just before the sleep. */
static void
wait_for_room(struct queue *q, size_t length)
{
	const struct timespec second = {.tv_sec = 1};
	uint32_t turn = atomic_load(&q->space_turn);

	atomic_store(&q->wants_space, true);
	if (is_full(q, length)) {
		syscall(SYS_futex, &q->space_turn, FUTEX_WAIT_PRIVATE, turn, &second,
		    NULL, 0);
	}
	atomic_store(&q->wants_space, false);
}

void
queue_set_wait(struct queue *q, bool (*may_wait)(void *arg), void *arg)
{
	q->may_wait = may_wait;
	q->may_wait_arg = arg;
}

bool
queue_push(struct queue *q, const uint8_t *message, size_t length, uint32_t records,
    uint32_t data)
{
	uint64_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
	uint64_t end = atomic_load_explicit(&q->end, memory_order_relaxed);
	uint64_t wake;

	while (
	    is_full(q, length) && q->may_wait != NULL && q->may_wait(q->may_wait_arg)) {
		wait_for_room(q, length);
	}
	if (atomic_load(&q->is_over) || !has_room(q, length)) {
		return false;
	}
	memcpy(at(q, tail), message, length);
	q->slots[end % q->slot_count] = (struct slot){tail, q->total, records, data};
	q->total += data;
	atomic_store(&q->tail, tail + length);
	atomic_store(&q->end, end + 1);
	wake = atomic_load(&q->wake_at);
	if (wake != 0 && tail + length >= wake &&
	    atomic_exchange(&q->wake_at, 0) != 0) {
		queue_wake(q);
	}
	return true;
}

void
queue_hurry(struct queue *q)
{
	atomic_store(&q->is_hurried, true);
	wake_pusher(q);
	queue_wake(q);
}

bool
queue_is_hurried(struct queue *q)
{
	return atomic_load(&q->is_hurried);
}

void
queue_end(struct queue *q)
{
	atomic_store(&q->is_over, true);
	wake_pusher(q);
}

bool
queue_is_over(struct queue *q)
{
	return atomic_load(&q->is_over);
}

/* Taking. */

uint64_t
queue_first(struct queue *q)
{
	return atomic_load_explicit(&q->first, memory_order_relaxed);
}

uint64_t
queue_end_index(struct queue *q)
{
	return atomic_load_explicit(&q->end, memory_order_acquire);
}

void
queue_look(struct queue *q, uint64_t i, struct queue_message *ret)
{
	const struct slot *s = &q->slots[i % q->slot_count];
	uint8_t *bytes = at(q, s->position);

	*ret = (struct queue_message){
	    .bytes = bytes,
	    .length = message_size(bytes),
	    .position = s->position,
	    .records = s->records,
	    .data = s->data,
	    .total = s->total,
	};
}

uint64_t
queue_pushed(struct queue *q)
{
	return atomic_load_explicit(&q->tail, memory_order_acquire);
}

/* Where message i - 1 ends. */
static uint64_t
end_position(struct queue *q, uint64_t i)
{
	uint64_t position = q->slots[(i - 1) % q->slot_count].position;

	return position + message_size(at(q, position));
}

void
queue_release(struct queue *q, uint64_t i)
{
	if (i == queue_first(q)) {
		return;
	}
	atomic_store(&q->head, end_position(q, i));
	atomic_store(&q->first, i);
	/* Only when half empty, so that the two sides do not wake each other for every
	 * message. */
	if (atomic_load(&q->wants_space) && queue_bytes(q) <= q->capacity / 2) {
		wake_pusher(q);
	}
}

/* Sleeping. */

int
queue_fd(const struct queue *q)
{
	return q->fd;
}

bool
queue_doze(struct queue *q, uint64_t pushed)
{
	atomic_store(&q->wake_at, pushed);
	/* Sequentially consistent: either the push sees wake_at, or this load sees the
	 * push. */
	return atomic_load(&q->tail) < pushed;
}

void
queue_rise(struct queue *q)
{
	uint64_t ignored;
	ssize_t n;

	atomic_store(&q->wake_at, 0);
	n = read(q->fd, &ignored, sizeof ignored);
	(void)n;
}
