/* One file of the journal: its header block, frames, and a reader that tells a whole
 * frame from anything else.
 *
 * All numbers big-endian.  Header block, 4096 bytes: magic, version, UUID of the
 * journal, start position, first unused session number, XXH3 of what is before it.
 * Then frames, each a multiple of 8 bytes: magic, stream (upper 16 bits) and kind,
 * session, payload length, arrival, position of the frame itself, XXH3 of header and
 * payload (seeded by the UUID), payload, zeros.  A frame is at file offset 4096 +
 * position - start.  FRAME_PAD fills up to a block; its payload begins with the
 * position up to which the journal was durable when it was written: what lies before
 * must be whole, what comes after may be torn.
 *
 * Knows no directory.  Threads: one at a time. */
#ifndef COLLECTOR_JOURNAL_SEGMENT_H
#define COLLECTOR_JOURNAL_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/journal/frame.h"
#include "common/base/err.h"

#define SEGMENT_BLOCK        4096u
#define SEGMENT_FRAME_HEADER 40u
#define SEGMENT_FRAME_MAX    (1u << 20) /* header, payload and zeros */

struct segment_header {
	uint8_t uuid[16];
	uint64_t start;
	uint32_t next_session;
};

void segment_header_write(const struct segment_header *h, uint8_t *block);
/* 0, -EPROTO: not a segment's header, or -ENOTSUP: of another format. */
int segment_header_read(const uint8_t *block, struct segment_header *ret);

/* Seed of the frames' hashes: no frame of another journal passes for one of ours. */
uint64_t segment_seed(const uint8_t uuid[static 16]);

/* Bytes of a frame with this payload. */
static inline size_t
segment_frame_size(size_t payload)
{
	return (SEGMENT_FRAME_HEADER + payload + 7) & ~(size_t)7;
}

/* Writes header and zeros around the payload that lies at out + SEGMENT_FRAME_HEADER;
 * returns the frame's size.  Of f: kind, session, stream, arrival_ns, length; position
 * is the frame's own. */
size_t segment_frame_write(
    uint8_t *out, uint64_t seed, uint64_t position, const struct frame *f);
/* Writes a pad that ends exactly n bytes after out; n >= SEGMENT_FRAME_HEADER + 8. */
void segment_pad_write(
    uint8_t *out, size_t n, uint64_t seed, uint64_t position, uint64_t synced);
/* The frame at bytes, which must lie at `position`: 0 and *ret, or -EBADMSG.  Only read
 * checks the hash; view is for what this process has just written. */
int segment_frame_view(
    const uint8_t *bytes, size_t available, uint64_t position, struct frame *ret);
int segment_frame_read(const uint8_t *bytes, size_t available, uint64_t seed,
    uint64_t position, struct frame *ret);

struct segment_reader;

/* Takes fd.  limit: position where the segment ends (UINT64_MAX: where the file does).
 * Negative with the sentence in e, also for a bad header. */
int segment_reader_new(
    int fd, uint64_t limit, struct segment_reader **ret, struct err *e);
void segment_reader_free(struct segment_reader *r);
const struct segment_header *segment_reader_header(const struct segment_reader *r);
/* Position of the next frame. */
uint64_t segment_reader_position(const struct segment_reader *r);
/* Next frame, pads too: 1; 0: the end; -EBADMSG: not a whole frame (position stays);
 * -EIO.  *ret is valid until the next call. */
int segment_reader_next(struct segment_reader *r, struct frame *ret, struct err *e);
/* Steps to the next whole frame after the position: 1, or 0: none, or -EIO. */
int segment_reader_resume(struct segment_reader *r, struct err *e);
/* Whether, from the position on, any whole pad says that bytes beyond the position
 * were durable.  Keeps the position.  1, 0, -EIO. */
int segment_reader_is_damaged(struct segment_reader *r, struct err *e);

#endif
