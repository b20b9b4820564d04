#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include "exporter/conversation/stats.h"

static void
add(struct stats *s, uint64_t time_ns, uint16_t payload, uint8_t ttl, uint8_t flags)
{
	struct packet p = {.time_ns = time_ns,
	    .payload = payload,
	    .octets = payload + 40u,
	    .ttl = ttl,
	    .tcp_flags = flags,
	    .tos = ttl};
	stats_add(s, &p);
}

static void
sums_are_over_all_packets(void **unused)
{
	static const uint16_t payloads[] = {0, 100, 1460, 1460, 40};
	struct stats s = {0};
	struct flow_side f;
	(void)unused;
	for (unsigned i = 0; i < 5; i++) {
		add(&s, 1000000 * (uint64_t)i, payloads[i], 64, 0);
	}
	stats_take(&s, &f);
	assert_int_equal(f.packets, 5);
	assert_int_equal(f.octets, 3060 + 5 * 40);
	assert_int_equal(f.payload_octets, 3060);
	assert_int_equal(f.payload_sumsq, 100 * 100 + 2 * 1460 * 1460 + 40 * 40);
	assert_int_equal(f.payload_min, 0);
	assert_int_equal(f.payload_max, 1460);
}

static void
one_packet_has_no_inter_arrival_time(void **unused)
{
	struct stats s = {0};
	struct flow_side f;
	(void)unused;
	add(&s, 5, 1, 64, 0);
	stats_take(&s, &f);
	assert_int_equal(f.iat_min_us, 0);
	assert_int_equal(f.iat_max_us, 0);
	assert_int_equal(f.iat_sum_us, 0);
	assert_true(f.iat_sumsq == 0);
}

static void
the_sum_is_truncated_once(void **unused)
{
	struct stats s = {0};
	struct flow_side f;
	(void)unused;
	add(&s, 0, 0, 64, 0);
	add(&s, 1600, 0, 64, 0);
	add(&s, 3200, 0, 64, 0);
	stats_take(&s, &f);
	assert_int_equal(f.iat_min_us, 1);
	assert_int_equal(f.iat_max_us, 1);
	assert_int_equal(f.iat_sum_us, 3);
	assert_true(f.iat_sumsq > 5.1199 && f.iat_sumsq < 5.1201);
}

static void
a_step_back_counts_zero(void **unused)
{
	struct stats s = {0};
	struct flow_side f;
	(void)unused;
	add(&s, 5000000, 0, 64, 0);
	add(&s, 3000000, 0, 64, 0);
	add(&s, 6000000, 0, 64, 0);
	stats_take(&s, &f);
	assert_int_equal(f.iat_min_us, 0);
	assert_int_equal(f.iat_max_us, 1000);
	assert_int_equal(f.iat_sum_us, 1000);
	assert_int_equal(f.first_ns, 5000000);
	assert_int_equal(f.last_ns, 6000000);
}

static void
the_longest_inter_arrival_time_saturates(void **unused)
{
	struct stats s = {0};
	struct flow_side f;
	(void)unused;
	add(&s, 0, 0, 64, 0);
	add(&s, 5000 * (uint64_t)1000000000, 0, 64, 0);
	stats_take(&s, &f);
	assert_true(f.iat_max_us == UINT32_MAX);
	assert_true(f.iat_sum_us == 5000000000);
}

static void
flags_and_hop_limits_are_gathered(void **unused)
{
	struct stats s = {0};
	struct flow_side f;
	(void)unused;
	add(&s, 0, 0, 64, 2);
	add(&s, 1, 0, 60, 16);
	add(&s, 2, 0, 255, 24);
	stats_take(&s, &f);
	assert_int_equal(f.tcp_flags_initial, 2);
	assert_int_equal(f.tcp_flags, 26);
	assert_int_equal(f.ttl_min, 60);
	assert_int_equal(f.ttl_max, 255);
	assert_int_equal(f.tos, 64);
}

static void
full_means_that_one_more_packet_might_not_fit(void **unused)
{
	struct stats s = {.packets = UINT32_MAX - 1};
	(void)unused;
	assert_false(stats_is_full(&s));
	s.packets = UINT32_MAX;
	assert_true(stats_is_full(&s));
	s = (struct stats){.octets = STATS_MAX_OCTETS};
	assert_false(stats_is_full(&s));
	s.octets++;
	assert_true(stats_is_full(&s));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sums_are_over_all_packets),
	    cmocka_unit_test(one_packet_has_no_inter_arrival_time),
	    cmocka_unit_test(the_sum_is_truncated_once),
	    cmocka_unit_test(a_step_back_counts_zero),
	    cmocka_unit_test(the_longest_inter_arrival_time_saturates),
	    cmocka_unit_test(flags_and_hop_limits_are_gathered),
	    cmocka_unit_test(full_means_that_one_more_packet_might_not_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
