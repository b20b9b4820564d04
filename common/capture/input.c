#include "common/capture/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room for a whole largest packet that begins anywhere, and for large reads. */
#define BUFFER_BYTES (2 * SOURCE_MOST)
#define STREAM_BYTES (256 * 1024)

int
input_open(const char *path, struct input *ret, struct err *e)
{
	struct input s = {0};
	struct stat st;
	int rc;

	rc = compressed_open(path, &s.file, e);
	if (rc < 0) {
		return rc;
	}
	s.is_regular = fstat(s.file.fd, &st) == 0 && S_ISREG(st.st_mode);
	s.buffer = malloc(BUFFER_BYTES);
	if (s.buffer == NULL) {
		compressed_close(&s.file);
		return err_set(e, -ENOMEM, "%s: out of memory", path);
	}
	s.at = s.end = s.buffer;
	*ret = s;
	return 0;
}

void
input_close(struct input *s)
{
	compressed_close(&s->file);
	free(s->buffer);
	*s = (struct input){.file.fd = -1};
}

/* Up to `most` bytes, at least one before the end of the file.  A pipe may bring
 * packets slowly: no more than `need` bytes are waited for there. */
static ssize_t
read_some(struct input *s, uint8_t *out, size_t need, size_t most, struct err *e)
{
	const char *why;
	ssize_t n;

	if (s->file.is_plain) {
		do {
			n = read(s->file.fd, out, most);
		} while (n < 0 && errno == EINTR);
		return n < 0 ? err_set(e, -errno, "%s", strerror(errno)) : n;
	}
	n = (ssize_t)fread_unlocked(
	    out, 1, s->is_regular ? most : need, s->file.stream);
	if (n == 0 && ferror_unlocked(s->file.stream)) {
		why = compressed_error(&s->file);
		return err_set(e, -EIO, "%s", why == NULL ? strerror(errno) : why);
	}
	return n;
}

ssize_t
input_fill(struct input *s, size_t need, struct err *e)
{
	size_t have = (size_t)(s->end - s->at);

	if (have >= need || s->has_ended) {
		return (ssize_t)have;
	}
	s->consumed += (size_t)(s->at - s->buffer);
	memmove(s->buffer, s->at, have);
	s->at = s->buffer;
	while (have < need) {
		ssize_t n =
		    read_some(s, s->buffer + have, need - have, BUFFER_BYTES - have, e);
		if (n < 0) {
			s->end = s->buffer + have;
			return n;
		}
		if (n == 0) {
			s->has_ended = true;
			break;
		}
		have += (size_t)n;
	}
	s->end = s->buffer + have;
	return (ssize_t)have;
}

uint64_t
input_offset(const struct input *s)
{
	return s->consumed + (size_t)(s->at - s->buffer);
}

static ssize_t
stream_read(void *cookie, char *out, size_t room)
{
	struct input *s = cookie;
	size_t have = (size_t)(s->end - s->at);

	if (have == 0) {
		ssize_t n = read_some(s, (uint8_t *)out, room, room, NULL);
		errno = n < 0 ? (int)-n : errno;
		return n < 0 ? -1 : n;
	}
	have = have < room ? have : room;
	memcpy(out, s->at, have);
	s->at += have;
	return (ssize_t)have;
}

FILE *
input_stream(struct input *s)
{
	FILE *f = fopencookie(s, "r", (cookie_io_functions_t){.read = stream_read});

	if (f != NULL) {
		setvbuf(f, NULL, _IOFBF, STREAM_BYTES);
	}
	return f;
}
