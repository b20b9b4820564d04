/* Conversation table: one entry per live conversation, found by its key, ended by idle
 * and active time, TCP close, a full table or the end of input (DESIGN 8). Sits between
 * decode and export.  Knows no sockets, IPFIX or wall clock: time is the packets'.
 * Rule: the lookup decides what a record is, the tick only decides when it is sent, so
 * records do not depend on batch size or tick phase. Threads: one capture thread owns
 * it.  Memory: all of it from conversations_new(). */
#ifndef EXPORTER_CONVERSATION_H
#define EXPORTER_CONVERSATION_H

#include <stdbool.h>
#include <stdint.h>

#include "exporter/flow_record.h"
#include "exporter/packet.h"

struct conversations;

struct conversations_settings {
	uint32_t max_conversations;
	uint64_t idle_ns, active_ns; /* every protocol without its own */
	uint64_t idle_tcp_ns, idle_udp_ns, idle_icmp_ns; /* 0: idle_ns */
	uint64_t close_grace_ns; /* after TCP close, for trailing segments: 2 s */
	bool is_adaptive; /* idle = clamp(min, factor x mean inter-arrival + 4 sd, max)
			   */
	uint64_t adaptive_min_ns, adaptive_max_ns;
	double adaptive_factor;
	uint32_t interface; /* goes to flow_record.interface */
};

struct conversations_counts {
	uint64_t packets, octets;   /* taken in */
	uint64_t created, ended[6]; /* by flow_end_reason */
	uint64_t live, peak;
	uint64_t refused; /* packets for which no entry could be made */
};

/* ended() gets each ended conversation; the record is valid during the call only. */
struct conversations *conversations_new(const struct conversations_settings *s,
    void (*ended)(const struct flow_record *r, void *data), void *data);
void conversations_free(struct conversations *c); /* ends nothing */

/* Counts n packets (at most 64) in order, with prefetching.  When the table is full the
 * conversation idle for longest ends with FLOW_END_RESOURCES. */
void conversations_add(struct conversations *c, const struct packet *p, unsigned n);
/* Moves time forward to now_ns (packet time) and ends what is due. */
void conversations_tick(struct conversations *c, uint64_t now_ns);
/* Ends all that live with FLOW_END_FORCED. */
void conversations_flush(struct conversations *c);
void conversations_counts(
    const struct conversations *c, struct conversations_counts *ret);

#endif
