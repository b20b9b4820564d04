/* Messages on their way to the collector: a bounded ring of bytes between the capture
 * thread, which pushes, and the export thread, which gathers, numbers (RFC 7011 section
 * 3.1) and takes them.  A message stays inside until it was taken whole; a broken
 * connection puts the rest back.
 * Back-pressure: a push that may wait sleeps while the queue is full, else it fails.
 * Neither side polls: pushes wake by futex and eventfd, and only whoever sleeps.
 * Memory: all of it from queue_new(); nothing is allocated per message. */
#ifndef EXPORTER_QUEUE_H
#define EXPORTER_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_GATHER 65536u /* bytes by one write; 64 KiB was measured to pay */
#define QUEUE_NEVER  UINT64_MAX

struct queue;

struct queue_taken { /* what left the queue */
	uint64_t messages, bytes, records;
};

/* At least four gathers large.  NULL: errno. */
struct queue *queue_new(uint64_t capacity);
void queue_free(struct queue *q);
size_t queue_capacity(const struct queue *q);
uint64_t queue_bytes(struct queue *q); /* inside now; any thread */

/* The pushing thread.  False: full and may not wait, or hurried, or over.  While it is
 * full, may_wait(data) is asked every second and after every signal; NULL: never wait.
 */
bool queue_push(struct queue *q, const uint8_t *message, size_t length,
    uint32_t records, bool (*may_wait)(void *data), void *data);
/* Any thread, signal handlers too: pushes wait no longer. */
void queue_hurry(struct queue *q);
bool queue_is_hurried(struct queue *q);
/* Nobody takes any more: pushes fail. */
void queue_end(struct queue *q);
bool queue_is_over(struct queue *q);
/* Any thread, signal handlers too: makes queue_fd() readable. */
void queue_wake(struct queue *q);

/* The taking thread.  Every connection begins by queue_begin() with the sequence number
 * that its first message gets. */
void queue_begin(struct queue *q, uint32_t sequence);
/* Numbers messages up to a gather.  How many numbered bytes lie untaken at *ret. */
size_t queue_gather(struct queue *q, const uint8_t **ret);
/* Whether the first of them is the rest of a message that was taken in part. */
bool queue_is_cut(const struct queue *q);
/* The first n bytes of the gather were taken; adds what left the queue to *ret. */
void queue_take(struct queue *q, size_t n, struct queue_taken *ret);
/* What was not taken whole is unnumbered again. */
void queue_put_back(struct queue *q);
/* Throws the rest away and adds it to *ret. */
void queue_drop(struct queue *q, struct queue_taken *ret);

/* Sleeping: queue_doze(), poll queue_fd(), queue_rise().  From doze to rise the fd
 * becomes readable as soon as `wake` bytes are inside (QUEUE_NEVER: only by
 * queue_wake()).  False: so many are there already. */
int queue_fd(const struct queue *q);
bool queue_doze(struct queue *q, uint64_t wake);
void queue_rise(struct queue *q);

#endif
