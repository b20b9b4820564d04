/* The last step of reception: frames go into the journal's buffer; full or due buffers
 * are written and handed to the processing thread.
 * Back-pressure: when every buffer is with the processing thread, the ring is full or
 * the journal refuses (full disk), the intake is stuck: it accepts nothing until
 * intake_pass() succeeds again.
 * Also tracks exporters' spools (watermark.h): how far their messages were added, and
 * how far they are durable.
 * Threads: the receiving thread. */
#ifndef COLLECTOR_DOOR_INTAKE_H
#define COLLECTOR_DOOR_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/journal/frame.h"
#include "collector/journal/journal.h"
#include "collector/journal/watermark.h"
#include "common/base/ring.h"

struct intake {
	struct journal *journal;
	struct ring *out;
	struct watermarks *marks;    /* NULL: no peer has a spool */
	struct journal_buffer *held; /* written, but the ring had no room */
	bool is_stuck;
	bool is_written;       /* everything added is in the journal's file */
	bool is_refused;       /* by the journal: its sentence was logged */
	uint64_t added;        /* frames so far */
	uint64_t failed_syncs; /* journal_failed_syncs() at the last sync */
};

/* Where the next frame's payload may be received: at least 65536 bytes; NULL: stuck. */
uint8_t *intake_room(struct intake *i, size_t *ret_n);
/* Makes a frame of n bytes of the room. */
void intake_add(struct intake *i, enum frame_kind kind, uint32_t session,
    uint16_t stream, size_t n);
/* Adds a frame with this payload.  False: stuck. */
bool intake_put(struct intake *i, enum frame_kind kind, uint32_t session,
    const char *text, size_t length);
/* Writes what was added and hands it on.  False: stuck. */
bool intake_pass(struct intake *i);
/* Passes and makes durable.  0: everything added so far is; -EAGAIN: stuck; else the
 * disk failed, in this thread or another, and what was added since the last success may
 * not be durable. */
int intake_sync(struct intake *i);

#endif
