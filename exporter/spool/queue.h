/* Messages on their way to the collector: a bounded ring of bytes between the capture
 * thread, which pushes, and the export thread, which reads messages in place and
 * releases the oldest when they are settled.  Messages are stored back to back, so that
 * one write sends many, and have an index, from 0 on.  Back-pressure: a push that may
 * wait sleeps while the queue is full; another one fails.  Neither side polls: futex
 * and eventfd wake only a side that sleeps.  Memory: all of it from queue_new();
 * nothing is allocated per message. */
#ifndef EXPORTER_SPOOL_QUEUE_H
#define EXPORTER_SPOOL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_GATHER 65536u /* bytes per write; larger ones measured no faster */
#define QUEUE_NEVER  UINT64_MAX

struct queue;

struct queue_message {
	uint8_t *bytes; /* the taking thread may number it (RFC 7011 section 3.1) */
	size_t length;
	uint64_t position; /* bytes pushed before it */
	uint32_t records;  /* data and options records: what sequence numbers count */
	uint32_t data;     /* data records */
	uint64_t total;    /* data records of all messages before it */
};

/* At least four gathers large.  NULL: errno. */
struct queue *queue_new(uint64_t capacity);
void queue_free(struct queue *q);
size_t queue_capacity(const struct queue *q);
uint64_t queue_most_messages(const struct queue *q); /* inside at a time */
uint64_t queue_bytes(struct queue *q);               /* inside now; any thread */

/* Lets pushes wait while the queue is full, as long as may_wait(arg) says so: it is asked
 * every second and after every signal.  Before the first push. */
void queue_set_wait(struct queue *q, bool (*may_wait)(void *arg), void *arg);
/* The pushing thread.  False: full and may not wait, or hurried, or over. */
bool queue_push(struct queue *q, const uint8_t *message, size_t length,
    uint32_t records, uint32_t data);
/* Any thread and signal handlers: pushes stop waiting. */
void queue_hurry(struct queue *q);
bool queue_is_hurried(struct queue *q);
/* The export thread has ended: pushes fail. */
void queue_end(struct queue *q);
bool queue_is_over(struct queue *q);
/* Any thread and signal handlers: makes queue_fd() readable. */
void queue_wake(struct queue *q);

/* The taking thread.  Messages first <= i < end are inside, side by side. */
uint64_t queue_first(struct queue *q);
uint64_t queue_end_index(struct queue *q);
void queue_look(struct queue *q, uint64_t i, struct queue_message *ret);
uint64_t queue_pushed(struct queue *q); /* bytes ever */
/* Releases every message before i (first <= i <= end). */
void queue_release(struct queue *q, uint64_t i);

/* Sleeping: queue_doze(), poll queue_fd(), queue_rise().  From doze to rise the fd
 * becomes readable as soon as that many bytes were ever pushed (QUEUE_NEVER: only by
 * queue_wake()).  False: they already were. */
int queue_fd(const struct queue *q);
bool queue_doze(struct queue *q, uint64_t pushed);
void queue_rise(struct queue *q);

#endif
