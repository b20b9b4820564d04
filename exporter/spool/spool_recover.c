#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "exporter/spool/spool_private.h"

#define STATUS_TRIES 10 /* while an exporter uses the spool */

/* State of reading one segment from beginning to end. */
struct scan {
	struct spool *s;
	struct spool_part part;
	uint8_t id[16];
	uint64_t clip; /* messages before this number are settled or already held */
	bool is_last;  /* no segment follows */
	uint64_t size; /* of the file */
	uint64_t at;   /* how far it is valid */
};

/* The directory. */

static bool
read_name(const char *text, uint64_t *ret)
{
	char again[SPOOL_NAME];
	uint64_t first;

	if (sscanf(text, "%16" SCNx64, &first) != 1) {
		return false;
	}
	spool_name(first, again);
	*ret = first;
	return strcmp(text, again) == 0;
}

static int
compare_names(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Names of all segments, in order; the caller frees. */
static int
list_segments(struct spool *s, uint64_t **ret, unsigned *ret_count)
{
	int fd = openat(s->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	uint64_t *names = NULL, name;
	unsigned n = 0;
	int rc = 0;

	if (d == NULL) {
		rc = -errno;
		if (fd >= 0) {
			close(fd);
		}
		return rc;
	}
	for (struct dirent *x; rc == 0 && (x = readdir(d)) != NULL;) {
		uint64_t *more = names;
		if (!read_name(x->d_name, &name)) {
			continue;
		}
		if (n % 64 == 0) {
			more = reallocarray(names, n + 64, sizeof *names);
		}
		if (more == NULL) {
			rc = -ENOMEM;
			break;
		}
		names = more;
		names[n++] = name;
	}
	closedir(d);
	if (rc < 0) {
		free(names);
		return rc;
	}
	if (n > 0) {
		qsort(names, n, sizeof *names, compare_names);
	}
	*ret = names;
	*ret_count = n;
	return 0;
}

/* One segment. */

static ssize_t
read_at(int fd, uint8_t *bytes, size_t n, uint64_t offset)
{
	size_t done = 0;
	ssize_t got = 1;

	while (got > 0 && done < n) {
		do {
			got = pread(fd, bytes + done, n - done, (off_t)(offset + done));
		} while (got < 0 && errno == EINTR);
		done += got > 0 ? (size_t)got : 0;
	}
	return got < 0 ? -errno : (ssize_t)done;
}

/* -ENODATA: the file ends within its header. */
static int
scan_header(struct scan *x, int fd)
{
	uint8_t fixed[SPOOL_HEADER], *bytes, *copy;
	const uint8_t *preamble;
	struct spool_header h;
	size_t size;
	ssize_t got;
	int rc = -EBADMSG;

	if (x->size < SPOOL_HEADER) {
		return -ENODATA;
	}
	got = read_at(fd, fixed, sizeof fixed, 0);
	if (got < 0) {
		return (int)got;
	}
	size = got == (ssize_t)sizeof fixed ? spool_header_size(fixed) : 0;
	if (size == 0) {
		return -EBADMSG;
	}
	if (size > x->size) {
		return -ENODATA;
	}
	bytes = malloc(size);
	copy = malloc(size - SPOOL_HEADER + 1);
	if (bytes == NULL || copy == NULL) {
		rc = -ENOMEM;
		goto out;
	}
	got = read_at(fd, bytes, size, 0);
	if (got < 0) {
		rc = (int)got;
		goto out;
	}
	if (got != (ssize_t)size || spool_read_header(bytes, size, &h, &preamble) < 0 ||
	    h.first != x->part.name) {
		goto out;
	}
	memcpy(copy, preamble, h.preamble_length);
	x->part.preamble =
	    spool_add_preamble(x->s, copy, h.preamble_length, h.preamble_records);
	copy = NULL;
	if (x->part.preamble == NULL) {
		rc = -ENOMEM;
		goto out;
	}
	memcpy(x->id, h.id, sizeof x->id);
	x->part.first = x->part.next = h.first;
	x->part.total_first = x->part.total_next = h.total;
	x->at = size;
	rc = 0;
out:
	free(bytes);
	free(copy);
	return rc;
}

/* Counts the next entry.  Its size; 0: the buffer does not hold all of it; -EBADMSG. */
static int
scan_entry(struct scan *x, const uint8_t *bytes, size_t n)
{
	struct spool_entry entry;
	int size = spool_read_entry(bytes, n, &entry);

	if (size <= 0) {
		return size;
	}
	if (entry.number != x->part.next || entry.total < x->part.total_next ||
	    entry.total - x->part.total_next > entry.records) {
		return -EBADMSG;
	}
	spool_mark(&x->part, entry.number, x->part.total_next, x->at);
	x->part.next++;
	x->part.total_next = entry.total;
	if (x->part.next <= x->clip) {
		x->part.first = x->part.next;
		x->part.total_first = x->part.total_next;
	}
	return size;
}

/* Counts entries as far as the segment is valid.  0, or negative: it cannot be read. */
static int
scan_entries(struct scan *x, int fd)
{
	uint8_t *buffer = x->s->buffer;
	ssize_t filled;
	int size = 1;

	while (size >= 0 && x->at < x->size) {
		size_t done = 0;
		filled = read_at(fd, buffer, SPOOL_READ, x->at);
		if (filled < 0) {
			return (int)filled;
		}
		while (
		    (size = scan_entry(x, buffer + done, (size_t)filled - done)) > 0) {
			done += (size_t)size;
			x->at += (size_t)size;
		}
		if (done == 0) {
			break;
		}
	}
	return 0;
}

/* Renames a segment that cannot be used, so that someone can examine it. */
static void
set_aside(struct spool *s, const char *name, const char *what)
{
	char aside[SPOOL_NAME + 8];

	(void)snprintf(aside, sizeof aside, "%s.damaged", name);
	log_warning("%s/%s %s: its messages are lost; kept the file as %s",
	    s->directory, name, what, aside);
	if (renameat(s->directory_fd, name, s->directory_fd, aside) < 0) {
		log_warning("cannot rename %s/%s to %s: %s", s->directory, name, aside,
		    strerror(errno));
	}
}

/* An incomplete header: the last segment was just being created, but any other one held
 * messages, because a segment is followed by another only when it is full. */
static int
judge_cut_header(const struct scan *x, const char *name, bool is_status)
{
	if (!x->is_last) {
		return -EBADMSG;
	}
	if (!is_status) {
		log_info("%s/%s removed: empty, left by an interrupted run",
		    x->s->directory, name);
		spool_unlink(x->s, x->part.name);
	}
	return -ENODATA;
}

/* A crash leaves less than one entry incomplete; more is damage. */
static void
cut_tail(struct scan *x, int fd, const char *name)
{
	uint64_t rest = x->size - x->at;

	if (rest > SPOOL_ENTRY + UINT16_MAX) {
		log_warning("%s/%s is damaged after message %" PRIu64
			    ": lost the %" PRIu64 " bytes that follow",
		    x->s->directory, name, x->part.next, rest);
	} else {
		log_info("%s/%s: truncated an incomplete message left by an "
			 "interrupted run",
		    x->s->directory, name);
	}
	if (ftruncate(fd, (off_t)x->at) < 0) {
		log_warning("cannot truncate %s/%s: %s", x->s->directory, name,
		    strerror(errno));
	}
}

static int
scan_segment(struct scan *x, bool is_status)
{
	struct stat st;
	char name[SPOOL_NAME];
	int fd, rc;

	spool_name(x->part.name, name);
	fd = openat(x->s->directory_fd, name,
	    (is_status ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		return -ENODATA; /* the exporter that uses the spool has removed it */
	}
	if (fd < 0) { /* a link, a directory, a socket */
		rc = errno == ELOOP || errno == EISDIR || errno == ENXIO ? -EBADMSG
									 : -errno;
	} else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		rc = -EBADMSG;
	} else {
		x->size = (uint64_t)st.st_size;
		rc = scan_header(x, fd);
	}
	if (rc == -ENODATA) {
		rc = judge_cut_header(x, name, is_status);
	}
	if (rc == 0) {
		rc = scan_entries(x, fd);
	}
	if (rc == 0 && x->at < x->size && !is_status) {
		cut_tail(x, fd, name);
	}
	if (rc == -EBADMSG && !is_status) {
		set_aside(x->s, name, "is damaged");
	}
	x->part.bytes = x->at;
	if (fd >= 0) {
		close(fd);
	}
	return rc;
}

/* Turns a segment into a part, unless everything in it is settled or it is unreadable.
 * It may overlap with the segment before it: messages that a failing disk wrote in
 * part, and could not truncate, were written again to a new segment. */
static int
take_segment(
    struct spool *s, uint64_t name, bool is_last, bool is_status, uint8_t id[16])
{
	const struct spool_part *before = s->count > 0 ? &s->parts[s->count - 1] : NULL;
	struct scan x = {.s = s,
	    .part = {.name = name},
	    .clip = before != NULL && before->next > s->ledger.first ? before->next
								     : s->ledger.first,
	    .is_last = is_last};
	int rc = scan_segment(&x, is_status);

	if (rc == -EBADMSG || rc == -ENODATA) {
		free(x.part.marks);
		return 0;
	}
	if (rc == 0 && x.part.first == x.part.next) {
		free(x.part.marks);
		if (x.part.next > s->next) { /* its numbers are used up */
			s->next = x.part.next;
			s->total =
			    x.part.total_next > s->total ? x.part.total_next : s->total;
		}
		if (!is_status) {
			spool_unlink(s, name);
		}
		return 0;
	}
	if (rc == 0 && before != NULL &&
	    (x.part.first < before->next || x.part.total_first < before->total_next)) {
		free(x.part.marks);
		if (!is_status) { /* a new segment may need its name */
			char text[SPOOL_NAME];
			spool_name(name, text);
			set_aside(s, text, "does not continue the segment before it");
		}
		return 0;
	}
	if (rc == 0) {
		rc = spool_add_part(s, &x.part);
	}
	if (rc < 0) {
		free(x.part.marks);
		return rc;
	}
	memcpy(id, x.id, sizeof x.id);
	s->next = x.part.next;
	s->total = x.part.total_next;
	return 0;
}

/* The account. */

static int
read_ledger(struct spool *s, bool *ret_is_new, struct err *e)
{
	uint8_t bytes[SPOOL_LEDGER] = {0};
	ssize_t n = pread(s->ledger_fd, bytes, sizeof bytes, 0);

	if (n < 0) {
		return err_set(e, -errno, "cannot read %s/ledger: %s", s->directory,
		    strerror(errno));
	}
	*ret_is_new = n == 0;
	if (n == 0) {
		return 0;
	}
	if (spool_read_ledger(bytes, &s->ledger) < 0) {
		log_warning("%s/ledger is damaged: acknowledged messages that were "
			    "not removed yet are sent again, and earlier losses are "
			    "no longer counted",
		    s->directory);
		*ret_is_new = true;
	}
	return 0;
}

/* Reconciles ledger and segments.  Numbers below the ledger's `next` are used up even
 * if no segment holds them: the messages were acknowledged, or lost with the memory
 * they were in. */
static void
settle_account(struct spool *s, bool is_new, const uint8_t id[16], bool has_id)
{
	struct spool_ledger *l = &s->ledger;

	if (is_new && s->count > 0) {
		l->first = l->delivered_messages = s->parts[0].first;
		l->delivered_records = s->parts[0].total_first;
	}
	if (is_new && has_id) {
		memcpy(l->id, id, 16);
	}
	if (!is_new && l->next > s->next) {
		s->next = l->next;
		s->total = l->total > s->total ? l->total : s->total;
	}
	/* The ledger may be older or newer than the segments: do not count anything
	 * twice. */
	if (l->delivered_messages > s->next - s->held_messages) {
		l->delivered_messages = s->next - s->held_messages;
	}
	if (l->delivered_records > s->total - s->held_records) {
		l->delivered_records = s->total - s->held_records;
	}
}

static int
recover(struct spool *s, bool is_status, struct err *e)
{
	uint64_t *names = NULL;
	uint8_t id[16] = {0};
	unsigned n = 0;
	bool is_new = false;
	int rc = read_ledger(s, &is_new, e);

	if (rc < 0) {
		return rc;
	}
	rc = list_segments(s, &names, &n);
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		rc = take_segment(s, names[i], i + 1 == n, is_status, id);
	}
	free(names);
	if (rc < 0) {
		return err_set(
		    e, rc, "cannot read the spool %s: %s", s->directory, strerror(-rc));
	}
	settle_account(s, is_new, id, s->count > 0);
	if (!is_status && s->held_messages > 0) {
		log_info("%s holds %" PRIu64 " messages with %" PRIu64
			 " records of earlier runs",
		    s->directory, s->held_messages, s->held_records);
	}
	if (!is_status && s->ledger.is_running) {
		log_warning("%s: the last run did not shut down cleanly; the "
			    "conversations live at that time are lost",
		    s->directory);
	}
	return 0;
}

int
spool_open(const struct spool_settings *settings, struct spool **ret, struct err *e)
{
	struct spool *s = spool_make(settings);
	int rc = 0;

	if (s == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	if (s->directory != NULL) {
		rc = spool_open_directory(s, e);
		if (rc == 0) {
			rc = recover(s, false, e);
		}
	}
	if (rc == 0 && s->directory != NULL) {
		s->ledger.is_running = true;
		rc = spool_save(s);
		if (rc < 0) {
			err_set(e, rc, "cannot write %s/ledger: %s", s->directory,
			    strerror(-rc));
		}
	}
	if (rc < 0) {
		spool_close(s, false);
		return rc;
	}
	s->opened_next = s->next;
	for (unsigned i = 0; i < s->count && s->ledger.has_sent; i++) {
		if (s->parts[i].name <= s->ledger.sent) {
			s->sent_next = s->parts[i].next;
		}
	}
	*ret = s;
	return 0;
}

bool
spool_is_there(const char *directory)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof path, "%s/ledger", directory) < (int)sizeof path &&
	       access(path, F_OK) == 0;
}

static int
try_status(
    const char *directory, struct spool_counts *ret, bool *ret_is_still, struct err *e)
{
	const struct export_preamble none = {.bytes = (const uint8_t *)""};
	const struct spool_settings settings = {
	    .directory = directory, .preamble = &none};
	uint8_t bytes[SPOOL_LEDGER] = {0};
	struct spool_ledger after = {0};
	struct spool *s = spool_make(&settings);
	int rc;

	if (s == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	rc = spool_read_directory(s, e);
	if (rc == 0) {
		rc = recover(s, true, e);
	}
	if (rc == 0) {
		spool_counts(s, ret);
		*ret_is_still =
		    pread(s->ledger_fd, bytes, sizeof bytes, 0) != sizeof bytes ||
		    spool_read_ledger(bytes, &after) < 0 ||
		    after.generation == s->ledger.generation;
	}
	spool_close(s, false);
	return rc;
}

int
spool_status(const char *directory, struct spool_counts *ret, struct err *e)
{
	bool is_still = false;
	int rc = 0;

	for (int i = 0; rc == 0 && !is_still && i < STATUS_TRIES; i++) {
		rc = try_status(directory, ret, &is_still, e);
	}
	return rc;
}
