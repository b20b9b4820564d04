#include "collector/import/reassembly.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cursor.h"
#include "common/capture/link.h"

#define UDP_HEADER     8u
#define PIECES         16 /* datagrams in pieces at a time */
#define WHOLE_MAX      65536u
#define UNIT           8u /* fragment offsets count these */
#define EXTENSIONS_MAX 8

/* One IP packet, as far as its headers say. */
struct packet {
	struct address source, destination;
	uint8_t protocol;
	uint32_t identification;
	uint32_t offset; /* of this piece, in bytes */
	bool is_piece, has_more;
	const uint8_t *payload;
	size_t length;   /* as the header says */
	size_t captured; /* of it */
};

struct pieces {
	bool is_used;
	struct address source, destination;
	uint32_t identification;
	uint64_t age;
	size_t total;                       /* 0: the last piece is still missing */
	size_t units;                       /* that have come */
	uint8_t seen[WHOLE_MAX / UNIT / 8]; /* one bit a unit */
	uint8_t bytes[WHOLE_MAX];
};

struct reassembly {
	struct pieces pieces[PIECES];
	uint64_t age;
	uint64_t given_up;
};

struct reassembly *
reassembly_new(void)
{
	return calloc(1, sizeof(struct reassembly));
}

void
reassembly_free(struct reassembly *d)
{
	free(d);
}

uint64_t
reassembly_incomplete(const struct reassembly *d)
{
	uint64_t n = d->given_up;

	for (unsigned i = 0; i < PIECES; i++) {
		n += d->pieces[i].is_used;
	}
	return n;
}

static enum reassembly_result
read_ipv4(struct cursor c, struct packet *ret)
{
	const uint8_t *h = cursor_take(&c, 20);
	size_t header, total;
	uint16_t fragment;

	if (h == NULL) {
		return REASSEMBLY_CUT;
	}
	header = (h[0] & 15u) * 4;
	total = load_u16(h + 2);
	if (header < 20 || total < header) {
		return REASSEMBLY_MALFORMED;
	}
	if (cursor_take(&c, header - 20) == NULL) {
		return REASSEMBLY_CUT;
	}
	fragment = load_u16(h + 6);
	address_from_ipv4(&ret->source, h + 12);
	address_from_ipv4(&ret->destination, h + 16);
	ret->protocol = h[9];
	ret->identification = load_u16(h + 4);
	ret->offset = (fragment & 0x1fffu) * UNIT;
	ret->has_more = (fragment & 0x2000u) != 0;
	ret->is_piece = ret->has_more || ret->offset > 0;
	ret->payload = c.at;
	ret->length = total - header;
	ret->captured = cursor_left(&c);
	return REASSEMBLY_WHOLE;
}

static enum reassembly_result
read_ipv6(struct cursor c, struct packet *ret)
{
	const uint8_t *h = cursor_take(&c, 40);
	size_t left;
	uint8_t next;

	if (h == NULL) {
		return REASSEMBLY_CUT;
	}
	left = load_u16(h + 4);
	next = h[6];
	memcpy(ret->source.bytes, h + 8, 16);
	memcpy(ret->destination.bytes, h + 24, 16);
	for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
		const uint8_t *x;
		size_t n = 8;
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING &&
		    next != IPPROTO_FRAGMENT && next != IPPROTO_DSTOPTS) {
			break;
		}
		x = cursor_take(&c, 8);
		if (x == NULL) {
			return REASSEMBLY_CUT;
		}
		if (next == IPPROTO_FRAGMENT) {
			ret->offset = load_u16(x + 2) & 0xfff8u;
			ret->has_more = (x[3] & 1) != 0;
			ret->is_piece = ret->has_more || ret->offset > 0;
			ret->identification = load_u32(x + 4);
		} else {
			n = 8 + 8 * (size_t)x[1];
		}
		if (n > left) {
			return REASSEMBLY_MALFORMED;
		}
		if (cursor_take(&c, n - 8) == NULL) {
			return REASSEMBLY_CUT;
		}
		left -= n;
		next = x[0];
	}
	ret->protocol = next;
	ret->payload = c.at;
	ret->length = left;
	ret->captured = cursor_left(&c);
	return REASSEMBLY_WHOLE;
}

static enum reassembly_result
read_udp(const struct packet *p, struct datagram *ret)
{
	size_t length;

	if (p->length < UDP_HEADER) {
		return REASSEMBLY_MALFORMED;
	}
	if (p->captured < UDP_HEADER) {
		return REASSEMBLY_CUT;
	}
	length = load_u16(p->payload + 4);
	if (length < UDP_HEADER || length > p->length) {
		return REASSEMBLY_MALFORMED;
	}
	if (length > p->captured) {
		return REASSEMBLY_CUT;
	}
	ret->source = (struct endpoint){p->source, load_u16(p->payload)};
	ret->destination = (struct endpoint){p->destination, load_u16(p->payload + 2)};
	ret->payload = p->payload + UDP_HEADER;
	ret->length = length - UDP_HEADER;
	return REASSEMBLY_WHOLE;
}

static struct pieces *
find_pieces(struct reassembly *d, const struct packet *p)
{
	struct pieces *found = &d->pieces[0];

	for (unsigned i = 0; i < PIECES; i++) {
		struct pieces *s = &d->pieces[i];
		if (s->is_used && s->identification == p->identification &&
		    memcmp(&s->source, &p->source, sizeof s->source) == 0 &&
		    memcmp(&s->destination, &p->destination, sizeof s->source) == 0) {
			return s;
		}
		if (!s->is_used || (found->is_used && s->age < found->age)) {
			found = s;
		}
	}
	d->given_up += found->is_used;
	memset(found, 0, sizeof *found);
	found->is_used = true;
	found->source = p->source;
	found->destination = p->destination;
	found->identification = p->identification;
	found->age = ++d->age;
	return found;
}

static void
mark_units(struct pieces *s, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++) {
		uint8_t bit = (uint8_t)(1u << (i % 8));
		s->units += (s->seen[i / 8] & bit) == 0;
		s->seen[i / 8] |= bit;
	}
}

/* Pieces may come in any order and twice; the later bytes win where they overlap. */
static enum reassembly_result
add_piece(struct reassembly *d, const struct packet *p, struct datagram *ret)
{
	struct packet whole = *p;
	enum reassembly_result result;
	struct pieces *s;

	if (p->length == 0 || p->offset + p->length > WHOLE_MAX ||
	    (p->has_more && p->length % UNIT != 0)) {
		return REASSEMBLY_MALFORMED;
	}
	if (p->captured < p->length) {
		return REASSEMBLY_CUT;
	}
	s = find_pieces(d, p);
	memcpy(s->bytes + p->offset, p->payload, p->length);
	mark_units(s, p->offset / UNIT, (p->length + UNIT - 1) / UNIT);
	if (!p->has_more) {
		s->total = p->offset + p->length;
	}
	if (s->total == 0 || s->units < (s->total + UNIT - 1) / UNIT) {
		return REASSEMBLY_PIECE;
	}
	whole.payload = s->bytes;
	whole.length = whole.captured = s->total;
	result = read_udp(&whole, ret);
	s->is_used = false; /* its bytes stay until the next packet */
	return result;
}

enum reassembly_result
reassembly_take(
    struct reassembly *d, const struct capture_packet *packet, struct datagram *ret)
{
	struct packet p = {0};
	struct link_payload link;
	enum reassembly_result result;
	struct cursor c;

	switch (
	    link_find_ip(packet->link_type, packet->bytes, packet->captured, &link)) {
	case LINK_IP:
		break;
	case LINK_TRUNCATED:
		return REASSEMBLY_CUT;
	default:
		return REASSEMBLY_OTHER;
	}
	c = cursor_of(packet->bytes + link.offset, packet->captured - link.offset);
	if (cursor_left(&c) == 0) {
		return REASSEMBLY_CUT;
	}
	if (c.at[0] >> 4 == 4) {
		result = read_ipv4(c, &p);
	} else if (c.at[0] >> 4 == 6) {
		result = read_ipv6(c, &p);
	} else {
		return REASSEMBLY_OTHER;
	}
	if (result != REASSEMBLY_WHOLE) {
		return result;
	}
	if (p.protocol != IPPROTO_UDP) {
		return REASSEMBLY_OTHER;
	}
	if (p.captured > p.length) {
		p.captured = p.length; /* what follows is the link layer's padding */
	}
	return p.is_piece ? add_piece(d, &p, ret) : read_udp(&p, ret);
}
