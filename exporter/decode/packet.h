/* What decode copies out of one packet: all that the conversation table needs, 64
 * bytes, so that a batch of 32 stays in the first-level cache and the capture buffer
 * may be reused. */
#ifndef EXPORTER_DECODE_PACKET_H
#define EXPORTER_DECODE_PACKET_H

#include <stdint.h>

#include "common/base/address.h"

/* Canonical conversation key: the smaller (address, port) end first, so both directions
 * share it.  40 bytes, no padding: compared and hashed as bytes.
 *
 * ICMP and ICMPv6 have no ports; their ends are set so that the same rules serve.  The
 * end that asks (or sends an error message, an advertisement, ...) has port 0, the end
 * that is asked has type << 8 of the request (type << 8 | code of anything that is * neither request nor reply).  So a ping and its answers share one key, pings in
 * opposite directions and each kind of error message have their own keys.  In the
 * record of an ICMP conversation the source port is 0 and the destination port is
 * packet.icmp of the conversation's first packet, whichever end sent it; a reply seen
 * first makes its sender the originator, and its type (0 for IPv4) the port.
 *
 * Ports are 0 for protocols without ports and for later fragments whose first fragment
 * was not seen. */
struct packet_key {
	struct address low, high;
	uint16_t low_port, high_port; /* host order */
	uint8_t protocol;
	uint8_t extra; /* 0: room for more (tunnels) */
	uint16_t vlan; /* 0 unless VLANs are part of the key */
};

struct packet {
	struct packet_key key;
	uint64_t time_ns; /* since 1970 */
	uint32_t octets;  /* IP total length from the header */
	union {
		uint32_t tcp_sequence; /* of a SYN; 0 otherwise */
		uint32_t icmp;         /* ICMP, ICMPv6: type << 8 | code */
	};
	uint16_t payload;  /* transport payload octets, saturated at 65535 */
	uint8_t from_high; /* 1: sent by the key's high end */
	uint8_t ttl;
	uint8_t tcp_flags;
	uint8_t tos;
	uint16_t vlan; /* outermost VLAN id, 0: none */
};
_Static_assert(sizeof(struct packet_key) == 40, "packet_key has no padding");
_Static_assert(sizeof(struct packet) == 64, "packet is one cache line");

/* Why a packet was not counted in a conversation. */
enum packet_drop {
	PACKET_KEPT,
	PACKET_NOT_IP,           /* ARP, LLDP, spanning tree, 802.3 */
	PACKET_LINK_UNKNOWN,     /* link type not supported */
	PACKET_LINK_TRUNCATED,   /* link header cut short */
	PACKET_IP_TRUNCATED,     /* IP header cut short */
	PACKET_IP_BAD,           /* version, header length or total length impossible */
	PACKET_IP_LENGTH_BEYOND, /* IP length beyond the frame's wire length */
	PACKET_TRANSPORT_SHORT,  /* TCP or UDP header cut short by the packet itself */
	PACKET_TRANSPORT_CUT,    /* ports cut off by the snap length */
	PACKET_EXTENSIONS,       /* IPv6 extension headers malformed or too many */
	PACKET_TABLE_FULL,       /* no conversation could be made */
	PACKET_DROPS,
};
const char *packet_drop_name(enum packet_drop d); /* "not-ip" */

#endif
