/* NetFlow v9 (RFC 3954): its data flowsets are data sets as IPFIX has them; template
 * flowsets are rewritten as IPFIX template sets, so that nothing behind knows of them.
 *   field types above 32767   Cisco's enterprise elements: number 9 and the low 15 bits
 *   scope types 1 to 5        the elements that mean the same, see scope_element()
 *   options templates         lengths in bytes become counts of fields
 * Threads: any. */
#ifndef COLLECTOR_PROTOCOL_NETFLOW9_H
#define COLLECTOR_PROTOCOL_NETFLOW9_H

#include "collector/protocol/envelope.h"

#define NETFLOW9_VERSION     9
#define NETFLOW9_HEADER      20
#define NETFLOW9_TEMPLATES   0 /* ids of flowsets */
#define NETFLOW9_OPTIONS     1
#define NETFLOW9_CISCO_PEN   9
#define NETFLOW9_REWRITE_MAX 131072 /* a rewritten flowset: twice as long at most */

int netflow9_read_header(const uint8_t *bytes, size_t length, struct envelope *ret);
int netflow9_length(const uint8_t *bytes, size_t available);
/* Rewrites the body of flowset 0 or 1; returns the body of a set, in out.  A record
 * that is cut short stays so, for the reader behind to count.  *ret_bad: options
 * templates that were left out because their lengths are no whole fields. */
struct cursor netflow9_rewrite(uint16_t flowset, struct cursor body,
    uint8_t out[static NETFLOW9_REWRITE_MAX], unsigned *ret_bad);

#endif
