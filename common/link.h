/* Link layers: where the IP packet begins in a captured frame.  Ethernet with stacked
 * 802.1Q and 802.1ad tags, Linux cooked (SLL, SLL2), NULL/LOOP, RAW, PPP (with and
 * without HDLC framing). Never reads beyond the captured bytes. */
#ifndef COMMON_LINK_H
#define COMMON_LINK_H

#include <stdint.h>

enum link_result {
	LINK_IP,
	LINK_NOT_IP,    /* another protocol: ARP, LLDP, 802.3 ... */
	LINK_UNKNOWN,   /* this link type is not supported */
	LINK_TRUNCATED, /* the link header is cut short */
};

struct link_payload {
	uint32_t offset; /* of the first IP byte */
	uint16_t vlan;   /* outermost VLAN id, 0: none */
};

/* link_type is a DLT_* number as libpcap files have it (numbers are defined in link.c).
 */
enum link_result link_find_ip(
    int link_type, const uint8_t *bytes, uint32_t captured, struct link_payload *ret);

#endif
