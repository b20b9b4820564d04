#include "collector/process.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/quarantine.h"
#include "common/log.h"
#include "common/message.h"

#define RETRY_NS   100000000L /* between looks whether to give up */
#define RETRY_WAIT 10         /* looks between attempts */

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
	bool is_live;
	bool is_broken; /* source and store do not belong together */
	bool is_counting;
	bool is_dirty;    /* something was counted since the last flush */
	uint64_t held_ns; /* arrival of the first of it */
	uint64_t now_ns;  /* latest arrival */
	atomic_bool gives_up;
	struct process_counts counts;
};

int
process_new(const struct process_settings *s, struct elements *elements,
    struct tables *tables, struct store *store, const struct source_id *source,
    struct journal *journal, struct process **ret, struct err *e)
{
	struct process *p = calloc(1, sizeof *p);
	char directory[PATH_MAX], *slash;
	int rc = 0;

	if (p == NULL) {
		return err_set(e, -ENOMEM, "no memory for processing");
	}
	p->settings = *s;
	p->tables = tables;
	p->store = store;
	p->source = *source;
	p->journal = journal;
	p->is_counting = true;
	p->sessions = sessions_new(&s->sessions, elements, tables_add_set, tables);
	if (p->sessions == NULL) {
		rc = err_set(e, -ENOMEM, "no memory for sessions");
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
	sum->lost += c->lost;
	sum->reordered += c->reordered;
	for (unsigned i = 0; i < SESSION_DROPS; i++) {
		sum->dropped[i] += c->dropped[i];
	}
	tables_add_exporter(c, p->tables);
}

void
process_counts(const struct process *p, struct process_counts *ret)
{
	*ret = p->counts;
	ret->held = sessions_held(p->sessions);
}

/* The store may hold nothing that the journal could lose: the journal first. */
static int
commit(struct process *p, bool finished, struct err *e)
{
	int rc = 0;

	if (p->journal != NULL) {
		rc = journal_sync(p->journal, p->position, e);
	}
	if (rc == 0) {
		rc = tables_flush(
		    p->tables, p->store, &p->source, p->position, finished, e);
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

static int
flush(struct process *p, bool finished, struct err *e)
{
	struct err trouble;
	bool has_failed = false;
	int rc;

	sessions_take_counts(p->sessions, take_counts, p);
	while ((rc = commit(p, finished, e)) < 0) {
		if (!p->is_live) {
			return rc;
		}
		if (!has_failed) {
			log_error("%s; trying again until it works, nothing is lost "
				  "meanwhile",
			    e->text);
		}
		has_failed = true;
		if (!wait_to_retry(p)) {
			return rc;
		}
	}
	if (has_failed) {
		log_info("the store works again");
	}
	p->complete = p->position;
	if (p->pending < p->complete) {
		p->pending = p->complete;
	}
	p->is_dirty = false;
	p->counts.flushes++;
	if (p->journal != NULL && journal_trim(p->journal, p->complete, &trouble) < 0) {
		log_warning(
		    "%s; the journal keeps growing until that works", trouble.text);
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
		    ", but it ends at %" PRIu64,
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
		    "the store is at position %" PRIu64
		    " of source %s, which is no end of a message there: the journal or "
		    "the store was replaced by an older copy; put back the right one, "
		    "or "
		    "start with an empty --store and --journal",
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
		    " of source %s, in the middle of a message: the journal or the "
		    "store "
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
pass_message(
    struct process *p, const struct frame *f, size_t at, size_t length, struct err *e)
{
	const uint8_t *bytes = f->payload + at;
	uint64_t position = f->position + at;
	bool is_new = false;
	int rc = 0;

	if (p->quarantine != NULL) {
		rc = quarantine_begin(
		    p->quarantine, position, bytes, length, &is_new, e);
	}
	if (is_new) {
		log_error("the message of %zu bytes at position %" PRIu64
			  " of the journal crashed this program twice: it is set aside "
			  "in the journal's folder quarantine and not counted",
		    length, position);
	}
	if (rc != 0) {
		if (rc > 0) {
			p->counts.quarantined++;
			sessions_skip_message(p->sessions, f->session);
		}
		return rc < 0 ? rc : 0;
	}
	sessions_message(
	    p->sessions, f->session, f->stream, bytes, length, f->arrival_ns, position);
	if (p->quarantine != NULL) {
		quarantine_end(p->quarantine);
	}
	return 0;
}

/* Between what is complete and what is pending no other flush may end: partitions that
 * have the one would take part of it twice. */
static int
make_room(struct process *p, struct err *e)
{
	if (p->pending > p->complete) {
		p->is_broken = true;
		return err_set(e, -ENOSPC,
		    "the store was interrupted while it took in more rows than now fit "
		    "in memory: start once with the --max-keys (and tables) of before");
	}
	return flush(p, false, e);
}

static int
handle_message(
    struct process *p, const struct frame *f, size_t at, size_t length, struct err *e)
{
	uint64_t start = f->position + at;
	int rc;

	if (p->is_dirty && start + length > p->complete &&
	    !tables_have_room(p->tables, sessions_most_records(p->sessions, f->session,
					     f->payload + at, length))) {
		rc = make_room(p, e);
		if (rc < 0) {
			return rc;
		}
	}
	rc = set_counting(p, start, start + length, e);
	if (rc == 0) {
		rc = pass_message(p, f, at, length, e);
	}
	p->counts.replayed += !p->is_live && p->journal != NULL && p->is_counting;
	return rc < 0 ? rc : move_to(p, start + length, e);
}

static int
handle_messages(struct process *p, const struct frame *f, struct err *e)
{
	size_t at = 0;

	while (at < f->length) {
		int n = message_length(f->payload + at, f->length - at);
		int rc;
		/* Receivers cut whole messages: anything else is one bad message. */
		size_t length =
		    n <= 0 || (size_t)n > f->length - at ? f->length - at : (size_t)n;
		rc = handle_message(p, f, at, length, e);
		if (rc < 0) {
			return rc;
		}
		at += length;
	}
	return 0;
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
		    "%s; the journal keeps the segment before it for longer", e.text);
	}
}

static bool
is_due(const struct process *p)
{
	if (!p->is_dirty || p->pending > p->complete) {
		return false;
	}
	/* After a crash the numbers of messages in there may not be known: the state at
	 * its end must be on disk before the store has a part of it. */
	if (p->journal != NULL && journal_is_unsynced(p->journal, p->position)) {
		return false;
	}
	return sessions_are_full(p->sessions) ||
	       (p->settings.flush_interval_ns > 0 && p->now_ns > p->held_ns &&
		   p->now_ns - p->held_ns >= p->settings.flush_interval_ns);
}

int
process_frame(struct process *p, const struct frame *f, struct err *e)
{
	int rc;

	p->now_ns = f->arrival_ns;
	if (is_due(p)) {
		rc = flush(p, false, e);
		if (rc < 0) {
			return rc;
		}
	}
	if (f->kind == FRAME_TICK) {
		return 0;
	}
	if (f->is_after_gap) {
		sessions_break_off(p->sessions);
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
		/* In a file it takes no place: the first one's end is position 0. */
		p->counts.sessions +=
		    p->is_counting || (p->journal == NULL && f->end == p->complete);
	} else if (f->kind == FRAME_CLOSE) {
		sessions_close(p->sessions, f->session, f->arrival_ns);
	} else if (f->kind == FRAME_REFUSED) {
		p->counts.refused += p->is_counting;
	}
	return move_to(p, f->end, e);
}

int
process_resume(struct process *p, struct err *e)
{
	int rc = store_progress(p->store, &p->source, &p->complete, &p->pending, e);

	if (rc < 0) {
		return rc;
	}
	sessions_set_counting(p->sessions, p->complete == 0);
	p->is_counting = p->complete == 0;
	return 0;
}

/* Loads the state of the segment that holds the complete position, or of an earlier
 * one.  *ret_start: where to read from. */
static int
load_state(struct process *p, uint64_t *ret_start, struct err *e)
{
	uint64_t oldest = journal_segment_start(p->journal, 0);
	uint64_t start = journal_segment_start(p->journal, p->complete);

	if (p->complete < oldest) {
		return err_set(e, -EPROTO,
		    "the store has the journal %s up to position %" PRIu64
		    ", but the journal begins at %" PRIu64
		    ": what was between is stored elsewhere; use the store that "
		    "belongs "
		    "to this journal, or give this store an empty --journal",
		    p->source.text, p->complete, oldest);
	}
	for (;;) {
		char path[PATH_MAX];
		int rc;
		journal_state_path(p->journal, start, path, sizeof path);
		rc = sessions_load(p->sessions, path, e);
		if (rc == -ENOENT && start == 0) {
			rc = 0; /* nothing came before */
		}
		if (rc == -ENOENT && start == oldest) {
			return err_set(e, rc,
			    "%s is missing: restore it, or make it an empty file to go "
			    "on without the templates it held",
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
	struct err e;
	size_t room;
	uint8_t *at = journal_reserve(c->p->journal, &room);

	(void)identity;
	/* No room: the next start closes the rest. */
	if (at != NULL && room >= sizeof reason) {
		memcpy(at, reason, sizeof reason - 1);
		if (journal_commit(c->p->journal, FRAME_CLOSE, session, 0, c->p->now_ns,
			sizeof reason - 1, &e) == 0) {
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
		rc = journal_replay(p->journal, start, replay_frame, &r, e);
	}
	if (rc < 0) {
		return rc;
	}
	if (p->pending > p->complete) {
		return err_set(e, -EPROTO,
		    "the store has parts of the journal %s up to position %" PRIu64
		    ", which is no end of a message there: put back the right journal, "
		    "or start with an empty --store and --journal",
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
