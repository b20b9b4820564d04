#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/journal/segment.h"
#include "tests/unit/collector/journal/support_journal.h"

static void
test_frames_come_back_after_a_restart(void **state)
{
	struct journal *j = scratch_open();
	struct source_id id = *journal_id(j);
	struct scratch_seen s;

	(void)state;
	scratch_add(j, 7, 100, 'a');
	scratch_add(j, 8, 3, 'b');
	scratch_write(j);
	scratch_add(j, 9, 65536, 'c');
	scratch_write(j);
	journal_close(j);
	j = scratch_open();
	assert_string_equal(journal_id(j)->text, id.text);
	s = scratch_replay(j, 0);
	assert_int_equal(s.frames, 3);
	assert_int_equal(s.bytes, 100 + 3 + 65536);
	assert_int_equal(s.first, SEGMENT_FRAME_HEADER);
	assert_true(journal_end(j) >= s.last_end);
	assert_int_equal(journal_new_session(j), 10);
	journal_close(j);
}

static void
test_a_buffer_hands_out_the_frames_that_were_committed(void **state)
{
	struct journal *j = scratch_open();
	struct journal_buffer *b;
	struct frame f;
	size_t at = 0;

	(void)state;
	scratch_add(j, 1, 5, 'x');
	scratch_add(j, 2, 0, 'y');
	assert_int_equal(journal_write(j, &b, NULL), 0);
	assert_int_equal(journal_buffer_next(b, &at, &f), 1);
	assert_int_equal(f.position, SEGMENT_FRAME_HEADER);
	assert_memory_equal(f.payload, "xxxxx", 5);
	assert_int_equal(journal_buffer_next(b, &at, &f), 1);
	assert_int_equal(f.length, 0);
	assert_int_equal(f.arrival_ns, 1002);
	assert_int_equal(journal_buffer_next(b, &at, &f), 0);
	journal_buffer_return(j, b);
	journal_close(j);
}

struct streams {
	unsigned count;
	uint16_t numbers[4];
};

static int
see_stream(const struct frame *f, void *data)
{
	struct streams *s = data;

	assert_true(s->count < 4);
	s->numbers[s->count++] = f->stream;
	return 0;
}

static void
test_a_frame_keeps_its_stream(void **state)
{
	struct journal *j = scratch_open();
	struct streams seen = {0};
	size_t room;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const struct frame f = {.kind = FRAME_MESSAGES,
		    .session = 1,
		    .stream = i == 0 ? 0 : 65535,
		    .arrival_ns = 1};

		assert_non_null(journal_reserve(j, &room));
		assert_int_equal(journal_commit(j, &f, NULL), 0);
	}
	scratch_write(j);
	journal_close(j);
	j = scratch_open();
	assert_int_equal(
	    journal_replay(j, 0, &(struct frame_sink){see_stream, &seen}, NULL), 0);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.numbers[0], 0);
	assert_int_equal(seen.numbers[1], 65535);
	journal_close(j);
}

static void
test_nothing_committed_writes_nothing(void **state)
{
	struct journal *j = scratch_open();
	struct journal_buffer *b = (struct journal_buffer *)j;
	size_t n;

	(void)state;
	assert_int_equal(journal_write(j, &b, NULL), 0);
	assert_null(b);
	assert_non_null(journal_reserve(j, &n));
	assert_int_equal(journal_write(j, &b, NULL), 0);
	assert_null(b);
	assert_int_equal(journal_end(j), 0);
	journal_close(j);
}

static void
test_reserve_stops_when_every_buffer_is_out(void **state)
{
	struct journal *j = scratch_open();
	struct journal_buffer *b[128];
	unsigned n = 0;
	size_t room;

	(void)state;
	while (journal_reserve(j, &room) != NULL) {
		scratch_add(j, 1, 10, 'z');
		assert_int_equal(journal_write(j, &b[n++], NULL), 0);
		assert_true(n < 128);
	}
	assert_int_equal(n, 64);
	journal_buffer_return(j, b[3]);
	assert_non_null(journal_reserve(j, &room));
	journal_close(j);
}

static void
test_segments_roll_and_replay_begins_in_the_right_one(void **state)
{
	struct journal *j = scratch_open();
	uint64_t middle;

	(void)state;
	scratch_fill(j, 14, false);
	journal_close(j);
	j = scratch_open();
	assert_int_equal(scratch_replay(j, 0).frames, 14);
	middle = journal_segment_start(j, journal_end(j) / 2);
	assert_int_not_equal(middle, 0);
	assert_true(scratch_replay(j, middle).frames < 14);
	assert_true(
	    scratch_replay(j, middle + 5).first == middle + SEGMENT_FRAME_HEADER);
	journal_close(j);
}

static void
test_a_full_journal_says_no_space_until_it_is_trimmed(void **state)
{
	struct journal_buffer *b = NULL;
	struct err e = {""};
	struct journal *j;
	size_t n;

	(void)state;
	scratch.max_bytes = 16 << 20;
	j = scratch_open();
	scratch_fill(j, 18, true);
	scratch_add(j, 1, 900000, 'q');
	assert_int_equal(journal_write(j, &b, &e), -ENOSPC);
	assert_null(journal_reserve(j, &n));
	assert_int_equal(journal_trim(j, journal_end(j), &e), 0);
	assert_int_equal(journal_write(j, &b, &e), 0);
	assert_non_null(b);
	journal_buffer_return(j, b);
	journal_close(j);
	j = scratch_open();
	assert_int_equal(scratch_replay(j, 0).frames, 3);
	journal_close(j);
}

static void
test_a_segment_that_cannot_be_written_any_more_is_left(void **state)
{
	struct journal *j = scratch_open();
	struct journal_buffer *b = NULL;
	struct rlimit before, least = {1 << 20, 1 << 20};
	struct err e = {""};
	size_t n;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	least.rlim_max = before.rlim_max;
	scratch_add(j, 1, 600000, 'a');
	scratch_write(j);
	setrlimit(RLIMIT_FSIZE, &least);
	scratch_add(j, 2, 600000, 'b');
	assert_true(journal_write(j, &b, &e) < 0);
	assert_non_null(strstr(e.text, "cannot write the journal"));
	assert_null(journal_reserve(j, &n));
	scratch_write(j);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_not_equal(journal_segment_start(j, journal_end(j)), 0);
	assert_int_equal(journal_sync(j, journal_end(j), &e), 0);
	journal_close(j);
	j = scratch_open();
	assert_int_equal(scratch_replay(j, 0).frames, 2);
	journal_close(j);
}

static void
test_trim_keeps_segments_whose_follower_has_no_state(void **state)
{
	struct journal *j = scratch_open();

	(void)state;
	scratch_fill(j, 14, false);
	assert_int_equal(journal_trim(j, journal_end(j), NULL), 0);
	assert_int_equal(scratch_replay(j, 0).frames, 14);
	journal_close(j);
}

static void
test_synced_follows_journal_sync(void **state)
{
	struct journal *j = scratch_open();
	uint64_t first;

	(void)state;
	scratch_add(j, 1, 10, 'a');
	scratch_write(j);
	first = journal_end(j);
	assert_int_equal(journal_synced(j), 0);
	assert_int_equal(journal_sync(j, first, NULL), 0);
	assert_int_equal(journal_synced(j), first);
	scratch_fill(j, 9, false);
	assert_int_equal(journal_sync(j, journal_end(j), NULL), 0);
	assert_int_equal(journal_synced(j), journal_end(j));
	journal_close(j);
}

static void
test_a_second_collector_is_refused(void **state)
{
	struct journal *j = scratch_open();
	struct err e = {""};

	(void)state;
	assert_null(scratch_try(false, &e));
	assert_non_null(strstr(e.text, "in use by another collector"));
	journal_close(j);
}

static void
test_files_are_private_and_links_are_not_followed(void **state)
{
	struct journal *j = scratch_open();
	char path[128], to[128];
	struct err e = {""};
	struct stat st;

	(void)state;
	scratch_path(0, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	journal_close(j);
	snprintf(to, sizeof to, "%s/elsewhere", scratch.directory);
	assert_int_equal(rename(path, to), 0);
	assert_int_equal(symlink(to, path), 0);
	assert_null(scratch_try(false, &e));
}

static void
test_settings_that_cannot_work_are_refused(void **state)
{
	struct journal_settings s = {.directory = scratch.directory,
	    .segment_bytes = 4 << 20,
	    .max_bytes = 8 << 20};
	struct journal *j = NULL;
	struct err e = {""};

	(void)state;
	assert_int_equal(journal_open(&s, &j, &e), -EINVAL);
	assert_non_null(strstr(e.text, "at least four"));
	s.segment_bytes = 4096;
	assert_int_equal(journal_open(&s, &j, &e), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    SCRATCH_TEST(test_frames_come_back_after_a_restart),
	    SCRATCH_TEST(test_a_buffer_hands_out_the_frames_that_were_committed),
	    SCRATCH_TEST(test_a_frame_keeps_its_stream),
	    SCRATCH_TEST(test_nothing_committed_writes_nothing),
	    SCRATCH_TEST(test_reserve_stops_when_every_buffer_is_out),
	    SCRATCH_TEST(test_segments_roll_and_replay_begins_in_the_right_one),
	    SCRATCH_TEST(test_a_full_journal_says_no_space_until_it_is_trimmed),
	    SCRATCH_TEST(test_a_segment_that_cannot_be_written_any_more_is_left),
	    SCRATCH_TEST(test_trim_keeps_segments_whose_follower_has_no_state),
	    SCRATCH_TEST(test_synced_follows_journal_sync),
	    SCRATCH_TEST(test_a_second_collector_is_refused),
	    SCRATCH_TEST(test_files_are_private_and_links_are_not_followed),
	    SCRATCH_TEST(test_settings_that_cannot_work_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
