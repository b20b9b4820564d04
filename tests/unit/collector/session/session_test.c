/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/session/session.h"
#include "common/ipfix/message.h"
#include "tests/unit/collector/session/support_message.h"
#include "tests/unit/collector/session/support_session.h"

static void
test_data_sets_with_a_template_come_out(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tls", "192.0.2.1:5000");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 256, 1, 2, 3, 4, 5, 6);
	assert_int_equal(g->records, 3);
	assert_string_equal(g->exporter, "192.0.2.1");
	assert_int_equal(g->position, 4242);
	stage_counts(g);
	assert_int_equal(g->rows, 1);
	assert_int_equal(g->counts.messages, 2);
	assert_int_equal(g->counts.records, 3);
	assert_int_equal(g->counts.templates, 1);
	assert_int_equal(g->counts.domain, 7);
	assert_int_equal(g->counts.first_ns, 77);
	assert_string_equal(g->counted_exporter, "192.0.2.1");
	stage_counts(g);
	assert_int_equal(g->rows, 0);
}

static void
test_the_rosters_name_and_domains_hold_for_what_the_session_sends(void **state)
{
	static const char text[] = "transport=tls\npeer=192.0.2.1:5000\n"
				   "identity=tap.example\nname=tap\ndomains=7-8\n";
	struct stage *g = *state;

	sessions_open(g->sessions, 1, (const uint8_t *)text, sizeof text - 1, 1);
	SEND(g, 1, 0, 9, 2, PORTS(256));
	SEND(g, 1, 0, 9, 256, 1, 2);
	assert_int_equal(g->sets, 0);
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_FORBIDDEN_DOMAIN], 2);
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 256, 1, 2);
	assert_int_equal(g->sets, 1);
	assert_string_equal(g->exporter, "tap");
}

static void
test_domains_that_are_unreadable_permit_none(void **state)
{
	static const char text[] = "transport=tls\npeer=192.0.2.1:5000\ndomains=7-\n";
	struct stage *g = *state;

	sessions_open(g->sessions, 1, (const uint8_t *)text, sizeof text - 1, 1);
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 256, 1, 2);
	assert_int_equal(g->sets, 0);
}

static void
test_templates_belong_to_their_session_and_domain(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	stage_open(g, 2, "tcp", "b:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 8, 256, 1, 2);
	SEND(g, 2, 0, 7, 256, 1, 2);
	assert_int_equal(g->sets, 0);
	SEND(g, 1, 0, 7, 256, 1, 2);
	assert_int_equal(g->sets, 1);
}

static void
test_a_set_without_template_is_counted_and_not_taken_for_loss(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 0, 7, 300, 1, 2);
	SEND(g, 1, 9, 7, 2, PORTS(300));
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_NO_TEMPLATE], 1);
	assert_int_equal(g->counts.lost, 0);
}

static void
test_lost_counts_data_and_options_records(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	/* scope: observationDomainId; exportedMessageTotalCount as 2 bytes */
	SEND(g, 1, 0, 7, 3, 257, 2, 1, 149, 4, 41, 2);
	SEND(g, 1, 0, 7, 256, 1, 2, 3, 4);
	SEND(g, 1, 2, 7, 257, 0, 7, 1, 0, 7, 2);
	SEND(g, 1, 10, 7, 256, 1, 2);
	stage_counts(g);
	assert_int_equal(g->counts.options, 2);
	assert_int_equal(g->counts.records, 3);
	assert_int_equal(g->counts.lost, 6);
}

static void
test_padding_shorter_than_a_record_is_no_record(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 0, 7, 3, 257, 2, 1, 149, 4, 41, 2);
	SEND(g, 1, 0, 7, 257, 0, 7, 1, 0, 0);
	stage_counts(g);
	assert_int_equal(g->counts.options, 1);
}

static void
test_an_options_record_that_runs_over_is_a_bad_record(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	/* interfaceName, variable length; "ab", then a length of 200 */
	SEND(g, 1, 0, 7, 3, 257, 2, 1, 10, 1, 82, 65535);
	SEND(g, 1, 0, 7, 257, 0x0102, 0x6162, 0x01c8, 0x6161);
	stage_counts(g);
	assert_int_equal(g->counts.options, 1);
	assert_int_equal(g->counts.dropped[DROP_BAD_RECORD], 1);
}

static void
test_a_bad_record_in_the_tables_keeps_those_before_it(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	g->answer = -1;
	SEND(g, 1, 0, 7, 256, 1, 2, 3, 4);
	stage_counts(g);
	assert_int_equal(g->counts.records, 2);
	assert_int_equal(g->counts.dropped[DROP_BAD_RECORD], 1);
}

static void
test_a_set_longer_than_its_message_is_a_bad_message(void **state)
{
	struct stage *g = *state;
	uint8_t bytes[64];
	size_t n;

	stage_open(g, 1, "tcp", "a:1");
	n = stage_build(bytes, 0, 7, 256, (uint16_t[]){1, 2}, 2);
	store_u16(bytes + 18, 60);
	support_message(g->sessions, MESSAGE(1, 0, bytes, n, 1, 0));
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_BAD_MESSAGE], 1);
}

static void
test_messages_of_a_session_that_never_opened_are_counted(void **state)
{
	struct stage *g = *state;

	SEND(g, 99, 0, 7, 2, PORTS(256));
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_UNKNOWN_SESSION], 1);
	assert_string_equal(g->counts.identity->transport, "unknown");
}

static void
test_before_counting_only_templates_and_numbers_are_learned(void **state)
{
	struct stage *g = *state;

	sessions_set_counting(g->sessions, false);
	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 256, 1, 2, 3, 4);
	assert_int_equal(g->sets, 0);
	stage_counts(g);
	assert_int_equal(g->rows, 0);
	sessions_set_counting(g->sessions, true);
	SEND(g, 1, 3, 7, 256, 1, 2);
	stage_counts(g);
	assert_int_equal(g->counts.records, 1);
	assert_int_equal(g->counts.lost, 1);
}

static void
test_most_records_is_an_upper_bound(void **state)
{
	struct stage *g = *state;
	uint8_t bytes[64];
	size_t n;

	stage_open(g, 1, "tcp", "a:1");
	n = stage_build(bytes, 0, 7, 256, (uint16_t[]){1, 2, 3, 4}, 4);
	assert_int_equal(support_most_records(g->sessions, 1, bytes, n), 0);
	SEND(g, 1, 0, 7, 2, PORTS(256));
	assert_int_equal(support_most_records(g->sessions, 1, bytes, n), 2);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_data_sets_with_a_template_come_out),
	    CASE(test_the_rosters_name_and_domains_hold_for_what_the_session_sends),
	    CASE(test_domains_that_are_unreadable_permit_none),
	    CASE(test_templates_belong_to_their_session_and_domain),
	    CASE(test_a_set_without_template_is_counted_and_not_taken_for_loss),
	    CASE(test_lost_counts_data_and_options_records),
	    CASE(test_padding_shorter_than_a_record_is_no_record),
	    CASE(test_an_options_record_that_runs_over_is_a_bad_record),
	    CASE(test_a_bad_record_in_the_tables_keeps_those_before_it),
	    CASE(test_a_set_longer_than_its_message_is_a_bad_message),
	    CASE(test_messages_of_a_session_that_never_opened_are_counted),
	    CASE(test_before_counting_only_templates_and_numbers_are_learned),
	    CASE(test_most_records_is_an_upper_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
