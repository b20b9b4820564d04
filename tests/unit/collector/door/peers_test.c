/* Peers and their lists, around a listener that is nothing but its intake and loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "collector/door/door_private.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "tests/unit/collector/journal/support_journal.h"
#include "tests/unit/common/base/support_directory.h"

static struct listener l;

static int
set_up(void **state)
{
	int rc = scratch_set_up(state);

	l = (struct listener){.loop = loop_new(), .intake.out = ring_new(4)};
	l.intake.journal = scratch_open();
	return rc;
}

static int
tear_down(void **state)
{
	struct journal_buffer *b;

	while ((b = ring_pop(l.intake.out, 0)) != NULL) {
		journal_buffer_return(l.intake.journal, b);
	}
	ring_free(l.intake.out);
	journal_close(l.intake.journal);
	loop_free(l.loop);
	return support_directory_end(state);
}

/* Forwards and backwards. */
static void
expect_list(const struct peer_list *list, struct peer *const *expected, unsigned n)
{
	const struct peer *p = list->first, *q = list->last;

	assert_int_equal(list->count, n);
	for (unsigned i = 0; i < n; i++) {
		assert_ptr_equal(p, expected[i]);
		assert_ptr_equal(q, expected[n - 1 - i]);
		assert_ptr_equal(p->list, list);
		p = p->next;
		q = q->previous;
	}
	assert_null(p);
	assert_null(q);
}

static void
peers_go_to_the_end_of_the_list_that_they_move_to(void **state)
{
	struct peer p[3] = {0};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		peers_append(&l.half_open, &p[i]);
	}
	expect_list(&l.half_open, (struct peer *[]){&p[0], &p[1], &p[2]}, 3);
	peers_move(&p[1], &l.peers); /* from the middle */
	expect_list(&l.half_open, (struct peer *[]){&p[0], &p[2]}, 2);
	peers_move(&p[0], &l.peers); /* the first */
	peers_move(&p[2], &l.peers); /* the only one */
	expect_list(&l.half_open, NULL, 0);
	expect_list(&l.peers, (struct peer *[]){&p[1], &p[0], &p[2]}, 3);
	peers_move(&p[1], &l.peers); /* to where it is */
	expect_list(&l.peers, (struct peer *[]){&p[0], &p[2], &p[1]}, 3);
	peers_move(&p[1], &l.stuck); /* the last */
	expect_list(&l.peers, (struct peer *[]){&p[0], &p[2]}, 2);
}

static void
every_reason_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEERS_ENDS; i++) {
		assert_string_not_equal(peers_end_name(i), "unknown");
		for (unsigned k = 0; k < i; k++) {
			assert_string_not_equal(peers_end_name(i), peers_end_name(k));
		}
	}
	assert_string_equal(peers_end_name(PEERS_ENDS), "unknown");
	assert_string_equal(peers_end_name(PEERS_MUTE), "acks-unread");
}

static void
nobody_fills_the_log(void **state)
{
	unsigned lines = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		lines += peers_may_tell(&l);
	}
	assert_int_equal(lines, 10);
	assert_int_equal(l.untold, 990);
}

static void
refusals_are_noted_in_the_journal_up_to_a_hundred_a_second(void **state)
{
	static const char expected[] =
	    "transport=tls\npeer=192.0.2.1:5\nreason=address-full\n";
	struct journal_buffer *b;
	unsigned frames = 0;
	struct frame f;
	size_t at = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		peers_tell_refused(
		    &l, "tls", "192.0.2.1:5", "address-full", "192.0.2.1:5: too many");
	}
	assert_true(intake_pass(&l.intake));
	b = ring_pop(l.intake.out, 0);
	while (journal_buffer_next(b, &at, &f) == 1) {
		assert_int_equal(f.kind, FRAME_REFUSED);
		assert_int_equal(f.length, strlen(expected));
		assert_memory_equal(f.payload, expected, f.length);
		frames++;
	}
	journal_buffer_return(l.intake.journal, b);
	assert_int_equal(frames, 100);
}

static void
a_sync_is_moved_forward_and_never_back(void **state)
{
	uint64_t due;

	(void)state;
	peers_sync_within(&l, 60 * NS_PER_SECOND);
	due = l.sync_timer.due_ns;
	assert_true(due > clock_monotonic_ns());
	peers_sync_within(&l, 90 * NS_PER_SECOND);
	assert_int_equal(l.sync_timer.due_ns, due);
	peers_sync_within(&l, 30 * NS_PER_SECOND);
	assert_in_range(
	    due - l.sync_timer.due_ns, 25 * NS_PER_SECOND, 30 * NS_PER_SECOND);
	loop_timer_clear(l.loop, &l.sync_timer);
}

static void
a_full_journal_is_tried_less_often_than_a_busy_processing_thread(void **state)
{
	uint64_t before = clock_monotonic_ns();

	(void)state;
	l.intake.is_refused = true;
	peers_wait_for_room(&l);
	assert_true(l.retry_timer.due_ns >= before + NS_PER_SECOND);
	loop_timer_clear(l.loop, &l.retry_timer);
	l.intake.is_refused = false;
	before = clock_monotonic_ns();
	peers_wait_for_room(&l);
	assert_in_range(l.retry_timer.due_ns - before, 5 * NS_PER_MS, NS_PER_SECOND);
	loop_timer_clear(l.loop, &l.retry_timer);
}

static void
a_wait_for_room_ends_when_its_time_is_over(void **state)
{
	(void)state;
	assert_true(peers_wait_unstuck(&l, 0));
	/* The fifth buffer finds no room in the ring. */
	for (unsigned i = 0; i < 5; i++) {
		assert_true(intake_put(&l.intake, FRAME_TICK, 0, "", 0));
		(void)intake_pass(&l.intake);
	}
	assert_false(peers_wait_unstuck(&l, 0));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(peers_go_to_the_end_of_the_list_that_they_move_to),
	    CASE(every_reason_has_a_name_of_its_own),
	    CASE(nobody_fills_the_log),
	    CASE(refusals_are_noted_in_the_journal_up_to_a_hundred_a_second),
	    CASE(a_sync_is_moved_forward_and_never_back),
	    CASE(a_full_journal_is_tried_less_often_than_a_busy_processing_thread),
	    CASE(a_wait_for_room_ends_when_its_time_is_over),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
