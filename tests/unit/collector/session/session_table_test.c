/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/collector/session/support_session.h"

static void
ipv6_peers_are_named_without_port_and_files_as_they_are(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "[2001:db8::1]:4739");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 256, 1, 2);
	assert_string_equal(g->exporter, "2001:db8::1");
	stage_open(g, 2, "file", "a:b.ipfix");
	SEND(g, 2, 0, 7, 2, PORTS(256));
	SEND(g, 2, 0, 7, 256, 1, 2);
	assert_string_equal(g->exporter, "a:b.ipfix");
}

static void
sessions_are_bounded_and_the_idle_one_goes(void **state)
{
	struct stage *g = *state;

	for (uint32_t i = 1; i <= 4; i++) {
		stage_open(g, i, "udp", "a:1");
		SEND(g, i, 0, 1, 2, PORTS(256));
	}
	SEND(g, 1, 0, 1, 256, 1, 2);
	stage_open(g, 5, "udp", "b:1");
	SEND(g, 2, 0, 1, 256, 1, 2);
	assert_int_equal(g->sets, 1);
	SEND(g, 1, 1, 1, 256, 1, 2);
	assert_int_equal(g->sets, 2);
}

static void
counters_of_a_closed_session_can_still_be_taken(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "a:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 256, 1, 2);
	SEND(g, 1, 5, 7, 256, 1, 2);
	sessions_close(g->sessions, 1, 88);
	stage_counts(g);
	assert_int_equal(g->rows, 1);
	assert_int_equal(g->counts.records, 2);
	assert_int_equal(g->counts.lost, 4);
}

static void
loss_that_shows_at_the_close_has_a_time(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "a:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 256, 1, 2);
	SEND(g, 1, 5, 7, 256, 1, 2);
	stage_counts(g);
	assert_int_equal(g->counts.lost, 0);
	sessions_close(g->sessions, 1, 88);
	stage_counts(g);
	assert_int_equal(g->counts.lost, 4);
	assert_int_equal(g->counts.first_ns, 88);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)
	const struct CMUnitTest tests[] = {
	    CASE(ipv6_peers_are_named_without_port_and_files_as_they_are),
	    CASE(sessions_are_bounded_and_the_idle_one_goes),
	    CASE(counters_of_a_closed_session_can_still_be_taken),
	    CASE(loss_that_shows_at_the_close_has_a_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
