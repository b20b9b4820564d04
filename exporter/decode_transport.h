/* The transport layer of decode: ports (or what stands for them), header length, flags.
 * Never reads beyond the captured bytes. */
#ifndef EXPORTER_DECODE_TRANSPORT_H
#define EXPORTER_DECODE_TRANSPORT_H

#include <stdint.h>

#include "exporter/decode_ip.h"
#include "exporter/packet.h"

struct transport {
	uint16_t source_port,
	    destination_port;  /* ICMP: as struct packet_key has them */
	uint32_t payload;      /* octets behind the header */
	uint32_t tcp_sequence; /* of a SYN */
	uint16_t icmp;         /* type << 8 | code */
	uint8_t tcp_flags;
};

/* ip is not a later fragment. */
enum packet_drop transport_decode(const struct ip_packet *ip, struct transport *ret);

#endif
