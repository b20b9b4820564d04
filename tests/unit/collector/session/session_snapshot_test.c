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
#include "tests/unit/collector/session/support_session.h"

static void
a_snapshot_goes_on_where_it_was(void **state)
{
	struct stage *g = *state;
	char path[] = "/tmp/session_snapshot_test_XXXXXX";
	struct err e = {""};

	close(mkstemp(path));
	stage_open(g, 1, "udp", "192.0.2.1:9");
	stage_open(g, 2, "tcp", "192.0.2.2:9");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 256, 1, 2);
	SEND(g, 1, 3, 7, 256, 1, 2); /* a gap of 2 stays open */
	stage_teach(g, 2, "colourOfPacket");
	assert_int_equal(sessions_save(g->sessions, path, &e), 0);
	sessions_free(g->sessions);
	elements_free(g->elements);
	g->elements = elements_new(ELEMENT_PEN_OWN);
	g->sessions = stage_sessions(g);
	if (sessions_load(g->sessions, path, &e) < 0) {
		fail_msg("%s", e.text);
	}
	assert_non_null(elements_find(g->elements, 9999, 12));
	g->records = 0;
	SEND(g, 1, 10, 7, 256, 1, 2);
	assert_int_equal(g->records, 1);
	assert_string_equal(g->exporter, "192.0.2.1");
	sessions_close(g->sessions, 1, 99);
	stage_counts(g);
	assert_int_equal(g->counts.lost, 2 + 6);
	unlink(path);
}

static void
a_snapshot_holds_every_stream(void **state)
{
	struct stage *g = *state;
	char path[] = "/tmp/session_snapshot_test_XXXXXX";
	struct err e = {""};

	close(mkstemp(path));
	stage_open(g, 1, "sctp", "192.0.2.1:9");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	stage_send_on(g, 3, 10);
	stage_send_on(g, 65535, 20);
	assert_int_equal(sessions_save(g->sessions, path, &e), 0);
	sessions_free(g->sessions);
	g->sessions = stage_sessions(g);
	if (sessions_load(g->sessions, path, &e) < 0) {
		fail_msg("%s", e.text);
	}
	stage_send_on(g, 3, 13);
	stage_send_on(g, 65535, 21);
	sessions_close(g->sessions, 1, 99);
	stage_counts(g);
	assert_int_equal(g->counts.lost, 2);
	unlink(path);
}

static void
a_damaged_snapshot_is_an_error_and_an_empty_one_is_nothing(void **state)
{
	struct stage *g = *state;
	char path[] = "/tmp/session_snapshot_test_XXXXXX";
	struct err e = {""};
	FILE *f;

	close(mkstemp(path));
	assert_int_equal(sessions_load(g->sessions, path, &e), 0);
	f = fopen(path, "w");
	fputs("not a snapshot of sessions", f);
	fclose(f);
	assert_true(sessions_load(g->sessions, path, &e) < 0);
	assert_non_null(strstr(e.text, "is damaged"));
	unlink(path);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)
	const struct CMUnitTest tests[] = {
	    CASE(a_snapshot_goes_on_where_it_was),
	    CASE(a_snapshot_holds_every_stream),
	    CASE(a_damaged_snapshot_is_an_error_and_an_empty_one_is_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
