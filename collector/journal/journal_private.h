/* The journal from inside: its segments and buffers, shared by journal.c (opening,
 * writing), journal_sync.c (durability, trimming), journal_disk.c (files),
 * journal_mark.c and journal_recover.c (recovery, replay).
 *
 * Locks, taken in this order:
 *   sync_lock   one journal_sync() or journal_trim() at a time
 *   write_lock  the file being written, and the switch to another
 *   lock        the list of segments, the free buffers; held for moments only */
#ifndef COLLECTOR_JOURNAL_JOURNAL_PRIVATE_H
#define COLLECTOR_JOURNAL_JOURNAL_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/journal/journal.h"
#include "collector/journal/segment.h"

#define JOURNAL_NAME 32 /* 16 hex digits, a suffix and NUL */
/* Numbers that may have been given out in a part that cannot be read. */
#define JOURNAL_SESSIONS_LOST (1u << 16)

struct journal_buffer {
	uint8_t *bytes; /* JOURNAL_BUFFER, aligned to SEGMENT_BLOCK */
	uint64_t start; /* position of the first byte */
	size_t used, done;
	uint64_t done_in; /* start of the segment that has the first `done` bytes */
	bool is_padded;
	uint64_t seed;
	struct journal_buffer *next; /* in the free list */
};

/* Positions start <= synced <= written; the next segment starts at written. */
struct journal_segment {
	uint64_t start, written, synced;
	int fd;             /* -1: durable, or from a former run */
	bool has_failed;    /* a write or a sync failed: nothing more goes here */
	uint64_t torn_from; /* what follows may be lost; UINT64_MAX: nothing */
	bool is_unsynced;   /* torn_from: a sync failed; else damage was skipped */
};

struct journal {
	struct journal_settings settings;
	char *directory;
	int directory_fd;
	uint8_t uuid[16];
	struct source_id id;
	uint64_t seed;

	pthread_mutex_t sync_lock, write_lock, lock;
	struct journal_segment *segments; /* oldest first, never empty once open */
	unsigned count, capacity;
	uint8_t *bytes; /* of all buffers */
	struct journal_buffer buffers[JOURNAL_BUFFERS];
	struct journal_buffer *free;

	/* The receiving thread's. */
	struct journal_buffer *filling;
	uint64_t end;
	_Atomic uint32_t next_session; /* read where segments are begun */
	bool is_direct;                /* under write_lock */
	uint8_t *block;                /* scratch, aligned */
	uint64_t skipped;
	bool has_gap; /* in what a failed sync left, right before what is read next */
	_Atomic uint64_t failed_syncs;
	_Atomic bool is_full;

	int mark_fd;
	bool has_mark_failed;
};

void journal_file_name(
    uint64_t start, const char *suffix, char out[static JOURNAL_NAME]);
/* Makes the directory's entries durable. */
int journal_sync_directory(struct journal *j, struct err *e);
/* A copy of the segment that is written to.  Only holders of sync_lock and write_lock
 * begin another. */
struct journal_segment journal_last(struct journal *j);
/* Whether n bytes more may not go to it: a buffer never spans segments, and nothing
 * follows what failed.  Only an answer under write_lock holds. */
bool journal_must_roll(
    const struct journal *j, const struct journal_segment *last, size_t n);
/* Ends it and begins the next, if it is still one that n bytes may not go to. */
int journal_roll(struct journal *j, size_t n, struct err *e);
/* Adds to the list; under `lock`. */
int journal_add_segment(struct journal *j, const struct journal_segment *s);
/* Creates the segment that begins at start, durably, and makes it the last. */
int journal_create_segment(struct journal *j, uint64_t start, struct err *e);
/* Opens the last segment, which holds no frame yet, for writing. */
int journal_open_segment(struct journal *j, struct err *e);
/* <start>.torn: [torn_from, to) of this segment may not be on disk, because a sync
 * failed (is_unsynced) or the operator said to go on without it, and is settled: a store
 * may hold it all the same. */
int journal_write_torn(
    struct journal *j, const struct journal_segment *s, uint64_t to, struct err *e);
/* 1: it is torn, and *s and *ret_to say where; 0: it is not. */
int journal_read_torn(
    struct journal *j, struct journal_segment *s, uint64_t *ret_to, struct err *e);
/* Opens for reading.  limit as in segment.h. */
int journal_open_reader(struct journal *j, uint64_t start, uint64_t limit,
    struct segment_reader **ret, struct err *e);
/* DIR/synced. */
int journal_open_mark(struct journal *j, struct err *e);
void journal_write_mark(struct journal *j, uint64_t position);
/* What the mark of this journal says; 0: nothing.  Any journal's where this one has no
 * segment left. */
uint64_t journal_read_mark(const struct journal *j);
/* Whether the journal ends before what was durable; after journal_recover(). */
int journal_check_mark(struct journal *j, struct err *e);
/* Fills the list from the directory, cuts the torn tail, finds the end. */
int journal_recover(struct journal *j, struct err *e);

#endif
