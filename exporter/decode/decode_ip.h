/* The IP layer of decode: what an IPv4 or IPv6 header (with its extension headers) says
 * about the packet, lengths proved.  Never reads beyond the captured bytes. */
#ifndef EXPORTER_DECODE_DECODE_IP_H
#define EXPORTER_DECODE_DECODE_IP_H

#include <stdbool.h>
#include <stdint.h>

#include "exporter/decode/packet.h"

struct ip_packet {
	/* struct address as two numbers: comparing and swapping them needs no branch */
	uint64_t source[2], destination[2];
	const uint8_t *transport; /* behind IP and extension headers */
	uint32_t captured;        /* bytes at transport, at most length */
	uint32_t length;          /* transport header and payload, by the IP header */
	uint32_t octets;          /* IP total length */
	uint32_t fragment_id;
	uint8_t version;
	uint8_t protocol; /* behind all extension headers */
	uint8_t ttl, tos;
	uint8_t fragment_protocol; /* as every fragment of the packet has it */
	bool is_fragment, is_later_fragment;
};

/* captured and wire: bytes from the IP header on, captured and on the wire. */
enum packet_drop ip_decode(
    const uint8_t *ip, uint32_t captured, uint32_t wire, struct ip_packet *ret);

#endif
