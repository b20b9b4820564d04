#include "exporter/conversation/entry.h"

#include <math.h>
#include <netinet/in.h>
#include <string.h>

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

void
entry_begin(struct entry *e, const struct packet *p, uint64_t now_ns)
{
	e->key = p->key;
	e->opening = p->icmp; /* TCP: set by a SYN, unused before */
	e->vlan = p->vlan;
	e->state = ENTRY_LIVE | (p->from_high ? ENTRY_FROM_HIGH : 0);
	entry_begin_segment(e, now_ns);
}

void
entry_begin_segment(struct entry *e, uint64_t now_ns)
{
	e->start_ns = now_ns;
	e->seen = 0;
	memset(e->side, 0, sizeof e->side);
}

bool
entry_restarts(const struct entry *e, const struct packet *p)
{
	if ((p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		return e->state & (ENTRY_CLOSED | ENTRY_DATA) &&
		       !(e->state & ENTRY_SYN && e->opening == p->tcp_sequence);
	}
	return e->state & ENTRY_CLOSED && p->payload > 0;
}

static void
set_originator(struct entry *e, bool is_high)
{
	e->state &= (uint16_t)~ENTRY_FROM_HIGH;
	e->state |= is_high ? ENTRY_FROM_HIGH : 0;
}

static void
follow_syn(struct entry *e, const struct packet *p)
{
	if (!(p->tcp_flags & TCP_ACK)) {
		if (!(e->state & ENTRY_SYN)) {
			set_originator(e, p->from_high);
		}
		e->state |= ENTRY_SYN;
		e->opening = p->tcp_sequence;
	} else if (!(e->state & (ENTRY_SYN | ENTRY_SYNACK))) {
		set_originator(e, !p->from_high);
		e->state |= ENTRY_SYNACK;
	}
}

/* A FIN counts as acknowledged by the other end's next ACK.  Acknowledgement numbers
 * are not kept: an ACK that crossed the FIN on the way closes the conversation one
 * segment early; the grace time for trailing segments covers that. */
bool
entry_follow_tcp(struct entry *e, const struct packet *p)
{
	unsigned from = p->from_high, other = !from;

	if (p->tcp_flags & TCP_SYN) {
		follow_syn(e, p);
	}
	if (p->payload > 0) {
		e->state |= ENTRY_DATA;
	}
	if (p->tcp_flags & TCP_ACK && e->state & ENTRY_FIN_LOW << other) {
		e->state |= (uint16_t)(ENTRY_ACKED_LOW << other);
	}
	if (p->tcp_flags & TCP_FIN) {
		e->state |= (uint16_t)(ENTRY_FIN_LOW << from);
	}
	if (e->state & ENTRY_CLOSED) {
		return false;
	}
	return p->tcp_flags & TCP_RST ||
	       (e->state & ENTRY_ACKED_BOTH) == ENTRY_ACKED_BOTH;
}

double
entry_adaptive_idle(const struct entry *e, double factor)
{
	double n = 0, sum_us = 0, sumsq = 0, mean, variance;

	for (unsigned i = 0; i < 2; i++) {
		const struct stats *s = &e->side[i];
		n += s->packets > 1 ? s->packets - 1 : 0;
		sum_us += (double)s->last_ns / 1000.0;
		sumsq += s->iat_sumsq;
	}
	if (n == 0) {
		return -1;
	}
	mean = sum_us / n;
	variance = sumsq / n - mean * mean;
	return 1000.0 * (factor * mean + 4 * sqrt(variance > 0 ? variance : 0));
}

static void
record_ends(struct flow_record *r, const struct entry *e, unsigned origin)
{
	const struct packet_key *k = &e->key;

	r->source = origin ? k->high : k->low;
	r->destination = origin ? k->low : k->high;
	r->protocol = k->protocol;
	if (r->protocol == IPPROTO_ICMP || r->protocol == IPPROTO_ICMPV6) {
		r->source_port = 0;
		r->destination_port = (uint16_t)e->opening;
		return;
	}
	r->source_port = origin ? k->high_port : k->low_port;
	r->destination_port = origin ? k->low_port : k->high_port;
}

static void
record_times(struct flow_record *r)
{
	const struct flow_side *f = &r->side[0], *b = &r->side[1];

	if (f->packets == 0) {
		f = b;
	} else if (b->packets == 0) {
		b = f;
	}
	r->start_ns = f->first_ns < b->first_ns ? f->first_ns : b->first_ns;
	r->end_ns = f->last_ns > b->last_ns ? f->last_ns : b->last_ns;
}

void
entry_record(
    const struct entry *e, enum flow_end_reason reason, struct flow_record *ret)
{
	unsigned origin = (e->state & ENTRY_FROM_HIGH) != 0;

	*ret = (struct flow_record){
	    .vlan = e->vlan,
	    .end_reason = (uint8_t)reason,
	    .biflow_direction = (e->state & (ENTRY_SYN | ENTRY_SYNACK)) != 0,
	    .has_reverse = e->side[!origin].packets > 0,
	};
	record_ends(ret, e, origin);
	stats_take(&e->side[origin], &ret->side[0]);
	stats_take(&e->side[!origin], &ret->side[1]);
	record_times(ret);
}
