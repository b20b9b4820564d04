/* The processing side: frames in, tables out.  Owns sessions; decides when to flush
 * (a table full, half of the journal, or flush_interval of arrival time passed);
 * replays after a crash.
 *
 * A flush ends at the end of a message or frame.  The journal is durable up to there
 * before the store commits it, and is trimmed afterwards.  Where a sync of it failed,
 * what sessions know at that very position is made durable instead, and a start goes on
 * from there.  What the store has complete is read again for its templates and sequence
 * numbers only.
 * Threads: one; the processing thread, or main when importing and replaying. */
#ifndef COLLECTOR_PROCESS_PROCESS_H
#define COLLECTOR_PROCESS_PROCESS_H

#include <stdint.h>

#include "collector/journal/frame.h"
#include "collector/journal/journal.h"
#include "collector/session/session.h"
#include "collector/store/store.h"

struct process;

struct process_settings {
	struct sessions_settings sessions;
	uint64_t flush_interval_ns; /* of arrival time; 0: only when tables are full */
	/* Borrowed. */
	struct elements *elements;
	struct store *store;     /* and its tables */
	struct journal *journal; /* NULL: a file is imported */
};

/* Of this run; replayed frames that were complete do not count. */
struct process_counts {
	uint64_t sessions;
	uint64_t messages, octets, templates, records, options, lost, reordered;
	uint64_t counter_samples; /* of sFlow, not read */
	uint64_t dropped[DROPS];
	uint64_t held; /* data sets that still wait for their template */
	uint64_t flushes, quarantined;
	uint64_t replayed; /* messages that came from the journal at the start */
};

int process_new(const struct process_settings *s, const struct source_id *source,
    struct process **ret, struct err *e);
void process_free(struct process *p);
/* Asks the store where it stands.  Then all frames from the source's begin are given to
 * process_frame(). */
int process_resume(struct process *p, struct err *e);
/* Resumes, and brings tables and store up to the end of the journal.  Sessions that a
 * crash left open are closed in the journal. */
int process_replay(struct process *p, struct err *e);
/* Handles one frame; flushes when due.  A store failure is retried for ever when live
 * (the sentence is logged once), and returned when importing. */
int process_frame(struct process *p, const struct frame *f, struct err *e);
/* Flushes what is held; finished: the source ends. */
int process_flush(struct process *p, bool finished, struct err *e);
/* The calling thread is the processing thread from here on. */
void process_adopt(struct process *p);
/* Any thread: stop retrying; what is not stored stays in the journal. */
void process_give_up(struct process *p);
/* Up to here the source is stored. */
uint64_t process_complete(const struct process *p);
/* Up to here it was handled. */
uint64_t process_position(const struct process *p);
/* How far the journal holds each exporter's spool, up to the last frame handled. */
const struct watermarks *process_watermarks(const struct process *p);
void process_counts(const struct process *p, struct process_counts *ret);

#endif
