/* One import under way: shared by import.c, import_messages.c and import_capture.c. */
#ifndef COLLECTOR_IMPORT_IMPORT_PRIVATE_H
#define COLLECTOR_IMPORT_IMPORT_PRIVATE_H

#include "collector/import/import.h"

struct import {
	const char *path;
	const char *name; /* without folders */
	const struct import_settings *settings;
	struct process *process;
	struct import_counts *counts;
	uint64_t size;               /* raw bytes of the file; 0: unknown */
	uint64_t begin_ns, drawn_ns; /* progress; monotonic */
	bool has_drawn;
};

/* A frame goes to the process; -EINTR when a stop was asked for. */
int import_frame(struct import *m, enum frame_kind kind, uint32_t session,
    uint64_t arrival_ns, uint64_t position, const void *payload, size_t length,
    struct err *e);
/* Opens a session. */
int import_session(struct import *m, uint32_t session,
    const struct session_identity *who, uint64_t arrival_ns, uint64_t position,
    struct err *e);
/* Redraws the progress line when it is time; done: raw bytes. */
void import_progress(struct import *m, uint64_t done);

int import_messages(struct import *m, struct err *e);
int import_capture(struct import *m, struct err *e);

#endif
