/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/collector/session/support_session.h"

static void
each_stream_has_sequence_numbers_of_its_own(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "sctp", "192.0.2.1:9");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	for (uint32_t i = 0; i < 4; i++) {
		stage_send_on(g, 1, i);
		stage_send_on(g, 9, 100 + 2 * i); /* one of two is missing */
		stage_send_on(g, 2, i);
	}
	sessions_close(g->sessions, 1, 99);
	stage_counts(g);
	assert_int_equal(g->counts.lost, 3);
	assert_int_equal(g->counts.reordered, 0);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)
	const struct CMUnitTest tests[] = {
	    CASE(each_stream_has_sequence_numbers_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
