#include "collector/door/intake.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"

uint8_t *
intake_room(struct intake *i, size_t *ret_n)
{
	uint8_t *room = i->is_stuck ? NULL : journal_reserve(i->journal, ret_n);

	if (room == NULL && !i->is_stuck && intake_pass(i)) {
		room = journal_reserve(i->journal, ret_n);
		i->is_stuck = room == NULL;
	}
	return room;
}

void
intake_add(
    struct intake *i, enum frame_kind kind, uint32_t session, uint16_t stream, size_t n)
{
	const struct frame f = {.kind = kind,
	    .session = session,
	    .stream = stream,
	    .arrival_ns = clock_realtime_ns(),
	    .length = n};
	struct err e = {0};

	if (journal_commit(i->journal, &f, &e) < 0) {
		log_error("%s", e.text);
		return;
	}
	i->added++;
}

bool
intake_put(struct intake *i, enum frame_kind kind, uint32_t session, const char *text,
    size_t length)
{
	size_t n;
	uint8_t *room = intake_room(i, &n);

	if (room == NULL) {
		return false;
	}
	memcpy(room, text, length);
	intake_add(i, kind, session, 0, length);
	return true;
}

static bool
hand_on(struct intake *i)
{
	if (i->held != NULL && ring_try_push(i->out, i->held) == 0) {
		i->held = NULL;
	}
	return i->held == NULL;
}

bool
intake_pass(struct intake *i)
{
	struct err e = {0};
	size_t n;
	int rc = 0;

	i->is_written = false;
	if (hand_on(i)) {
		rc = journal_write(i->journal, &i->held, &e);
		i->is_written = rc == 0;
	}
	if (rc < 0 && !i->is_refused) {
		log_error("%s; not reading from peers until this clears", e.text);
	} else if (rc == 0 && i->is_refused) {
		log_info("journal writable again; reading resumed");
	}
	i->is_refused = rc < 0;
	i->is_stuck = rc < 0 || !hand_on(i) || journal_reserve(i->journal, &n) == NULL;
	return !i->is_stuck;
}

int
intake_sync(struct intake *i)
{
	struct err e = {0};
	uint64_t failed;
	int rc;

	intake_pass(i);
	if (!i->is_written) {
		return -EAGAIN;
	}
	rc = journal_sync(i->journal, journal_end(i->journal), &e);
	if (rc < 0) {
		log_error("%s", e.text);
	}
	failed = journal_failed_syncs(i->journal);
	if (failed != i->failed_syncs) {
		i->failed_syncs = failed;
		rc = rc < 0 ? rc : -EIO;
	}
	if (i->marks != NULL) {
		watermarks_settle(i->marks, rc == 0);
	}
	return rc;
}
