/* The start: where the store stands, and the journal from there on. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "collector/process/process_private.h"

int
process_resume(struct process *p, struct err *e)
{
	int rc = store_progress(p->store, &p->source, &p->complete, &p->pending, e);

	if (rc < 0) {
		return rc;
	}
	rc = store_resume(p->store, &p->source, p->pending > p->complete, e);
	if (rc < 0) {
		return rc;
	}
	sessions_set_counting(p->sessions, p->complete == 0);
	p->is_counting = p->complete == 0;
	return 0;
}

/* Loads what was saved where a sync of the journal failed, if the store ends there.  0,
 * or -ENOENT: it ends elsewhere. */
static int
load_resume(struct process *p, uint64_t start, struct err *e)
{
	char path[PATH_MAX];
	int rc;

	journal_resume_path(p->journal, p->complete, path, sizeof path);
	rc = sessions_load(p->sessions, path, e);
	if (rc == 0) {
		p->resumed = p->position = p->complete;
		/* The segment's own state, if it has none, is not known any more. */
		p->segment = start;
		p->has_segment = true;
	}
	return rc;
}

/* Loads the state of the segment that holds the complete position, or of an earlier
 * one.  *ret_start: where to read from. */
static int
load_state(struct process *p, uint64_t *ret_start, struct err *e)
{
	uint64_t oldest = journal_segment_start(p->journal, 0);
	uint64_t start = journal_segment_start(p->journal, p->complete);
	char path[PATH_MAX];
	int rc;

	if (p->complete < oldest) {
		return err_set(e, -EPROTO,
		    "the store has the journal %s up to position %" PRIu64
		    ", but the journal begins at %" PRIu64
		    ": another store has what lies between; use the store that belongs to "
		    "this journal, or give this store an empty --journal",
		    p->source.text, p->complete, oldest);
	}
	rc = load_resume(p, start, e);
	if (rc != -ENOENT) {
		*ret_start = start;
		return rc;
	}
	for (;;) {
		journal_state_path(p->journal, start, path, sizeof path);
		rc = sessions_load(p->sessions, path, e);
		if (rc == -ENOENT && start == 0) {
			rc = 0; /* nothing came before */
		}
		if (rc == -ENOENT && start == oldest) {
			return err_set(e, rc,
			    "%s is missing: restore it, or create it as an empty file to "
			    "continue without the templates that it held",
			    path);
		}
		if (rc != -ENOENT) {
			*ret_start = start;
			return rc;
		}
		start = journal_segment_start(p->journal, start - 1);
	}
}

struct replay {
	struct process *p;
	struct err *e;
};

static int
replay_frame(const struct frame *f, void *data)
{
	struct replay *r = data;

	return process_frame(r->p, f, r->e);
}

struct closing {
	struct process *p;
	unsigned count;
};

static void
close_orphan(uint32_t session, const struct session_identity *identity, void *data)
{
	static const char reason[] = "the collector was started again";
	struct closing *c = data;
	const struct frame f = {.kind = FRAME_CLOSE,
	    .session = session,
	    .arrival_ns = c->p->now_ns,
	    .length = sizeof reason - 1};
	struct err e;
	size_t room;
	uint8_t *at = journal_reserve(c->p->journal, &room);

	(void)identity;
	/* No room: the next start closes the rest. */
	if (at != NULL && room >= sizeof reason) {
		memcpy(at, reason, sizeof reason - 1);
		if (journal_commit(c->p->journal, &f, &e) == 0) {
			c->count++;
		}
	}
}

/* Connections do not outlive the process.  Their end is written down like any other, so
 * that every later replay sees it at the same place. */
static int
close_orphans(struct process *p, struct err *e)
{
	struct closing c = {.p = p};
	struct journal_buffer *b = NULL;
	struct frame f;
	size_t at = 0;
	int rc;

	sessions_each_open(p->sessions, close_orphan, &c);
	rc = journal_write(p->journal, &b, e);
	while (rc == 0 && b != NULL && journal_buffer_next(b, &at, &f) > 0) {
		rc = process_frame(p, &f, e);
	}
	journal_buffer_return(p->journal, b);
	return rc;
}

int
process_replay(struct process *p, struct err *e)
{
	struct replay r = {.p = p, .e = e};
	uint64_t start = 0, end = journal_end(p->journal);
	int rc;

	rc = process_resume(p, e);
	if (rc < 0) {
		return rc;
	}
	if (p->pending > end || p->complete > end) {
		return err_set(e, -EPROTO,
		    "the store has the journal %s up to position %" PRIu64
		    ", but the journal ends at %" PRIu64
		    ": it is an older copy; put back the right one, or give this store "
		    "an empty --journal",
		    p->source.text, p->pending > p->complete ? p->pending : p->complete,
		    end);
	}
	rc = load_state(p, &start, e);
	if (rc == 0) {
		rc = journal_replay(
		    p->journal, start, &(struct frame_sink){replay_frame, &r}, e);
	}
	p->resumed = 0;
	if (rc < 0) {
		return rc;
	}
	if (p->pending > p->complete) {
		return err_set(e, -EPROTO,
		    "the store has parts of the journal %s up to position %" PRIu64
		    ", where no message ends: put back the right journal, or start with "
		    "an empty --store and --journal",
		    p->source.text, p->pending);
	}
	/* A journal that was full has room again only after this. */
	rc = process_flush(p, false, e);
	if (rc == 0) {
		rc = close_orphans(p, e);
	}
	p->is_live = true;
	return rc;
}
