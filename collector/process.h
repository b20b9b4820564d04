/* The processing side: frames in, tables out.  Owns sessions, tables and store; decides
 * when to flush (table full, or flush_interval of arrival time passed); replays after a
 * crash. Threads: one; the processing thread, or main when importing. */
#ifndef COLLECTOR_PROCESS_H
#define COLLECTOR_PROCESS_H

#include <stdint.h>

#include "collector/frame.h"
#include "collector/journal.h"
#include "collector/session.h"
#include "collector/tables.h"

struct process;

struct process_settings {
	struct sessions_settings sessions;
	uint64_t flush_interval_ns; /* of arrival time */
};

struct process *process_new(const struct process_settings *s, struct elements *elements,
    struct tables *tables, struct store *store, const struct source_id *source,
    struct journal *journal /* NULL: importing a file */);
void process_free(struct process *p);
/* Handles one frame; flushes when due.  A store failure is retried for ever when live
 * (the sentence is logged once), and returned when importing. */
int process_frame(struct process *p, const struct frame *f, struct err *e);
/* Flushes what is held; finished: the source ends. */
int process_flush(struct process *p, bool finished, struct err *e);
/* Brings the tables up to the end of the journal after a start. */
int process_replay(struct process *p, struct err *e);

#endif
