/* One conversation in the table: three cache lines, the meaning of its packets' TCP
 * flags, and the record it becomes.  Part of the conversation table: knows neither the
 * lookup nor the wheel. */
#ifndef EXPORTER_CONVERSATION_ENTRY_H
#define EXPORTER_CONVERSATION_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "exporter/conversation/flow_record.h"
#include "exporter/conversation/stats.h"
#include "exporter/decode/packet.h"

enum entry_state {
	ENTRY_LIVE = 1,
	ENTRY_FROM_HIGH = 2,   /* the key's high end is the originator */
	ENTRY_SYN = 4,         /* SYN without ACK was seen; `opening` is its number */
	ENTRY_SYNACK = 8,      /* SYN with ACK was seen before any without */
	ENTRY_DATA = 16,       /* payload was seen, of TCP only */
	ENTRY_CLOSED = 32,     /* `seen` is when, and grows no more */
	ENTRY_FIN_LOW = 64,    /* the low end's FIN was seen; << 1: the high end's */
	ENTRY_ACKED_LOW = 256, /* and acknowledged; << 1: the high end's */
	ENTRY_ACKED_BOTH = ENTRY_ACKED_LOW | ENTRY_ACKED_LOW << 1,
};

struct entry {
	struct packet_key key;
	uint64_t start_ns;  /* of this record, by the deadlines' clock */
	uint64_t seen : 48; /* latest packet, ns after start_ns */
	uint64_t generation : 16;
	uint32_t opening; /* sequence number of the last SYN without ACK; ICMP: type and
			     code of the first packet; not live: next free entry */
	uint16_t vlan;
	uint16_t state;       /* enum entry_state */
	struct stats side[2]; /* sent by the low end, by the high end of the key */
};
_Static_assert(sizeof(struct entry) == 192, "a conversation is three cache lines");

/* Makes e the conversation that p begins; p itself is not counted yet.  The generation
 * stays. */
void entry_begin(struct entry *e, const struct packet *p, uint64_t now_ns);
/* Starts counting from zero: a new segment of the same conversation. */
void entry_begin_segment(struct entry *e, uint64_t now_ns);

/* Whether p begins a new TCP conversation although e has not timed out: a SYN on a
 * closed or data-carrying one (unless it is the same SYN again), or payload after a
 * close. */
bool entry_restarts(const struct entry *e, const struct packet *p);
/* Updates e with what a counted TCP segment tells: originator, data, close.  True: the
 * segment closes e. */
bool entry_follow_tcp(struct entry *e, const struct packet *p);

/* factor x mean inter-arrival time + 4 standard deviations, in ns, of both directions
 * of this record; negative when there is no inter-arrival time yet. */
double entry_adaptive_idle(const struct entry *e, double factor);

/* Fills in the record; interface stays 0. */
void entry_record(
    const struct entry *e, enum flow_end_reason reason, struct flow_record *ret);

#endif
