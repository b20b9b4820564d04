/* The conversation table against a naive one: no hash, no wheel, no sums.  The naive
 * table keeps every packet of a conversation in a list, decides by DESIGN 8 at lookup
 * alone, and computes a record from the list when it ends.  Whatever the batch size and
 * wherever ticks fall, the table must send the same records. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "exporter/conversation/conversation.h"

#define PACKETS 4000u
#define RECORDS 20000u
#define SYN     2
#define ACK     16
#define FIN     1
#define RST     4

static uint64_t state;

static uint32_t
draw(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state * 0x2545F4914F6CDD1DULL >> 33) % below);
}

struct records {
	struct flow_record *list;
	unsigned count;
};

static void
keep(const struct flow_record *r, void *data)
{
	struct records *rs = data;
	assert_true(rs->count < RECORDS);
	rs->list[rs->count++] = *r;
}

/* The naive table. */
struct naive {
	bool is_live, is_closed;
	bool has_syn, has_synack, has_data, fin[2], acked[2], from_high;
	uint64_t start, seen, closed;
	uint32_t syn, icmp;
	struct packet first; /* of the conversation */
	struct packet list[PACKETS];
	unsigned count;
};

static struct naive *naives;
static unsigned naive_count;

static void
naive_side(const struct naive *v, unsigned from, struct flow_side *s)
{
	uint64_t last = 0;
	for (unsigned i = 0; i < v->count; i++) {
		const struct packet *p = &v->list[i];
		uint64_t gap;
		uint32_t us;
		if (p->from_high != from) {
			continue;
		}
		s->octets += p->octets;
		s->payload_octets += p->payload;
		s->payload_sumsq += (uint64_t)p->payload * p->payload;
		s->tcp_flags |= p->tcp_flags;
		if (s->packets++ == 0) {
			s->first_ns = s->last_ns = last = p->time_ns;
			s->payload_min = s->payload_max = p->payload;
			s->ttl_min = s->ttl_max = p->ttl;
			s->tcp_flags_initial = p->tcp_flags;
			s->tos = p->tos;
			continue;
		}
		gap = p->time_ns > last ? p->time_ns - last : 0;
		last = p->time_ns > last ? p->time_ns : last;
		us = (uint32_t)(gap / 1000);
		s->iat_sumsq += ((double)gap / 1000.0) * ((double)gap / 1000.0);
		s->iat_min_us =
		    s->packets == 2 || us < s->iat_min_us ? us : s->iat_min_us;
		s->iat_max_us = us > s->iat_max_us ? us : s->iat_max_us;
		s->payload_min =
		    p->payload < s->payload_min ? p->payload : s->payload_min;
		s->payload_max =
		    p->payload > s->payload_max ? p->payload : s->payload_max;
		s->ttl_min = p->ttl < s->ttl_min ? p->ttl : s->ttl_min;
		s->ttl_max = p->ttl > s->ttl_max ? p->ttl : s->ttl_max;
		s->last_ns = last;
		s->iat_sum_us = (s->last_ns - s->first_ns) / 1000;
	}
}

static void
naive_send(
    const struct naive *v, unsigned reason, uint32_t interface, struct records *to)
{
	struct flow_record r = {0};
	const struct packet_key *k = &v->first.key;
	bool high = v->from_high;

	r.source = high ? k->high : k->low;
	r.destination = high ? k->low : k->high;
	r.source_port = high ? k->high_port : k->low_port;
	r.destination_port = high ? k->low_port : k->high_port;
	if (k->protocol == 1 || k->protocol == 58) {
		r.source_port = 0;
		r.destination_port = (uint16_t)v->icmp;
	}
	r.protocol = k->protocol;
	r.vlan = v->first.vlan;
	r.end_reason = (uint8_t)reason;
	r.biflow_direction = v->has_syn || v->has_synack;
	r.interface = interface;
	naive_side(v, high, &r.side[0]);
	naive_side(v, !high, &r.side[1]);
	r.has_reverse = r.side[1].packets > 0;
	r.start_ns = UINT64_MAX;
	for (unsigned i = 0; i < 2; i++) {
		const struct flow_side *s = &r.side[i];
		if (s->packets > 0) {
			r.start_ns =
			    s->first_ns < r.start_ns ? s->first_ns : r.start_ns;
			r.end_ns = s->last_ns > r.end_ns ? s->last_ns : r.end_ns;
		}
	}
	keep(&r, to);
}

static uint64_t
naive_idle(const struct naive *v, const struct conversations_settings *s)
{
	unsigned protocol = v->first.key.protocol;
	uint64_t own = protocol == 6                     ? s->idle_tcp_ns
		       : protocol == 17                  ? s->idle_udp_ns
		       : protocol == 1 || protocol == 58 ? s->idle_icmp_ns
							 : 0;
	struct flow_side side[2] = {0};
	double n = 0, sum = 0, sumsq = 0, ns, variance;

	own = own != 0 ? own : s->idle_ns;
	if (!s->is_adaptive) {
		return own;
	}
	for (unsigned i = 0; i < 2; i++) {
		naive_side(v, i, &side[i]);
		n += side[i].packets > 1 ? (double)side[i].packets - 1 : 0;
		sum += (double)(side[i].last_ns - side[i].first_ns) / 1000.0;
		sumsq += side[i].iat_sumsq;
	}
	ns = (double)own;
	if (n > 0) {
		variance = sumsq / n - sum / n * (sum / n);
		ns = 1000.0 * (s->adaptive_factor * (sum / n) +
				  4 * sqrt(variance > 0 ? variance : 0));
	}
	if (ns >= (double)s->adaptive_max_ns) {
		return s->adaptive_max_ns;
	}
	return ns > (double)s->adaptive_min_ns ? (uint64_t)ns : s->adaptive_min_ns;
}

/* 0: it lives on at this time, else why it has ended. */
static unsigned
naive_due(const struct naive *v, const struct conversations_settings *s, uint64_t now)
{
	if (v->is_closed) {
		return now >= v->closed + s->close_grace_ns ? FLOW_END_DETECTED : 0;
	}
	return now >= v->seen + naive_idle(v, s) ? FLOW_END_IDLE : 0;
}

static bool
naive_restarts(const struct naive *v, const struct packet *p)
{
	bool is_syn = (p->tcp_flags & (SYN | ACK)) == SYN;
	if (p->key.protocol != 6) {
		return false;
	}
	if (is_syn && v->has_syn && v->syn == p->tcp_sequence) {
		return false;
	}
	if (is_syn && (v->is_closed || v->has_data)) {
		return true;
	}
	return !is_syn && v->is_closed && p->payload > 0;
}

static void
naive_tcp(struct naive *v, const struct packet *p, uint64_t now)
{
	unsigned from = p->from_high;
	if ((p->tcp_flags & SYN) && !(p->tcp_flags & ACK)) {
		v->from_high = v->has_syn ? v->from_high : from;
		v->has_syn = true;
		v->syn = p->tcp_sequence;
	} else if (p->tcp_flags & SYN && !v->has_syn && !v->has_synack) {
		v->from_high = !from;
		v->has_synack = true;
	}
	v->has_data = v->has_data || p->payload > 0;
	v->acked[!from] = v->acked[!from] || (v->fin[!from] && p->tcp_flags & ACK);
	v->fin[from] = v->fin[from] || p->tcp_flags & FIN;
	if (!v->is_closed && (p->tcp_flags & RST || (v->acked[0] && v->acked[1]))) {
		v->is_closed = true;
		v->closed = now > v->start ? now : v->start;
	}
}

static void
naive_flush(const struct conversations_settings *s, uint64_t clock, struct records *to)
{
	for (unsigned i = 0; i < naive_count; i++) {
		struct naive *v = &naives[i];
		unsigned due =
		    v->is_closed ? FLOW_END_DETECTED : naive_due(v, s, clock);
		if (v->is_live) {
			naive_send(
			    v, due != 0 ? due : FLOW_END_FORCED, s->interface, to);
		}
		v->is_live = false;
	}
}

static struct naive *
naive_find(const struct packet *p)
{
	for (unsigned i = 0; i < naive_count; i++) {
		if (naives[i].is_live &&
		    memcmp(&naives[i].first.key, &p->key, sizeof p->key) == 0) {
			return &naives[i];
		}
	}
	for (unsigned i = 0; i < naive_count; i++) {
		if (!naives[i].is_live) {
			return &naives[i];
		}
	}
	return &naives[naive_count++];
}

static void
naive_add(const struct conversations_settings *s, const struct packet *p, uint64_t now,
    struct records *to)
{
	struct naive *v = naive_find(p);
	unsigned due = v->is_live ? naive_due(v, s, now) : 0;

	if (v->is_live && due == 0 && naive_restarts(v, p)) {
		due = FLOW_END_DETECTED;
	}
	if (v->is_live && due != 0) {
		naive_send(v, due, s->interface, to);
		v->is_live = false;
	}
	if (!v->is_live) {
		memset(v, 0, offsetof(struct naive, list));
		v->is_live = true;
		v->first = *p;
		v->icmp = p->icmp;
		v->from_high = p->from_high;
		v->start = v->seen = now;
		v->count = 0;
	} else if (!v->is_closed && now >= v->start + s->active_ns) {
		naive_send(v, FLOW_END_ACTIVE, s->interface, to);
		v->start = v->seen = now;
		v->count = 0;
	}
	v->list[v->count++] = *p;
	v->seen = now > v->seen ? now : v->seen;
	if (p->key.protocol == 6) {
		naive_tcp(v, p, now);
	}
}

static void
naive_run(const struct conversations_settings *s, const struct packet *list,
    unsigned count, struct records *to)
{
	uint64_t clock = list[0].time_ns;

	naive_count = 0;
	for (unsigned i = 0; i < count; i++) {
		uint64_t now = list[i].time_ns;
		if (clock > now + CONVERSATION_STEP_NS) {
			naive_flush(s, clock, to);
			clock = now;
		}
		clock = now > clock ? now : clock;
		if (now + CONVERSATION_DISORDER_NS < clock) {
			now = clock - CONVERSATION_DISORDER_NS;
		}
		naive_add(s, &list[i], now, to);
	}
	naive_flush(s, clock, to);
}

/* Packets of few conversations, so that everything happens to each of them. */
static struct packet
draw_packet(uint64_t now)
{
	static const uint8_t flags[] = {SYN, SYN, SYN | ACK, ACK, ACK, ACK | 8, ACK | 8,
	    FIN | ACK, FIN | ACK, RST, RST | ACK, SYN | FIN};
	struct packet p = {.time_ns = now};
	uint8_t low[4] = {10, 0, 0, (uint8_t)draw(3)}, high[4] = {10, 0, 1, 1};
	unsigned kind = draw(10);

	address_from_ipv4(&p.key.low, low);
	address_from_ipv4(&p.key.high, high);
	p.from_high = (uint8_t)draw(2);
	p.payload = draw(3) == 0 ? (uint16_t)draw(65536) : 0;
	p.octets = p.payload + 40u + draw(20);
	p.ttl = (uint8_t)(60 + draw(5));
	p.tos = (uint8_t)draw(2);
	p.vlan = (uint16_t)draw(3);
	p.key.protocol = kind < 6 ? 6 : kind < 8 ? 17 : kind == 8 ? 1 : 47;
	if (p.key.protocol == 6) {
		p.tcp_flags = flags[draw(sizeof flags)];
		p.tcp_sequence = p.tcp_flags & SYN ? draw(3) : 0;
	}
	if (p.key.protocol == 1) {
		p.icmp = draw(2) ? 0x800 : 0;
		p.key.high_port = 0x800;
	} else if (p.key.protocol != 47) {
		p.key.low_port = (uint16_t)(1000 + draw(2));
		p.key.high_port = 80;
	}
	return p;
}

static uint64_t
draw_step(const struct conversations_settings *s, bool is_wild)
{
	switch (draw(is_wild ? 14 : 11)) {
	case 0:
		return s->idle_ns / 6;
	case 1:
		return draw(3) * (uint64_t)NS_PER_SECOND;
	case 2:
		return draw(8) == 0 ? s->idle_ns - draw(2) : 0;
	case 3:
		return draw(40) == 0 ? s->active_ns : 1;
	case 11: /* time steps back */
		return (uint64_t)0 - draw(1500000000);
	case 12:
		return draw(20) == 0 ? (uint64_t)0 - draw(3) * 5 * NS_PER_SECOND : 7;
	case 13:
		return draw(200) == 0 ? NS_PER_HOUR : 0;
	default:
		return (uint64_t)draw(1000) * 1000000 + draw(1000);
	}
}

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct flow_record));
}

static void
sort(struct records *r)
{
	for (unsigned i = 0; i < r->count; i++) {
		struct flow_record copy; /* padding, made equal */
		memset(&copy, 0, sizeof copy);
		copy.source = r->list[i].source;
		copy.destination = r->list[i].destination;
		copy.source_port = r->list[i].source_port;
		copy.destination_port = r->list[i].destination_port;
		copy.vlan = r->list[i].vlan;
		copy.protocol = r->list[i].protocol;
		copy.end_reason = r->list[i].end_reason;
		copy.biflow_direction = r->list[i].biflow_direction;
		copy.is_trace = r->list[i].is_trace;
		copy.has_reverse = r->list[i].has_reverse;
		copy.interface = r->list[i].interface;
		copy.start_ns = r->list[i].start_ns;
		copy.end_ns = r->list[i].end_ns;
		for (unsigned j = 0; j < 2; j++) {
			const struct flow_side *f = &r->list[i].side[j];
			struct flow_side *t = &copy.side[j];
			t->packets = f->packets;
			t->octets = f->octets;
			t->payload_octets = f->payload_octets;
			t->payload_sumsq = f->payload_sumsq;
			t->payload_min = f->payload_min;
			t->payload_max = f->payload_max;
			t->iat_min_us = f->iat_min_us;
			t->iat_max_us = f->iat_max_us;
			t->iat_sum_us = f->iat_sum_us;
			t->iat_sumsq = f->iat_sumsq;
			t->first_ns = f->first_ns;
			t->last_ns = f->last_ns;
			t->tcp_flags = f->tcp_flags;
			t->tcp_flags_initial = f->tcp_flags_initial;
			t->ttl_min = f->ttl_min;
			t->ttl_max = f->ttl_max;
			t->tos = f->tos;
		}
		memcpy(&r->list[i], &copy, sizeof copy);
	}
	qsort(r->list, r->count, sizeof *r->list, compare);
}

/* Runs the table with random batches and ticks; exact: one packet at a time, no tick.
 */
static void
table_run(const struct conversations_settings *s, const struct packet *list,
    unsigned count, bool is_exact, struct records *to)
{
	struct conversations *c = conversations_new(s, keep, to);
	struct conversations_counts counts;
	uint64_t latest = 0;
	unsigned largest = 1 + draw(64);

	assert_non_null(c);
	for (unsigned i = 0; i < count;) {
		unsigned n = is_exact ? 1 : 1 + draw(largest);
		n = n > count - i ? count - i : n;
		conversations_add(c, &list[i], n);
		for (; n > 0; n--, i++) {
			bool is_step = latest > list[i].time_ns + CONVERSATION_STEP_NS;
			latest = is_step || list[i].time_ns > latest ? list[i].time_ns
								     : latest;
		}
		if (!is_exact && draw(3) == 0) {
			conversations_tick(c, latest);
		}
	}
	conversations_flush(c);
	conversations_counts(c, &counts);
	assert_int_equal(counts.packets, count);
	assert_int_equal(counts.refused, 0);
	assert_int_equal(counts.live, 0);
	assert_int_equal(counts.created,
	    counts.ended[FLOW_END_IDLE] + counts.ended[FLOW_END_DETECTED] +
		counts.ended[FLOW_END_FORCED] + counts.ended[FLOW_END_RESOURCES]);
	conversations_free(c);
}

static unsigned reasons[6]; /* seen in naive records */

static void
assert_same(struct records *a, struct records *b, uint64_t seed)
{
	sort(a);
	sort(b);
	if (a->count != b->count ||
	    memcmp(a->list, b->list, a->count * sizeof *a->list) != 0) {
		fail_msg("records differ for seed %llu: %u against %u",
		    (unsigned long long)seed, a->count, b->count);
	}
}

static void
compare_with_naive(uint64_t seed, bool is_wild, bool is_adaptive)
{
	struct conversations_settings s = {
	    .max_conversations = 1000,
	    .idle_ns = 15 * NS_PER_SECOND,
	    .active_ns = (20 + seed % 100) * NS_PER_SECOND,
	    .idle_udp_ns = seed % 2 ? 7 * NS_PER_SECOND : 0,
	    .idle_icmp_ns = seed % 3 ? 3 * NS_PER_SECOND : 0,
	    .close_grace_ns = 2 * NS_PER_SECOND,
	    .is_adaptive = is_adaptive,
	    .adaptive_min_ns = 2 * NS_PER_SECOND,
	    .adaptive_max_ns = 18 * NS_PER_SECOND,
	    .adaptive_factor = 3,
	    .interface = 7,
	};
	struct packet *list = calloc(PACKETS, sizeof *list);
	struct records naive = {calloc(RECORDS, sizeof(struct flow_record)), 0};
	struct records table = {calloc(RECORDS, sizeof(struct flow_record)), 0};
	uint64_t now = 1700000000 * NS_PER_SECOND;

	state = seed * 0x9E3779B97F4A7C15ULL + 1;
	for (unsigned i = 0; i < PACKETS; i++) {
		list[i] = draw_packet(now);
		now += draw_step(&s, is_wild);
	}
	naive_run(&s, list, PACKETS, &naive);
	for (unsigned i = 0; i < naive.count; i++) {
		reasons[naive.list[i].end_reason]++;
	}
	table_run(&s, list, PACKETS, true, &table);
	assert_same(&naive, &table, seed);
	for (unsigned i = 0; i < 4; i++) {
		table.count = 0;
		table_run(&s, list, PACKETS, false, &table);
		assert_same(&naive, &table, seed);
	}
	free(list);
	free(naive.list);
	free(table.list);
}

static void
ordered_packets_give_the_records_of_the_naive_table(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		compare_with_naive(seed, false, false);
	}
}

static void
disordered_packets_give_the_records_of_the_naive_table(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		compare_with_naive(seed, true, false);
	}
	for (unsigned i = FLOW_END_IDLE; i <= FLOW_END_FORCED; i++) {
		assert_true(reasons[i] > 100);
	}
}

static void
adaptive_timeouts_give_the_records_of_the_naive_table(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		compare_with_naive(seed, seed % 2, true);
	}
}

static uint64_t total_packets;

static void
add_up(const struct flow_record *r, void *data)
{
	(void)data;
	total_packets += r->side[0].packets + r->side[1].packets;
}

static void
a_small_table_loses_no_packet(void **unused)
{
	struct conversations_settings s = {
	    .max_conversations = 100,
	    .idle_ns = 15 * NS_PER_SECOND,
	    .active_ns = NS_PER_MINUTE,
	    .close_grace_ns = 2 * NS_PER_SECOND,
	};
	struct conversations *c = conversations_new(&s, add_up, NULL);
	struct conversations_counts counts;
	uint64_t now = NS_PER_SECOND;

	(void)unused;
	state = 99;
	total_packets = 0;
	for (unsigned i = 0; i < 200000; i++) {
		struct packet p = draw_packet(now);
		p.key.extra = (uint8_t)draw(200);
		conversations_add(c, &p, 1);
		if (draw(1000) == 0) {
			conversations_tick(c, now);
		}
		now += draw(20000000);
	}
	conversations_flush(c);
	conversations_counts(c, &counts);
	assert_int_equal(total_packets, 200000);
	assert_int_equal(counts.peak, 100);
	assert_int_equal(counts.refused, 0);
	assert_true(counts.ended[FLOW_END_RESOURCES] > 0);
	conversations_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ordered_packets_give_the_records_of_the_naive_table),
	    cmocka_unit_test(disordered_packets_give_the_records_of_the_naive_table),
	    cmocka_unit_test(adaptive_timeouts_give_the_records_of_the_naive_table),
	    cmocka_unit_test(a_small_table_loses_no_packet),
	};
	int rc;

	naives = calloc(200, sizeof *naives);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	free(naives);
	return rc;
}
