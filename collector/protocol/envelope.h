/* What is around the sets of an export message, whatever version it speaks: IPFIX (RFC
 * 7011), NetFlow v9 (RFC 3954), NetFlow v5 and sFlow v5.  The door where they become
 * one: behind it there are sets and templates as IPFIX has them.
 *   version 9   flowsets are sets; its template flowsets are rewritten (netflow9.h)
 *   version 5   all records are one set of a built-in template (netflow5.h)
 *   sFlow       samples become records of built-in templates (sflow5.h)
 * Version 10 tells its own length; messages of the others are one datagram each.
 * Knows no clock.  Threads: any. */
#ifndef COLLECTOR_PROTOCOL_ENVELOPE_H
#define COLLECTOR_PROTOCOL_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/address.h"
#include "common/base/cursor.h"

/* What the exporter's clocks said when it sent a message; relative times in records
 * count from there. */
struct envelope_clock {
	uint64_t export_ns; /* since 1970; version 10 and 9 know seconds only */
	uint32_t uptime_ms; /* sysUpTime, modulo 2^32; where has_uptime */
	bool has_uptime;
};

#define ENVELOPE_SFLOW 0x8005 /* sFlow v5, whose header has no such field */

struct envelope {
	uint16_t version;     /* 5, 9, 10 or ENVELOPE_SFLOW */
	uint32_t domain;      /* observation domain, source id, engine type << 8 | id,
				 sub-agent */
	struct address agent; /* sFlow: who sampled, whoever sent it; else zeros */
	uint32_t sequence;
	struct envelope_clock clock;
	/* Versions 9 and 10: sets.  sFlow: samples.  Version 5: whole records, as many
	 * as the header counts and the message holds. */
	struct cursor body;
	uint16_t sampling; /* version 5: mode << 14 | interval */
};

/* "NetFlow v9" */
const char *envelope_name(uint16_t version);
/* Whether a datagram begins as a message of one of these versions. */
bool envelope_is(const uint8_t *bytes, size_t length);
/* Reads the header.  -EPROTO: none of these versions, or cut short. */
int envelope_read(const uint8_t *bytes, size_t length, struct envelope *ret);
/* The length of the message that begins here, in a file of messages back to back; 0:
 * cannot tell with so few bytes; -EPROTO: no message.  Version 9 has no length: its
 * message goes on to the next header, or to where its sets stop making sense. */
int envelope_length(const uint8_t *bytes, size_t available);

#endif
