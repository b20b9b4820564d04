/* The processing side from inside: shared by process.c (frames, flushes) and
 * process_replay.c (the start). */
#ifndef COLLECTOR_PROCESS_PROCESS_PRIVATE_H
#define COLLECTOR_PROCESS_PROCESS_PRIVATE_H

#include <stdatomic.h>

#include "collector/process/process.h"

struct process {
	struct process_settings settings;
	struct sessions *sessions;
	struct tables *tables;
	struct store *store;
	struct source_id source;
	struct journal *journal;
	struct quarantine *quarantine; /* with a journal */

	uint64_t position; /* everything before has been handled */
	uint64_t complete; /* the store has everything before */
	uint64_t pending;  /* partitions of the store have this: flush exactly there */
	uint64_t segment;  /* of the journal; its state is on disk */
	bool has_segment;
	/* Replay: what the sessions knew here was loaded, and nothing before is read; 0:
	 * all is read. */
	uint64_t resumed;
	bool has_resume; /* the journal may hold such files */
	bool is_live;
	bool is_broken; /* source and store do not belong together */
	bool is_counting;
	bool is_dirty;         /* something was counted since the last flush */
	uint64_t held_ns;      /* arrival of the first of it */
	uint64_t now_ns;       /* latest arrival */
	uint64_t rows_dropped; /* by tables, as far as it was told */
	atomic_bool gives_up;
	struct process_counts counts;
	struct message_view view; /* of the message that is handled */
};

#endif
