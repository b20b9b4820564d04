/* NetFlow v5: a fixed header and 1 to 30 records of 48 bytes.  Its records are data of
 * a template that every domain of version 5 knows from the start; the wire's bytes are
 * read as they are.  Threads: any. */
#ifndef COLLECTOR_PROTOCOL_NETFLOW5_H
#define COLLECTOR_PROTOCOL_NETFLOW5_H

#include "collector/protocol/envelope.h"

#define NETFLOW5_VERSION     5
#define NETFLOW5_HEADER      24
#define NETFLOW5_RECORD      48
#define NETFLOW5_MAX_RECORDS 30
#define NETFLOW5_TEMPLATE    256 /* id of the built-in template */

/* As envelope_read(). */
int netflow5_read_header(const uint8_t *bytes, size_t length, struct envelope *ret);
/* As envelope_length(). */
int netflow5_length(const uint8_t *bytes, size_t available);
/* The body of an IPFIX template set that defines NETFLOW5_TEMPLATE. */
struct cursor netflow5_template_set(void);

#endif
