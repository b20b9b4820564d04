/* The intake between a real journal and a ring that the test empties. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/door/intake.h"
#include "common/base/log.h"
#include "tests/unit/collector/journal/support_journal.h"

#define PAYLOAD 60000u /* of a frame of messages */

static struct intake intake;

static void
open_intake(unsigned ring)
{
	intake = (struct intake){.journal = scratch_open(), .out = ring_new(ring)};
	assert_non_null(intake.out);
}

/* Frames of the oldest buffer in the ring, given back; 0: none is there. */
static unsigned
take_buffer(void)
{
	struct journal_buffer *b = ring_pop(intake.out, 0);
	struct frame f;
	size_t at = 0;
	unsigned n = 0;

	while (b != NULL && journal_buffer_next(b, &at, &f) == 1) {
		n++;
	}
	if (b != NULL) {
		journal_buffer_return(intake.journal, b);
	}
	return n;
}

static void
close_intake(void)
{
	while (take_buffer() > 0) {
	}
	ring_free(intake.out);
	journal_close(intake.journal);
}

static bool
put(char letter)
{
	return intake_put(&intake, FRAME_TICK, 0, &letter, 1);
}

static void
frames_are_handed_on_together_when_they_are_passed(void **state)
{
	size_t n = 0;

	(void)state;
	open_intake(4);
	assert_true(put('a'));
	assert_non_null(intake_room(&intake, &n));
	assert_true(n >= 65536);
	assert_true(put('b'));
	assert_int_equal(take_buffer(), 0);
	assert_true(intake_pass(&intake));
	assert_int_equal(take_buffer(), 2);
	assert_int_equal(intake.added, 2);
	close_intake();
}

static void
without_frames_nothing_is_handed_on(void **state)
{
	(void)state;
	open_intake(4);
	assert_true(intake_pass(&intake));
	assert_int_equal(take_buffer(), 0);
	close_intake();
}

static void
a_full_ring_makes_it_wait_and_loses_nothing(void **state)
{
	size_t n;

	(void)state;
	open_intake(1);
	assert_true(put('a'));
	assert_true(intake_pass(&intake));
	assert_true(put('b'));
	assert_true(put('c'));
	assert_false(intake_pass(&intake)); /* written, and held */
	assert_null(intake_room(&intake, &n));
	assert_false(put('d'));
	assert_int_equal(take_buffer(), 1);
	assert_true(intake_pass(&intake));
	assert_int_equal(take_buffer(), 2);
	assert_true(put('d'));
	close_intake();
}

static void
it_waits_for_a_buffer_that_is_being_processed(void **state)
{
	struct journal_buffer *b;

	(void)state;
	scratch.buffers = 1;
	open_intake(4);
	assert_true(put('a'));
	assert_false(intake_pass(&intake)); /* handed on, but there is no other */
	assert_false(put('b'));
	b = ring_pop(intake.out, 0);
	assert_non_null(b);
	assert_false(intake_pass(&intake));
	journal_buffer_return(intake.journal, b);
	assert_true(intake_pass(&intake));
	assert_true(put('b'));
	close_intake();
}

/* Fills the journal; each buffer is processed at once. */
static void
fill(void)
{
	do {
		size_t n;
		uint8_t *room = intake_room(&intake, &n);
		assert_non_null(room);
		memset(room, 7, PAYLOAD);
		intake_add(&intake, FRAME_MESSAGES, 1, 0, PAYLOAD);
		(void)intake_pass(&intake);
		(void)take_buffer();
	} while (!intake.is_stuck);
}

/* As the processing thread does when it has come to the last segment. */
static void
note_state(void)
{
	uint64_t end = journal_end(intake.journal);
	char path[128];
	FILE *f;

	journal_state_path(intake.journal, journal_segment_start(intake.journal, end),
	    path, sizeof path);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
}

static void
it_is_refused_by_a_full_journal_until_that_is_trimmed(void **state)
{
	struct err e = {0};
	uint64_t added;

	(void)state;
	scratch.max_bytes = 16 << 20;
	open_intake(4);
	fill();
	added = intake.added;
	assert_true(intake.is_refused);
	assert_false(put('a'));
	assert_false(intake_pass(&intake));
	assert_int_equal(intake.added, added);
	note_state();
	assert_int_equal(
	    journal_trim(intake.journal, journal_end(intake.journal), &e), 0);
	assert_true(intake_pass(&intake));
	assert_false(intake.is_refused);
	assert_true(put('a'));
	close_intake();
}

static void
a_sync_makes_everything_durable_that_was_added(void **state)
{
	(void)state;
	open_intake(4);
	assert_true(put('a'));
	assert_int_equal(intake_sync(&intake), 0);
	assert_int_equal(journal_synced(intake.journal), journal_end(intake.journal));
	assert_int_equal(take_buffer(), 1);
	close_intake();
}

static void
while_it_is_stuck_a_sync_says_so(void **state)
{
	(void)state;
	open_intake(1);
	assert_true(put('a'));
	assert_true(intake_pass(&intake));
	assert_true(put('b'));
	assert_false(intake_pass(&intake));
	assert_true(take_buffer() == 1);
	assert_int_equal(intake_sync(&intake), 0);
	assert_true(put('c'));
	assert_false(intake_pass(&intake));
	assert_int_equal(intake_sync(&intake), -EAGAIN);
	close_intake();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    SCRATCH_TEST(frames_are_handed_on_together_when_they_are_passed),
	    SCRATCH_TEST(without_frames_nothing_is_handed_on),
	    SCRATCH_TEST(a_full_ring_makes_it_wait_and_loses_nothing),
	    SCRATCH_TEST(it_waits_for_a_buffer_that_is_being_processed),
	    SCRATCH_TEST(it_is_refused_by_a_full_journal_until_that_is_trimmed),
	    SCRATCH_TEST(a_sync_makes_everything_durable_that_was_added),
	    SCRATCH_TEST(while_it_is_stuck_a_sync_says_so),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
