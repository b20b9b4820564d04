#include "exporter/decode/decode_ip.h"

#include <netinet/in.h>

#include "common/base/cursor.h"

enum {
	IPV4_HEADER = 20,
	IPV6_HEADER = 40,
	IPV6_HEADERS_MAX = 16, /* extension headers in one packet */
};

enum { IPPROTO_HOST_IDENTITY = 139, IPPROTO_SHIM6 = 140 };

/* Zero as total length comes from segmentation offload: the packet was longer than the
 * field can say, and the wire length is the truth. */
static inline enum packet_drop
ipv4_decode(const uint8_t *ip, uint32_t captured, uint32_t wire, struct ip_packet *ret)
{
	uint32_t total, header, fragment;

	if (captured < IPV4_HEADER) {
		return PACKET_IP_TRUNCATED;
	}
	header = (ip[0] & 0x0f) * 4U;
	total = load_u16(ip + 2);
	if (total == 0) {
		total = wire;
	}
	if (header < IPV4_HEADER || total < header) {
		return PACKET_IP_BAD;
	}
	if (total > wire) {
		return PACKET_IP_LENGTH_BEYOND;
	}
	if (captured < header) {
		return PACKET_IP_TRUNCATED;
	}
	ret->version = 4;
	ret->source[0] = ret->destination[0] = 0;
	ret->source[1] = 0xffffULL << 32 | load_u32(ip + 12);
	ret->destination[1] = 0xffffULL << 32 | load_u32(ip + 16);
	ret->transport = ip + header;
	ret->captured = (captured < total ? captured : total) - header;
	ret->length = total - header;
	ret->octets = total;
	ret->protocol = ip[9];
	ret->ttl = ip[8];
	ret->tos = ip[1];
	fragment = load_u16(ip + 6) & 0x3fff; /* more-fragments bit and offset */
	ret->is_fragment = fragment != 0;
	ret->is_later_fragment = (fragment & 0x1fff) != 0;
	if (fragment != 0) {
		ret->fragment_id = load_u16(ip + 4);
		ret->fragment_protocol = ip[9];
	}
	return PACKET_KEPT;
}

/* The jumbo payload length in a hop-by-hop header that follows the IPv6 header (RFC
 * 2675), or 0. */
static uint32_t
ipv6_jumbo_length(const uint8_t *header, uint32_t captured)
{
	struct cursor c = cursor_of(header, captured);
	struct cursor options;

	cursor_u8(&c);
	options = cursor_sub(&c, (cursor_u8(&c) + 1U) * 8 - 2);
	while (cursor_left(&options) > 0) {
		uint8_t type = cursor_u8(&options);
		uint8_t length;

		if (type == 0) { /* Pad1 has no length */
			continue;
		}
		length = cursor_u8(&options);
		if (type == 0xc2 && length == 4) {
			return cursor_u32(&options);
		}
		cursor_take(&options, length);
	}
	return 0;
}

/* IPv6 total length, 0 when the wire cannot hold it.  A zero payload length means a
 * jumbogram, offloaded segmentation (the wire length), or truly nothing. */
static enum packet_drop
ipv6_total_length(
    const uint8_t *ip, uint32_t captured, uint32_t wire, uint32_t *ret_total)
{
	uint64_t total = IPV6_HEADER + (uint64_t)load_u16(ip + 4);

	if (total == IPV6_HEADER && ip[6] != IPPROTO_NONE) {
		total = wire;
		if (ip[6] == IPPROTO_HOPOPTS) {
			uint32_t jumbo =
			    ipv6_jumbo_length(ip + IPV6_HEADER, captured - IPV6_HEADER);
			if (jumbo != 0) {
				total = IPV6_HEADER + (uint64_t)jumbo;
			}
		}
	}
	if (total > wire) {
		return PACKET_IP_LENGTH_BEYOND;
	}
	*ret_total = (uint32_t)total;
	return total < IPV6_HEADER ? PACKET_IP_BAD : PACKET_KEPT;
}

static bool
is_extension(uint8_t next)
{
	switch (next) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_AH:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
	case IPPROTO_HOST_IDENTITY:
	case IPPROTO_SHIM6:
		return true;
	default:
		return false;
	}
}

/* Steps over one extension header of type ret->protocol.  PACKET_KEPT and *ret_more
 * false: it is the last thing that can be stepped over. */
static enum packet_drop
ipv6_step(struct ip_packet *ret, bool *ret_more)
{
	const uint8_t *h = ret->transport;
	uint8_t type = ret->protocol;
	uint32_t length = 8;

	*ret_more = false;
	if (ret->length < 8) {
		return PACKET_EXTENSIONS;
	}
	if (ret->captured < 8) {
		return PACKET_TRANSPORT_CUT;
	}
	if (type >= IPPROTO_MH && h[0] == IPPROTO_NONE) {
		return PACKET_KEPT; /* nothing follows: it is the transport itself */
	}
	if (type == IPPROTO_FRAGMENT) {
		uint16_t offset = load_u16(h + 2);

		ret->is_fragment = (offset & 0xfff9) != 0; /* else atomic, RFC 6946 */
		ret->is_later_fragment = (offset & 0xfff8) != 0;
		ret->fragment_id = load_u32(h + 4);
		ret->fragment_protocol = h[0];
	} else if (type == IPPROTO_AH) {
		length = (h[1] + 2U) * 4;
	} else {
		length = (h[1] + 1U) * 8;
	}
	if (length > ret->length) {
		return PACKET_EXTENSIONS;
	}
	if (length > ret->captured) {
		return PACKET_TRANSPORT_CUT;
	}
	ret->protocol = h[0];
	ret->transport += length;
	ret->captured -= length;
	ret->length -= length;
	*ret_more = !ret->is_later_fragment;
	return PACKET_KEPT;
}

static enum packet_drop
ipv6_decode(const uint8_t *ip, uint32_t captured, uint32_t wire, struct ip_packet *ret)
{
	enum packet_drop drop;
	bool more = true;
	uint32_t total;

	if (captured < IPV6_HEADER) {
		return PACKET_IP_TRUNCATED;
	}
	drop = ipv6_total_length(ip, captured, wire, &total);
	if (drop != PACKET_KEPT) {
		return drop;
	}
	ret->version = 6;
	ret->source[0] = load_u64(ip + 8);
	ret->source[1] = load_u64(ip + 16);
	ret->destination[0] = load_u64(ip + 24);
	ret->destination[1] = load_u64(ip + 32);
	ret->transport = ip + IPV6_HEADER;
	ret->captured = (captured < total ? captured : total) - IPV6_HEADER;
	ret->length = total - IPV6_HEADER;
	ret->octets = total;
	ret->protocol = ip[6];
	ret->ttl = ip[7];
	ret->tos = (uint8_t)(load_u16(ip) >> 4);
	ret->is_fragment = ret->is_later_fragment = false;
	for (unsigned n = 0; more && is_extension(ret->protocol); n++) {
		if (n == IPV6_HEADERS_MAX) {
			return PACKET_EXTENSIONS;
		}
		drop = ipv6_step(ret, &more);
		if (drop != PACKET_KEPT) {
			return drop;
		}
	}
	return PACKET_KEPT;
}

enum packet_drop
ip_decode(const uint8_t *ip, uint32_t captured, uint32_t wire, struct ip_packet *ret)
{
	if (captured == 0) {
		return PACKET_IP_TRUNCATED;
	}
	switch (ip[0] >> 4) {
	case 4:
		return ipv4_decode(ip, captured, wire, ret);
	case 6:
		return ipv6_decode(ip, captured, wire, ret);
	default:
		return PACKET_IP_BAD;
	}
}
