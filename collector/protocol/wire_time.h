/* Times as they are on the wire (RFC 7011 section 6.1), in nanoseconds since 1970.
 * Inline: they are in the decoder's inner loops.  The bounds are the caller's. */
#ifndef COLLECTOR_PROTOCOL_WIRE_TIME_H
#define COLLECTOR_PROTOCOL_WIRE_TIME_H

#include <stdint.h>

#include "common/base/clock.h"
#include "common/base/cursor.h"

#define NTP_TO_UNIX 2208988800ULL /* seconds from 1900 to 1970 */

/* NTP seconds to 1970's; those before 1970 belong to the era that begins in 2036. */
static inline uint64_t
ntp_seconds(uint32_t seconds)
{
	return seconds >= NTP_TO_UNIX ? seconds - NTP_TO_UNIX
				      : seconds + ((uint64_t)1 << 32) - NTP_TO_UNIX;
}

/* Nearest nanosecond, so that a time comes back as it was sent. */
static inline int64_t
ntp_ns(const uint8_t *p)
{
	uint64_t fraction = load_u32(p + 4);
	return (int64_t)(ntp_seconds(load_u32(p)) * NS_PER_SECOND +
			 ((fraction * NS_PER_SECOND + ((uint64_t)1 << 31)) >> 32));
}

/* The low 11 bits mean nothing (RFC 7011 section 6.1.9); nearest microsecond. */
static inline int64_t
ntp_us(const uint8_t *p)
{
	uint64_t fraction = load_u32(p + 4) & ~(uint32_t)0x7ff;
	return (
	    int64_t)(ntp_seconds(load_u32(p)) * NS_PER_SECOND +
		     ((fraction * (NS_PER_SECOND / NS_PER_US) + ((uint64_t)1 << 31)) >>
			 32) *
			 NS_PER_US);
}

static inline int64_t
milliseconds_ns(const uint8_t *p)
{
	uint64_t ms = load_u64(p);
	return ms > INT64_MAX / NS_PER_MS ? INT64_MAX : (int64_t)(ms * NS_PER_MS);
}

#endif
