/* The journal: frames on disk before anything is decoded.  Here a message becomes
 * durable, and only then is it acknowledged (ARCHITECTURE.md, the life of an
 * acknowledgement).
 *
 * Segments are DIR/<start position, 16 hex digits>.journal, 0600; a frame never spans
 * two of them (segment.h has the format).  They are written from the receive buffer,
 * with O_DIRECT where the file system can, and synced for many peers at once.  Recovery
 * cuts an incomplete write off at the last whole frame; DIR/synced says what must not
 * be missing.  Beside each segment lies <same name>.state: what is known at its start
 * (sessions, templates, expected sequence numbers), written by the processing thread
 * when it gets there, so that a segment and its state replay alone.
 *
 * Threads: the receiving thread writes; any thread may call journal_sync(); replay ends
 * before the other threads start.  Memory: all of it comes from journal_open().
 * Back-pressure: no buffer or no space means that nothing can be reserved. */
#ifndef COLLECTOR_JOURNAL_JOURNAL_H
#define COLLECTOR_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/journal/frame.h"
#include "common/base/err.h"

#define JOURNAL_BUFFER (1u << 20)
/* This many let the processing thread (in a flush, or short of a core) be a second
 * behind at a million records a second while datagrams are still read.  Peers that send
 * by a stream can wait: fewer buffers stay nearer to the caches.  The free buffer that
 * was used last goes first, so memory that is never needed is never touched. */
#define JOURNAL_BUFFERS 64

struct journal;

struct journal_settings {
	const char *directory;
	uint64_t segment_bytes; /* a new segment begins after this many */
	uint64_t max_bytes; /* all segments together; full: -ENOSPC, reading stops */
	uint64_t sync_interval_ns;
	unsigned buffers; /* of JOURNAL_BUFFER, at most JOURNAL_BUFFERS; 0: all */
	/* The documented repair: go on at the next whole frame after damage, and count
	 * what was lost. */
	bool skip_damage;
};

/* Opens or creates; recovers the tail.  Negative with the sentence in e. */
int journal_open(const struct journal_settings *s, struct journal **ret, struct err *e);
void journal_close(struct journal *j);
const struct source_id *journal_id(const struct journal *j);
uint64_t journal_end(const struct journal *j); /* position of the next frame */
/* Bytes that all segments together may take. */
uint64_t journal_capacity(const struct journal *j);
/* The last write found no space: stores should flush, so that segments can go.  Any
 * thread. */
bool journal_is_full(const struct journal *j);
/* A session number that this journal never used before.  Receiving thread. */
uint32_t journal_new_session(struct journal *j);
/* Bytes that a disk lost or damaged and that were stepped over since the start. */
uint64_t journal_skipped(const struct journal *j);

/* Writing: a buffer is taken, filled with frames, written, and handed to the processing
 * thread, which returns it.
 *   journal_reserve() gives room for a payload: at least 65536 bytes.  NULL: this buffer
 *     is full (write it, reserve again), or the processing thread has all of them (wait).
 *   journal_commit() makes f->length bytes of it a frame of f's kind, session, stream
 *     and arrival_ns: in the buffer, not yet on disk.
 *   journal_write() writes the buffer and gives it out for processing; NULL: nothing was
 *     committed.  After a failure (-ENOSPC: disk or max_bytes) it keeps the buffer, and
 *     nothing can be reserved until a later call succeeds. */
uint8_t *journal_reserve(struct journal *j, size_t *ret_n);
int journal_commit(struct journal *j, const struct frame *f, struct err *e);
/* Frames in a range of positions, in memory and on disk. */
struct journal_buffer;
int journal_write(struct journal *j, struct journal_buffer **ret, struct err *e);
/* Any thread; NULL accepted. */
void journal_buffer_return(struct journal *j, struct journal_buffer *b);
/* The frames of a buffer, one after the other: 1 and *ret, or 0 at the end.  *at starts
 * at 0. */
int journal_buffer_next(const struct journal_buffer *b, size_t *at, struct frame *ret);

/* Makes everything up to position durable (fdatasync where needed).  After a failure
 * the segment is abandoned: another begins, and what was not durable never will be. */
int journal_sync(struct journal *j, uint64_t position, struct err *e);
uint64_t journal_synced(const struct journal *j);
/* Grows whenever a sync fails, in any thread. */
uint64_t journal_failed_syncs(const struct journal *j);
/* Whether position lies within what a failed sync left behind. */
bool journal_is_unsynced(const struct journal *j, uint64_t position);

/* Replay, from the segment that holds `position`.  Frames before it are handed out too:
 * the caller reads only their templates.  Returns to->each()'s code where it fails. */
int journal_replay(
    struct journal *j, uint64_t position, const struct frame_sink *to, struct err *e);
/* Start of the segment that holds position; where replay begins. */
uint64_t journal_segment_start(const struct journal *j, uint64_t position);
/* Path of the state file of the segment that begins at start. */
void journal_state_path(
    const struct journal *j, uint64_t start, char *out, size_t capacity);
/* Path of the file of what is known at position, where a store ends in what a failed
 * sync left: the state of its segment does not lead there for certain. */
void journal_resume_path(
    const struct journal *j, uint64_t position, char *out, size_t capacity);
/* Removes those of every other position, as far as that works. */
void journal_forget_resumes(const struct journal *j, uint64_t position);
/* Removes segments (and states) wholly before position. */
int journal_trim(struct journal *j, uint64_t position, struct err *e);

#endif
