/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "collector/session/session.h"
#include "tests/unit/collector/session/support_session.h"

/* A sender of datagrams that comes, says what its templates are, and goes. */
static void
visit(struct stage *g, uint32_t number)
{
	char peer[32];

	snprintf(peer, sizeof peer, "192.0.2.%u:9", number);
	stage_open(g, number, "udp", peer);
	SEND(g, number, 0, 7, 2, PORTS(256));
	sessions_close(g->sessions, number, 99);
}

static bool
is_known(struct stage *g, uint32_t number, uint32_t visitor)
{
	unsigned before = g->sets;
	char peer[32];

	snprintf(peer, sizeof peer, "192.0.2.%u:9", visitor);
	stage_open(g, number, "udp", peer);
	SEND(g, number, 1, 7, 256, 1, 2);
	return g->sets > before;
}

static void
a_quiet_session_outlives_all_that_others_left_behind(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tls", "192.0.2.1:9");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	for (uint32_t i = 2; i < 20; i++) {
		visit(g, i);
	}
	SEND(g, 1, 0, 7, 256, 1, 2);
	assert_int_equal(g->sets, 1);
}

static void
what_was_left_first_goes_first(void **state)
{
	struct stage *g = *state;

	for (uint32_t i = 1; i <= 5; i++) {
		visit(g, i);
	}
	assert_false(is_known(g, 11, 1));
	assert_true(is_known(g, 13, 3));
	assert_true(is_known(g, 15, 5));
}

static void
who_came_back_is_no_longer_the_one_to_go(void **state)
{
	struct stage *g = *state;

	for (uint32_t i = 1; i <= 4; i++) {
		visit(g, i);
	}
	assert_true(is_known(g, 11, 1));
	visit(g, 5);
	SEND(g, 11, 2, 7, 256, 1, 2);
	assert_int_equal(g->sets, 2);
	assert_false(is_known(g, 12, 2));
}

static void
after_a_snapshot_the_same_one_goes_first(void **state)
{
	char path[] = "/tmp/session_orphan_test_XXXXXX";
	struct stage *g = *state;
	struct err e;

	for (uint32_t i = 4; i >= 1; i--) {
		visit(g, i);
	}
	close(mkstemp(path));
	assert_int_equal(sessions_save(g->sessions, path, &e), 0);
	sessions_free(g->sessions);
	g->sessions = stage_sessions(g);
	assert_int_equal(sessions_load(g->sessions, path, &e), 0);
	unlink(path);
	visit(g, 5);
	assert_true(is_known(g, 11, 1));
	assert_true(is_known(g, 13, 3));
	assert_false(is_known(g, 14, 4));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_quiet_session_outlives_all_that_others_left_behind),
	    CASE(what_was_left_first_goes_first),
	    CASE(who_came_back_is_no_longer_the_one_to_go),
	    CASE(after_a_snapshot_the_same_one_goes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
