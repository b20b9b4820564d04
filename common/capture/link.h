/* Link layers: where the IP packet begins in a captured frame.  Ethernet with stacked
 * 802.1Q, 802.1ad and 0x9100 tags, SNAP and PPPoE; Linux cooked (SLL, SLL2), NULL/LOOP,
 * RAW, PPP (with and without HDLC framing), Cisco HDLC.  Never reads beyond the
 * captured bytes. */
#ifndef COMMON_CAPTURE_LINK_H
#define COMMON_CAPTURE_LINK_H

#include <stdint.h>

/* DLT_* numbers of pcap(3). */
#define LINK_ETHERNET 1

enum link_result {
	LINK_IP,
	LINK_NOT_IP,    /* another protocol: ARP, LLDP, 802.3 ... */
	LINK_UNKNOWN,   /* this link type is not supported */
	LINK_TRUNCATED, /* the link header is cut short */
};

struct link_payload {
	uint32_t offset; /* of the first IP byte */
	uint16_t vlan;   /* outermost VLAN id, 0: none */
	uint8_t version; /* 4 or 6 by the link header; 0: it does not say */
};

/* link_type is a DLT_* number as libpcap gives it, or the LINKTYPE_* number of a file
 * (of those known here, only RAW differs). */
enum link_result link_find_ip(
    int link_type, const uint8_t *bytes, uint32_t captured, struct link_payload *ret);

#endif
