#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/base/clock.h"
#include "exporter/conversation/conversation.h"

#define S     NS_PER_SECOND
#define START (1700000000 * S)

#define FIN 1
#define SYN 2
#define RST 4
#define ACK 16

struct setup {
	struct conversations *table;
	struct flow_record records[64];
	unsigned count;
};

static struct setup world;

static void
keep(const struct flow_record *r, void *data)
{
	struct setup *w = data;
	assert_true(w->count < 64);
	w->records[w->count++] = *r;
}

static struct conversations_settings
standard(void)
{
	return (struct conversations_settings){
	    .max_conversations = 1000,
	    .idle_ns = 15 * S,
	    .active_ns = 1800 * S,
	    .close_grace_ns = 2 * S,
	    .interface = 3,
	};
}

static void
begin(const struct conversations_settings *s)
{
	world.count = 0;
	world.table = conversations_new(s, keep, &world);
	assert_non_null(world.table);
}

static int
set_up(void **unused)
{
	struct conversations_settings s = standard();
	(void)unused;
	begin(&s);
	return 0;
}

static int
tear_down(void **unused)
{
	(void)unused;
	conversations_free(world.table);
	return 0;
}

/* A packet of the conversation 10.0.0.1:1000 (low) with 10.0.0.2:80 (high). */
static struct packet
make(uint64_t time_ns, unsigned from_high, uint8_t protocol)
{
	struct packet p = {.time_ns = time_ns,
	    .from_high = (uint8_t)from_high,
	    .octets = 40,
	    .ttl = 64};
	address_from_ipv4(&p.key.low, (uint8_t[]){10, 0, 0, 1});
	address_from_ipv4(&p.key.high, (uint8_t[]){10, 0, 0, 2});
	p.key.low_port = 1000;
	p.key.high_port = 80;
	p.key.protocol = protocol;
	return p;
}

static void
udp(uint64_t time_ns, unsigned from_high)
{
	struct packet p = make(time_ns, from_high, 17);
	conversations_add(world.table, &p, 1);
}

static void
tcp(uint64_t time_ns, unsigned from_high, uint8_t flags, uint32_t sequence,
    uint16_t payload)
{
	struct packet p = make(time_ns, from_high, 6);
	p.tcp_flags = flags;
	p.tcp_sequence = sequence;
	p.payload = payload;
	p.octets = 40u + payload;
	conversations_add(world.table, &p, 1);
}

static void
flush(unsigned expected)
{
	conversations_flush(world.table);
	assert_int_equal(world.count, expected);
}

static void
both_directions_make_one_record(void **unused)
{
	(void)unused;
	udp(START, 1);
	udp(START + S, 0);
	udp(START + 2 * S, 1);
	flush(1);
	assert_int_equal(world.records[0].source_port, 80);
	assert_int_equal(world.records[0].destination_port, 1000);
	assert_int_equal(world.records[0].side[0].packets, 2);
	assert_int_equal(world.records[0].side[1].packets, 1);
	assert_true(world.records[0].has_reverse);
	assert_true(world.records[0].start_ns == START);
	assert_true(world.records[0].end_ns == START + 2 * S);
	assert_int_equal(world.records[0].interface, 3);
	assert_int_equal(world.records[0].end_reason, FLOW_END_FORCED);
}

static void
one_direction_has_no_reverse(void **unused)
{
	(void)unused;
	udp(START, 0);
	flush(1);
	assert_false(world.records[0].has_reverse);
	assert_int_equal(world.records[0].side[1].packets, 0);
}

static void
a_gap_one_nanosecond_short_of_the_idle_time_goes_on(void **unused)
{
	(void)unused;
	udp(START, 0);
	udp(START + 15 * S - 1, 0);
	flush(1);
}

static void
a_gap_equal_to_the_idle_time_ends(void **unused)
{
	(void)unused;
	udp(START, 0);
	udp(START + 15 * S, 0);
	flush(2);
	assert_int_equal(world.records[0].end_reason, FLOW_END_IDLE);
}

static void
each_protocol_may_have_its_own_idle_time(void **unused)
{
	struct conversations_settings s = standard();
	struct packet p;
	(void)unused;
	s.idle_tcp_ns = 60 * S;
	s.idle_udp_ns = 5 * S;
	s.idle_icmp_ns = 2 * S;
	conversations_free(world.table);
	begin(&s);
	udp(START, 0);
	tcp(START, 0, ACK, 0, 0);
	p = make(START, 0, 58);
	conversations_add(world.table, &p, 1);
	p = make(START, 0, 47);
	conversations_add(world.table, &p, 1);
	conversations_tick(world.table, START + 4 * S);
	assert_int_equal(world.count, 1);
	conversations_tick(world.table, START + 7 * S);
	assert_int_equal(world.count, 2);
	conversations_tick(world.table, START + 17 * S);
	assert_int_equal(world.count, 3);
	conversations_tick(world.table, START + 62 * S);
	assert_int_equal(world.count, 4);
}

static void
the_tick_sends_idle_conversations(void **unused)
{
	(void)unused;
	udp(START, 0);
	conversations_tick(world.table, START + 15 * S);
	assert_int_equal(world.count, 0); /* a late packet may still come */
	conversations_tick(world.table, START + 17 * S);
	assert_int_equal(world.count, 1);
	assert_int_equal(world.records[0].end_reason, FLOW_END_IDLE);
}

static void
the_active_time_cuts_segments_that_count_from_zero(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i <= 360; i++) {
		udp(START + i * 10 * S, i % 2);
	}
	flush(3);
	assert_int_equal(world.records[0].end_reason, FLOW_END_ACTIVE);
	assert_int_equal(world.records[0].side[0].packets, 90);
	assert_int_equal(world.records[0].side[1].packets, 90);
	assert_true(world.records[0].end_ns == START + 1790 * S);
	assert_true(world.records[1].start_ns == START + 1800 * S);
	assert_int_equal(world.records[1].side[0].iat_min_us, 20000000);
	assert_int_equal(world.records[2].side[0].packets, 1);
	assert_int_equal(world.records[2].end_reason, FLOW_END_FORCED);
}

static void
segments_keep_their_originator(void **unused)
{
	(void)unused;
	udp(START, 0);
	for (unsigned i = 1; i <= 180; i++) {
		udp(START + i * 10 * S, 1);
	}
	flush(2);
	assert_int_equal(world.records[1].source_port, 1000);
	assert_int_equal(world.records[1].side[0].packets, 0);
	assert_int_equal(world.records[1].side[1].packets, 1);
	assert_true(world.records[1].start_ns == START + 1800 * S);
}

static void
a_syn_makes_its_sender_the_originator(void **unused)
{
	(void)unused;
	tcp(START, 1, ACK, 0, 0);
	tcp(START + 1, 0, SYN, 7, 0);
	flush(1);
	assert_int_equal(world.records[0].source_port, 1000);
	assert_int_equal(world.records[0].biflow_direction, 1);
}

static void
a_syn_ack_first_makes_its_receiver_the_originator(void **unused)
{
	(void)unused;
	tcp(START, 1, SYN | ACK, 7, 0);
	tcp(START + 1, 0, ACK, 0, 0);
	flush(1);
	assert_int_equal(world.records[0].source_port, 1000);
	assert_int_equal(world.records[0].biflow_direction, 1);
}

static void
without_a_syn_the_first_sender_is_the_originator(void **unused)
{
	(void)unused;
	tcp(START, 1, ACK, 0, 5);
	tcp(START + 1, 0, ACK, 0, 0);
	flush(1);
	assert_int_equal(world.records[0].source_port, 80);
	assert_int_equal(world.records[0].biflow_direction, 0);
}

static void
open_and_close(uint64_t at)
{
	tcp(at, 0, SYN, 100, 0);
	tcp(at + 1, 1, SYN | ACK, 200, 0);
	tcp(at + 2, 0, ACK, 0, 0);
	tcp(at + 3, 0, ACK, 0, 10);
	tcp(at + 4, 0, FIN | ACK, 0, 0);
	tcp(at + 5, 1, FIN | ACK, 0, 0);
	tcp(at + 6, 0, ACK, 0, 0);
}

static void
acknowledged_fins_end_after_the_grace_time(void **unused)
{
	(void)unused;
	open_and_close(START);
	tcp(START + S, 1, ACK, 0, 0); /* trailing */
	conversations_tick(world.table, START + 3 * S);
	assert_int_equal(world.count, 0);
	conversations_tick(world.table, START + 4 * S + 7);
	assert_int_equal(world.count, 1);
	assert_int_equal(world.records[0].end_reason, FLOW_END_DETECTED);
	assert_int_equal(
	    world.records[0].side[0].packets + world.records[0].side[1].packets, 8);
}

static void
a_half_close_goes_on(void **unused)
{
	(void)unused;
	tcp(START, 0, SYN, 1, 0);
	tcp(START + 1, 0, FIN | ACK, 0, 0);
	for (unsigned i = 1; i < 10; i++) {
		tcp(START + i * S, 1, ACK, 0, 1000);
	}
	flush(1);
	assert_int_equal(world.records[0].end_reason, FLOW_END_FORCED);
	assert_int_equal(world.records[0].side[1].payload_octets, 9000);
}

static void
a_reset_ends_after_the_grace_time(void **unused)
{
	(void)unused;
	tcp(START, 0, SYN, 1, 0);
	tcp(START + 1, 1, RST | ACK, 0, 0);
	tcp(START + 1 + 2 * S, 0, ACK, 0, 0); /* too late: another conversation */
	flush(2);
	assert_int_equal(world.records[0].end_reason, FLOW_END_DETECTED);
	assert_int_equal(world.records[0].side[0].packets, 1);
	assert_int_equal(world.records[1].end_reason, FLOW_END_FORCED);
}

static void
a_refused_syn_that_is_repeated_stays(void **unused)
{
	(void)unused;
	tcp(START, 0, SYN, 1, 0);
	tcp(START + 1, 1, RST | ACK, 0, 0);
	tcp(START + S, 0, SYN, 1, 0);
	flush(1);
	assert_int_equal(world.records[0].side[0].packets, 2);
}

static void
a_new_syn_on_a_closed_conversation_begins_another(void **unused)
{
	(void)unused;
	open_and_close(START);
	tcp(START + 10, 0, SYN, 300, 0);
	flush(2);
	assert_int_equal(world.records[0].end_reason, FLOW_END_DETECTED);
	assert_int_equal(world.records[1].side[0].packets, 1);
}

static void
a_new_syn_on_a_data_carrying_conversation_begins_another(void **unused)
{
	(void)unused;
	tcp(START, 0, SYN, 1, 0);
	tcp(START + 1, 0, ACK, 0, 10);
	tcp(START + 2, 0, SYN, 2, 0);
	flush(2);
	assert_int_equal(world.records[0].end_reason, FLOW_END_DETECTED);
}

static void
a_new_syn_before_any_data_stays(void **unused)
{
	(void)unused;
	tcp(START, 0, SYN, 1, 0);
	tcp(START + 1, 0, SYN, 2, 0);
	flush(1);
}

static void
payload_on_a_syn_counts_as_data(void **unused)
{
	(void)unused;
	tcp(START, 0, SYN, 1, 100);
	tcp(START + 1, 0, SYN, 1, 100); /* the same again */
	tcp(START + 2, 0, SYN, 2, 0);
	flush(2);
	assert_int_equal(world.records[0].side[0].packets, 2);
}

static void
payload_after_a_close_begins_another(void **unused)
{
	(void)unused;
	open_and_close(START);
	tcp(START + 10, 1, ACK, 0, 1);
	flush(2);
	assert_int_equal(world.records[1].source_port, 80);
	assert_int_equal(world.records[1].biflow_direction, 0);
}

static void
icmp_takes_type_and_code_of_the_first_packet(void **unused)
{
	struct packet p = make(START, 1, 1);
	(void)unused;
	p.icmp = 0; /* a reply, seen first */
	conversations_add(world.table, &p, 1);
	p = make(START + 1, 0, 1);
	p.icmp = 0x800;
	conversations_add(world.table, &p, 1);
	flush(1);
	assert_int_equal(world.records[0].source_port, 0);
	assert_int_equal(world.records[0].destination_port, 0);
	assert_int_equal(world.records[0].source.bytes[15], 2);
}

static void
a_full_table_ends_whoever_is_idle_for_longest(void **unused)
{
	struct conversations_settings s = standard();
	(void)unused;
	s.max_conversations = 3;
	conversations_free(world.table);
	begin(&s);
	for (unsigned i = 0; i < 4; i++) {
		struct packet p = make(START + i * 2 * S, 0, 17);
		p.key.low_port = (uint16_t)(1000 + i);
		conversations_add(world.table, &p, 1);
		if (i == 2) { /* the first speaks again */
			p.time_ns += S;
			p.key.low_port = 1000;
			conversations_add(world.table, &p, 1);
		}
	}
	assert_int_equal(world.count, 1);
	assert_int_equal(world.records[0].source_port, 1001);
	assert_int_equal(world.records[0].end_reason, FLOW_END_RESOURCES);
}

static void
a_long_step_back_ends_what_lives(void **unused)
{
	struct conversations_counts counts;
	(void)unused;
	udp(START, 0);
	udp(START - 3600 * S, 0);
	udp(START - 3600 * S + 20 * S, 0);
	flush(3);
	assert_int_equal(world.records[0].end_reason, FLOW_END_FORCED);
	assert_int_equal(world.records[1].end_reason, FLOW_END_IDLE);
	conversations_counts(world.table, &counts);
	assert_int_equal(counts.created, 3);
	assert_int_equal(counts.live, 0);
}

static void
a_short_step_back_counts_as_no_time(void **unused)
{
	(void)unused;
	udp(START, 0);
	udp(START - S / 2, 0);
	udp(START + S, 0);
	flush(1);
	assert_int_equal(world.records[0].side[0].iat_min_us, 0);
	assert_int_equal(world.records[0].side[0].iat_max_us, 1000000);
	assert_int_equal(world.records[0].side[0].iat_sum_us, 1000000);
	assert_true(world.records[0].start_ns == START);
}

/* Else the wheel is turned through the decades second by second. */
static void
a_leap_of_decades_ends_what_lives_at_once(void **unused)
{
	(void)unused;
	udp(S, 0);
	tcp(START, 0, ACK, 1, 0);
	assert_int_equal(world.count, 1);
	assert_int_equal(world.records[0].end_reason, FLOW_END_IDLE);
	conversations_tick(world.table, START + 16 * S);
	assert_int_equal(world.count, 1);
	conversations_tick(world.table, START + 18 * S);
	assert_int_equal(world.count, 2);
}

static void
packets_of_time_zero_are_one_conversation(void **unused)
{
	(void)unused;
	udp(0, 0);
	udp(0, 1);
	udp(0, 0);
	flush(1);
	assert_int_equal(world.records[0].side[0].packets, 2);
	assert_int_equal(world.records[0].side[1].packets, 1);
}

static void
a_leap_of_centuries_takes_no_time(void **unused)
{
	(void)unused;
	udp(START, 0);
	udp(INT64_MAX, 0);
	conversations_tick(world.table, UINT64_MAX);
	flush(2);
	assert_int_equal(world.records[0].end_reason, FLOW_END_IDLE);
	assert_int_equal(world.records[1].end_reason, FLOW_END_FORCED);
}

static void
octets_are_cut_before_they_overflow(void **unused)
{
	uint64_t octets = 0;
	(void)unused;
	for (unsigned i = 0; i < 70000; i++) {
		struct packet p = make(START + i, 0, 17);
		p.octets = UINT32_MAX;
		conversations_add(world.table, &p, 1);
	}
	flush(2);
	assert_int_equal(world.records[0].end_reason, FLOW_END_ACTIVE);
	for (unsigned i = 0; i < 2; i++) {
		octets += world.records[i].side[0].octets;
	}
	assert_true(octets == 70000 * (uint64_t)UINT32_MAX);
}

static void
adaptive_idle_follows_the_pace(void **unused)
{
	struct conversations_settings s = standard();
	(void)unused;
	s.is_adaptive = true;
	s.adaptive_min_ns = S;
	s.adaptive_max_ns = 60 * S;
	s.adaptive_factor = 5;
	conversations_free(world.table);
	begin(&s);
	for (unsigned i = 0; i < 10; i++) {
		udp(START + i * S, 0); /* mean 1 s, deviation 0: 5 s */
	}
	udp(START + 9 * S + 5 * S, 0);
	flush(2);
	assert_int_equal(world.records[0].end_reason, FLOW_END_IDLE);
	assert_int_equal(world.records[0].side[0].packets, 10);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(both_directions_make_one_record),
	    TEST(one_direction_has_no_reverse),
	    TEST(a_gap_one_nanosecond_short_of_the_idle_time_goes_on),
	    TEST(a_gap_equal_to_the_idle_time_ends),
	    TEST(each_protocol_may_have_its_own_idle_time),
	    TEST(the_tick_sends_idle_conversations),
	    TEST(the_active_time_cuts_segments_that_count_from_zero),
	    TEST(segments_keep_their_originator),
	    TEST(a_syn_makes_its_sender_the_originator),
	    TEST(a_syn_ack_first_makes_its_receiver_the_originator),
	    TEST(without_a_syn_the_first_sender_is_the_originator),
	    TEST(acknowledged_fins_end_after_the_grace_time),
	    TEST(a_half_close_goes_on),
	    TEST(a_reset_ends_after_the_grace_time),
	    TEST(a_refused_syn_that_is_repeated_stays),
	    TEST(a_new_syn_on_a_closed_conversation_begins_another),
	    TEST(a_new_syn_on_a_data_carrying_conversation_begins_another),
	    TEST(a_new_syn_before_any_data_stays),
	    TEST(payload_on_a_syn_counts_as_data),
	    TEST(payload_after_a_close_begins_another),
	    TEST(icmp_takes_type_and_code_of_the_first_packet),
	    TEST(a_full_table_ends_whoever_is_idle_for_longest),
	    TEST(a_long_step_back_ends_what_lives),
	    TEST(a_short_step_back_counts_as_no_time),
	    TEST(a_leap_of_decades_ends_what_lives_at_once),
	    TEST(packets_of_time_zero_are_one_conversation),
	    TEST(a_leap_of_centuries_takes_no_time),
	    TEST(octets_are_cut_before_they_overflow),
	    TEST(adaptive_idle_follows_the_pace),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
