/* The journal's mark: DIR/synced, which says how far the journal is durable.  It guards
 * against an end that was taken away by hand where the journal looks whole.  It is
 * written whenever that grows, before any peer is told, and not synced itself: after a
 * crash of the machine only that guard is weaker. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "collector/journal/journal_private.h"
#include "common/base/log.h"

#define MARK        "synced"
#define MARK_LENGTH 50 /* "<UUID as hex> <position as hex>\n" */

int
journal_open_mark(struct journal *j, struct err *e)
{
	j->mark_fd = openat(
	    j->directory_fd, MARK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (j->mark_fd < 0) {
		return err_set(e, -errno, "cannot open %s/" MARK ": %s", j->directory,
		    strerror(errno));
	}
	return 0;
}

void
journal_write_mark(struct journal *j, uint64_t position)
{
	char text[MARK_LENGTH + 1];
	ssize_t n;

	snprintf(text, sizeof text, "%.32s %016" PRIx64 "\n", j->id.text, position);
	n = pwrite(j->mark_fd, text, MARK_LENGTH, 0);
	if (n != MARK_LENGTH && !j->has_mark_failed) {
		j->has_mark_failed = true;
		log_warning("cannot write %s/" MARK ": a journal truncated by hand may "
			    "go unnoticed",
		    j->directory);
	}
}

uint64_t
journal_read_mark(const struct journal *j)
{
	char text[MARK_LENGTH + 1], uuid[33] = "", expected[33];
	uint64_t position;
	ssize_t n = pread(j->mark_fd, text, MARK_LENGTH, 0);

	text[n < 0 ? 0 : n] = '\0';
	if (n != MARK_LENGTH || text[MARK_LENGTH - 1] != '\n' ||
	    sscanf(text, "%32[0-9a-f] %16" SCNx64, uuid, &position) != 2) {
		return 0;
	}
	for (unsigned i = 0; i < sizeof j->uuid; i++) {
		snprintf(expected + 2 * i, 3, "%02x", j->uuid[i]);
	}
	return j->count == 0 || strcmp(uuid, expected) == 0 ? position : 0;
}

int
journal_check_mark(struct journal *j, struct err *e)
{
	uint64_t position = journal_read_mark(j);
	struct journal_segment *s, torn;
	int rc;

	if (position <= j->end) {
		return 0;
	}
	if (!j->settings.skip_damage) {
		return err_set(e, -EBADMSG,
		    "the journal in %s was durable up to position %" PRIu64
		    ", but ends at %" PRIu64
		    ": restore its files, or start with --skip-damaged-journal to "
		    "continue without the missing part",
		    j->directory, position, j->end);
	}
	if (j->count == 0) {
		return 0; /* another journal begins */
	}
	/* Positions go on after what is missing: stores may hold it. */
	s = &j->segments[j->count - 1];
	if (s->torn_from > s->written) {
		s->torn_from = s->written;
	}
	torn = *s;
	torn.is_unsynced = false;
	rc = journal_write_torn(j, &torn, position, e);
	if (rc == 0) {
		s->written = s->synced = j->end = position;
		j->next_session += JOURNAL_SESSIONS_LOST;
	}
	return rc;
}
