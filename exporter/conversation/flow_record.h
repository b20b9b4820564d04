/* One ended conversation (or segment of one), or one row of a flow trace: what export
 * encodes.  The encode plans read values at offsets in this struct;
 * schemas/templates.yaml names them. */
#ifndef EXPORTER_CONVERSATION_FLOW_RECORD_H
#define EXPORTER_CONVERSATION_FLOW_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/address.h"

/* One direction.  Sums, so that records reduce in any order.
 *
 * An inter-arrival time is the time from the latest packet of this direction so far to
 * the next one, within one record; where time steps back it is 0.  Their sum is
 * therefore the latest time less the first, here truncated to whole microseconds once
 * (not per packet); minimum and maximum are each truncated (the maximum saturates at
 * 71.6 minutes); the squares are summed before truncation, of microseconds with their
 * fraction.  Captures with microsecond stamps lose nothing.  first_ns is the time of
 * the first packet in order of arrival, last_ns the latest time. */
struct flow_side {
	uint64_t packets, octets;
	/* Over all packets, empty payloads too. */
	uint64_t payload_octets, payload_sumsq;
	uint32_t payload_min, payload_max;
	uint32_t iat_min_us, iat_max_us; /* 0 with fewer than two packets */
	uint64_t iat_sum_us;
	double iat_sumsq; /* us^2 */
	uint64_t first_ns, last_ns;
	uint8_t tcp_flags;         /* of all packets together */
	uint8_t tcp_flags_initial; /* of the first packet */
	uint8_t ttl_min, ttl_max;
	uint8_t tos; /* of the first packet */
};

enum flow_end_reason { /* RFC 5102 flowEndReason */
	FLOW_END_IDLE = 1,
	FLOW_END_ACTIVE,
	FLOW_END_DETECTED,
	FLOW_END_FORCED,
	FLOW_END_RESOURCES,
};

struct flow_record {
	struct address source, destination; /* originator, responder */
	uint16_t source_port, destination_port;
	uint16_t vlan;
	uint8_t protocol;
	uint8_t end_reason;       /* enum flow_end_reason */
	uint8_t biflow_direction; /* 1: SYN seen; 0: arbitrary */
	bool is_trace;      /* from a CSV: packets, payload octets and times only */
	bool has_reverse;   /* forward and reverse template, else forward only */
	uint32_t interface; /* ingressInterface: index of the capture, from 1 */
	uint64_t start_ns, end_ns; /* of both directions together */
	struct flow_side side[2];  /* forward (originator's), reverse */
};

#endif
