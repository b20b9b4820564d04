#include "common/capture/capture_classic.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"

enum { PACKET_HEADER = 16, CAPTURED_MAX = 256 * 1024 };
_Static_assert(PACKET_HEADER + CAPTURED_MAX <= SOURCE_MOST,
    "a packet fits into the source's buffer");

static inline uint32_t
load(const struct capture_classic *c, const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return c->is_swapped ? __builtin_bswap32(v) : v;
}

/* The writer's byte order is that of its magic number.  Versions before 2.4 have their
 * lengths in another order, and Kuznetzov's magic number another packet header: those
 * few files are libpcap's. */
bool
capture_classic_begin(struct input *source, struct capture_classic *ret)
{
	struct capture_classic c = {.source = source};
	const uint8_t *p = source->at;
	uint32_t version;

	if (source->end - source->at < CAPTURE_CLASSIC_HEADER) {
		return false;
	}
	for (int swapped = 0; swapped < 2 && c.fraction_ns == 0; swapped++) {
		c.is_swapped = swapped;
		switch (load(&c, p)) {
		case 0xa1b2c3d4:
			c.fraction_ns = 1000;
			break;
		case 0xa1b23c4d:
			c.fraction_ns = 1;
			break;
		}
	}
	/* Two 16-bit numbers, major and minor, read as one word */
	version = load(&c, p + 4);
	if (c.is_swapped != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)) {
		version = version << 16 | version >> 16;
	}
	if (c.fraction_ns == 0 || version != 0x00040002) {
		return false;
	}
	c.link_type = (int)(load(&c, p + 20) & 0xffff); /* above: frame check length */
	source->at += CAPTURE_CLASSIC_HEADER;
	*ret = c;
	return true;
}

/* There is no whole packet in the buffer: 1 when there is now, 0 at the end. */
static int
refill(struct capture_classic *c, size_t need, struct err *e)
{
	ssize_t have = input_fill(c->source, need, e);

	if (have < 0) {
		c->has_ended = true;
		return (int)have;
	}
	if ((size_t)have >= need) {
		return 1;
	}
	c->has_ended = true;
	c->cut_short = have > 0;
	return 0;
}

int
capture_classic_next(
    struct capture_classic *c, struct capture_packet *ret, struct err *e)
{
	struct input *s = c->source;
	uint32_t captured, wire;

	if (c->has_ended) {
		return 0;
	}
	if (s->end - s->at < PACKET_HEADER) {
		int rc = refill(c, PACKET_HEADER, e);
		if (rc <= 0) {
			return rc;
		}
	}
	captured = load(c, s->at + 8);
	if (captured > CAPTURED_MAX) {
		c->has_ended = true;
		return err_set(e, -EBADMSG,
		    "the packet at byte %llu claims %u captured bytes, more than %u: "
		    "the file is damaged from there on",
		    (unsigned long long)input_offset(s), captured, CAPTURED_MAX);
	}
	if ((size_t)(s->end - s->at) < PACKET_HEADER + captured) {
		int rc = refill(c, PACKET_HEADER + captured, e);
		if (rc <= 0) {
			return rc;
		}
	}
	wire = load(c, s->at + 12);
	ret->time_ns = load(c, s->at) * NS_PER_SECOND +
		       (uint64_t)load(c, s->at + 4) * c->fraction_ns;
	ret->captured = captured;
	ret->wire = wire < captured ? captured : wire;
	ret->bytes = s->at + PACKET_HEADER;
	ret->link_type = c->link_type;
	s->at += PACKET_HEADER + captured;
	return 1;
}
