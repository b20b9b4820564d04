#include "collector/journal/segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cursor.h"
#include "common/base/hash.h"

#define HEADER_MAGIC   0x66706a6f75726e6cULL /* "fpjournl" */
#define HEADER_VERSION 2u
#define HEADER_HASHED  40u
#define FRAME_MAGIC    0x66704672u /* "fpFr" */
#define FRAME_HASHED   32u
#define WINDOW         (2 * (size_t)SEGMENT_FRAME_MAX)

void
segment_header_write(const struct segment_header *h, uint8_t *block)
{
	struct write_cursor out = write_cursor_of(block, SEGMENT_BLOCK);

	cursor_put_u64(&out, HEADER_MAGIC);
	cursor_put_u32(&out, HEADER_VERSION);
	cursor_put_u32(&out, h->next_session);
	cursor_put_bytes(&out, h->uuid, sizeof h->uuid);
	cursor_put_u64(&out, h->start);
	cursor_put_u64(&out, hash_bytes(block, HEADER_HASHED, 0));
	cursor_put_zeros(&out, SEGMENT_BLOCK - cursor_written(&out));
}

int
segment_header_read(const uint8_t *block, struct segment_header *ret)
{
	struct cursor in = cursor_of(block, SEGMENT_BLOCK);
	struct segment_header h;

	if (cursor_u64(&in) != HEADER_MAGIC ||
	    load_u64(block + HEADER_HASHED) != hash_bytes(block, HEADER_HASHED, 0)) {
		return -EPROTO;
	}
	if (cursor_u32(&in) != HEADER_VERSION) {
		return -ENOTSUP;
	}
	h.next_session = cursor_u32(&in);
	memcpy(h.uuid, cursor_take(&in, sizeof h.uuid), sizeof h.uuid);
	h.start = cursor_u64(&in);
	*ret = h;
	return 0;
}

uint64_t
segment_seed(const uint8_t uuid[static 16])
{
	return hash_bytes(uuid, 16, 0);
}

static uint64_t
frame_hash(const uint8_t *frame, uint64_t seed, size_t payload)
{
	return hash_bytes(frame + SEGMENT_FRAME_HEADER, payload,
	    hash_bytes(frame, FRAME_HASHED, seed));
}

size_t
segment_frame_write(
    uint8_t *out, uint64_t seed, uint64_t position, const struct frame *f)
{
	size_t size = segment_frame_size(f->length);
	struct write_cursor to = write_cursor_of(out, size);

	cursor_put_u32(&to, FRAME_MAGIC);
	cursor_put_u16(&to, f->stream);
	cursor_put_u16(&to, (uint16_t)f->kind);
	cursor_put_u32(&to, f->session);
	cursor_put_u32(&to, (uint32_t)f->length);
	cursor_put_u64(&to, f->arrival_ns);
	cursor_put_u64(&to, position);
	cursor_put_u64(&to, frame_hash(out, seed, f->length));
	(void)cursor_put_space(&to, f->length);
	cursor_put_zeros(&to, size - cursor_written(&to));
	return size;
}

void
segment_pad_write(
    uint8_t *out, size_t n, uint64_t seed, uint64_t position, uint64_t synced)
{
	const struct frame pad = {
	    .kind = FRAME_PAD, .length = n - SEGMENT_FRAME_HEADER};

	memset(out + SEGMENT_FRAME_HEADER, 0, pad.length);
	store_u64(out + SEGMENT_FRAME_HEADER, synced);
	segment_frame_write(out, seed, position, &pad);
}

int
segment_frame_view(
    const uint8_t *bytes, size_t available, uint64_t position, struct frame *ret)
{
	uint32_t kind, length;

	if (available < SEGMENT_FRAME_HEADER || load_u32(bytes) != FRAME_MAGIC ||
	    load_u64(bytes + 24) != position) {
		return -EBADMSG;
	}
	kind = load_u32(bytes + 4) & 0xffff;
	length = load_u32(bytes + 12);
	if (kind < FRAME_OPEN || kind > FRAME_PAD ||
	    length > SEGMENT_FRAME_MAX - SEGMENT_FRAME_HEADER ||
	    segment_frame_size(length) > available) {
		return -EBADMSG;
	}
	*ret = (struct frame){
	    .kind = (enum frame_kind)kind,
	    .session = load_u32(bytes + 8),
	    .stream = load_u16(bytes + 4),
	    .arrival_ns = load_u64(bytes + 16),
	    .position = position + SEGMENT_FRAME_HEADER,
	    .end = position + segment_frame_size(length),
	    .payload = bytes + SEGMENT_FRAME_HEADER,
	    .length = length,
	};
	return 0;
}

int
segment_frame_read(const uint8_t *bytes, size_t available, uint64_t seed,
    uint64_t position, struct frame *ret)
{
	int rc = segment_frame_view(bytes, available, position, ret);

	if (rc == 0 &&
	    load_u64(bytes + FRAME_HASHED) != frame_hash(bytes, seed, ret->length)) {
		rc = -EBADMSG;
	}
	return rc;
}

/* Reads through a window of two frames' size, so that a frame is always contiguous. */
struct segment_reader {
	int fd;
	uint64_t seed;
	uint64_t at, limit; /* positions */
	struct segment_header header;
	uint8_t *window;
	uint64_t window_at; /* position of its first byte */
	size_t filled;
};

static uint64_t
reader_offset(const struct segment_reader *r, uint64_t position)
{
	return SEGMENT_BLOCK + (position - r->header.start);
}

/* Bytes at a position: as many as the file has, at least a frame's worth when it can.
 */
static int
reader_at(struct segment_reader *r, uint64_t position, const uint8_t **ret,
    size_t *ret_n, struct err *e)
{
	uint64_t left = r->limit - position;
	size_t want = left < SEGMENT_FRAME_MAX ? (size_t)left : SEGMENT_FRAME_MAX;

	if (position < r->window_at || position + want > r->window_at + r->filled) {
		r->window_at = position;
		r->filled = 0;
		while (r->filled < WINDOW && r->filled < left) {
			size_t n = left - r->filled < WINDOW - r->filled
				       ? (size_t)(left - r->filled)
				       : WINDOW - r->filled;
			ssize_t got = pread(r->fd, r->window + r->filled, n,
			    (off_t)(reader_offset(r, position) + r->filled));
			if (got < 0 && errno == EINTR) {
				continue;
			}
			if (got < 0) {
				return err_set(
				    e, -EIO, "cannot read: %s", strerror(errno));
			}
			if (got == 0) {
				break;
			}
			r->filled += (size_t)got;
		}
	}
	*ret = r->window + (position - r->window_at);
	*ret_n = r->filled - (size_t)(position - r->window_at);
	return 0;
}

static int
reader_start(struct segment_reader *r, uint64_t limit, struct err *e)
{
	struct stat st;
	int rc = -EPROTO;

	if (fstat(r->fd, &st) < 0) {
		return err_set(e, -errno, "cannot stat: %s", strerror(errno));
	}
	if (!S_ISREG(st.st_mode)) {
		return err_set(e, -EPROTO, "not a regular file");
	}
	if (pread(r->fd, r->window, SEGMENT_BLOCK, 0) == (ssize_t)SEGMENT_BLOCK) {
		rc = segment_header_read(r->window, &r->header);
	}
	if (rc == -ENOTSUP) {
		return err_set(e, rc,
		    "written by another version of this program: start and stop that "
		    "version to store what the journal holds, then move the journal "
		    "away");
	}
	if (rc < 0) {
		return err_set(e, rc, "does not begin with a segment header");
	}
	r->seed = segment_seed(r->header.uuid);
	r->at = r->header.start;
	r->limit = r->header.start + ((uint64_t)st.st_size - SEGMENT_BLOCK);
	if (r->limit > limit) {
		r->limit = limit;
	}
	if (r->limit < r->header.start) {
		return err_set(e, -EPROTO,
		    "begins at position %" PRIu64 ", where the next segment already is",
		    r->header.start);
	}
	return 0;
}

int
segment_reader_new(int fd, uint64_t limit, struct segment_reader **ret, struct err *e)
{
	struct segment_reader *r = calloc(1, sizeof *r);
	int rc;

	if (r == NULL || (r->window = malloc(WINDOW)) == NULL) {
		free(r);
		close(fd);
		return err_set(e, -ENOMEM, "out of memory");
	}
	r->fd = fd;
	rc = reader_start(r, limit, e);
	if (rc < 0) {
		segment_reader_free(r);
		return rc;
	}
	*ret = r;
	return 0;
}

void
segment_reader_free(struct segment_reader *r)
{
	if (r == NULL) {
		return;
	}
	close(r->fd);
	free(r->window);
	free(r);
}

const struct segment_header *
segment_reader_header(const struct segment_reader *r)
{
	return &r->header;
}

uint64_t
segment_reader_position(const struct segment_reader *r)
{
	return r->at;
}

int
segment_reader_next(struct segment_reader *r, struct frame *ret, struct err *e)
{
	const uint8_t *bytes;
	size_t n;
	int rc;

	if (r->at >= r->limit) {
		return 0;
	}
	rc = reader_at(r, r->at, &bytes, &n, e);
	if (rc < 0) {
		return rc;
	}
	if (segment_frame_read(bytes, n, r->seed, r->at, ret) < 0) {
		return -EBADMSG;
	}
	r->at = ret->end;
	return 1;
}

/* Frames begin at multiples of 8, and name their own position: only the right eight
 * bytes at the right place are looked at closer. */
static int
reader_find(struct segment_reader *r, uint64_t from, struct frame *ret, struct err *e)
{
	for (uint64_t at = from; at < r->limit; at += 8) {
		const uint8_t *bytes;
		size_t n;
		int rc = reader_at(r, at, &bytes, &n, e);
		if (rc < 0) {
			return rc;
		}
		if (n < SEGMENT_FRAME_HEADER) {
			break;
		}
		if (segment_frame_read(bytes, n, r->seed, at, ret) == 0) {
			return 1;
		}
	}
	return 0;
}

int
segment_reader_resume(struct segment_reader *r, struct err *e)
{
	struct frame f;
	int rc;

	rc = reader_find(r, r->at + 8, &f, e);
	if (rc > 0) {
		r->at = f.position - SEGMENT_FRAME_HEADER;
	}
	return rc;
}

int
segment_reader_is_damaged(struct segment_reader *r, struct err *e)
{
	uint64_t at = r->at + 8;
	struct frame f;
	int rc;

	while ((rc = reader_find(r, at, &f, e)) > 0) {
		if (f.kind == FRAME_PAD && f.length >= 8 &&
		    load_u64(f.payload) > r->at) {
			return 1;
		}
		at = f.end;
	}
	return rc;
}
