/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/cursor.h"
#include "tests/unit/collector/session/support_message.h"
#include "tests/unit/collector/session/support_session.h"

#define MINUTE 60000000000u
#define HOUR   (60 * MINUTE)

static void
data_before_its_template_comes_out_with_it(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "a:1");
	g->now_ns = HOUR;
	SEND(g, 1, 0, 7, 256, 1, 2, 3, 4);
	SEND(g, 1, 2, 7, 256, 5, 6);
	assert_int_equal(g->sets, 0);
	assert_int_equal(sessions_held(g->sessions), 2);
	g->now_ns = HOUR + MINUTE;
	SEND(g, 1, 3, 7, 2, PORTS(256));
	assert_int_equal(g->sets, 2);
	assert_int_equal(g->arrival_ns, HOUR);
	assert_int_equal(sessions_held(g->sessions), 0);
	stage_counts(g);
	assert_int_equal(g->counts.records, 3);
	assert_int_equal(g->counts.dropped[DROP_NO_TEMPLATE], 0);
	assert_int_equal(g->counts.lost, 0);
}

static void
a_template_lets_go_only_what_it_is_of(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "a:1");
	SEND(g, 1, 0, 7, 256, 1, 2);
	SEND(g, 1, 1, 7, 257, 1, 2);
	SEND(g, 1, 2, 7, 258, 1, 2);
	SEND(g, 1, 3, 8, 257, 1, 2);
	SEND(g, 1, 3, 7, 2, PORTS(257));
	assert_int_equal(g->sets, 1);
	SEND(g, 1, 3, 7, 2, PORTS(258));
	SEND(g, 1, 3, 7, 2, PORTS(256));
	assert_int_equal(g->sets, 3);
	assert_int_equal(sessions_held(g->sessions), 1);
}

static void
options_that_were_held_are_read_too(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "a:1");
	SEND(g, 1, 0, 7, 257, 0, 7, 1);
	SEND(g, 1, 1, 7, 3, 257, 2, 1, 149, 4, 41, 2);
	stage_counts(g);
	assert_int_equal(g->counts.options, 1);
}

static void
what_has_waited_too_long_is_lost(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "a:1");
	stage_open(g, 2, "udp", "b:1");
	g->now_ns = HOUR;
	SEND(g, 1, 0, 7, 256, 1, 2);
	g->now_ns = 2 * HOUR;
	SEND(g, 2, 0, 9, 2, PORTS(256)); /* any message tells the time */
	assert_int_equal(sessions_held(g->sessions), 0);
	SEND(g, 1, 1, 7, 2, PORTS(256));
	assert_int_equal(g->sets, 0);
	sessions_close(g->sessions, 2, 2 * HOUR);
	stage_counts(g);
	assert_int_equal(g->rows, 2);
}

static void
what_does_not_fit_is_lost(void **state)
{
	static uint8_t bytes[60000];
	struct stage *g = *state;

	stage_open(g, 1, "udp", "a:1");
	stage_build(bytes, 0, 7, 256, NULL, 0);
	store_u16(bytes + 2, sizeof bytes);
	store_u16(bytes + 18, sizeof bytes - 16);
	for (unsigned i = 0; i < 20; i++) {
		support_message(g->sessions, MESSAGE(1, 0, bytes, sizeof bytes, 1, i));
	}
	stage_counts(g);
	assert_int_equal(sessions_held(g->sessions), 17); /* 1 MiB */
	assert_int_equal(g->counts.dropped[DROP_NO_TEMPLATE], 3);
	assert_true(support_most_records(g->sessions, 1, bytes, sizeof bytes) == 0);
	stage_build(bytes, 0, 7, 2, (uint16_t[]){PORTS(256)}, 6);
	assert_true(support_most_records(g->sessions, 1, bytes, 32) >= 4 * (59980 / 4));
}

/* Else every message with templates would have the tables stored to make room for what
 * never comes out. */
static void
what_is_held_comes_out_in_portions_that_fit_the_tables(void **state)
{
	static uint8_t bytes[60000];
	struct stage *g = *state;
	unsigned portions = 0;

	stage_open(g, 1, "udp", "a:1");
	stage_build(bytes, 0, 7, 256, NULL, 0);
	store_u16(bytes + 2, sizeof bytes);
	store_u16(bytes + 18, sizeof bytes - 16);
	for (unsigned i = 0; i < 17; i++) {
		support_message(g->sessions, MESSAGE(1, 0, bytes, sizeof bytes, 1, i));
	}
	while (sessions_held(g->sessions) > 0) {
		size_t n = stage_build(bytes, 0, 7, 2, (uint16_t[]){PORTS(256)}, 6);
		size_t most = support_most_records(g->sessions, 1, bytes, n);
		unsigned before = g->records;
		assert_true(most <= n + 65536);
		support_message(g->sessions, MESSAGE(1, 0, bytes, n, 1, 99));
		assert_true(g->records > before && g->records - before <= most);
		portions++;
	}
	assert_int_equal(g->records, 17 * (59980 / 4));
	assert_int_equal(portions, 5);
}

static void
what_one_peer_has_held_leaves_room_for_others(void **state)
{
	static uint8_t bytes[60000];
	struct stage *g = *state;
	unsigned held;

	stage_open(g, 1, "udp", "a:1");
	stage_open(g, 2, "udp", "b:1");
	for (unsigned i = 0; i < 4 * 17; i++) {
		stage_build(bytes, 0, i % 4, 256, NULL, 0);
		store_u16(bytes + 2, sizeof bytes);
		store_u16(bytes + 18, sizeof bytes - 16);
		support_message(g->sessions, MESSAGE(1, 0, bytes, sizeof bytes, 1, i));
	}
	held = sessions_held(g->sessions);
	assert_int_equal(held, 34); /* 2 MiB */
	support_message(g->sessions, MESSAGE(2, 0, bytes, sizeof bytes, 1, 99));
	assert_int_equal(sessions_held(g->sessions), held + 1);
}

static void
sets_that_are_held_are_bounded_in_number(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "a:1");
	for (unsigned i = 0; i < 5000; i++) {
		SEND(g, 1, 0, 7, 256, 1, 2);
	}
	assert_int_equal(sessions_held(g->sessions), 4096);
}

static void
streams_hold_nothing_back(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 0, 7, 256, 1, 2);
	assert_int_equal(sessions_held(g->sessions), 0);
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_NO_TEMPLATE], 1);
}

static void
before_counting_what_was_let_go_is_not_stored_again(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "a:1");
	sessions_set_counting(g->sessions, false);
	SEND(g, 1, 0, 7, 256, 1, 2);
	SEND(g, 1, 0, 7, 257, 1, 2);
	SEND(g, 1, 0, 7, 2, PORTS(256));
	sessions_set_counting(g->sessions, true);
	assert_int_equal(g->sets, 0);
	SEND(g, 1, 0, 7, 2, PORTS(257));
	assert_int_equal(g->sets, 1);
	stage_counts(g);
	assert_int_equal(g->counts.records, 1);
}

/* What sessions with templates that live for an hour know. */
static void
restart_with_lifetime(struct stage *g)
{
	sessions_free(g->sessions);
	g->template_lifetime_ns = HOUR;
	g->sessions = stage_sessions(g);
	stage_open(g, 1, "udp", "a:1");
	stage_open(g, 2, "tcp", "b:1");
	g->now_ns = 10 * HOUR;
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 2, 0, 7, 2, PORTS(256));
}

static void
a_template_that_is_not_repeated_is_forgotten(void **state)
{
	struct stage *g = *state;

	restart_with_lifetime(g);
	g->now_ns = 11 * HOUR;
	SEND(g, 1, 0, 7, 256, 1, 2);
	assert_int_equal(g->sets, 1);
	g->now_ns = 11 * HOUR + 1;
	SEND(g, 1, 1, 7, 256, 1, 2);
	assert_int_equal(g->sets, 1);
	SEND(g, 2, 0, 7, 256, 1, 2); /* streams keep theirs */
	assert_int_equal(g->sets, 2);
	SEND(g, 1, 2, 7, 2, PORTS(256));
	assert_int_equal(g->sets, 3);
}

static void
a_template_that_is_repeated_lives_on(void **state)
{
	struct stage *g = *state;

	restart_with_lifetime(g);
	g->now_ns = 11 * HOUR;
	SEND(g, 1, 0, 7, 2, PORTS(256));
	g->now_ns = 12 * HOUR;
	SEND(g, 1, 0, 7, 256, 1, 2);
	assert_int_equal(g->sets, 1);
}

static void
forgotten_templates_make_room(void **state)
{
	struct stage *g = *state;

	restart_with_lifetime(g);
	for (uint16_t id = 257; id < 264; id++) {
		SEND(g, 1, 0, 7, 2, PORTS(id));
	}
	SEND(g, 1, 0, 7, 2, PORTS(300));
	stage_counts(g);
	g->now_ns = 12 * HOUR;
	SEND(g, 1, 0, 7, 2, PORTS(300));
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_REFUSED_TEMPLATE], 0);
	assert_int_equal(g->counts.templates, 1);
}

static void
the_next_session_of_a_peer_goes_on_with_its_templates(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "192.0.2.1:9");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 300, 1, 2);
	sessions_close(g->sessions, 1, 99);
	stage_open(g, 2, "udp", "192.0.2.2:9");
	SEND(g, 2, 0, 7, 256, 1, 2);
	assert_int_equal(g->sets, 0);
	stage_open(g, 3, "udp", "192.0.2.1:9");
	SEND(g, 3, 1, 7, 256, 1, 2);
	assert_int_equal(g->sets, 1);
	SEND(g, 3, 4, 7, 2, PORTS(300));
	assert_int_equal(g->sets, 2);
	assert_int_equal(sessions_held(g->sessions), 1);
}

static void
streams_begin_anew(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "192.0.2.1:9");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	sessions_close(g->sessions, 1, 99);
	stage_open(g, 3, "tcp", "192.0.2.1:9");
	SEND(g, 3, 1, 7, 256, 1, 2);
	assert_int_equal(g->sets, 0);
}

static void
what_closed_sessions_left_is_bounded(void **state)
{
	struct stage *g = *state;

	for (uint32_t i = 1; i < 20; i++) {
		char peer[32];
		snprintf(peer, sizeof peer, "192.0.2.%u:9", i);
		stage_open(g, i, "udp", peer);
		SEND(g, i, 0, 7, 300, 1, 2);
		sessions_close(g->sessions, i, 99);
	}
	assert_true(sessions_held(g->sessions) <= 4);
	sessions_take_counts(g->sessions, stage_take_counts, g);
	assert_int_equal(g->rows, 19);
}

static void
a_snapshot_holds_what_waits_and_what_sessions_left(void **state)
{
	char path[] = "/tmp/session_held_test_XXXXXX";
	struct stage *g = *state;
	struct err e;

	restart_with_lifetime(g);
	SEND(g, 1, 0, 7, 300, 1, 2);
	SEND(g, 1, 1, 8, 301, 1, 2);
	SEND(g, 1, 2, 7, 300, 1, 2);
	sessions_close(g->sessions, 1, 99);
	close(mkstemp(path));
	assert_int_equal(sessions_save(g->sessions, path, &e), 0);
	sessions_free(g->sessions);
	g->sessions = stage_sessions(g);
	assert_int_equal(sessions_load(g->sessions, path, &e), 0);
	unlink(path);
	assert_int_equal(sessions_held(g->sessions), 3);
	g->now_ns += MINUTE;
	stage_open(g, 9, "udp", "a:1");
	SEND(g, 9, 3, 7, 256, 1, 2);
	assert_int_equal(g->sets, 1);
	SEND(g, 9, 4, 7, 2, PORTS(300));
	assert_int_equal(g->sets, 3);
	assert_int_equal(g->arrival_ns, 10 * HOUR);
	g->now_ns = 11 * HOUR + 1;
	SEND(g, 9, 4, 7, 256, 1, 2); /* known since 10 hours */
	assert_int_equal(g->sets, 3);
	assert_int_equal(sessions_held(g->sessions), 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(data_before_its_template_comes_out_with_it),
	    CASE(a_template_lets_go_only_what_it_is_of),
	    CASE(options_that_were_held_are_read_too),
	    CASE(what_has_waited_too_long_is_lost),
	    CASE(what_does_not_fit_is_lost),
	    CASE(what_is_held_comes_out_in_portions_that_fit_the_tables),
	    CASE(what_one_peer_has_held_leaves_room_for_others),
	    CASE(sets_that_are_held_are_bounded_in_number),
	    CASE(streams_hold_nothing_back),
	    CASE(before_counting_what_was_let_go_is_not_stored_again),
	    CASE(a_template_that_is_not_repeated_is_forgotten),
	    CASE(a_template_that_is_repeated_lives_on),
	    CASE(forgotten_templates_make_room),
	    CASE(the_next_session_of_a_peer_goes_on_with_its_templates),
	    CASE(streams_begin_anew),
	    CASE(what_closed_sessions_left_is_bounded),
	    CASE(a_snapshot_holds_what_waits_and_what_sessions_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
