/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "common/base/cursor.h"
#include "tests/unit/collector/session/support_message.h"
#include "tests/unit/collector/session/support_session.h"

static uint64_t arrival_ns = 77;

/* A version 9 message of one flowset with these words as its body. */
static void
send_v9(struct stage *g, uint32_t sequence, uint32_t uptime_ms, uint16_t flowset,
    const uint16_t *words, size_t count)
{
	uint8_t bytes[256];
	size_t length = 24 + 2 * count;

	store_u16(bytes, 9);
	store_u16(bytes + 2, 1);
	store_u32(bytes + 4, uptime_ms);
	store_u32(bytes + 8, 1000);
	store_u32(bytes + 12, sequence);
	store_u32(bytes + 16, 7);
	store_u16(bytes + 20, flowset);
	store_u16(bytes + 22, (uint16_t)(4 + 2 * count));
	for (size_t i = 0; i < count; i++) {
		store_u16(bytes + 24 + 2 * i, words[i]);
	}
	support_message(g->sessions, MESSAGE(1, 0, bytes, length, arrival_ns, 4242));
}
#define SEND_V9(g, sequence, uptime_ms, flowset, ...)                                  \
	send_v9(g, sequence, uptime_ms, flowset, (const uint16_t[]){__VA_ARGS__},      \
	    sizeof(const uint16_t[]){__VA_ARGS__} / 2)

static void
send_v5(struct stage *g, uint32_t sequence, uint16_t records)
{
	uint8_t bytes[24 + 30 * 48] = {0, 5};

	store_u16(bytes + 2, records);
	store_u32(bytes + 16, sequence);
	support_message(
	    g->sessions, MESSAGE(1, 0, bytes, 24 + 48 * (size_t)records, 77, 4242));
}

static void
test_netflow9_counts_messages_and_knows_its_templates(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	SEND_V9(g, 1, 1000, 0, PORTS(256));
	SEND_V9(g, 2, 1000, 256, 1, 2, 3, 4);
	SEND_V9(g, 5, 1000, 256, 1, 2);
	/* an options flowset: scope System, samplingInterval */
	SEND_V9(g, 6, 1000, 1, 257, 4, 4, 1, 4, 34, 4);
	SEND_V9(g, 7, 1000, 257, 0, 0, 0, 100);
	stage_counts(g);
	assert_ptr_equal(g->counts.protocol, &protocol_netflow9);
	assert_int_equal(g->counts.domain, 7);
	assert_int_equal(g->counts.templates, 2);
	assert_int_equal(g->counts.option_templates, 1);
	assert_int_equal(g->counts.records, 3);
	assert_int_equal(g->counts.options, 1);
	assert_int_equal(g->counts.lost, 2);
}

static void
an_options_template_of_odd_length_is_bad_and_the_rest_of_its_packet_good(void **state)
{
	/* source 7: a template; options templates with a scope of 6 bytes, and right;
	 * data of the first and of the last */
	static const uint16_t words[] = {9, 5, 0, 1000, 0, 1000, 0, 1, 0, 7, 0, 16,
	    PORTS(256), 1, 34, 257, 6, 4, 1, 4, 0, 34, 4, 258, 4, 4, 1, 4, 34, 4, 256,
	    8, 1, 2, 258, 12, 0, 0, 0, 100};
	uint8_t bytes[sizeof words];
	struct stage *g = *state;

	for (size_t i = 0; i < sizeof words / 2; i++) {
		store_u16(bytes + 2 * i, words[i]);
	}
	stage_open(g, 1, "udp", "a:1");
	support_message(g->sessions, MESSAGE(1, 0, bytes, sizeof bytes, 77, 4242));
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_BAD_TEMPLATE], 1);
	assert_int_equal(g->counts.dropped[DROP_NO_TEMPLATE], 0);
	assert_int_equal(g->counts.templates, 2);
	assert_int_equal(g->counts.records, 1);
	assert_int_equal(g->counts.options, 1);
}

static void
a_malformed_v9_template_costs_none_of_those_behind_it(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "a:1");
	/* number below 256; records of length 0; with Cisco's bit, longer than any */
	SEND_V9(g, 5, 1000, 0, PORTS(4), 300, 1, 7, 0, 301, 2, 0x8007, 0xfff0, 11, 99,
	    PORTS(256));
	SEND_V9(g, 6, 1000, 256, 1, 2);
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_BAD_TEMPLATE], 3);
	assert_int_equal(g->counts.templates, 1);
	assert_int_equal(g->counts.records, 1);
}

static void
test_netflow5_counts_flows_and_needs_no_template(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	send_v5(g, 100, 30);
	send_v5(g, 140, 2);
	stage_counts(g);
	assert_ptr_equal(g->counts.protocol, &protocol_netflow5);
	assert_int_equal(g->counts.records, 32);
	assert_int_equal(g->counts.templates, 0);
	assert_int_equal(g->counts.lost, 10);
}

static void
test_versions_of_one_number_are_different_domains(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 50, 7, 2, PORTS(256));
	SEND_V9(g, 1, 1000, 256, 1, 2);
	assert_int_equal(g->sets, 0);
	SEND(g, 1, 50, 7, 256, 1, 2);
	assert_int_equal(g->sets, 1);
	sessions_take_counts(g->sessions, stage_take_counts, g);
	assert_int_equal(g->rows, 2);
}

static void
test_an_uptime_that_begins_again_is_a_restart_and_no_loss(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "a:1");
	SEND_V9(g, 1000, 90000000, 0, PORTS(256));
	SEND_V9(g, 2000, 5000, 256, 1, 2);
	SEND_V9(g, 2001, 4000, 256, 1, 2); /* late, no restart */
	SEND_V9(g, 2003, 6000, 256, 1, 2);
	sessions_close(g->sessions, 1, 99);
	stage_counts(g);
	assert_int_equal(g->counts.lost, 1);
	assert_int_equal(g->counts.reordered, 0);
}

static void
test_an_uptime_that_passes_its_end_is_no_restart(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	SEND_V9(g, 1, UINT32_MAX - 1000, 0, PORTS(256));
	SEND_V9(g, 4, 500, 256, 1, 2);
	stage_counts(g);
	assert_int_equal(g->counts.lost, 2);
}

static void
test_withdrawals_over_udp_are_ignored_and_counted(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "a:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 2, 256, 0);
	SEND(g, 1, 0, 7, 256, 1, 2);
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_IGNORED_WITHDRAWAL], 1);
	assert_int_equal(g->counts.dropped[DROP_BAD_TEMPLATE], 0);
	assert_int_equal(g->counts.records, 1);
}

static void
test_zeros_at_the_end_of_a_message_are_padding(void **state)
{
	struct stage *g = *state;
	uint8_t bytes[64] = {0};
	size_t n;

	stage_open(g, 1, "tcp", "a:1");
	n = stage_build(bytes, 0, 7, 2, (uint16_t[]){PORTS(256)}, 6);
	store_u16(bytes + 2, (uint16_t)(n + 10));
	support_message(g->sessions, MESSAGE(1, 0, bytes, n + 10, 1, 0));
	stage_counts(g);
	assert_int_equal(g->counts.templates, 1);
	assert_int_equal(g->counts.dropped[DROP_BAD_MESSAGE], 0);
}

/* As after a restart. */
static void
save_and_load(struct stage *g)
{
	char path[] = "/tmp/session_netflow_test_XXXXXX";
	struct err e;

	close(mkstemp(path));
	assert_int_equal(sessions_save(g->sessions, path, &e), 0);
	sessions_free(g->sessions);
	g->sessions = stage_sessions(g);
	assert_int_equal(sessions_load(g->sessions, path, &e), 0);
	unlink(path);
}

static void
a_snapshot_knows_rates_and_when_exporters_started(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	/* scope observationDomainId; samplingInterval, systemInitTimeMilliseconds */
	SEND(g, 1, 0, 7, 3, 257, 3, 1, 149, 4, 34, 2, 160, 8);
	SEND(g, 1, 0, 7, 256, 1, 2);
	assert_true(g->rate == 0);
	assert_false(g->clock.has_uptime);
	SEND(g, 1, 1, 7, 257, 0, 7, 100, 0, 0, 0, 60000);
	save_and_load(g);
	SEND(g, 1, 2, 7, 256, 1, 2);
	assert_true(g->rate == 100);
	assert_true(g->clock.has_uptime);
	/* exported 1000 s after 1970, started 60 s after */
	assert_int_equal(g->clock.uptime_ms, 940000);
}

static void
a_router_without_a_clock_sends_when_its_message_arrives(void **state)
{
	struct stage *g = *state;
	const uint64_t year_ns = 365 * 86400 * UINT64_C(1000000000);
	const uint64_t sent_ns = 1000 * UINT64_C(1000000000);

	stage_open(g, 1, "udp", "a:1");
	SEND_V9(g, 1, 1000, 0, PORTS(256));
	SEND_V9(g, 2, 1000, 256, 1, 2);
	assert_int_equal(g->clock.export_ns, sent_ns);
	arrival_ns = sent_ns + year_ns;
	SEND_V9(g, 3, 1000, 256, 1, 2);
	assert_int_equal(g->clock.export_ns, sent_ns);
	arrival_ns++;
	SEND_V9(g, 4, 1000, 256, 1, 2);
	assert_int_equal(g->clock.export_ns, arrival_ns);
	assert_int_equal(g->clock.uptime_ms, 1000);
	arrival_ns = 77;
}

static void
rates_of_a_domain_without_flows_hold_for_the_others(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 6, 3, 257, 2, 1, 149, 4, 34, 2);
	SEND(g, 1, 0, 6, 257, 0, 6, 100);
	SEND(g, 1, 0, 7, 256, 1, 2);
	assert_true(g->rate == 100);
	save_and_load(g);
	SEND(g, 1, 1, 7, 256, 1, 2);
	assert_true(g->rate == 100);
	/* it has flows, after all */
	SEND(g, 1, 1, 6, 2, PORTS(256));
	SEND(g, 1, 2, 7, 256, 1, 2);
	assert_true(g->rate == 0);
}

static void
when_an_exporter_started_counts_for_the_records_behind_it(void **state)
{
	static const uint16_t options[] = {0, 7, 0, 0, 0, 60000}, data[] = {1, 2};
	struct stage *g = *state;
	uint8_t bytes[128], second[64];
	size_t n, more;

	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 3, 257, 2, 1, 149, 4, 160, 8);
	n = stage_build(bytes, 0, 7, 257, options, 6);
	more = stage_build(second, 0, 7, 256, data, 2) - 16;
	memcpy(bytes + n, second + 16, more);
	store_u16(bytes + 2, (uint16_t)(n + more));
	support_message(g->sessions, MESSAGE(1, 0, bytes, n + more, 1, 0));
	assert_true(g->clock.has_uptime);
	assert_int_equal(g->clock.uptime_ms, 940000);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_netflow9_counts_messages_and_knows_its_templates),
	    CASE(
		an_options_template_of_odd_length_is_bad_and_the_rest_of_its_packet_good),
	    CASE(a_malformed_v9_template_costs_none_of_those_behind_it),
	    CASE(test_netflow5_counts_flows_and_needs_no_template),
	    CASE(test_versions_of_one_number_are_different_domains),
	    CASE(test_an_uptime_that_begins_again_is_a_restart_and_no_loss),
	    CASE(test_an_uptime_that_passes_its_end_is_no_restart),
	    CASE(test_withdrawals_over_udp_are_ignored_and_counted),
	    CASE(when_an_exporter_started_counts_for_the_records_behind_it),
	    CASE(a_router_without_a_clock_sends_when_its_message_arrives),
	    CASE(rates_of_a_domain_without_flows_hold_for_the_others),
	    CASE(a_snapshot_knows_rates_and_when_exporters_started),
	    CASE(test_zeros_at_the_end_of_a_message_are_padding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
