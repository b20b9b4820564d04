/* Records that hold the beginning of a sampled packet instead of its addresses (RFC
 * 5477: dataLinkFrameSection of Juniper's inline monitoring and Cisco's IPFIX 315,
 * ipHeaderPacketSection of PSAMP).  Each becomes the same record as a sample of sFlow.
 * Threads: any. */
#ifndef COLLECTOR_PROTOCOL_PACKET_SECTION_H
#define COLLECTOR_PROTOCOL_PACKET_SECTION_H

#include <stdbool.h>

#include "collector/protocol/protocol.h"
#include "common/ipfix/template.h"

/* Whether records of this template are such, and tell no addresses themselves. */
bool packet_section_is(const struct template *t);
/* The body of an IPFIX template set that defines what such records become. */
struct cursor packet_section_templates(void);
/* One record as one of these templates. */
void packet_section_read(
    const struct template *t, const struct cursor *fields, struct protocol_sample *ret);

#endif
