/* The spool: which messages are held until the collector has them for good, and, when
 * it has a directory, the messages themselves: segments that survive the program, kill
 * -9 included (exporter/spool/spool_format.h).  Without a directory it only keeps account of
 * what lies in the queue's memory.
 *
 * Messages are numbered by 64 bits, one by one; numbers are never used twice under one
 * spool id.  handed = delivered + held + lost, in messages and in data records,
 * holds at any moment and over all runs.
 *
 * A bound on its bytes: when it is reached, input that can wait does (spool_append
 * takes less); else the oldest segment that surely was never sent is dropped, so that
 * what is shown as lost is lost.  What may have been sent stays until its fate is
 * known. Disk trouble: input that can wait does; else new messages are held in memory
 * alone until the disk can be written again, and the ledger goes on naming their
 * numbers, so that none is given twice.
 * Damage: a segment ends before its first entry that is not whole; what came behind it
 * in this segment counts as lost.
 *
 * Threads: whoever opened it, then the export thread. */
#ifndef EXPORTER_SPOOL_SPOOL_H
#define EXPORTER_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "exporter/export/export.h"
#include "exporter/spool/queue.h"

#define SPOOL_LEAST ((uint64_t)1 << 20) /* bytes that a spool must be allowed */
#define SPOOL_BATCH 512u                /* messages at once */
/* Bytes of messages at once: a gather, and a message at both ends. */
#define SPOOL_BATCH_BYTES (QUEUE_GATHER + 2 * 65535u)

struct spool_settings {
	const char *directory; /* made 0700 where it is missing; NULL: memory only */
	uint64_t max_bytes;    /* of all segments */
	bool may_wait;         /* full: take no more, instead of dropping the oldest */
	const struct export_preamble
	    *preamble; /* what new messages are encoded under */
};

struct spool_counts {
	uint8_t id[16];
	uint64_t first, next; /* numbers: oldest held (or next), of the next message */
	uint64_t messages, records; /* ever handed over; records: data records */
	uint64_t delivered_messages, delivered_records;
	uint64_t held_messages, held_records;
	uint64_t lost_messages, lost_records; /* dropped when full, or damaged */
	uint64_t bytes;                       /* on disk */
	uint64_t disk_failures;
	uint64_t target; /* spool_target() */
	bool is_running; /* somebody has it open, or ended without order */
};

/* What a run of messages was encoded under. */
struct spool_preamble {
	uint8_t *bytes; /* export times and sequence numbers may be set anew */
	size_t length;
	uint32_t records;  /* options records */
	uint32_t messages; /* IPFIX messages that it is */
	uint32_t sequence; /* of its first message, as its bytes are now */
	uint64_t key;      /* of everything but export times and sequence numbers */
};

struct spool_batch {
	uint8_t *bytes; /* messages side by side */
	size_t length;
	unsigned count;
	uint32_t records[SPOOL_BATCH]; /* of each message, as queue_message's */
};

struct spool;

/* Takes the directory for itself and recovers what it holds.  Says in the log what was
 * damaged, and whether the last run ended without totals. */
int spool_open(
    const struct spool_settings *settings, struct spool **ret, struct err *e);
/* in_order: this run was ended and has handed over everything it had. */
void spool_close(struct spool *s, bool in_order); /* NULL accepted */

const char *spool_directory(const struct spool *s); /* NULL: memory only */

/* Hands over up to n <= SPOOL_BATCH messages, in the order of their numbers from
 * spool_counts.next on: how many were taken.  0: full, or out of memory. */
unsigned spool_append(
    struct spool *s, const struct queue_message *messages, unsigned n, uint64_t now_ns);
/* The first number from this one on that lies in memory alone; spool_next(): none. */
uint64_t spool_memory_only(const struct spool *s, uint64_t number);

/* Numbers of the oldest message held and of the next to come; equal: nothing is held.
 */
uint64_t spool_first(const struct spool *s);
uint64_t spool_next(const struct spool *s);
/* The preamble of the first message held at or after number; of new messages when there
 * is none. */
struct spool_preamble *spool_preamble(struct spool *s, uint64_t number);
/* How far messages lie side by side from number on under one preamble: the end of that
 * range.  number itself when it is not held. */
uint64_t spool_reach(const struct spool *s, uint64_t number);

/* Messages from number on that lie on disk, up to a batch.  0, -EBADMSG: this one
 * cannot be read any more (it and what follows in its segment count as lost), or what
 * keeps the segment from being opened now. */
int spool_read(struct spool *s, uint64_t number, struct spool_batch *ret);
/* Data records of the spool before this number (first <= number <= next).  -EBADMSG:
 * the disk does not tell any more. */
int spool_total(struct spool *s, uint64_t number, uint64_t *ret);

/* After the highest number that may have been sent, by this run or an earlier one. */
uint64_t spool_sent(const struct spool *s);
/* This one, and what is held before it, is about to be sent; before it was (where sent
 * ones are kept). */
void spool_mark_sent(struct spool *s, uint64_t number);
/* Whom what may have been sent went to last, or is for, as a number of the caller's; 0:
 * nobody knows. */
uint64_t spool_target(const struct spool *s);
void spool_set_target(struct spool *s, uint64_t target);
/* The collector wants this number next.  False: it knows messages of this spool id that
 * we never sent.  So this spool is a copy or an old state of another: the numbers that
 * it brought along are acknowledged already, and what is newer goes under a new id. */
bool spool_welcome(struct spool *s, uint64_t wanted);
/* Everything before number is settled: delivered, or lost; total: data records before
 * it.
 */
void spool_release(struct spool *s, uint64_t number, uint64_t total, bool is_delivered);

void spool_counts(const struct spool *s, struct spool_counts *ret);
/* Whether there is a spool in this directory. */
bool spool_is_there(const char *directory);
/* Of a directory, without taking it; somebody may be using it. */
int spool_status(const char *directory, struct spool_counts *ret, struct err *e);

#endif
