/* The journal (DESIGN 5): frames on disk before anything is decoded.  Segments
 * DIR/<start position, 16 hex digits>.journal, 0600; a frame never spans segments.
 * Written with O_DIRECT from the receive buffer where the file system can, else
 * buffered; group fsync. A frame on disk: magic, kind, session, arrival, payload
 * length, XXH3 of header and payload. Recovery cuts a torn tail at the last whole
 * frame; file `synced` says what must not be missing.  The state (sessions, templates,
 * sequence expectations) at the start of each segment lies beside it as <same
 * name>.state, written by the processing thread when it gets there, so that a segment
 * and its state replay alone. Threads: writing: the receiving thread.  journal_sync():
 * any.  Reading: before start-up ends. */
#ifndef COLLECTOR_JOURNAL_JOURNAL_H
#define COLLECTOR_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/journal/frame.h"
#include "common/base/err.h"

#define JOURNAL_BUFFER (1u << 20)
/* With all of them the processing thread, in a flush or short of a core, may be a
 * second behind at a million records a second, and datagrams still be read.  Who sends
 * by a stream can wait: fewer stay nearer to the caches.  Memory of those that are
 * never needed is never touched: the free one that was used last goes first. */
#define JOURNAL_BUFFERS 64

struct journal;

struct journal_settings {
	const char *directory;
	uint64_t segment_bytes; /* a new segment begins after this many */
	uint64_t max_bytes; /* all segments together; full: -ENOSPC, reading stops */
	uint64_t sync_interval_ns;
	unsigned buffers; /* of JOURNAL_BUFFER, at most JOURNAL_BUFFERS; 0: all */
	bool skip_damage; /* the documented repair: go on at the next whole frame after
			     damage, and count what was lost */
};

/* Opens or creates; recovers the tail.  Negative with the sentence in e. */
int journal_open(const struct journal_settings *s, struct journal **ret, struct err *e);
void journal_close(struct journal *j);
const struct source_id *journal_id(const struct journal *j);
uint64_t journal_end(const struct journal *j); /* position of the next frame */
/* Bytes that all segments together may take. */
uint64_t journal_capacity(const struct journal *j);
/* The last write found no room: what is stored should be said so, and go.  Any thread.
 */
bool journal_is_full(const struct journal *j);
/* A session number that this journal never used before.  Receiving thread. */
uint32_t journal_new_session(struct journal *j);
/* Bytes that a disk lost or damaged and that were stepped over since the start. */
uint64_t journal_skipped(const struct journal *j);

/* Writing.  A buffer is taken, filled by frames, written, and handed to the processing
 * thread, which gives it back. room = journal_reserve(j, &n): at least 65536 bytes
 * after the frame header; receive into it; journal_commit(j, kind, session, stream,
 * arrival, used): the frame is in the buffer (not yet on disk). journal_write() writes
 * what is committed and gives the buffer for processing, or NULL when nothing is
 * committed. Reserve says NULL when this buffer is full (write it, reserve again) or
 * every buffer is with the processing thread (wait).  A failed write (-ENOSPC: disk or
 * max_bytes) keeps the buffer: nothing can be reserved until a later journal_write()
 * succeeds. */
uint8_t *journal_reserve(struct journal *j, size_t *ret_n);
int journal_commit(struct journal *j, const struct frame *f, struct err *e);
struct journal_buffer; /* frames that lie in a range of positions, in memory and on disk
			*/
int journal_write(struct journal *j, struct journal_buffer **ret, struct err *e);
void journal_buffer_return(
    struct journal *j, struct journal_buffer *b); /* any thread */
/* The frames of a buffer, one after the other: 1 and *ret, or 0 at the end.  *at starts
 * at 0. */
int journal_buffer_next(const struct journal_buffer *b, size_t *at, struct frame *ret);

/* Makes everything up to position durable (fdatasync where needed).  After a failure
 * the segment is abandoned and nothing more in it counts as durable. */
int journal_sync(struct journal *j, uint64_t position, struct err *e);
uint64_t journal_synced(const struct journal *j);
/* How often that failed since the start, in whatever thread. */
uint64_t journal_failed_syncs(const struct journal *j);
/* Whether position lies within what a failed sync left behind. */
bool journal_is_unsynced(const struct journal *j, uint64_t position);

/* Reading for replay, from the segment that holds `position`.  Frames before it are
 * handed out too (the caller reads their templates only).  each() may fail: its code is
 * returned. */
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
