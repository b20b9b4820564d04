/* The transport layer of decode: ports (or what stands for them), header length, flags.
 * Never reads beyond the captured bytes. */
#ifndef EXPORTER_DECODE_DECODE_TRANSPORT_H
#define EXPORTER_DECODE_DECODE_TRANSPORT_H

#include <stdint.h>

#include "exporter/decode/decode_ip.h"
#include "exporter/decode/packet.h"

/* All members have the same width, wider than needed: loading several narrow members at
 * once would stall on their separate stores. */
struct transport {
	/* ICMP: as in struct packet_key. */
	uint32_t source_port, destination_port;
	uint32_t payload;      /* octets behind the header */
	uint32_t tcp_sequence; /* of a SYN */
	uint32_t tcp_flags;
	uint32_t icmp; /* type << 8 | code */
};

/* ip is not a later fragment. */
enum packet_drop transport_decode(const struct ip_packet *ip, struct transport *ret);

#endif
