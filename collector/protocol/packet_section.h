/* Records that hold the beginning of a sampled packet instead of its addresses (RFC
 * 5477: dataLinkFrameSection of Juniper's inline monitoring and Cisco's IPFIX 315,
 * ipHeaderPacketSection of PSAMP).  Each becomes what a sample of sFlow becomes.
 * Threads: any. */
#ifndef COLLECTOR_PROTOCOL_PACKET_SECTION_H
#define COLLECTOR_PROTOCOL_PACKET_SECTION_H

#include <stdbool.h>

#include "collector/protocol/sflow5.h"
#include "common/ipfix/template.h"

/* Whether records of this template are such, and tell no addresses themselves. */
bool packet_section_is(const struct template *t);
/* One record as one of a built-in template of sFlow's. */
void packet_section_read(
    const struct template *t, const struct cursor *fields, struct sflow5_sample *ret);

#endif
