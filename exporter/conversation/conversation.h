/* Conversation table: one entry per live conversation, found by its key, ended by idle
 * and active timeout, TCP close, a full table or the end of input.  Sits between decode
 * and export.  Knows no sockets, IPFIX or wall clock: time is the packets'.
 *
 * Rule: the lookup decides what a record contains, the tick only when it is sent, so
 * records do not depend on batch size or tick phase.  A full table is the exception:
 * which conversation is evicted depends on when others were sent.
 *
 * Time: deadlines are compared with the time of the packet at hand.  A packet may be up
 * to CONVERSATION_DISORDER_NS older than the latest seen so far; one that is older
 * still counts as if it came at that limit (its own times are recorded as they are).
 * When time steps back by more than CONVERSATION_STEP_NS (the clock was set, or another
 * file begins), all live conversations end with FLOW_END_FORCED and time restarts.
 *
 * Threads: one capture thread owns it.  Memory: 192 bytes a conversation, about 30 more
 * in lookup and expiry; allocated as conversations appear, bounded by
 * max_conversations. */
#ifndef EXPORTER_CONVERSATION_CONVERSATION_H
#define EXPORTER_CONVERSATION_CONVERSATION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "exporter/conversation/flow_record.h"
#include "exporter/decode/packet.h"

#define CONVERSATION_DISORDER_NS NS_PER_SECOND
#define CONVERSATION_STEP_NS     (10 * NS_PER_SECOND)
/* Longest timeouts that are accepted; longer ones count as this. */
#define CONVERSATION_TIMEOUT_MAX_NS (72 * NS_PER_HOUR)

/* Later times (beyond the year 2262) count as this, so that no deadline overflows. */
#define CONVERSATION_TIME_MAX_NS INT64_MAX

struct conversations;

struct conversations_settings {
	uint32_t max_conversations;
	uint64_t idle_ns, active_ns; /* every protocol without its own */
	uint64_t idle_tcp_ns, idle_udp_ns, idle_icmp_ns; /* 0: idle_ns */
	uint64_t close_grace_ns; /* after TCP close, for trailing segments: 2 s */
	/* idle = clamp(min, factor x mean inter-arrival + 4 standard deviations, max),
	 * over the inter-arrival times of both directions of this record so far; while
	 * there is none, the protocol's own idle time, clamped. */
	bool is_adaptive;
	uint64_t adaptive_min_ns, adaptive_max_ns;
	double adaptive_factor;
	uint32_t interface; /* goes to flow_record.interface */
};

struct conversations_counts {
	uint64_t packets, octets; /* including refused ones */
	uint64_t created;
	uint64_t ended[6]; /* by flow_end_reason; active: segments cut, not ends */
	uint64_t live, peak;
	uint64_t refused; /* packets for which no entry could be made */
};

/* ended() gets each ended conversation; the record is valid during the call only.
 * NULL when memory is short. */
struct conversations *conversations_new(const struct conversations_settings *s,
    void (*ended)(const struct flow_record *r, void *data), void *data);
void conversations_free(struct conversations *c); /* ends nothing; NULL accepted */

/* Counts n packets in order, with prefetching (32 at once pay best).  When the table is
 * full, a conversation that has been idle longest (to within a slot of the expiry
 * wheel: a second, more where idle timeouts exceed 8 minutes) ends with
 * FLOW_END_RESOURCES. */
void conversations_add(struct conversations *c, const struct packet *p, unsigned n);
/* Moves time forward to now_ns (packet time) and sends what is due. */
void conversations_tick(struct conversations *c, uint64_t now_ns);
/* Ends all live conversations: those that are due with their own reason, the rest with
 * FLOW_END_FORCED. */
void conversations_flush(struct conversations *c);
void conversations_counts(
    const struct conversations *c, struct conversations_counts *ret);

#endif
