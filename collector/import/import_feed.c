#include <errno.h>
#include <stdio.h>

#include "collector/import/import_private.h"
#include "common/base/clock.h"

#define DRAW_EVERY 200000000ULL

int
import_frame(struct import *m, enum frame_kind kind, uint32_t session,
    uint64_t arrival_ns, uint64_t position, const void *payload, size_t length,
    struct err *e)
{
	const struct frame f = {
	    .kind = kind,
	    .session = session,
	    .arrival_ns = arrival_ns,
	    .position = position,
	    .end = position + length,
	    .payload = payload,
	    .length = length,
	};

	if (m->settings->is_stopped != NULL && atomic_load(m->settings->is_stopped)) {
		return err_set(e, -EINTR,
		    "stopped before the end; the same command goes on from there");
	}
	return process_frame(m->process, &f, e);
}

int
import_session(struct import *m, uint32_t session, const struct session_identity *who,
    uint64_t arrival_ns, uint64_t position, struct err *e)
{
	char text[SESSION_IDENTITY_TEXT];
	const struct frame f = {
	    .kind = FRAME_OPEN,
	    .session = session,
	    .arrival_ns = arrival_ns,
	    .position = position,
	    .end = position, /* takes no place in the file */
	    .payload = (const uint8_t *)text,
	    .length = session_identity_write(who, text, sizeof text),
	};

	return process_frame(m->process, &f, e);
}

void
import_progress(struct import *m, uint64_t done)
{
	uint64_t now;
	double seconds;

	if (!m->settings->shows_progress) {
		return;
	}
	now = clock_monotonic_ns();
	if (now - m->drawn_ns < DRAW_EVERY) {
		return;
	}
	m->drawn_ns = now;
	seconds = (double)(now - m->begin_ns) / (double)NS_PER_SECOND;
	if (m->size == 0 || done == 0 || done > m->size) {
		fprintf(stderr, "\r%s: %.1f MB\033[K", m->name, (double)done / 1e6);
	} else {
		double share = (double)done / (double)m->size;
		fprintf(stderr, "\r%s: %3.0f %%  %.1f MB/s  %.0f s left\033[K", m->name,
		    100 * share, (double)done / 1e6 / seconds,
		    seconds / share * (1 - share));
	}
	fflush(stderr);
	m->has_drawn = true;
}
