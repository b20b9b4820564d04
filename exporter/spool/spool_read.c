#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "exporter/spool/spool_private.h"

/* Opens the segment of a part for reading, and seeks to the mark before this number.
 * 0; -EBADMSG: it does not exist; another negative code: it cannot be opened now. */
static int
seek(struct spool *s, const struct spool_part *p, uint64_t number)
{
	const struct spool_mark *m = NULL;
	char name[SPOOL_NAME];

	if (s->read_fd >= 0 && s->read_name == p->name && s->read_number == number) {
		return 0; /* right after the last read */
	}
	if (s->read_fd < 0 || s->read_name != p->name) {
		if (s->read_fd >= 0) {
			close(s->read_fd);
		}
		spool_name(p->name, name);
		s->read_fd =
		    openat(s->directory_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (s->read_fd < 0) {
			return errno == ENOENT ? -EBADMSG : -errno;
		}
		s->read_name = p->name;
	}
	for (unsigned i = 0; i < p->mark_count && p->marks[i].number <= number; i++) {
		m = &p->marks[i];
	}
	if (m == NULL) {
		return -EBADMSG;
	}
	s->read_number = m->number;
	s->read_offset = m->offset;
	s->read_total = m->total;
	return 0;
}

/* Fills the buffer from the current offset.  The bytes read; -EBADMSG: none are
 * readable; another negative code: it cannot be read now. */
static ssize_t
fill(struct spool *s)
{
	size_t n = 0;
	ssize_t got = 1;

	while (got > 0 && n < SPOOL_READ) {
		do {
			got = pread(s->read_fd, s->buffer + n, SPOOL_READ - n,
			    (off_t)(s->read_offset + n));
		} while (got < 0 && errno == EINTR);
		n += got > 0 ? (size_t)got : 0;
	}
	if (got < 0 && errno != EIO) {
		return -errno;
	}
	return n > 0 ? (ssize_t)n : -EBADMSG;
}

/* Steps over the next entry of the buffer, which must have the expected number.
 * *ret_at: its offset.  1; 0: the buffer does not hold all of it; -EBADMSG. */
static int
step(
    struct spool *s, size_t *at, size_t filled, struct spool_entry *ret, size_t *ret_at)
{
	int n = spool_read_entry(s->buffer + *at, filled - *at, ret);

	if (n <= 0) {
		return n;
	}
	if (ret->number != s->read_number || ret->total < s->read_total) {
		return -EBADMSG;
	}
	*ret_at = *at;
	*at += (size_t)n;
	s->read_offset += (size_t)n;
	s->read_total = ret->total;
	s->read_number++;
	return 1;
}

/* Reads on until `number` is the next entry.  0; -EBADMSG: an entry before it is
 * damaged, and the part was cut there; another negative code: the segment cannot be
 * read now. */
static int
walk_to(struct spool *s, struct spool_part *p, uint64_t number)
{
	struct spool_entry x;
	int rc = seek(s, p, number);

	if (rc == -EBADMSG) {
		spool_cut(s, p, p->first, p->total_first);
	}
	while (rc == 0 && s->read_number < number) {
		ssize_t filled = fill(s);
		size_t at = 0, begin;
		int got = 0;
		if (filled < 0 && filled != -EBADMSG) {
			return (int)filled;
		}
		got = filled < 0 ? -EBADMSG : 0;
		while (got >= 0 && s->read_number < number &&
		       (got = step(s, &at, (size_t)filled, &x, &begin)) > 0) {
		}
		if (got < 0 || at == 0) {
			spool_cut(s, p,
			    s->read_number > p->first ? s->read_number : p->first,
			    s->read_number > p->first ? s->read_total : p->total_first);
			rc = -EBADMSG;
		}
	}
	return rc;
}

int
spool_read(struct spool *s, uint64_t number, struct spool_batch *ret)
{
	struct spool_part *p = spool_find(s, number);
	struct spool_entry x;
	ssize_t filled;
	size_t at = 0, begin;
	int rc;

	ret->length = ret->count = 0;
	if (p == NULL || p->bytes == 0) {
		return -EBADMSG;
	}
	rc = walk_to(s, p, number);
	if (rc < 0) {
		return rc;
	}
	filled = fill(s);
	if (filled < 0 && filled != -EBADMSG) {
		return (int)filled;
	}
	rc = filled < 0 ? -EBADMSG : 1;
	while (rc > 0 && ret->count < SPOOL_BATCH && ret->length < QUEUE_GATHER &&
	       s->read_number < p->next) {
		rc = step(s, &at, (size_t)filled, &x, &begin);
		if (rc > 0) {
			memcpy(ret->bytes + ret->length,
			    s->buffer + begin + SPOOL_ENTRY, x.length);
			ret->length += x.length;
			ret->records[ret->count++] = x.records;
		}
	}
	if (ret->count > 0) {
		return 0; /* the next read meets the damage after it */
	}
	spool_cut(s, p, number, number > p->first ? s->read_total : p->total_first);
	return -EBADMSG;
}

int
spool_total(struct spool *s, uint64_t number, uint64_t *ret)
{
	struct spool_part *p;
	int rc;

	for (unsigned i = 0; i < s->count; i++) {
		p = &s->parts[i];
		if (number == p->first || number == p->next) {
			*ret = number == p->first ? p->total_first : p->total_next;
			return 0;
		}
	}
	if (number == s->next) {
		*ret = s->total;
		return 0;
	}
	p = spool_find(s, number);
	if (p == NULL || p->bytes == 0) {
		return -EBADMSG;
	}
	rc = walk_to(s, p, number);
	if (rc == 0) {
		*ret = s->read_total;
	}
	return rc;
}
