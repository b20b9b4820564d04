#include "exporter/queue.h"

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

#include "common/cursor.h"
#include "common/message.h"

#define IN_FLIGHT   4096u /* messages numbered but not yet taken; a power of two */
#define SEQUENCE_AT 8     /* in the message header */

/* The bytes are mapped twice in a row, so that every message and every gather is
 * contiguous.  Messages lie back to back and know their lengths.  While one waits, its
 * sequence number field holds its count of records; that is replaced when the message
 * is numbered for a connection, and put back when the connection breaks. */
struct queue {
	uint8_t *bytes;
	size_t capacity;
	int fd;
	_Atomic uint64_t head, tail; /* bytes ever taken out and put in */
	_Atomic uint64_t wake_at;    /* the taker sleeps until so many; 0: awake */
	_Atomic uint32_t space_turn; /* futex of a waiting push */
	_Atomic bool wants_space, is_hurried, is_over;

	/* The taker's own. */
	uint32_t sequence;
	size_t numbered, taken; /* bytes after head: with sequence numbers; written */
	unsigned first, end;    /* of in_flight */
	uint32_t in_flight[IN_FLIGHT]; /* records of each numbered message */
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
	if (q->fd >= 0) {
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
	free(q);
}

size_t
queue_capacity(const struct queue *q)
{
	return q->capacity;
}

static uint8_t *
at(const struct queue *q, uint64_t position)
{
	return q->bytes + position % q->capacity;
}

static size_t
length_at(const struct queue *q, uint64_t position)
{
	return load_u16(at(q, position) + 2);
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

	(void)n; /* can only say that the wake is there already */
}

static void
wake_pusher(struct queue *q)
{
	atomic_fetch_add(&q->space_turn, 1);
	syscall(SYS_futex, &q->space_turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Pushing. */

static bool
is_full(struct queue *q, size_t length)
{
	return q->capacity - queue_bytes(q) < length && !atomic_load(&q->is_hurried) &&
	       !atomic_load(&q->is_over);
}

/* Sleeps until the taker makes room, a signal comes or a second has passed: a signal
 * may come just before we sleep. */
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

bool
queue_push(struct queue *q, const uint8_t *message, size_t length, uint32_t records,
    bool (*may_wait)(void *data), void *data)
{
	uint64_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
	uint64_t wake;
	uint8_t *to;

	while (is_full(q, length) && may_wait != NULL && may_wait(data)) {
		wait_for_room(q, length);
	}
	if (atomic_load(&q->is_over) || q->capacity - queue_bytes(q) < length) {
		return false;
	}
	to = at(q, tail);
	memcpy(to, message, length);
	store_u32(to + SEQUENCE_AT, records);
	atomic_store(&q->tail, tail + length);
	wake = atomic_load(&q->wake_at);
	if (wake != 0 && queue_bytes(q) >= wake &&
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

void
queue_begin(struct queue *q, uint32_t sequence)
{
	q->sequence = sequence;
}

size_t
queue_gather(struct queue *q, const uint8_t **ret)
{
	uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&q->tail, memory_order_acquire);

	while (head + q->numbered < tail && q->numbered - q->taken < QUEUE_GATHER &&
	       q->end - q->first < IN_FLIGHT) {
		uint8_t *message = at(q, head + q->numbered);
		uint32_t records = load_u32(message + SEQUENCE_AT);
		message_set_sequence(message, q->sequence);
		q->sequence += records;
		q->in_flight[q->end++ % IN_FLIGHT] = records;
		q->numbered += length_at(q, head + q->numbered);
	}
	*ret = at(q, head + q->taken);
	return q->numbered - q->taken;
}

bool
queue_is_cut(const struct queue *q)
{
	return q->taken > 0;
}

void
queue_take(struct queue *q, size_t n, struct queue_taken *ret)
{
	uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
	uint64_t before = head;

	q->taken += n;
	while (q->first != q->end && length_at(q, head) <= q->taken) {
		size_t length = length_at(q, head);
		ret->messages++;
		ret->bytes += length;
		ret->records += q->in_flight[q->first++ % IN_FLIGHT];
		q->taken -= length;
		q->numbered -= length;
		head += length;
	}
	if (head == before) {
		return;
	}
	atomic_store(&q->head, head);
	/* Half empty, lest the two sides wake each other for every message. */
	if (atomic_load(&q->wants_space) && queue_bytes(q) <= q->capacity / 2) {
		wake_pusher(q);
	}
}

void
queue_put_back(struct queue *q)
{
	uint64_t position = atomic_load_explicit(&q->head, memory_order_relaxed);

	while (q->first != q->end) {
		message_set_sequence(
		    at(q, position), q->in_flight[q->first++ % IN_FLIGHT]);
		position += length_at(q, position);
	}
	q->numbered = q->taken = 0;
}

void
queue_drop(struct queue *q, struct queue_taken *ret)
{
	uint64_t head = atomic_load(&q->head);
	uint64_t tail = atomic_load(&q->tail);

	queue_put_back(q);
	for (; head < tail; head += length_at(q, head)) {
		ret->messages++;
		ret->bytes += length_at(q, head);
		ret->records += load_u32(at(q, head) + SEQUENCE_AT);
	}
	atomic_store(&q->head, head);
}

/* Sleeping. */

int
queue_fd(const struct queue *q)
{
	return q->fd;
}

bool
queue_doze(struct queue *q, uint64_t wake)
{
	atomic_store(&q->wake_at, wake);
	return queue_bytes(q) < wake;
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
