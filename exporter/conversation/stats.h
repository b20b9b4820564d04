/* What is counted for one direction of a conversation: one cache line, updated for
 * every packet.  Sums only; means and deviations are computed where they are shown.
 * Narrow fields cannot overflow: stats_is_full() says in time that a new segment must
 * begin. */
#ifndef EXPORTER_CONVERSATION_STATS_H
#define EXPORTER_CONVERSATION_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "exporter/conversation/flow_record.h"
#include "exporter/decode/packet.h"

/* 48 bits of nanoseconds are 78 hours, which the active timeout keeps a segment under;
 * 2^32 packets of 65535 payload octets fit 48 bits, and their squares 64. */
struct stats {
	uint64_t first_ns;
	uint64_t last_ns : 48; /* after first_ns */
	uint64_t ttl_min : 8, ttl_max : 8;
	uint64_t octets : 48;
	uint64_t tcp_flags : 8, tcp_flags_initial : 8;
	uint64_t payload_octets : 48;
	uint64_t tos : 8, : 8;
	uint64_t payload_sumsq;
	double iat_sumsq;
	uint32_t packets;
	uint32_t iat_min_us, iat_max_us;
	uint16_t payload_min, payload_max;
};
_Static_assert(sizeof(struct stats) == 64, "one direction is one cache line");

#define STATS_MAX_NS     (((uint64_t)1 << 48) - 1)
#define STATS_MAX_OCTETS (((uint64_t)1 << 48) - 1 - UINT32_MAX)

/* Whether one more packet might not fit. */
static inline bool
stats_is_full(const struct stats *s)
{
	return s->packets == UINT32_MAX || s->octets > STATS_MAX_OCTETS;
}

static inline void
stats_add_first(struct stats *s, const struct packet *p)
{
	*s = (struct stats){
	    .first_ns = p->time_ns,
	    .ttl_min = p->ttl,
	    .ttl_max = p->ttl,
	    .octets = p->octets,
	    .tcp_flags = p->tcp_flags,
	    .tcp_flags_initial = p->tcp_flags,
	    .payload_octets = p->payload,
	    .tos = p->tos,
	    .payload_sumsq = (uint64_t)p->payload * p->payload,
	    .packets = 1,
	    .payload_min = p->payload,
	    .payload_max = p->payload,
	};
}

/* Inter-arrival time: from the latest packet so far to this one; 0 where time steps
 * back.  So the sum of them all is the latest time less the first (stats_take). */
static inline void
stats_add_gap(struct stats *s, uint64_t time_ns)
{
	uint64_t last_ns = s->first_ns + s->last_ns;
	uint64_t gap_ns = time_ns > last_ns ? time_ns - last_ns : 0;
	uint64_t gap_us = gap_ns / NS_PER_US;
	double exact_us = (double)gap_ns / 1000.0;
	uint32_t us = gap_us > UINT32_MAX ? UINT32_MAX : (uint32_t)gap_us;

	s->last_ns += gap_ns;
	s->iat_sumsq += exact_us * exact_us;
	if (us > s->iat_max_us) {
		s->iat_max_us = us;
	}
	if (us < s->iat_min_us || s->packets == 1) {
		s->iat_min_us = us;
	}
}

static inline void
stats_add(struct stats *s, const struct packet *p)
{
	if (s->packets == 0) {
		stats_add_first(s, p);
		return;
	}
	stats_add_gap(s, p->time_ns);
	s->packets++;
	s->octets += p->octets;
	s->payload_octets += p->payload;
	s->payload_sumsq += (uint64_t)p->payload * p->payload;
	if (p->payload < s->payload_min) {
		s->payload_min = p->payload;
	}
	if (p->payload > s->payload_max) {
		s->payload_max = p->payload;
	}
	s->tcp_flags |= p->tcp_flags;
	if (p->ttl < s->ttl_min) {
		s->ttl_min = p->ttl;
	}
	if (p->ttl > s->ttl_max) {
		s->ttl_max = p->ttl;
	}
}

static inline void
stats_take(const struct stats *s, struct flow_side *ret)
{
	*ret = (struct flow_side){
	    .packets = s->packets,
	    .octets = s->octets,
	    .payload_octets = s->payload_octets,
	    .payload_sumsq = s->payload_sumsq,
	    .payload_min = s->payload_min,
	    .payload_max = s->payload_max,
	    .iat_min_us = s->iat_min_us,
	    .iat_max_us = s->iat_max_us,
	    .iat_sum_us = s->last_ns / NS_PER_US,
	    .iat_sumsq = s->iat_sumsq,
	    .first_ns = s->first_ns,
	    .last_ns = s->first_ns + s->last_ns,
	    .tcp_flags = (uint8_t)s->tcp_flags,
	    .tcp_flags_initial = (uint8_t)s->tcp_flags_initial,
	    .ttl_min = (uint8_t)s->ttl_min,
	    .ttl_max = (uint8_t)s->ttl_max,
	    .tos = (uint8_t)s->tos,
	};
}

#endif
