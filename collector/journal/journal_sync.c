/* The journal's durability: syncing, the switch to another segment, and trimming. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "collector/journal/journal_private.h"

struct journal_segment
journal_last(struct journal *j)
{
	struct journal_segment s;

	pthread_mutex_lock(&j->lock);
	s = j->segments[j->count - 1];
	pthread_mutex_unlock(&j->lock);
	return s;
}

uint64_t
journal_synced(const struct journal *j)
{
	struct journal *m = (struct journal *)j; /* only its lock changes */
	uint64_t at = 0;

	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < m->count; i++) {
		at = m->segments[i].synced;
		if (at < m->segments[i].written) {
			break;
		}
	}
	pthread_mutex_unlock(&m->lock);
	return at;
}

static void
set_failed(struct journal *j)
{
	pthread_mutex_lock(&j->lock);
	j->segments[j->count - 1].has_failed = true;
	pthread_mutex_unlock(&j->lock);
}

bool
journal_must_roll(const struct journal *j, const struct journal_segment *last, size_t n)
{
	return last->has_failed ||
	       (last->written > last->start &&
		   last->written - last->start + n > j->settings.segment_bytes);
}

/* Ends the last segment and begins the next one where it ends; under sync_lock and
 * write_lock.  All but the last segment are durable, or say what of them is not: after
 * a failed fdatasync the kernel may have dropped what it could not write, and a second
 * call would claim success.  So nothing more goes to such a segment, and what was not
 * durable is written down as torn: positions go on after it, a replay expects no whole
 * frames there, and a store that holds it already stays right. */
static int
roll(struct journal *j, struct err *e)
{
	struct journal_segment s = journal_last(j), *now;
	bool has_failed;
	int rc;

	if (!s.has_failed && s.synced < s.written && fdatasync(s.fd) < 0) {
		/* For good, even if what follows cannot be done now. */
		set_failed(j);
		s.has_failed = true;
	}
	has_failed = s.has_failed && s.synced < s.written;
	if (has_failed) {
		atomic_fetch_add(&j->failed_syncs, 1);
		s.torn_from = s.synced;
		s.is_unsynced = true;
		rc = journal_write_torn(j, &s, s.written, e);
		if (rc < 0) {
			return rc;
		}
	}
	rc = journal_create_segment(j, s.written, e);
	if (rc < 0) {
		return rc;
	}
	journal_write_mark(j, s.written);
	pthread_mutex_lock(&j->lock);
	now = &j->segments[j->count - 2];
	now->torn_from = has_failed ? now->synced : UINT64_MAX;
	now->is_unsynced = has_failed;
	now->synced = now->written;
	now->fd = -1;
	pthread_mutex_unlock(&j->lock);
	close(s.fd);
	return 0;
}

int
journal_roll(struct journal *j, size_t n, struct err *e)
{
	struct journal_segment s;
	int rc = 0;

	pthread_mutex_lock(&j->sync_lock);
	pthread_mutex_lock(&j->write_lock);
	/* A sync that failed may have done it while this one waited. */
	s = journal_last(j);
	if (journal_must_roll(j, &s, n)) {
		rc = roll(j, e);
	}
	pthread_mutex_unlock(&j->write_lock);
	pthread_mutex_unlock(&j->sync_lock);
	return rc;
}

static int
sync_failed(struct journal *j, const struct journal_segment *s, int code, struct err *e)
{
	atomic_fetch_add(&j->failed_syncs, 1);
	set_failed(j);
	pthread_mutex_lock(&j->write_lock);
	(void)roll(j, NULL);
	pthread_mutex_unlock(&j->write_lock);
	return err_set(e, -EIO,
	    "cannot sync the journal in %s: %s; data after position %" PRIu64
	    " may be lost if this machine stops",
	    j->directory, strerror(code), s->synced);
}

int
journal_sync(struct journal *j, uint64_t position, struct err *e)
{
	struct journal_segment s;
	int rc = 0;

	pthread_mutex_lock(&j->sync_lock);
	s = journal_last(j);
	if (s.synced < s.written && s.synced < position) {
		if (s.has_failed) {
			rc = sync_failed(j, &s, EIO, e);
		} else if (fdatasync(s.fd) < 0) {
			rc = sync_failed(j, &s, errno, e);
		} else {
			journal_write_mark(j, s.written);
			/* sync_lock: it is still the last one. */
			pthread_mutex_lock(&j->lock);
			j->segments[j->count - 1].synced = s.written;
			pthread_mutex_unlock(&j->lock);
		}
	}
	pthread_mutex_unlock(&j->sync_lock);
	return rc;
}

uint64_t
journal_failed_syncs(const struct journal *j)
{
	return atomic_load(&j->failed_syncs);
}

bool
journal_is_unsynced(const struct journal *j, uint64_t position)
{
	struct journal *m = (struct journal *)j;
	bool is_unsynced = false;

	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < m->count && !is_unsynced; i++) {
		const struct journal_segment *s = &m->segments[i];
		is_unsynced =
		    s->is_unsynced && s->torn_from < position && position < s->written;
	}
	pthread_mutex_unlock(&m->lock);
	return is_unsynced;
}

uint64_t
journal_segment_start(const struct journal *j, uint64_t position)
{
	struct journal *m = (struct journal *)j;
	uint64_t start;

	pthread_mutex_lock(&m->lock);
	start = m->segments[0].start;
	for (unsigned i = 1; i < m->count && m->segments[i].start <= position; i++) {
		start = m->segments[i].start;
	}
	pthread_mutex_unlock(&m->lock);
	return start;
}

static int
remove_segment(struct journal *j, uint64_t start, struct err *e)
{
	/* The segment last: what stays after a crash is then still complete. */
	static const char *const suffixes[] = {".state", ".torn", ".journal"};
	char name[JOURNAL_NAME];

	for (unsigned i = 0; i < 3; i++) {
		journal_file_name(start, suffixes[i], name);
		if (unlinkat(j->directory_fd, name, 0) < 0 && errno != ENOENT) {
			return err_set(e, -errno, "cannot remove %s/%s: %s",
			    j->directory, name, strerror(errno));
		}
	}
	return 0;
}

/* Segments go when they lie wholly before position and a later one has its state, from
 * which replay can begin.  Returns how many. */
static unsigned
count_removable(struct journal *j, uint64_t position)
{
	unsigned n = 0;

	pthread_mutex_lock(&j->lock);
	for (unsigned i = 1; i < j->count && j->segments[i].start <= position; i++) {
		char name[JOURNAL_NAME];
		journal_file_name(j->segments[i].start, ".state", name);
		if (faccessat(j->directory_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
			n = i;
		}
	}
	pthread_mutex_unlock(&j->lock);
	return n;
}

int
journal_trim(struct journal *j, uint64_t position, struct err *e)
{
	unsigned n, removed = 0;
	int rc = 0;

	pthread_mutex_lock(&j->sync_lock);
	n = count_removable(j, position);
	while (removed < n) {
		rc = remove_segment(j, j->segments[removed].start, e);
		if (rc < 0) {
			break;
		}
		removed++;
	}
	if (removed > 0) {
		/* All but the last have no open file. */
		pthread_mutex_lock(&j->lock);
		j->count -= removed;
		memmove(
		    j->segments, j->segments + removed, j->count * sizeof *j->segments);
		pthread_mutex_unlock(&j->lock);
	}
	if (removed > 0 && rc == 0) {
		rc = journal_sync_directory(j, e);
	}
	pthread_mutex_unlock(&j->sync_lock);
	return rc;
}
