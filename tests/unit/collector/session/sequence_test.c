/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/session/sequence.h"

static uint64_t lost;
static unsigned late;

static int
set_up(void **state)
{
	static struct sequence s;

	s = (struct sequence){0};
	lost = late = 0;
	*state = &s;
	return 0;
}

static void
take(struct sequence *s, uint32_t number, uint32_t records, bool can_reorder)
{
	const struct sequence_step m = {.number = number,
	    .records = records,
	    .is_certain = true,
	    .can_reorder = can_reorder};
	struct sequence_result r;

	sequence_message(s, &m, &r);
	lost += r.lost;
	late += r.is_late;
}

static void
test_messages_in_order_lose_nothing(void **state)
{
	take(*state, 100, 10, false);
	take(*state, 110, 5, false);
	take(*state, 115, 0, false);
	take(*state, 115, 3, false);
	assert_int_equal(lost, 0);
}

static void
test_a_step_forward_is_that_many_records_lost(void **state)
{
	take(*state, 0, 10, false);
	take(*state, 25, 5, false);
	assert_int_equal(lost, 15);
}

static void
test_the_number_wraps_at_32_bits(void **state)
{
	take(*state, 0xfffffff0u, 10, false);
	take(*state, 2, 5, false);
	assert_int_equal(lost, 8);
	take(*state, 7, 1, false);
	assert_int_equal(lost, 8);
}

static void
test_a_step_back_on_a_stream_is_an_exporter_that_began_again(void **state)
{
	take(*state, 5000, 10, false);
	take(*state, 0, 10, false);
	take(*state, 10, 10, false);
	assert_int_equal(lost, 0);
	assert_int_equal(late, 0);
}

static void
test_uncounted_records_are_not_taken_for_loss(void **state)
{
	const struct sequence_step uncertain = {.number = 0, .records = 3};
	struct sequence_result r;

	sequence_message(*state, &uncertain, &r);
	take(*state, 40, 5, false);
	assert_int_equal(lost, 0);
	take(*state, 50, 5, false);
	assert_int_equal(lost, 5);
}

static void
test_a_late_message_fills_its_gap(void **state)
{
	struct sequence *s = *state;

	take(s, 0, 10, true);
	take(s, 20, 10, true);
	take(s, 10, 10, true);
	take(s, 30, 10, true);
	assert_int_equal(late, 1);
	assert_int_equal(lost + sequence_end(s), 0);
}

static void
test_part_of_a_gap_that_never_comes_is_lost_in_time(void **state)
{
	struct sequence *s = *state;

	take(s, 0, 10, true);
	take(s, 40, 10, true);
	take(s, 20, 10, true);
	for (uint32_t i = 0; i < SEQUENCE_PATIENCE; i++) {
		take(s, 50 + i, 1, true);
	}
	assert_int_equal(lost, 20);
	assert_int_equal(s->gap_count, 0);
}

static void
test_gaps_that_are_open_at_the_end_are_lost(void **state)
{
	take(*state, 0, 10, true);
	take(*state, 17, 10, true);
	assert_int_equal(lost, 0);
	assert_int_equal(sequence_end(*state), 7);
}

static void
test_two_old_numbers_in_a_row_are_a_new_beginning(void **state)
{
	struct sequence *s = *state;

	take(s, 5000, 10, true);
	take(s, 0, 10, true);
	take(s, 10, 10, true);
	take(s, 20, 10, true);
	assert_int_equal(lost + sequence_end(s), 0);
	take(s, 35, 5, true);
	assert_int_equal(sequence_end(s), 5);
}

static void
test_a_duplicate_changes_nothing(void **state)
{
	struct sequence *s = *state;

	take(s, 0, 10, true);
	take(s, 10, 10, true);
	take(s, 10, 10, true);
	take(s, 20, 10, true);
	assert_int_equal(late, 1);
	assert_int_equal(lost + sequence_end(s), 0);
}

static void
test_more_gaps_than_are_kept_lose_the_oldest(void **state)
{
	struct sequence *s = *state;

	for (uint32_t i = 0; i < SEQUENCE_GAPS + 3; i++) {
		take(s, 10 * i, 9, true);
	}
	assert_int_equal(lost + sequence_end(s), SEQUENCE_GAPS + 2);
}

#define CASE(f) cmocka_unit_test_setup(f, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_messages_in_order_lose_nothing),
	    CASE(test_a_step_forward_is_that_many_records_lost),
	    CASE(test_the_number_wraps_at_32_bits),
	    CASE(test_a_step_back_on_a_stream_is_an_exporter_that_began_again),
	    CASE(test_uncounted_records_are_not_taken_for_loss),
	    CASE(test_a_late_message_fills_its_gap),
	    CASE(test_part_of_a_gap_that_never_comes_is_lost_in_time),
	    CASE(test_gaps_that_are_open_at_the_end_are_lost),
	    CASE(test_two_old_numbers_in_a_row_are_a_new_beginning),
	    CASE(test_a_duplicate_changes_nothing),
	    CASE(test_more_gaps_than_are_kept_lose_the_oldest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
