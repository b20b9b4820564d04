#include "common/capture/capture_ng.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"

/* draft-ietf-opsawg-pcapng */
enum {
	BLOCK_SECTION = 0x0a0d0d0a, /* the same in both byte orders */
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET_OLD = 2,
	BLOCK_PACKET_SIMPLE = 3,
	BLOCK_PACKET = 6,

	OPTION_END = 0,
	OPTION_TIME_RESOLUTION = 9,
	OPTION_TIME_OFFSET = 14,

	BLOCK_HEADER = 8, /* type, total length */
	BLOCK_LEAST = 12, /* and the total length again */
	SECTION_LEAST = 28,
	INTERFACES_MAX = 4096, /* in one section */
};
#define BYTE_ORDER_MAGIC 0x1a2b3c4d

struct capture_ng_interface {
	uint16_t link_type;
	uint8_t resolution; /* of times: 10^-n, or with the highest bit set 2^-n */
	uint32_t snaplen;   /* 0: none */
	int64_t offset_s;   /* added to times */
};

/* One block's bytes between its lengths. */
struct block {
	uint32_t type;
	const uint8_t *at;
	uint32_t length;
};

static inline uint32_t
load(const struct capture_ng *c, const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return c->is_swapped ? __builtin_bswap32(v) : v;
}

static inline uint16_t
load_half(const struct capture_ng *c, const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof v);
	return c->is_swapped ? __builtin_bswap16(v) : v;
}

static int
damaged(struct capture_ng *c, const char *what, struct err *e)
{
	c->has_ended = true;
	return err_set(e, -EBADMSG,
	    "the block at byte %llu %s: the file is damaged from there on",
	    (unsigned long long)c->block_at, what);
}

/* Makes need bytes of the block contiguous.  1; 0: the file ends before. */
static int
want(struct capture_ng *c, size_t need, struct err *e)
{
	ssize_t have;

	if ((size_t)(c->source->end - c->source->at) >= need) {
		return 1;
	}
	have = input_fill(c->source, need, e);
	if (have < 0) {
		c->has_ended = true;
		return (int)have;
	}
	if ((size_t)have < need) {
		c->has_ended = true;
		c->cut_short = have > 0;
		return 0;
	}
	return 1;
}

/* Blocks larger than the buffer are none of packets (secrets, names) and are stepped
 * over. */
static int
skip(struct capture_ng *c, uint32_t length, struct err *e)
{
	while (length > 0) {
		size_t have = (size_t)(c->source->end - c->source->at);
		int rc;

		if (have > length) {
			have = length;
		}
		c->source->at += have;
		length -= (uint32_t)have;
		if (length > 0) {
			rc = want(c, 1, e);
			if (rc <= 0) {
				c->cut_short = rc == 0;
				return rc;
			}
		}
	}
	return 1;
}

/* A section header tells its byte order behind its length. */
static int
read_byte_order(struct capture_ng *c, struct err *e)
{
	int rc = want(c, SECTION_LEAST, e);

	if (rc <= 0) {
		return rc;
	}
	c->is_swapped = false;
	if (load(c, c->source->at + 8) != BYTE_ORDER_MAGIC) {
		c->is_swapped = true;
		if (load(c, c->source->at + 8) != BYTE_ORDER_MAGIC) {
			return damaged(
			    c, "begins a section without a byte-order magic", e);
		}
	}
	if (load_half(c, c->source->at + 12) != 1) {
		return damaged(
		    c, "begins a section of an unsupported version (expected 1)", e);
	}
	c->count = 0;
	return 1;
}

/* The next whole block, taken from the source; its bytes are valid until the next call.
 * 1; 0: the end; negative with e. */
static int
take_block(struct capture_ng *c, struct block *ret, struct err *e)
{
	uint32_t length;
	int rc;

	for (;;) {
		c->block_at = input_offset(c->source);
		rc = want(c, BLOCK_HEADER, e);
		if (rc <= 0) {
			return rc;
		}
		ret->type = load(c, c->source->at);
		if (ret->type == BLOCK_SECTION) {
			rc = read_byte_order(c, e);
			if (rc <= 0) {
				return rc;
			}
		}
		length = load(c, c->source->at + 4);
		if (length < BLOCK_LEAST || length % 4 != 0) {
			return damaged(c, "has an impossible length", e);
		}
		if (length <= SOURCE_MOST) {
			break;
		}
		if (ret->type == BLOCK_PACKET || ret->type == BLOCK_PACKET_OLD ||
		    ret->type == BLOCK_PACKET_SIMPLE) {
			return damaged(c, "is too large for a packet", e);
		}
		rc = skip(c, length, e);
		if (rc <= 0) {
			return rc;
		}
	}
	rc = want(c, length, e);
	if (rc <= 0) {
		return rc;
	}
	if (load(c, c->source->at + length - 4) != length) {
		return damaged(c, "has different lengths at its beginning and end", e);
	}
	ret->at = c->source->at + BLOCK_HEADER;
	ret->length = length - BLOCK_LEAST;
	c->source->at += length;
	return 1;
}

/* The values of the two options of an interface that matter here. */
static void
read_options(
    const struct capture_ng *c, const struct block *b, struct capture_ng_interface *i)
{
	uint32_t at = 8;

	while (at + 4 <= b->length) {
		uint16_t code = load_half(c, b->at + at);
		uint16_t length = load_half(c, b->at + at + 2);
		const uint8_t *value = b->at + at + 4;

		if (code == OPTION_END || length > b->length - at - 4) {
			return;
		}
		if (code == OPTION_TIME_RESOLUTION && length == 1) {
			i->resolution = *value;
		} else if (code == OPTION_TIME_OFFSET && length == 8) {
			uint64_t v;

			memcpy(&v, value, sizeof v);
			i->offset_s =
			    (int64_t)(c->is_swapped ? __builtin_bswap64(v) : v);
		}
		at += 4 + ((length + 3U) & ~3U);
	}
}

static int
add_interface(struct capture_ng *c, const struct block *b, struct err *e)
{
	struct capture_ng_interface i = {.resolution = 6}, *grown;

	if (b->length < 8) {
		return damaged(c, "is too short for an interface", e);
	}
	if (c->count == INTERFACES_MAX) {
		return damaged(c, "describes more interfaces than supported", e);
	}
	i.link_type = load_half(c, b->at);
	i.snaplen = load(c, b->at + 4);
	read_options(c, b, &i);
	if ((c->count & (c->count - 1)) == 0) { /* room for a power of two of them */
		grown = realloc(
		    c->interfaces, (c->count == 0 ? 1 : c->count * 2) * sizeof *grown);
		if (grown == NULL) {
			return err_set(e, -ENOMEM, "out of memory");
		}
		c->interfaces = grown;
	}
	c->interfaces[c->count++] = i;
	return 1;
}

static uint64_t
time_of(const struct capture_ng_interface *i, uint64_t ticks)
{
	unsigned n = i->resolution & 0x7f;
	unsigned __int128 ns;
	__int128 sum;

	if ((i->resolution & 0x80) != 0) {
		ns = (unsigned __int128)ticks * NS_PER_SECOND >> n;
	} else {
		ns = ticks;
		for (; n < 9; n++) {
			ns *= 10;
		}
		for (; n > 9 && ns > 0; n--) {
			ns /= 10;
		}
	}
	sum = (__int128)ns + (__int128)i->offset_s * (__int128)NS_PER_SECOND;
	return sum < 0 ? 0 : sum > INT64_MAX ? INT64_MAX : (uint64_t)sum;
}

/* The three blocks that carry packets: header is what stands before the bytes. */
static int
read_packet(struct capture_ng *c, const struct block *b, struct capture_packet *ret,
    struct err *e)
{
	uint32_t header = b->type == BLOCK_PACKET_SIMPLE ? 4 : 20, interface = 0;
	const struct capture_ng_interface *i;

	if (b->length < header) {
		return damaged(c, "is too short for a packet", e);
	}
	if (b->type == BLOCK_PACKET) {
		interface = load(c, b->at);
	} else if (b->type == BLOCK_PACKET_OLD) {
		interface = load_half(c, b->at);
	}
	if (interface >= c->count) {
		return damaged(c, "has a packet of an unknown interface", e);
	}
	i = &c->interfaces[interface];
	if (b->type == BLOCK_PACKET_SIMPLE) {
		uint32_t most = b->length - header;

		ret->wire = load(c, b->at);
		if (i->snaplen != 0 && most > i->snaplen) {
			most = i->snaplen;
		}
		ret->captured = ret->wire < most ? ret->wire : most;
		ret->time_ns = 0; /* this kind of block has none */
	} else {
		ret->captured = load(c, b->at + 12);
		ret->wire = load(c, b->at + 16);
		ret->time_ns =
		    time_of(i, (uint64_t)load(c, b->at + 4) << 32 | load(c, b->at + 8));
	}
	if (ret->captured > b->length - header) {
		return damaged(c, "has a packet longer than the block", e);
	}
	if (ret->wire < ret->captured) {
		ret->wire = ret->captured;
	}
	ret->bytes = b->at + header;
	ret->link_type = i->link_type;
	return 1;
}

bool
capture_ng_is(const struct input *source)
{
	static const uint8_t magic[4] = {0x0a, 0x0d, 0x0d, 0x0a};

	return source->end - source->at >= 4 && memcmp(source->at, magic, 4) == 0;
}

void
capture_ng_begin(struct input *source, struct capture_ng *ret)
{
	*ret = (struct capture_ng){.source = source};
}

int
capture_ng_next(struct capture_ng *c, struct capture_packet *ret, struct err *e)
{
	struct block b = {0};
	int rc;

	while (!c->has_ended) {
		rc = take_block(c, &b, e);
		if (rc <= 0) {
			return rc;
		}
		switch (b.type) {
		case BLOCK_INTERFACE:
			rc = add_interface(c, &b, e);
			if (rc < 0) {
				return rc;
			}
			break;
		case BLOCK_PACKET:
		case BLOCK_PACKET_OLD:
		case BLOCK_PACKET_SIMPLE:
			return read_packet(c, &b, ret, e);
		}
	}
	return 0;
}

void
capture_ng_end(struct capture_ng *c)
{
	free(c->interfaces);
	c->interfaces = NULL;
}
