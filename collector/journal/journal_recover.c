/* What a journal left on disk: finding its segments, cutting a torn tail, replay. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/journal/journal_private.h"
#include "common/base/log.h"

#define SUFFIX ".journal"

/* "00000000000a1000.journal" and nothing else. */
static int
parse_name(const char *name, uint64_t *ret_start)
{
	char expected[JOURNAL_NAME];
	uint64_t start;

	if (strlen(name) != 16 + sizeof SUFFIX - 1 ||
	    sscanf(name, "%16" SCNx64, &start) != 1) {
		return -EINVAL;
	}
	journal_file_name(start, SUFFIX, expected);
	if (strcmp(name, expected) != 0) {
		return -EINVAL;
	}
	*ret_start = start;
	return 0;
}

static int
by_start(const void *a, const void *b)
{
	const struct journal_segment *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int
list_segments(struct journal *j, struct err *e)
{
	int fd = openat(j->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int rc = 0;

	if (d == NULL) {
		rc = err_set(e, -errno, "cannot read the journal directory %s: %s",
		    j->directory, strerror(errno));
		if (fd >= 0) {
			close(fd);
		}
		return rc;
	}
	while (rc == 0 && (entry = readdir(d)) != NULL) {
		struct journal_segment s = {.fd = -1, .torn_from = UINT64_MAX};
		if (parse_name(entry->d_name, &s.start) < 0) {
			continue;
		}
		s.written = s.synced = s.start;
		if (journal_add_segment(j, &s) < 0) {
			rc = err_set(e, -ENOMEM, "no memory for the journal's list");
		}
	}
	closedir(d);
	if (j->count > 1) {
		qsort(j->segments, j->count, sizeof *j->segments, by_start);
	}
	return rc;
}

/* A crash between creating a segment and writing its header leaves a short file or a
 * block of zeros, and nothing else, at the end. */
static int
drop_unborn(struct journal *j, struct err *e)
{
	const struct journal_segment *last = &j->segments[j->count - 1];
	char name[JOURNAL_NAME];
	struct stat st;

	journal_file_name(last->start, SUFFIX, name);
	if (fstatat(j->directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(st.st_mode) || st.st_size > (off_t)SEGMENT_BLOCK) {
		return 0;
	}
	if (st.st_size == (off_t)SEGMENT_BLOCK) {
		struct segment_reader *r;
		int rc = journal_open_reader(j, last->start, UINT64_MAX, &r, NULL);
		if (rc == 0) {
			segment_reader_free(r);
		}
		if (rc == 0 || rc == -ENOTSUP) {
			return 0;
		}
	}
	if (unlinkat(j->directory_fd, name, 0) < 0) {
		return err_set(e, -errno, "cannot remove %s/%s: %s", j->directory, name,
		    strerror(errno));
	}
	j->count--;
	return journal_sync_directory(j, e);
}

static int
complain_damage(const struct journal *j, uint64_t start, uint64_t at, struct err *e)
{
	return err_set(e, -EBADMSG,
	    "the journal segment %s/%016" PRIx64 SUFFIX " is damaged at byte %" PRIu64
	    " (position %" PRIu64
	    "), in a part that was already durable: restore the file, "
	    "or start with --skip-damaged-journal to continue without the damaged part",
	    j->directory, start, SEGMENT_BLOCK + (at - start), at);
}

/* Reads a header: every segment must belong to the first one's journal. */
static int
check_header(struct journal *j, unsigned i, struct err *e)
{
	const struct journal_segment *s = &j->segments[i];
	const struct segment_header *h;
	struct segment_reader *r;
	int rc;

	rc = journal_open_reader(j, s->start, s->written, &r, e);
	if (rc < 0) {
		return rc;
	}
	h = segment_reader_header(r);
	if (i == 0) {
		memcpy(j->uuid, h->uuid, sizeof j->uuid);
	}
	if (h->start != s->start || memcmp(h->uuid, j->uuid, sizeof j->uuid) != 0) {
		rc = err_set(e, -EPROTO,
		    "the journal segment %s/%016" PRIx64 SUFFIX
		    " belongs to another position or journal: move it out of the "
		    "directory",
		    j->directory, s->start);
	}
	if (h->next_session > j->next_session) {
		j->next_session = h->next_session;
	}
	segment_reader_free(r);
	return rc;
}

static int
cut_tail(struct journal *j, const struct journal_segment *s, uint64_t at, struct err *e)
{
	off_t size = (off_t)(SEGMENT_BLOCK + (at - s->start));
	char name[JOURNAL_NAME];
	struct stat st;
	int fd, rc = 0;

	journal_file_name(s->start, SUFFIX, name);
	fd = openat(j->directory_fd, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || ftruncate(fd, size) < 0 || fsync(fd) < 0) {
		rc = err_set(e, -errno, "cannot truncate %s/%s: %s", j->directory, name,
		    strerror(errno));
	} else if (st.st_size > size) {
		log_warning(
		    "%s/%s: truncated %lld trailing bytes of an incomplete write",
		    j->directory, name, (long long)(st.st_size - size));
	}
	if (fd >= 0) {
		close(fd);
	}
	return rc;
}

/* Damage that may be stepped over: to the next whole frame, or to the end.  The
 * operator's leave is written down, so that the next start needs none. */
static int
step_over(struct journal *j, struct journal_segment *s, struct segment_reader *r,
    uint64_t end, struct err *e)
{
	uint64_t at = segment_reader_position(r);
	int rc;

	j->has_gap = j->has_gap || (s->is_unsynced && at >= s->torn_from);
	if (at < s->torn_from) {
		s->torn_from = at;
		s->is_unsynced = false;
		rc = journal_write_torn(j, s, end, e);
		if (rc < 0) {
			return rc;
		}
	}
	rc = segment_reader_resume(r, e);
	if (rc >= 0) {
		j->skipped += (rc > 0 ? segment_reader_position(r) : end) - at;
	}
	return rc;
}

/* Whether an incomplete end may be cut off: not if it was durable once and the operator
 * has not allowed it. */
static bool
may_cut(const struct journal *j, const struct journal_segment *s)
{
	return s->torn_from == UINT64_MAX &&
	       (j->settings.skip_damage || journal_read_mark(j) <= s->written);
}

/* Finds where the last segment ends.  A buffer that was being written when the machine
 * stopped leaves frames up to some point: they count, what follows is cut.  Pads tell
 * that apart from damage: they name how far the journal was durable. */
static int
scan_last(struct journal *j, struct journal_segment *s, struct err *e)
{
	struct segment_reader *r = NULL;
	struct frame f;
	int rc;

	rc = journal_open_reader(j, s->start, UINT64_MAX, &r, e);
	if (rc < 0) {
		return rc;
	}
	for (;;) {
		rc = segment_reader_next(r, &f, e);
		if (rc > 0) {
			if (f.session >= j->next_session && f.session < UINT32_MAX) {
				j->next_session = f.session + 1;
			}
			continue;
		}
		s->written = segment_reader_position(r);
		if (rc != -EBADMSG) {
			break;
		}
		rc = segment_reader_is_damaged(r, e);
		if (rc == 0 && may_cut(j, s)) {
			rc = cut_tail(j, s, s->written, e);
		}
		if (rc <= 0) {
			break;
		}
		if (!j->settings.skip_damage && s->written < s->torn_from) {
			rc = complain_damage(j, s->start, s->written, e);
			break;
		}
		rc = step_over(j, s, r, s->written, e);
		if (rc <= 0) {
			break;
		}
	}
	segment_reader_free(r);
	return rc;
}

/* The program may have been killed before it synced what it had written: what is taken
 * for the journal from here on is made durable before anybody is told that it is. */
static int
sync_last(const struct journal *j, const struct journal_segment *s, struct err *e)
{
	char name[JOURNAL_NAME];
	int fd, rc = 0;

	journal_file_name(s->start, SUFFIX, name);
	fd = openat(j->directory_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fdatasync(fd) < 0) {
		rc = err_set(e, -errno, "cannot sync %s/%s: %s", j->directory, name,
		    strerror(errno));
	}
	if (fd >= 0) {
		close(fd);
	}
	return rc;
}

static int
recover_last(struct journal *j, struct err *e)
{
	struct journal_segment *s = &j->segments[j->count - 1];
	uint64_t to;
	int rc, is_torn;

	is_torn = journal_read_torn(j, s, &to, e);
	if (is_torn < 0) {
		return is_torn;
	}
	rc = scan_last(j, s, e);
	if (rc == 0) {
		rc = sync_last(j, s, e);
	}
	if (rc < 0) {
		return rc;
	}
	if (is_torn > 0) {
		j->next_session += JOURNAL_SESSIONS_LOST;
	}
	if (is_torn > 0 && to > s->written) {
		s->written = to;
	}
	j->skipped = 0; /* replay counts what it needed and did not get */
	s->synced = s->written;
	j->end = s->written;
	return 0;
}

int
journal_recover(struct journal *j, struct err *e)
{
	int rc;

	rc = list_segments(j, e);
	if (rc < 0 || j->count == 0) {
		return rc;
	}
	rc = drop_unborn(j, e);
	if (rc < 0 || j->count == 0) {
		return rc;
	}
	for (unsigned i = 0; i < j->count; i++) {
		struct journal_segment *s = &j->segments[i];
		uint64_t to;
		if (i + 1 == j->count) {
			rc = check_header(j, i, e);
			break;
		}
		s->written = s->synced = s[1].start;
		rc = check_header(j, i, e);
		if (rc == 0) {
			rc = journal_read_torn(j, s, &to, e);
		}
		if (rc < 0) {
			break;
		}
	}
	return rc < 0 ? rc : recover_last(j, e);
}

static int
replay_segment(struct journal *j, struct journal_segment *s,
    const struct frame_sink *to, struct err *e)
{
	struct segment_reader *r;
	struct frame f;
	uint64_t at;
	int rc;

	rc = journal_open_reader(j, s->start, s->written, &r, e);
	if (rc < 0) {
		return rc;
	}
	for (;;) {
		rc = segment_reader_next(r, &f, e);
		if (rc > 0) {
			rc = 0;
			if (f.kind != FRAME_PAD) {
				f.is_after_gap = j->has_gap;
				j->has_gap = false;
				rc = to->each(&f, to->data);
			}
			if (rc < 0) {
				break;
			}
			continue;
		}
		at = segment_reader_position(r);
		if (rc == 0 && at >= s->written) {
			break;
		}
		if (rc < 0 && rc != -EBADMSG) {
			break;
		}
		if (at < s->torn_from && !j->settings.skip_damage) {
			rc = complain_damage(j, s->start, at, e);
			break;
		}
		rc = step_over(j, s, r, s->written, e);
		if (rc <= 0) {
			break;
		}
	}
	segment_reader_free(r);
	return rc;
}

/* The first segment from a position on that holds anything; a copy, because handing
 * out frames may lead to a flush, and that to a trim. */
static bool
find_from(struct journal *j, uint64_t position, struct journal_segment *ret)
{
	bool is_found = false;

	pthread_mutex_lock(&j->lock);
	for (unsigned i = 0; i < j->count && !is_found; i++) {
		const struct journal_segment *s = &j->segments[i];
		if (s->start >= position && s->written > s->start) {
			*ret = *s;
			is_found = true;
		}
	}
	pthread_mutex_unlock(&j->lock);
	return is_found;
}

int
journal_replay(
    struct journal *j, uint64_t position, const struct frame_sink *to, struct err *e)
{
	uint64_t at = journal_segment_start(j, position);
	struct journal_segment s;
	int rc = 0;

	j->has_gap = false;
	while (rc == 0 && find_from(j, at, &s)) {
		rc = replay_segment(j, &s, to, e);
		at = s.written;
	}
	return rc;
}
