#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base/log.h"
#include "exporter/spool/spool_private.h"

#define LEDGER_NAME "ledger"

void
spool_name(uint64_t first, char out[static SPOOL_NAME])
{
	(void)snprintf(out, SPOOL_NAME, "%016" PRIx64 ".spool", first);
}

/* Directory and ledger. */

/* Anyone who can write to it could replace the messages. */
static int
check_directory(const struct spool *s, struct err *e)
{
	struct stat st;

	if (fstat(s->directory_fd, &st) < 0) {
		return err_set(e, -errno, "%s: %s", s->directory, strerror(errno));
	}
	if (st.st_uid != geteuid()) {
		return err_set(e, -EPERM,
		    "%s belongs to user %u, but the exporter runs as user %u: a spool "
		    "must belong to its exporter",
		    s->directory, (unsigned)st.st_uid, (unsigned)geteuid());
	}
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		return err_set(e, -EPERM,
		    "%s is writable by others; run chmod 700 on it first",
		    s->directory);
	}
	return 0;
}

static int
open_ledger(struct spool *s, int flags, struct err *e)
{
	struct stat st;
	int code;

	s->ledger_fd = openat(s->directory_fd, LEDGER_NAME,
	    flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (s->ledger_fd < 0 || fstat(s->ledger_fd, &st) < 0) {
		code = errno;
		return err_set(e, -code, "%s/%s: %s%s", s->directory, LEDGER_NAME,
		    strerror(code), code == ENOENT ? " (not a spool)" : "");
	}
	if (!S_ISREG(st.st_mode)) {
		return err_set(e, -EINVAL, "%s/%s is not a regular file", s->directory,
		    LEDGER_NAME);
	}
	return 0;
}

int
spool_open_directory(struct spool *s, struct err *e)
{
	int rc, code;

	if (mkdir(s->directory, 0700) < 0 && errno != EEXIST) {
		code = errno;
		return err_set(
		    e, -code, "cannot create %s: %s", s->directory, strerror(code));
	}
	s->directory_fd =
	    open(s->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->directory_fd < 0) {
		code = errno;
		return err_set(e, -code, "cannot open %s: %s", s->directory,
		    code == ELOOP || code == ENOTDIR
			? "not a directory (links are not followed)"
			: strerror(code));
	}
	rc = check_directory(s, e);
	if (rc == 0) {
		rc = open_ledger(s, O_RDWR | O_CREAT, e);
	}
	if (rc == 0 && flock(s->ledger_fd, LOCK_EX | LOCK_NB) < 0) {
		rc = err_set(e, -EBUSY,
		    "%s is in use by another exporter; each exporter needs its own "
		    "spool",
		    s->directory);
	}
	return rc;
}

int
spool_read_directory(struct spool *s, struct err *e)
{
	int code;

	s->directory_fd =
	    open(s->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->directory_fd < 0) {
		code = errno;
		return err_set(
		    e, -code, "cannot open %s: %s", s->directory, strerror(code));
	}
	return open_ledger(s, O_RDONLY, e);
}

int
spool_save(struct spool *s)
{
	uint8_t slot[SPOOL_SLOT];
	ssize_t n;
	size_t at;
	int code;

	if (s->ledger_fd < 0) {
		return 0;
	}
	s->ledger.generation++;
	s->ledger.next = s->next;
	s->ledger.total = s->total;
	at = spool_write_ledger(&s->ledger, slot);
	n = pwrite(s->ledger_fd, slot, sizeof slot, (off_t)at);
	if (n == sizeof slot) {
		s->has_ledger_failed = false;
		return 0;
	}
	code = n < 0 ? errno : ENOSPC;
	s->ledger.generation--; /* the other slot remains the newer one */
	s->disk_failures++;
	if (!s->has_ledger_failed) {
		log_warning("cannot write %s/%s: %s", s->directory, LEDGER_NAME,
		    strerror(code));
	}
	s->has_ledger_failed = true;
	return -code;
}

/* Segments. */

void
spool_unlink(struct spool *s, uint64_t name)
{
	char text[SPOOL_NAME];

	if (s->read_fd >= 0 && s->read_name == name) {
		close(s->read_fd);
		s->read_fd = -1;
	}
	spool_name(name, text);
	if (unlinkat(s->directory_fd, text, 0) < 0 && errno != ENOENT) {
		s->disk_failures++;
		log_warning(
		    "cannot remove %s/%s: %s", s->directory, text, strerror(errno));
	}
}

void
spool_end_segment(struct spool *s)
{
	if (s->write_fd >= 0) {
		close(s->write_fd);
	}
	s->write_fd = -1;
}

/* Writes all or nothing: truncates after a partial write. */
static int
write_at(int fd, struct iovec *parts, int n, uint64_t offset, size_t length)
{
	ssize_t put;
	int code;

	do {
		put = pwritev(fd, parts, n, (off_t)offset);
	} while (put < 0 && errno == EINTR);
	if (put == (ssize_t)length) {
		return 0;
	}
	code = put < 0 ? errno : ENOSPC;
	if (ftruncate(fd, (off_t)offset) < 0) {
		code = errno; /* take_segment() handles what is left behind */
	}
	return -code;
}

/* Begins a segment, which becomes the last part. */
static int
begin_segment(struct spool *s)
{
	struct spool_preamble *p = s->preambles[0];
	struct spool_header h = {.first = s->next,
	    .total = s->total,
	    .preamble_length = (uint32_t)p->length,
	    .preamble_records = p->records};
	struct spool_part part = {.first = s->next,
	    .next = s->next,
	    .total_first = s->total,
	    .total_next = s->total,
	    .name = s->next,
	    .bytes = SPOOL_HEADER + p->length,
	    .preamble = p};
	uint8_t header[SPOOL_HEADER];
	struct iovec out[2] = {{header, SPOOL_HEADER}, {p->bytes, p->length}};
	char name[SPOOL_NAME];
	int rc;

	memcpy(h.id, s->ledger.id, sizeof h.id);
	spool_write_header(&h, p->bytes, header);
	spool_name(s->next, name);
	s->write_fd = openat(s->directory_fd, name,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->write_fd < 0) {
		return -errno;
	}
	rc = write_at(s->write_fd, out, 2, 0, part.bytes);
	if (rc == 0) {
		rc = spool_add_part(s, &part);
	}
	if (rc < 0) {
		spool_end_segment(s);
		(void)unlinkat(s->directory_fd, name, 0);
	}
	return rc;
}

int
spool_write(struct spool *s, const struct queue_message *m, unsigned n)
{
	uint8_t headers[SPOOL_BATCH][SPOOL_ENTRY];
	struct iovec out[2 * SPOOL_BATCH];
	struct spool_entry x = {.number = s->next, .total = s->total};
	struct spool_part *last;
	size_t length = 0;
	int rc = 0;

	if (s->write_fd >= 0 && s->parts[s->count - 1].bytes >= s->segment_bytes) {
		spool_end_segment(s);
	}
	if (s->write_fd < 0) {
		rc = begin_segment(s);
	}
	if (rc < 0) {
		return rc;
	}
	last = &s->parts[s->count - 1];
	for (unsigned i = 0; i < n; i++) {
		spool_mark(last, x.number, x.total, last->bytes + length);
		x.total += m[i].data;
		x.records = m[i].records;
		x.length = (uint32_t)m[i].length;
		spool_write_entry(&x, m[i].bytes, headers[i]);
		out[2 * i] = (struct iovec){headers[i], SPOOL_ENTRY};
		out[2 * i + 1] = (struct iovec){m[i].bytes, m[i].length};
		length += SPOOL_ENTRY + m[i].length;
		x.number++;
	}
	rc = write_at(s->write_fd, out, (int)(2 * n), last->bytes, length);
	if (rc < 0) {
		while (last->mark_count > 0 &&
		       last->marks[last->mark_count - 1].offset >= last->bytes) {
			last->mark_count--;
		}
		spool_end_segment(s);
		if (last->first == last->next) { /* a new segment may need its name */
			spool_remove_part(s, s->count - 1);
		}
		return rc;
	}
	last->bytes += length;
	s->bytes += length;
	return 0;
}

void
spool_remove_part(struct spool *s, unsigned i)
{
	struct spool_part *p = &s->parts[i];

	if (spool_is_written(s, i)) {
		spool_end_segment(s);
	}
	if (p->bytes > 0) {
		spool_unlink(s, p->name);
	}
	s->held_messages -= p->next - p->first;
	s->held_records -= p->total_next - p->total_first;
	s->bytes -= p->bytes;
	free(p->marks);
	memmove(p, p + 1, (s->count - i - 1) * sizeof *p);
	s->count--;
}

void
spool_cut(struct spool *s, struct spool_part *p, uint64_t number, uint64_t total)
{
	unsigned i = (unsigned)(p - s->parts);

	log_warning("%s: segment %016" PRIx64 " is damaged: lost %" PRIu64 " messages "
		    "after number %" PRIu64,
	    s->directory, p->name, p->next - number, number);
	if (spool_is_written(s, i)) {
		spool_end_segment(s);
	}
	s->held_messages -= p->next - number;
	s->held_records -= p->total_next - total;
	p->next = number;
	p->total_next = total;
	(void)spool_save(s); /* first, so that none of its numbers is reused */
	if (p->first == p->next) {
		spool_remove_part(s, i);
	}
}
