#include "collector/process/process.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/process/process_private.h"
#include "collector/process/quarantine.h"
#include "common/base/log.h"

#define RETRY_NS   100000000L /* between checks whether to give up */
#define RETRY_WAIT 10         /* checks between attempts */

int
process_new(const struct process_settings *s, const struct source_id *source,
    struct process **ret, struct err *e)
{
	struct journal *journal = s->journal;
	struct process *p = calloc(1, sizeof *p);
	char directory[PATH_MAX], *slash;
	int rc = 0;

	if (p == NULL) {
		return err_set(e, -ENOMEM, "not enough memory for processing");
	}
	p->settings = *s;
	p->tables = store_tables(s->store);
	p->store = s->store;
	p->source = *source;
	p->journal = journal;
	p->is_counting = true;
	p->has_resume = journal != NULL; /* of a crash */
	p->sessions =
	    sessions_new(&s->sessions, s->elements, tables_add_set, p->tables);
	if (p->sessions == NULL) {
		rc = err_set(e, -ENOMEM, "not enough memory for sessions");
	} else if (journal != NULL) {
		journal_state_path(journal, 0, directory, sizeof directory);
		slash = strrchr(directory, '/');
		*slash = '\0';
		rc = quarantine_new(directory, &p->quarantine, e);
	}
	if (rc < 0) {
		process_free(p);
		return rc;
	}
	*ret = p;
	return 0;
}

void
process_free(struct process *p)
{
	if (p == NULL) {
		return;
	}
	quarantine_free(p->quarantine);
	sessions_free(p->sessions);
	free(p);
}

void
process_give_up(struct process *p)
{
	atomic_store(&p->gives_up, true);
}

void
process_adopt(struct process *p)
{
	if (p->quarantine != NULL) {
		quarantine_adopt(p->quarantine);
	}
}

uint64_t
process_complete(const struct process *p)
{
	return p->complete;
}

uint64_t
process_position(const struct process *p)
{
	return p->position;
}

const struct watermarks *
process_watermarks(const struct process *p)
{
	return sessions_watermarks(p->sessions);
}

static void
take_counts(const struct session_counts *c, void *data)
{
	struct process *p = data;
	struct process_counts *sum = &p->counts;

	sum->messages += c->messages;
	sum->octets += c->octets;
	sum->templates += c->templates;
	sum->records += c->records;
	sum->options += c->options;
	sum->counter_samples += c->counter_samples;
	sum->lost += c->lost;
	sum->reordered += c->reordered;
	for (unsigned i = 0; i < DROPS; i++) {
		sum->dropped[i] += c->dropped[i];
	}
	if (tables_add_exporter(p->tables, c) < 0) {
		sum->dropped[DROP_NO_MEMORY]++;
	}
}

void
process_counts(const struct process *p, struct process_counts *ret)
{
	*ret = p->counts;
	ret->held = sessions_held(p->sessions);
}

/* The journal may lose what lies before this position, and then cannot tell which
 * messages of a spool the store has.  So what the sessions know here is saved. */
static int
save_resume(struct process *p, struct err *e)
{
	char path[PATH_MAX];

	journal_resume_path(p->journal, p->position, path, sizeof path);
	p->has_resume = true;
	return sessions_save(p->sessions, path, e);
}

/* The journal first: the store may hold nothing that the journal could lose. */
static int
commit(struct process *p, bool finished, struct err *e)
{
	int rc = 0;

	if (p->journal != NULL) {
		rc = journal_sync(p->journal, p->position, e);
	}
	if (rc == 0 && p->journal != NULL &&
	    journal_is_unsynced(p->journal, p->position)) {
		rc = save_resume(p, e);
	}
	if (rc == 0) {
		rc = store_flush(p->store, &p->source, p->position, finished, e);
	}
	return rc;
}

static bool
wait_to_retry(struct process *p)
{
	const struct timespec t = {.tv_nsec = RETRY_NS};

	for (unsigned i = 0; i < RETRY_WAIT && !atomic_load(&p->gives_up); i++) {
		nanosleep(&t, NULL);
	}
	return !atomic_load(&p->gives_up);
}

/* Removes what the store has made superfluous. */
static void
tidy_journal(struct process *p)
{
	struct err e;

	if (p->has_resume) {
		journal_forget_resumes(p->journal, p->complete);
		p->has_resume = journal_is_unsynced(p->journal, p->complete);
	}
	if (journal_trim(p->journal, p->complete, &e) < 0) {
		log_warning("%s; the journal grows until this succeeds", e.text);
	}
}

/* Rows that found no place in a table are gone: that is to be known. */
static void
tell_dropped(struct process *p)
{
	struct tables_counts c;

	tables_counts(p->tables, &c);
	if (c.dropped > p->rows_dropped) {
		log_error("lost %" PRIu64
			  " rows: a table was full, or memory was short; lower "
			  "--max-keys or give the collector more memory",
		    c.dropped - p->rows_dropped);
	}
	p->rows_dropped = c.dropped;
}

static int
flush(struct process *p, bool finished, struct err *e)
{
	bool has_failed = false;
	int rc;

	sessions_take_counts(p->sessions, take_counts, p);
	while ((rc = commit(p, finished, e)) < 0) {
		if (!p->is_live) {
			return rc;
		}
		if (!has_failed) {
			log_error("%s; retrying, no data is lost", e->text);
		}
		has_failed = true;
		if (!wait_to_retry(p)) {
			return rc;
		}
	}
	if (has_failed) {
		log_info("store writes succeed again");
	}
	p->complete = p->position;
	if (p->pending < p->complete) {
		p->pending = p->complete;
	}
	p->is_dirty = false;
	p->counts.flushes++;
	tell_dropped(p);
	if (p->journal != NULL) {
		tidy_journal(p);
	}
	return 0;
}

int
process_flush(struct process *p, bool finished, struct err *e)
{
	if (p->is_broken || (!p->is_dirty && !finished)) {
		return 0;
	}
	if (finished && p->pending > p->position) {
		return err_set(e, -EPROTO,
		    "the store has parts of source %s up to position %" PRIu64
		    ", but the source ends at %" PRIu64,
		    p->source.text, p->pending, p->position);
	}
	return flush(p, finished, e);
}

/* Every position that a flush may have had passes through here. */
static int
move_to(struct process *p, uint64_t position, struct err *e)
{
	p->position = position;
	if (p->pending <= p->complete || position < p->pending) {
		return 0;
	}
	if (position > p->pending) {
		p->is_broken = true;
		return err_set(e, -EPROTO,
		    "the store ends at position %" PRIu64
		    " of source %s, where no message ends: the journal or the store was "
		    "replaced by an older copy; put back the right one, or start with "
		    "an empty --store and --journal",
		    p->pending, p->source.text);
	}
	return flush(p, false, e);
}

/* What ends at or before the complete position is read for its templates only. */
static int
set_counting(struct process *p, uint64_t start, uint64_t end, struct err *e)
{
	bool is_counting = end > p->complete;

	if (is_counting && !p->is_counting && start < p->complete) {
		p->is_broken = true;
		return err_set(e, -EPROTO,
		    "the store ends at position %" PRIu64
		    " of source %s, in the middle of a message: the journal or the store "
		    "was replaced by an older copy; put back the right one",
		    p->complete, p->source.text);
	}
	if (is_counting != p->is_counting) {
		sessions_set_counting(p->sessions, is_counting);
		p->is_counting = is_counting;
	}
	if (is_counting && !p->is_dirty) {
		p->is_dirty = true;
		p->held_ns = p->now_ns;
	}
	return 0;
}

static int
pass_message(struct process *p, const struct frame *f, uint64_t position, struct err *e)
{
	const struct message_view *v = &p->view;
	int rc = 0;

	if (p->quarantine != NULL) {
		rc = quarantine_begin(p->quarantine, position, v->bytes, v->length, e);
	}
	if (rc == QUARANTINE_NEW) {
		log_error("the message of %zu bytes at position %" PRIu64
			  " of the journal crashed this program twice: it is moved to "
			  "the journal's folder quarantine and not counted",
		    v->length, position);
	}
	if (rc != 0) {
		if (rc > 0) {
			p->counts.quarantined++;
			sessions_skip_message(p->sessions, f->session);
		}
		return rc < 0 ? rc : 0;
	}
	if (p->is_counting) {
		tables_pass_time(p->tables, f->arrival_ns);
	}
	sessions_message(p->sessions, f, v);
	if (p->quarantine != NULL) {
		quarantine_end(p->quarantine);
	}
	return 0;
}

/* No other flush may end between the complete and the pending position: partitions that
 * have the pending one would store part of it twice. */
static int
make_room(struct process *p, struct err *e)
{
	if (p->pending > p->complete) {
		p->is_broken = true;
		return err_set(e, -ENOSPC,
		    "the store was interrupted while it stored more rows than fit in "
		    "memory now: start once with the earlier --max-keys and tables");
	}
	return flush(p, false, e);
}

/* The view is of a message in the frame that starts here. */
static int
handle_message(struct process *p, const struct frame *f, uint64_t start, struct err *e)
{
	uint64_t end = start + p->view.length;
	int rc;

	if (p->is_dirty && end > p->complete &&
	    !tables_have_room(
		p->tables, sessions_most_records(p->sessions, f->session, &p->view))) {
		rc = make_room(p, e);
		if (rc < 0) {
			return rc;
		}
	}
	rc = set_counting(p, start, end, e);
	if (rc == 0) {
		rc = pass_message(p, f, start, e);
	}
	p->counts.replayed += !p->is_live && p->journal != NULL && p->is_counting;
	return rc < 0 ? rc : move_to(p, end, e);
}

static int
handle_messages(struct process *p, const struct frame *f, struct err *e)
{
	size_t length;
	int rc = 0;

	/* Receivers cut whole messages: anything else is one bad message. */
	for (size_t at = 0; rc >= 0 && at < f->length; at += length) {
		const uint8_t *bytes = f->payload + at;
		length = protocol_next(bytes, f->length - at);
		if (f->position + at + length > p->resumed) {
			message_view_read(bytes, length, &p->view);
			rc = handle_message(p, f, f->position + at, e);
		}
	}
	return rc;
}

/* A segment and its state replay alone: written before the segment's first frame. */
static void
save_state(struct process *p, const struct frame *f)
{
	uint64_t start = journal_segment_start(p->journal, f->position);
	char path[PATH_MAX];
	struct err e;

	if (p->has_segment && start == p->segment) {
		return;
	}
	p->segment = start;
	p->has_segment = true;
	journal_state_path(p->journal, start, path, sizeof path);
	if (access(path, F_OK) == 0) {
		return;
	}
	if (sessions_save(p->sessions, path, &e) < 0) {
		log_warning(
		    "%s; the journal keeps the previous segment longer", e.text);
	}
}

/* A flush makes room in the journal, which must not be full until the next flush is due:
 * peers are not read then. */
static bool
needs_room(const struct process *p, bool is_idle)
{
	return p->journal != NULL &&
	       ((p->position > p->complete &&
		    p->position - p->complete > journal_capacity(p->journal) / 2) ||
		   (is_idle && journal_is_full(p->journal)));
}

/* is_idle: all that is in the journal has been handled. */
static bool
is_due(const struct process *p, bool is_idle)
{
	if (!p->is_dirty || p->pending > p->complete) {
		return false;
	}
	/* A crash during a flush would leave parts of the store at a position that the
	 * journal may have lost.  Flush later, unless nothing comes later. */
	if (p->journal != NULL && !is_idle &&
	    journal_is_unsynced(p->journal, p->position)) {
		return false;
	}
	return sessions_are_full(p->sessions) || needs_room(p, is_idle) ||
	       (p->settings.flush_interval_ns > 0 && p->now_ns > p->held_ns &&
		   p->now_ns - p->held_ns >= p->settings.flush_interval_ns);
}

/* A tick in the source itself ends the flows that waited too long for their other
 * direction, or all of them when the source ends for now.  If there were any, a flush
 * may end here. */
static int
pass_tick(struct process *p, const struct frame *f, struct err *e)
{
	bool any;
	int rc;

	if (f->end <= p->complete) {
		return 0;
	}
	any = f->length > 0 ? tables_release(p->tables)
			    : tables_pass_time(p->tables, f->arrival_ns);
	if (!any) {
		return 0;
	}
	if (p->journal != NULL) {
		save_state(p, f);
	}
	rc = set_counting(p, f->end, f->end, e);
	return rc < 0 ? rc : move_to(p, f->end, e);
}

int
process_frame(struct process *p, const struct frame *f, struct err *e)
{
	int rc;

	if (p->resumed > 0 && f->end <= p->resumed) {
		return 0;
	}
	p->now_ns = f->arrival_ns;
	if (p->held_ns > p->now_ns) {
		p->held_ns = p->now_ns; /* the clock was set back */
	}
	if (is_due(p, f->kind == FRAME_TICK)) {
		rc = flush(p, false, e);
		if (rc < 0) {
			return rc;
		}
	}
	if (f->is_after_gap) {
		sessions_break_off(p->sessions);
	}
	if (f->kind == FRAME_TICK) {
		return pass_tick(p, f, e);
	}
	if (p->journal != NULL) {
		save_state(p, f);
	}
	if (f->kind == FRAME_MESSAGES) {
		rc = handle_messages(p, f, e);
		return rc < 0 ? rc : move_to(p, f->end, e);
	}
	rc = set_counting(p, f->end, f->end, e);
	if (rc < 0) {
		return rc;
	}
	if (f->kind == FRAME_OPEN) {
		sessions_open(
		    p->sessions, f->session, f->payload, f->length, f->arrival_ns);
		/* In a file an opening has no length: the first one ends at position 0. */
		p->counts.sessions +=
		    p->is_counting || (p->journal == NULL && f->end == p->complete);
	} else if (f->kind == FRAME_CLOSE) {
		sessions_close(p->sessions, f->session, f->arrival_ns);
	}
	return move_to(p, f->end, e);
}
