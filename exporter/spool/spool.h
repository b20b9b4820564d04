/* The spool holds messages until the collector has acknowledged them.  With a directory
 * it stores them in segments that survive the program, even kill -9
 * (exporter/spool/spool_format.h); without one it only keeps count of the messages in
 * the queue's memory.
 *
 * Messages have consecutive 64-bit numbers, never used twice under one spool id.
 * handed over = delivered + held + lost, in messages and in data records, at any moment
 * and over all runs.
 *
 * Full (max_bytes): input that can wait does (spool_append() takes fewer messages);
 * otherwise the oldest segment that was certainly never sent is dropped, so that what
 * is shown as lost is lost.  What may have been sent stays until it is settled.  Disk
 * failure: input that can wait does; otherwise new messages are held in memory only
 * until the disk is writable again, and the ledger still records their numbers, so that
 * none is used twice.  Damage: a segment ends before its first incomplete entry; the
 * rest of the segment counts as lost.
 *
 * Threads: the one that opened it, then the export thread. */
#ifndef EXPORTER_SPOOL_SPOOL_H
#define EXPORTER_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "exporter/export/export.h"
#include "exporter/spool/queue.h"

#define SPOOL_LEAST ((uint64_t)1 << 20) /* smallest max_bytes */
#define SPOOL_BATCH 512u                /* messages at once */
/* Bytes of messages at once: a gather, and a message at both ends. */
#define SPOOL_BATCH_BYTES (QUEUE_GATHER + 2 * 65535u)

struct spool_settings {
	const char *directory; /* created 0700 if missing; NULL: memory only */
	uint64_t max_bytes;    /* of all segments */
	bool may_wait; /* when full, take no more instead of dropping the oldest */
	const struct export_preamble *preamble; /* of new messages */
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
	bool is_running; /* in use, or the last run did not shut down cleanly */
};

/* What a run of messages was encoded under. */
struct spool_preamble {
	uint8_t *bytes; /* export times and sequence numbers may be changed */
	size_t length;
	uint32_t records;  /* options records */
	uint32_t messages; /* IPFIX messages that it is */
	uint32_t sequence; /* of its first message, as in bytes now */
	uint64_t key;      /* of everything but export times and sequence numbers */
};

struct spool_batch {
	uint8_t *bytes; /* messages side by side */
	size_t length;
	unsigned count;
	uint32_t records[SPOOL_BATCH]; /* of each message, as queue_message's */
};

struct spool;

/* Locks the directory and recovers what it holds.  Logs what was damaged, and whether
 * the last run did not shut down cleanly. */
int spool_open(
    const struct spool_settings *settings, struct spool **ret, struct err *e);
/* in_order: this run shut down cleanly and has handed over everything. */
void spool_close(struct spool *s, bool in_order); /* NULL accepted */

const char *spool_directory(const struct spool *s); /* NULL: memory only */

/* Hands over up to n <= SPOOL_BATCH messages, in the order of their numbers from
 * spool_counts.next on: how many were taken.  0: full, or out of memory. */
unsigned spool_append(
    struct spool *s, const struct queue_message *messages, unsigned n, uint64_t now_ns);
/* The first number from this one on that is in memory only; spool_next(): none. */
uint64_t spool_memory_only(const struct spool *s, uint64_t number);

/* Numbers of the oldest message held and of the next to come; equal: nothing is held.
 */
uint64_t spool_first(const struct spool *s);
uint64_t spool_next(const struct spool *s);
/* The preamble of the first message held at or after number; of new messages when there
 * is none. */
struct spool_preamble *spool_preamble(struct spool *s, uint64_t number);
/* The end of the range of consecutive messages from number on under one preamble;
 * number itself when it is not held. */
uint64_t spool_reach(const struct spool *s, uint64_t number);

/* Reads messages from number on from disk, up to a batch.  0; -EBADMSG: it is
 * unreadable (it and the rest of its segment count as lost); another negative code: the
 * segment cannot be opened now. */
int spool_read(struct spool *s, uint64_t number, struct spool_batch *ret);
/* Data records of the spool before this number (first <= number <= next).  -EBADMSG:
 * unreadable on disk. */
int spool_total(struct spool *s, uint64_t number, uint64_t *ret);

/* After the highest number that may have been sent, by this run or an earlier one. */
uint64_t spool_sent(const struct spool *s);
/* Notes, before it happens, that this message and those held before it are sent. */
void spool_mark_sent(struct spool *s, uint64_t number);
/* The collector that sent messages went to last, or are for, as a number of the
 * caller's; 0: unknown. */
uint64_t spool_target(const struct spool *s);
void spool_set_target(struct spool *s, uint64_t target);
/* The collector wants this number next.  False: it knows messages of this spool id that
 * we never sent, so this spool is a copy or an old state of another: its old messages
 * count as acknowledged, and newer ones get a new id. */
bool spool_welcome(struct spool *s, uint64_t wanted);
/* Everything before number is settled: delivered, or lost; total: data records before
 * it.
 */
void spool_release(struct spool *s, uint64_t number, uint64_t total, bool is_delivered);

void spool_counts(const struct spool *s, struct spool_counts *ret);
/* Whether there is a spool in this directory. */
bool spool_is_there(const char *directory);
/* Reads the counts of a directory without locking it; safe while an exporter uses
 * it. */
int spool_status(const char *directory, struct spool_counts *ret, struct err *e);

#endif
