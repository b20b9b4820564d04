/* Sessions of exporters with a spool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/collector/session/support_session.h"

static const uint8_t spool[16] = {0xab, 1};

static void
open_spool(struct stage *g, uint32_t session, uint64_t start, uint32_t preamble,
    uint64_t lost_records)
{
	struct session_identity id = {.transport = "tls",
	    .peer = {{{[10] = 0xff, 0xff, 192, 0, 2, 1}}, 5},
	    .identity = "a.example",
	    .delivery = {.is_on = true,
		.first = start,
		.start = start,
		.preamble = preamble,
		.lost_records = lost_records}};
	char text[SESSION_IDENTITY_TEXT];
	size_t n;

	memcpy(id.delivery.spool, spool, sizeof spool);
	n = session_identity_write(&id, text, sizeof text);
	assert_int_not_equal(n, 0);
	sessions_open(g->sessions, session, (uint8_t *)text, n, 5);
}

static uint64_t
watermark(struct stage *g)
{
	const struct watermark *m =
	    watermarks_find(sessions_watermarks(g->sessions), "a.example", spool);

	assert_non_null(m);
	return m->next;
}

static void
send_template(struct stage *g, uint32_t session)
{
	SEND(g, session, 0, 7, 2, PORTS(256));
}

static void
send_data(struct stage *g, uint32_t session, unsigned messages)
{
	for (uint32_t i = 0; i < messages; i++) {
		SEND(g, session, i, 7, 256, 1, 2);
	}
}

static void
save_and_load(struct stage *g)
{
	char path[] = "/tmp/session_delivery_test_XXXXXX";
	struct err e = {""};

	close(mkstemp(path));
	if (sessions_save(g->sessions, path, &e) < 0) {
		fail_msg("%s", e.text);
	}
	sessions_free(g->sessions);
	g->sessions = stage_sessions(g);
	if (sessions_load(g->sessions, path, &e) < 0) {
		fail_msg("%s", e.text);
	}
	unlink(path);
}

static void
messages_after_the_preamble_have_numbers(void **state)
{
	struct stage *g = *state;

	open_spool(g, 1, 100, 2, 0);
	assert_int_equal(watermark(g), 100);
	send_template(g, 1);
	send_template(g, 1);
	assert_int_equal(watermark(g), 100);
	send_data(g, 1, 3);
	assert_int_equal(watermark(g), 103);
	assert_int_equal(g->records, 3);
	sessions_skip_message(g->sessions, 1);
	assert_int_equal(watermark(g), 104);
}

static void
what_comes_again_is_not_counted_again(void **state)
{
	struct stage *g = *state;

	open_spool(g, 1, 0, 1, 0);
	send_template(g, 1);
	send_data(g, 1, 10);
	sessions_close(g->sessions, 1, 6);
	stage_counts(g);
	g->records = 0;
	open_spool(g, 2, 7, 1, 0);
	send_template(g, 2);
	send_data(g, 2, 5); /* 7 to 11 */
	assert_int_equal(g->records, 2);
	assert_int_equal(watermark(g), 12);
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_REPEATED], 3);
	assert_int_equal(g->counts.records, 2);
	assert_int_equal(g->counts.lost, 0);
}

static void
a_start_beyond_the_watermark_moves_it(void **state)
{
	struct stage *g = *state;

	open_spool(g, 1, 0, 0, 0);
	open_spool(g, 2, 50, 0, 0);
	assert_int_equal(watermark(g), 50);
}

static void
what_follows_a_gap_comes_again(void **state)
{
	struct stage *g = *state;

	open_spool(g, 1, 0, 1, 0);
	send_template(g, 1);
	send_data(g, 1, 10);
	sessions_break_off(g->sessions); /* frames of it are missing here */
	send_data(g, 1, 5);
	assert_int_equal(watermark(g), 10);
	assert_int_equal(g->records, 10);
	save_and_load(g);
	send_data(g, 1, 5);
	assert_int_equal(watermark(g), 10);
	open_spool(g, 2, 10, 1, 0);
	send_template(g, 2);
	send_data(g, 2, 5);
	assert_int_equal(watermark(g), 15);
	assert_int_equal(g->records, 15);
}

/* It began with a number whose predecessors were lost after all. */
static void
a_session_that_is_ahead_comes_again(void **state)
{
	struct session_identity id = {.transport = "tls",
	    .peer = {{{[10] = 0xff, 0xff, 192, 0, 2, 1}}, 5},
	    .identity = "a.example",
	    .delivery = {.is_on = true, .first = 5, .start = 15}};
	struct stage *g = *state;
	char text[SESSION_IDENTITY_TEXT];
	size_t n;

	open_spool(g, 1, 0, 1, 0);
	send_template(g, 1);
	send_data(g, 1, 10);
	memcpy(id.delivery.spool, spool, sizeof spool);
	n = session_identity_write(&id, text, sizeof text);
	sessions_open(g->sessions, 2, (uint8_t *)text, n, 5);
	send_template(g, 2);
	send_data(g, 2, 5);
	assert_int_equal(watermark(g), 10);
	assert_int_equal(g->records, 10);
}

/* Full tables need not forget the same spool. */
static void
a_spool_that_is_known_to_the_listener_alone_goes_on_where_that_says(void **state)
{
	struct session_identity id = {.transport = "tls",
	    .peer = {{{[10] = 0xff, 0xff, 192, 0, 2, 1}}, 5},
	    .identity = "a.example",
	    .delivery = {.is_on = true, .first = 5, .start = 15}};
	struct stage *g = *state;
	char text[SESSION_IDENTITY_TEXT];
	size_t n;

	memcpy(id.delivery.spool, spool, sizeof spool);
	n = session_identity_write(&id, text, sizeof text);
	sessions_open(g->sessions, 1, (uint8_t *)text, n, 5);
	assert_int_equal(watermark(g), 15);
	SEND(g, 1, 0, 7, 2, PORTS(256)); /* numbered, as there is no preamble */
	send_data(g, 1, 5);
	assert_int_equal(watermark(g), 21);
	assert_int_equal(g->records, 5);
}

static void
what_the_spool_lost_counts_once_with_the_first_domain(void **state)
{
	struct stage *g = *state;

	open_spool(g, 1, 0, 1, 40);
	send_template(g, 1);
	stage_counts(g);
	assert_int_equal(g->counts.domain, 7);
	assert_int_equal(g->counts.lost, 40);
	send_data(g, 1, 2);
	sessions_close(g->sessions, 1, 6);
	open_spool(g, 2, 2, 1, 40);
	send_template(g, 2);
	stage_counts(g);
	assert_int_equal(g->counts.lost, 0);
	sessions_close(g->sessions, 2, 6);
	open_spool(g, 3, 2, 1, 45);
	send_template(g, 3);
	stage_counts(g);
	assert_int_equal(g->counts.lost, 5);
}

static void
what_the_spool_lost_counts_without_any_message_too(void **state)
{
	struct stage *g = *state;

	open_spool(g, 1, 0, 1, 40);
	sessions_close(g->sessions, 1, 6);
	stage_counts(g);
	assert_int_equal(g->rows, 1);
	assert_int_equal(g->counts.lost, 40);
	assert_int_equal(g->counts.domain, 0);
}

static void
before_counting_loss_and_numbers_are_learned(void **state)
{
	struct stage *g = *state;

	sessions_set_counting(g->sessions, false);
	open_spool(g, 1, 0, 0, 40);
	send_data(g, 1, 4);
	sessions_set_counting(g->sessions, true);
	send_data(g, 1, 1);
	assert_int_equal(watermark(g), 5);
	stage_counts(g);
	assert_int_equal(g->counts.lost, 0);
	assert_int_equal(g->counts.messages, 1);
}

static void
a_snapshot_keeps_watermarks_and_numbers(void **state)
{
	struct stage *g = *state;

	open_spool(g, 1, 10, 3, 8);
	send_template(g, 1);
	stage_counts(g);
	save_and_load(g);
	send_template(g, 1);
	send_template(g, 1);
	assert_int_equal(watermark(g), 10);
	send_data(g, 1, 2);
	assert_int_equal(watermark(g), 12);
	save_and_load(g);
	send_data(g, 1, 1);
	assert_int_equal(watermark(g), 13);
	sessions_close(g->sessions, 1, 6);
	save_and_load(g);
	assert_int_equal(watermark(g), 13);
	stage_counts(g);
	open_spool(g, 2, 11, 0, 8);
	send_data(g, 2, 3);
	assert_int_equal(watermark(g), 14);
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_REPEATED], 2);
	assert_int_equal(g->counts.lost, 0);
}

static void
loss_that_waits_for_a_domain_is_in_the_snapshot(void **state)
{
	struct stage *g = *state;

	open_spool(g, 1, 10, 1, 8);
	save_and_load(g);
	send_template(g, 1);
	stage_counts(g);
	assert_int_equal(g->counts.lost, 8);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(messages_after_the_preamble_have_numbers),
	    CASE(what_comes_again_is_not_counted_again),
	    CASE(a_start_beyond_the_watermark_moves_it),
	    CASE(what_follows_a_gap_comes_again),
	    CASE(a_session_that_is_ahead_comes_again),
	    CASE(a_spool_that_is_known_to_the_listener_alone_goes_on_where_that_says),
	    CASE(what_the_spool_lost_counts_once_with_the_first_domain),
	    CASE(what_the_spool_lost_counts_without_any_message_too),
	    CASE(before_counting_loss_and_numbers_are_learned),
	    CASE(a_snapshot_keeps_watermarks_and_numbers),
	    CASE(loss_that_waits_for_a_domain_is_in_the_snapshot),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
