#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>

#include "exporter/conversation/entry.h"

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10

static struct packet
tcp(bool from_high, uint8_t flags, uint16_t payload)
{
	return (struct packet){
	    .key = {.low_port = 40000, .high_port = 80, .protocol = IPPROTO_TCP},
	    .time_ns = 1000,
	    .octets = payload + 40u,
	    .payload = payload,
	    .from_high = from_high,
	    .tcp_flags = flags,
	};
}

/* An entry that these packets have made. */
static struct entry
entry_of(const struct packet *p, unsigned n)
{
	struct entry e = {0};

	entry_begin(&e, &p[0], p[0].time_ns);
	for (unsigned i = 0; i < n; i++) {
		stats_add(&e.side[p[i].from_high], &p[i]);
		if (entry_follow_tcp(&e, &p[i])) {
			e.state |= ENTRY_CLOSED;
		}
	}
	return e;
}

static void
expect_ports(const struct entry *e, uint16_t source, uint16_t destination)
{
	struct flow_record r;

	entry_record(e, FLOW_END_IDLE, &r);
	assert_int_equal(r.source_port, source);
	assert_int_equal(r.destination_port, destination);
}

static void
who_sends_a_syn_is_the_originator(void **state)
{
	const struct packet data = tcp(true, ACK, 10), syn = tcp(false, SYN, 0);
	struct entry e = entry_of((struct packet[]){data, syn}, 2);

	(void)state;
	expect_ports(&e, 40000, 80);
	e = entry_of(&data, 1);
	expect_ports(&e, 80, 40000);
}

static void
who_gets_a_syn_ack_is_the_originator(void **state)
{
	const struct packet answer = tcp(true, SYN | ACK, 0);
	struct entry e = entry_of(&answer, 1);

	(void)state;
	expect_ports(&e, 40000, 80);
}

static void
a_reset_closes_and_so_do_two_acknowledged_fins(void **state)
{
	const struct packet steps[] = {tcp(false, SYN, 0), tcp(false, FIN | ACK, 0),
	    tcp(true, FIN | ACK, 0), tcp(false, ACK, 0)};
	const struct packet reset = tcp(true, RST, 0);
	struct entry e;

	(void)state;
	for (unsigned n = 1; n <= 4; n++) {
		e = entry_of(steps, n);
		assert_int_equal((e.state & ENTRY_CLOSED) != 0, n == 4);
	}
	e = entry_of(&reset, 1);
	assert_true((e.state & ENTRY_CLOSED) != 0);
}

static void
a_syn_restarts_what_carried_data_unless_it_is_the_same_syn(void **state)
{
	const struct packet steps[] = {tcp(false, SYN, 0), tcp(false, ACK, 100)};
	struct packet again = tcp(false, SYN, 0);
	struct entry fresh = entry_of(steps, 1), used = entry_of(steps, 2);

	(void)state;
	assert_false(entry_restarts(&used, &again));
	again.tcp_sequence = 7;
	assert_true(entry_restarts(&used, &again));
	assert_false(entry_restarts(&fresh, &again));
}

static void
payload_restarts_what_is_closed(void **state)
{
	const struct packet reset = tcp(true, RST, 0), data = tcp(false, ACK, 5),
			    empty = tcp(false, ACK, 0);
	struct entry e = entry_of(&reset, 1);

	(void)state;
	assert_true(entry_restarts(&e, &data));
	assert_false(entry_restarts(&e, &empty));
}

static void
adaptive_idle_is_the_mean_and_four_deviations(void **state)
{
	struct packet p = tcp(false, ACK, 0);
	struct entry e = entry_of(&p, 1);

	(void)state;
	assert_true(entry_adaptive_idle(&e, 2) < 0);
	for (unsigned i = 0; i < 3; i++) {
		p.time_ns += 5000000;
		stats_add(&e.side[0], &p);
	}
	assert_true(entry_adaptive_idle(&e, 2) == 10000000);
	p.time_ns += 9000000; /* gaps of 5, 5, 5, 9 ms: mean 6, deviation sqrt(3) */
	stats_add(&e.side[0], &p);
	assert_in_range((uint64_t)entry_adaptive_idle(&e, 1), 12928203, 12928204);
}

static void
an_icmp_record_has_type_and_code_for_ports(void **state)
{
	struct packet p = {
	    .key = {.high_port = 8 << 8, .protocol = IPPROTO_ICMP}, .icmp = 8 << 8};
	struct entry e = {0};

	(void)state;
	entry_begin(&e, &p, 1);
	stats_add(&e.side[0], &p);
	expect_ports(&e, 0, 8 << 8);
}

static void
a_new_segment_counts_from_zero_and_keeps_the_originator(void **state)
{
	const struct packet syn = tcp(true, SYN, 0);
	struct entry e = entry_of(&syn, 1);

	(void)state;
	entry_begin_segment(&e, 5000);
	assert_int_equal(e.side[1].packets, 0);
	assert_int_equal(e.start_ns, 5000);
	expect_ports(&e, 80, 40000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_sends_a_syn_is_the_originator),
	    cmocka_unit_test(who_gets_a_syn_ack_is_the_originator),
	    cmocka_unit_test(a_reset_closes_and_so_do_two_acknowledged_fins),
	    cmocka_unit_test(
		a_syn_restarts_what_carried_data_unless_it_is_the_same_syn),
	    cmocka_unit_test(payload_restarts_what_is_closed),
	    cmocka_unit_test(adaptive_idle_is_the_mean_and_four_deviations),
	    cmocka_unit_test(an_icmp_record_has_type_and_code_for_ports),
	    cmocka_unit_test(a_new_segment_counts_from_zero_and_keeps_the_originator),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
