/* sFlow v5: what its samples become.  Each flow sample becomes a record of one packet, of
 * a built-in template: IPv4, IPv6, or without addresses.  Its times are the message's
 * arrival, its samplingInterval is the sample's rate.
 * Threads: any. */
#ifndef COLLECTOR_PROTOCOL_SFLOW5_H
#define COLLECTOR_PROTOCOL_SFLOW5_H

#include "collector/protocol/protocol.h"
#include "collector/protocol/sflow5_packet.h"

/* Ids of the built-in templates. */
#define SFLOW5_IPV4      256
#define SFLOW5_IPV6      257
#define SFLOW5_OTHER     258
#define SFLOW5_TEMPLATES 3

/* A packet as a record of a built-in template. */
void sflow5_write(const struct sflow5_packet *p, struct protocol_sample *ret);
/* The body of an IPFIX template set that defines the built-in templates. */
struct cursor sflow5_template_set(void);

#endif
