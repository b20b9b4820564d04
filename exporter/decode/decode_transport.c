#include "exporter/decode/decode_transport.h"

#include <netinet/in.h>

#include "common/base/cursor.h"

/* A header's own length field: believed when it was captured, else the least length
 * stands.  False: the packet itself is shorter than its header. */
static inline bool
take_header(
    const struct ip_packet *ip, uint32_t least, uint32_t said, uint32_t *payload)
{
	uint32_t header = said == 0 ? least : said;

	if (header < least || header > ip->length) {
		return false;
	}
	*payload = ip->length - header;
	return true;
}

static inline enum packet_drop
tcp_decode(const struct ip_packet *ip, struct transport *ret)
{
	const uint8_t *t = ip->transport;
	uint32_t header = 0;

	if (ip->captured > 12) {
		header = (t[12] >> 4) * 4U;
		if (header == 0) { /* said, and impossible */
			return PACKET_TRANSPORT_SHORT;
		}
	}
	if (ip->captured > 13) {
		ret->tcp_flags = t[13];
		if (t[13] & 0x02) {
			ret->tcp_sequence = load_u32(t + 4);
		}
	}
	return take_header(ip, 20, header, &ret->payload) ? PACKET_KEPT
							  : PACKET_TRANSPORT_SHORT;
}

static enum packet_drop
dccp_decode(const struct ip_packet *ip, struct transport *ret)
{
	uint32_t header = 0;

	if (ip->captured > 4) {
		header = ip->transport[4] * 4U; /* data offset, RFC 4340 section 5.1 */
		if (header == 0) {
			return PACKET_TRANSPORT_SHORT;
		}
	}
	return take_header(ip, 12, header, &ret->payload) ? PACKET_KEPT
							  : PACKET_TRANSPORT_SHORT;
}

/* The request type that a query reply answers; -1: type is not a reply.  RFC 792, 950,
 * 8335 (extended echo), 4443, 4620 (node information). */
static int
icmp_request_of(uint8_t protocol, uint8_t type)
{
	if (protocol == IPPROTO_ICMP) {
		switch (type) {
		case 0:
			return 8;
		case 14:
		case 16:
		case 18:
		case 43:
			return type - 1;
		default:
			return -1;
		}
	}
	return type == 129 || type == 140 || type == 161 ? type - 1 : -1;
}

static bool
icmp_is_request(uint8_t protocol, uint8_t type)
{
	if (protocol == IPPROTO_ICMP) {
		return type == 8 || type == 13 || type == 15 || type == 17 ||
		       type == 42;
	}
	return type == 128 || type == 139 || type == 160;
}

static enum packet_drop
icmp_decode(const struct ip_packet *ip, struct transport *ret)
{
	uint8_t type, code;
	int request;

	if (ip->length < 2) {
		return PACKET_TRANSPORT_SHORT;
	}
	if (ip->captured < 2) {
		return PACKET_TRANSPORT_CUT;
	}
	type = ip->transport[0];
	code = ip->transport[1];
	request = icmp_request_of(ip->protocol, type);
	ret->icmp = (uint32_t)type << 8 | code;
	if (request >= 0) {
		ret->source_port = (uint32_t)request << 8;
	} else if (icmp_is_request(ip->protocol, type)) {
		ret->destination_port = (uint32_t)type << 8;
	} else {
		ret->destination_port = ret->icmp;
	}
	ret->payload = ip->length < 8 ? 0 : ip->length - 8;
	return PACKET_KEPT;
}

/* Ports are the first four bytes of every transport that has them; least is the length
 * of its shortest header. */
static inline enum packet_drop
take_ports(const struct ip_packet *ip, uint32_t least, struct transport *ret)
{
	if (ip->length < least) {
		return PACKET_TRANSPORT_SHORT;
	}
	if (ip->captured < 4) {
		return PACKET_TRANSPORT_CUT;
	}
	ret->source_port = load_u16(ip->transport);
	ret->destination_port = load_u16(ip->transport + 2);
	ret->payload = ip->length - least;
	return PACKET_KEPT;
}

enum packet_drop
transport_decode(const struct ip_packet *ip, struct transport *ret)
{
	enum packet_drop drop;

	*ret = (struct transport){.payload = ip->length};
	switch (ip->protocol) {
	case IPPROTO_TCP:
		drop = take_ports(ip, 20, ret);
		return drop == PACKET_KEPT ? tcp_decode(ip, ret) : drop;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return take_ports(ip, 8, ret);
	case IPPROTO_SCTP:
		return take_ports(ip, 12, ret);
	case IPPROTO_DCCP:
		drop = take_ports(ip, 12, ret);
		return drop == PACKET_KEPT ? dccp_decode(ip, ret) : drop;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return icmp_decode(ip, ret);
	default:
		return PACKET_KEPT;
	}
}
