/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/collector/session/support_session.h"

static void
domains_are_bounded(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	for (uint32_t domain = 1; domain < 8; domain++) {
		SEND(g, 1, 0, domain, 2, PORTS(256));
	}
	sessions_take_counts(g->sessions, stage_take_counts, g);
	assert_int_equal(g->rows, 5); /* four, and domain 0 for the rest */
	assert_int_equal(g->refused_domain, 3);
}

static void
one_session_cannot_keep_anothers_domains_out(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	for (uint32_t domain = 1; domain < 8; domain++) {
		SEND(g, 1, 0, domain, 2, PORTS(256));
	}
	stage_open(g, 2, "tcp", "b:1");
	SEND(g, 2, 0, 9, 2, PORTS(256));
	SEND(g, 2, 0, 9, 256, 1, 2);
	assert_int_equal(g->sets, 1);
}

static void
domains_are_found_in_whatever_order_they_came(void **state)
{
	static const uint32_t order[] = {4000000000, 3, 0, 70};
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	for (unsigned i = 0; i < 4; i++) {
		SEND(g, 1, 0, order[i], 2, PORTS(256 + i));
	}
	for (unsigned i = 0; i < 4; i++) {
		SEND(g, 1, 0, order[i], 256 + i, 1, 2);
		assert_int_equal(g->sets, i + 1);
	}
	sessions_take_counts(g->sessions, stage_take_counts, g);
	assert_int_equal(g->rows, 4);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)
	const struct CMUnitTest tests[] = {
	    CASE(domains_are_bounded),
	    CASE(one_session_cannot_keep_anothers_domains_out),
	    CASE(domains_are_found_in_whatever_order_they_came),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
