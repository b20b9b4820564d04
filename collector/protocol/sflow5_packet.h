/* One sampled packet: what the records of a flow sample say about it.  The packet's own
 * first bytes, if there are any, say it best.  Threads: any. */
#ifndef COLLECTOR_PROTOCOL_SFLOW5_PACKET_H
#define COLLECTOR_PROTOCOL_SFLOW5_PACKET_H

#include <stdint.h>

#include "common/base/cursor.h"

struct sflow5_packet {
	uint32_t ingress, egress, rate;
	uint32_t octets; /* of the IP packet, else of the frame */
	uint8_t version; /* of IP; 0: not known */
	uint8_t source_mac[6], destination_mac[6];
	uint16_t vlan;
	uint8_t protocol, tos, ttl, tcp_flags;
	uint16_t source_port, destination_port;
	uint8_t source[16], destination[16]; /* 4 bytes of IPv4 */
};

/* What the bytes of a packet begin with. */
enum sflow5_header {
	SFLOW5_HEADER_ETHERNET = 1,
	SFLOW5_HEADER_IPV4 = 11,
	SFLOW5_HEADER_IPV6 = 12,
};

/* Takes in one record of this format; skips unknown ones.  0, or -EBADMSG: it is shorter
 * than its format, or than the packet that it claims to hold. */
int sflow5_packet_read(struct sflow5_packet *p, uint32_t format, struct cursor record);
/* Takes in the first bytes of the packet, which begins with this header; ignores them
 * where the header is another. */
void sflow5_packet_read_bytes(
    struct sflow5_packet *p, uint32_t header, struct cursor bytes);

#endif
