#include "common/capture/compressed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define RAW_BYTES    (256 * 1024)
#define STREAM_BYTES (256 * 1024)
#define MAGIC_BYTES  4

enum coding { CODING_NONE, CODING_GZIP, CODING_ZSTD };

/* Raw bytes wait in raw[at..length).  Pipes cannot be rewound, so what was read to see
 * the first bytes stays there and is handed out first. */
struct compressed_state {
	int fd;
	off_t start; /* of a seekable file that was given at another place than 0 */
	bool is_direct;
	enum coding coding;
	z_stream gzip;
	ZSTD_DStream *zstd;
	bool in_frame; /* the end of the input would be in the middle */
	bool has_ended;
	int failed; /* errno of every further read */
	bool is_regular;
	compressed_wait *wait;
	void *wait_data;
	uint64_t taken;
	size_t at, length;
	char *buffer; /* of the stream, which must not outlive it */
	struct err error;
	uint8_t raw[RAW_BYTES];
};

/* Makes sure that raw bytes wait.  1, or 0 at the end of the file, or a negative errno.
 * EINTR is an end, too: a pipe may bring nothing for long, and a signal that is to stop
 * the program comes without SA_RESTART for that reason. */
static int
fill(struct compressed_state *s)
{
	ssize_t n;

	if (s->at < s->length) {
		return 1;
	}
	if (s->wait != NULL && !s->is_regular) {
		int rc = s->wait(s->fd, s->wait_data);
		if (rc < 0) {
			return err_set(&s->error, rc, "%s", strerror(-rc));
		}
	}
	n = read(s->fd, s->raw, sizeof s->raw);
	if (n < 0) {
		return err_set(&s->error, -errno, "%s", strerror(errno));
	}
	s->at = 0;
	s->length = (size_t)n;
	return n > 0;
}

static void
consume(struct compressed_state *s, size_t n)
{
	s->at += n;
	s->taken += n;
}

static int
damaged(struct compressed_state *s, const char *why)
{
	return err_set(&s->error, -EBADMSG,
	    "compressed data is damaged near byte %llu: %s",
	    (unsigned long long)s->taken, why);
}

static ssize_t
take_plain(struct compressed_state *s, char *out, size_t room)
{
	size_t n = s->length - s->at;

	n = n < room ? n : room;
	memcpy(out, s->raw + s->at, n);
	consume(s, n);
	return (ssize_t)n;
}

/* A gzip file is one or more members, back to back.  Other bytes after the
 * last one (padding of tapes and block devices) are ignored, as gunzip does. */
static ssize_t
take_gzip(struct compressed_state *s, char *out, size_t room)
{
	size_t before = s->length - s->at;
	int rc;

	if (!s->in_frame && s->taken > 0) {
		if (s->raw[s->at] != 0x1f) {
			s->has_ended = true;
			return 0;
		}
		inflateReset(&s->gzip);
	}
	s->in_frame = true;
	s->gzip.next_in = s->raw + s->at;
	s->gzip.avail_in = (uInt)before;
	s->gzip.next_out = (Bytef *)out;
	s->gzip.avail_out = (uInt)room;
	rc = inflate(&s->gzip, Z_NO_FLUSH);
	consume(s, before - s->gzip.avail_in);
	if (rc == Z_STREAM_END) {
		s->in_frame = false;
	} else if (rc != Z_OK && rc != Z_BUF_ERROR) {
		return damaged(s, s->gzip.msg == NULL ? "not gzip" : s->gzip.msg);
	}
	return (ssize_t)(room - s->gzip.avail_out);
}

static ssize_t
take_zstd(struct compressed_state *s, char *out, size_t room)
{
	ZSTD_inBuffer in = {.src = s->raw + s->at, .size = s->length - s->at};
	ZSTD_outBuffer to = {.dst = out, .size = room};
	size_t rc = ZSTD_decompressStream(s->zstd, &to, &in);

	consume(s, in.pos);
	if (ZSTD_isError(rc)) {
		return damaged(s, ZSTD_getErrorName(rc));
	}
	s->in_frame = rc != 0;
	return (ssize_t)to.pos;
}

/* Decoders may hold output back when their input is used up; they are asked again with
 * none.  Returns bytes written, 0 at the end of the input, or a negative errno. */
static ssize_t
take_some(struct compressed_state *s, char *out, size_t room)
{
	ssize_t (*take)(struct compressed_state *, char *, size_t) =
	    s->coding == CODING_GZIP   ? take_gzip
	    : s->coding == CODING_ZSTD ? take_zstd
				       : take_plain;
	ssize_t n = 0;

	if (s->in_frame && s->at == s->length) {
		n = take(s, out, room);
	}
	while (n == 0 && !s->has_ended) {
		int rc = fill(s);
		if (rc < 0) {
			return rc;
		}
		if (rc == 0) {
			s->has_ended = true;
			return s->in_frame ? err_set(&s->error, -EBADMSG,
						 "compressed data is truncated after "
						 "%llu bytes",
						 (unsigned long long)s->taken)
					   : 0;
		}
		n = take(s, out, room);
	}
	return n;
}

static ssize_t
stream_read(void *cookie, char *out, size_t room)
{
	struct compressed_state *s = cookie;
	ssize_t n = 0;

	room = room < (1U << 30) ? room : 1U << 30; /* zlib counts in unsigned int */
	if (s->failed == 0 && !s->has_ended) {
		n = take_some(s, out, room);
		if (n < 0) {
			s->failed = (int)-n;
		}
	}
	if (s->failed != 0) {
		errno = s->failed;
		return -1;
	}
	return n;
}

static enum coding
coding_of(const uint8_t *magic, size_t n)
{
	if (n >= 2 && magic[0] == 0x1f && magic[1] == 0x8b) {
		return CODING_GZIP;
	}
	/* RFC 8878 sections 3.1.1 and 3.1.2: a frame, or a skippable frame before it */
	if (n >= 4 && magic[1] == 0xb5 && magic[2] == 0x2f && magic[3] == 0xfd &&
	    magic[0] == 0x28) {
		return CODING_ZSTD;
	}
	if (n >= 4 && (magic[0] & 0xf0) == 0x50 && magic[1] == 0x2a &&
	    magic[2] == 0x4d && magic[3] == 0x18) {
		return CODING_ZSTD;
	}
	return CODING_NONE;
}

/* Finds out what the file is; its place stays where it was, or for pipes the bytes stay
 * in s->raw. */
static int
detect(
    struct compressed_state *s, struct compressed *ret, const char *path, struct err *e)
{
	struct stat st;
	uint8_t magic[MAGIC_BYTES];
	ssize_t n;

	if (fstat(s->fd, &st) < 0) {
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	}
	if (S_ISDIR(st.st_mode)) {
		return err_set(
		    e, -EISDIR, "%s: is a directory (expected a file)", path);
	}
	s->is_regular = S_ISREG(st.st_mode);
	s->start = s->is_regular ? lseek(s->fd, 0, SEEK_CUR) : -1;
	if (s->start >= 0) {
		n = pread(s->fd, magic, sizeof magic, s->start);
		if (n < 0) {
			return err_set(e, -errno, "%s: %s", path, strerror(errno));
		}
		s->coding = coding_of(magic, (size_t)n);
		s->is_direct = s->coding == CODING_NONE;
		ret->size =
		    st.st_size > s->start ? (uint64_t)(st.st_size - s->start) : 0;
		posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		return 0;
	}
	while (s->length < MAGIC_BYTES) {
		n = read(s->fd, s->raw + s->length, sizeof s->raw - s->length);
		if (n < 0) {
			return err_set(e, -errno, "%s: %s", path, strerror(errno));
		}
		if (n == 0) {
			break;
		}
		s->length += (size_t)n;
	}
	s->coding = coding_of(s->raw, s->length);
	return 0;
}

static int
open_raw(const char *path, struct err *e)
{
	int fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
					: open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		return err_set(e, -errno, "%s: %s",
		    strcmp(path, "-") == 0 ? "standard input" : path, strerror(errno));
	}
	return fd;
}

static int
start_decoder(struct compressed_state *s)
{
	if (s->coding == CODING_GZIP) {
		/* 15: largest window; + 16: gzip wrapping only */
		return inflateInit2(&s->gzip, 15 + 16) == Z_OK ? 0 : -ENOMEM;
	}
	if (s->coding == CODING_ZSTD) {
		s->zstd = ZSTD_createDStream();
		return s->zstd == NULL ? -ENOMEM : 0;
	}
	return 0;
}

static void
state_free(struct compressed_state *s)
{
	if (s == NULL) {
		return;
	}
	if (s->coding == CODING_GZIP) {
		inflateEnd(&s->gzip);
	}
	ZSTD_freeDStream(s->zstd);
	free(s->buffer);
	free(s);
}

/* The stream of a plain file owns the descriptor; the others' descriptor is ours. */
static FILE *
open_stream(struct compressed_state *s)
{
	FILE *f = s->is_direct ? fdopen(s->fd, "r")
			       : fopencookie(s, "r",
				     (cookie_io_functions_t){.read = stream_read});

	if (f != NULL) {
		setvbuf(f, s->buffer, _IOFBF, STREAM_BYTES);
	}
	return f;
}

int
compressed_open(const char *path, struct compressed *ret, struct err *e)
{
	struct compressed c = {.fd = -1};
	struct compressed_state *s = NULL;
	int rc;

	c.fd = open_raw(path, e);
	if (c.fd < 0) {
		return c.fd;
	}
	rc = err_set(e, -ENOMEM, "%s: out of memory", path);
	s = calloc(1, sizeof *s);
	if (s == NULL) {
		goto out;
	}
	s->fd = c.fd;
	s->buffer = malloc(STREAM_BYTES);
	if (s->buffer == NULL) {
		goto out;
	}
	rc = detect(s, &c, path, e);
	if (rc < 0) {
		goto out;
	}
	c.is_plain = s->is_direct;
	rc = start_decoder(s);
	c.stream = rc < 0 ? NULL : open_stream(s);
	if (c.stream == NULL) {
		rc = err_set(e, -ENOMEM, "%s: out of memory", path);
		goto out;
	}

	c.state = s;
	s = NULL;
	*ret = c;
	c.fd = -1;
	rc = 0;
out:
	state_free(s);
	if (c.fd >= 0) {
		close(c.fd);
	}
	return rc;
}

void
compressed_set_wait(struct compressed *c, compressed_wait *wait, void *data)
{
	c->state->wait = wait;
	c->state->wait_data = data;
}

uint64_t
compressed_position(const struct compressed *c)
{
	off_t at;

	if (!c->state->is_direct) {
		return c->state->taken;
	}
	at = lseek(c->fd, 0, SEEK_CUR);
	return at < c->state->start ? 0 : (uint64_t)(at - c->state->start);
}

const char *
compressed_error(const struct compressed *c)
{
	return c->state->error.text[0] == '\0' ? NULL : c->state->error.text;
}

void
compressed_close(struct compressed *c)
{
	if (c->state == NULL) {
		return;
	}
	if (c->stream != NULL) {
		fclose(c->stream);
	}
	if (!c->state->is_direct) {
		close(c->fd);
	}
	state_free(c->state);
	*c = (struct compressed){.fd = -1};
}
