#include <errno.h>
#include <stdio.h>

#include "collector/import/import_private.h"
#include "common/base/clock.h"

#define DRAW_EVERY (200 * NS_PER_MS)

int
import_frame(struct import *m, struct frame *f, struct err *e)
{
	if (m->settings->is_stopped != NULL && atomic_load(m->settings->is_stopped)) {
		return err_set(e, -EINTR,
		    "stopped before the end; the same command continues from there");
	}
	f->end = f->position + f->length;
	if (f->kind == FRAME_MESSAGES) {
		m->counts->bytes += f->length;
		m->end = f->end;
	}
	return process_frame(m->process, f, e);
}

int
import_session(
    struct import *m, struct frame f, const struct session_identity *who, struct err *e)
{
	char text[SESSION_IDENTITY_TEXT];

	f.kind = FRAME_OPEN;
	f.end = f.position; /* takes no place in the file */
	f.payload = (const uint8_t *)text;
	f.length = session_identity_write(who, text, sizeof text);
	return process_frame(m->process, &f, e);
}

int
import_end(struct import *m, struct err *e)
{
	return store_content_end(m->settings->process.store, &m->content.id, m->end, e);
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
