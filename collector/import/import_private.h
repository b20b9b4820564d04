/* One import under way: import.c starts it, import_messages.c or import_capture.c read
 * the file, import_feed.c hands what they find to the process. */
#ifndef COLLECTOR_IMPORT_IMPORT_PRIVATE_H
#define COLLECTOR_IMPORT_IMPORT_PRIVATE_H

#include "collector/import/import.h"
#include "collector/store/store_content.h"

#define MAGIC_BYTES 4u

struct import {
	const char *path;
	const char *name; /* without folders */
	const struct import_settings *settings;
	struct process *process;
	struct import_counts *counts;
	struct store_content content; /* of the file */
	struct store_content known;   /* a beginning of it; length 0: none */
	uint64_t next_known;          /* least length of known contents not yet read */
	uint8_t magic[MAGIC_BYTES];   /* first bytes of the content */
	uint64_t end;                 /* of the last message; a position */
	uint64_t size;                /* raw bytes of the file; 0: unknown */
	uint64_t begin_ns, drawn_ns;  /* progress; monotonic */
	bool has_drawn;
};

/* A frame goes to the process, which needs no f->end; -EINTR when a stop was asked
 * for. */
int import_frame(struct import *m, struct frame *f, struct err *e);
/* Opens session f.session at f.position. */
int import_session(struct import *m, struct frame f, const struct session_identity *who,
    struct err *e);
/* All messages were handed over: what comes behind them are marks of the end. */
int import_end(struct import *m, struct err *e);
/* Redraws the progress line when it is time; done: raw bytes. */
void import_progress(struct import *m, uint64_t done);

int import_messages(struct import *m, struct err *e);
int import_capture(struct import *m, struct err *e);

#endif
