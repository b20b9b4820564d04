/* What a journal left on disk: cut short, damaged, of another journal. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "collector/journal/segment.h"
#include "common/base/cursor.h"
#include "common/base/hash.h"
#include "tests/unit/collector/journal/support_journal.h"

static void
change_byte(uint64_t start, off_t at)
{
	char path[128];
	uint8_t b;
	int fd;

	scratch_path(start, path);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &b, 1, at), 1);
	b ^= 0x55;
	assert_int_equal(pwrite(fd, &b, 1, at), 1);
	close(fd);
}

/* What version 1 wrote differs in the header's version alone. */
static void
test_a_segment_of_another_format_is_told_and_kept(void **state)
{
	struct journal *j = scratch_open();
	struct err e = {""};
	uint8_t block[SEGMENT_BLOCK];
	char path[128];
	int fd;

	(void)state;
	journal_close(j);
	scratch_path(0, path);
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, block, sizeof block, 0), sizeof block);
	store_u32(block + 8, 1);
	store_u64(block + 40, hash_bytes(block, 40, 0));
	assert_int_equal(pwrite(fd, block, sizeof block, 0), sizeof block);
	close(fd);
	assert_null(scratch_try(false, &e));
	assert_non_null(strstr(e.text, "written by another version"));
	assert_int_equal(access(path, F_OK), 0);
}

static void
test_a_torn_tail_is_cut_at_the_last_whole_frame(void **state)
{
	struct journal *j = scratch_open();
	struct scratch_seen s;
	uint64_t second;
	char path[128];

	(void)state;
	scratch_add(j, 1, 5000, 'a');
	scratch_write(j);
	second = journal_end(j);
	scratch_add(j, 2, 5000, 'b');
	scratch_add(j, 3, 5000, 'c');
	scratch_write(j);
	journal_close(j);
	scratch_path(0, path);
	assert_int_equal(truncate(path, (off_t)(4096 + second + 5040 + 100)), 0);
	j = scratch_open();
	s = scratch_replay(j, 0);
	assert_int_equal(s.frames, 2);
	assert_int_equal(journal_end(j), second + 5040);
	scratch_add(j, 4, 10, 'd');
	scratch_write(j);
	journal_close(j);
	j = scratch_open();
	s = scratch_replay(j, 0);
	assert_int_equal(s.frames, 3);
	assert_int_equal(s.last_session, 4);
	journal_close(j);
}

static void
test_a_torn_write_with_a_later_block_on_disk_is_cut_too(void **state)
{
	struct journal *j = scratch_open();
	struct scratch_seen s;

	(void)state;
	scratch_add(j, 1, 20000, 'a');
	scratch_write(j);
	scratch_add(j, 2, 20000, 'b');
	scratch_write(j);
	journal_close(j);
	change_byte(0, 4096 + 500);
	j = scratch_open();
	s = scratch_replay(j, 0);
	assert_int_equal(s.frames, 0);
	assert_int_equal(journal_end(j), 0);
	journal_close(j);
}

static void
test_damage_before_what_was_durable_is_an_error_with_its_repair(void **state)
{
	struct journal *j = scratch_open();
	struct err e = {""};
	struct scratch_seen s;

	(void)state;
	scratch_add(j, 1, 20000, 'a');
	scratch_write(j);
	assert_int_equal(journal_sync(j, journal_end(j), &e), 0);
	scratch_add(j, 2, 20000, 'b');
	scratch_write(j);
	journal_close(j);
	change_byte(0, 4096 + 500);
	assert_null(scratch_try(false, &e));
	assert_non_null(strstr(e.text, "is damaged at byte 4096"));
	assert_non_null(strstr(e.text, "--skip-damaged-journal"));
	j = scratch_try(true, &e);
	assert_non_null(j);
	s = scratch_replay(j, 0);
	assert_int_equal(s.frames, 1);
	assert_int_equal(s.last_session, 2);
	assert_true(journal_skipped(j) >= 20000);
	journal_close(j);
	/* Granted once, it need not be granted again. */
	j = scratch_open();
	assert_int_equal(scratch_replay(j, 0).frames, 1);
	journal_close(j);
}

static void
test_damage_in_an_older_segment_is_an_error(void **state)
{
	struct journal *j = scratch_open();
	struct scratch_seen s = {0};
	struct err e = {""};

	(void)state;
	scratch_fill(j, 14, false);
	journal_close(j);
	change_byte(0, 4096 + 1000000);
	j = scratch_open();
	assert_int_equal(
	    journal_replay(j, 0, &(struct frame_sink){scratch_see, &s}, &e), -EBADMSG);
	assert_int_equal(s.frames, 1);
	assert_non_null(strstr(e.text, "0000000000000000.journal is damaged"));
	journal_close(j);
}

static struct journal *trimmed;

static int
see_and_trim(const struct frame *f, void *data)
{
	assert_int_equal(journal_trim(trimmed, f->position, NULL), 0);
	return scratch_see(f, data);
}

static void
test_a_trim_during_replay_takes_nothing_from_it(void **state)
{
	struct scratch_seen s = {0};

	(void)state;
	trimmed = scratch_open();
	scratch_fill(trimmed, 14, true);
	journal_close(trimmed);
	trimmed = scratch_open();
	assert_int_equal(
	    journal_replay(trimmed, 0, &(struct frame_sink){see_and_trim, &s}, NULL),
	    0);
	assert_int_equal(s.frames, 14);
	assert_int_equal(scratch_replay(trimmed, 0).frames, 2);
	journal_close(trimmed);
}

static void
test_a_segment_of_another_journal_is_refused(void **state)
{
	struct journal *j = scratch_open();
	struct err e = {""};
	char from[128], to[128];

	(void)state;
	scratch_add(j, 1, 10, 'a');
	scratch_write(j);
	journal_close(j);
	scratch_path(0, from);
	scratch_path(0x10000, to);
	assert_int_equal(rename(from, to), 0);
	j = scratch_try(false, &e);
	assert_null(j);
	assert_non_null(strstr(e.text, "belongs to another position or journal"));
}

static void
test_a_segment_without_header_at_the_end_was_never_born(void **state)
{
	struct journal *j = scratch_open();
	char path[128];
	int fd;

	(void)state;
	scratch_add(j, 1, 10, 'a');
	scratch_write(j);
	scratch_path(journal_end(j), path);
	journal_close(j);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(ftruncate(fd, 4096), 0);
	close(fd);
	j = scratch_open();
	assert_int_equal(scratch_replay(j, 0).frames, 1);
	journal_close(j);
}

static void
test_a_torn_range_is_settled_and_positions_go_on_after_it(void **state)
{
	struct journal *j = scratch_open();
	char path[128], text[64];
	FILE *f;
	uint64_t end;

	(void)state;
	scratch_add(j, 1, 100, 'a');
	scratch_write(j);
	end = journal_end(j);
	journal_close(j);
	/* As after a failed fdatasync: the bytes are gone, a store may hold them. */
	snprintf(path, sizeof path, "%s/%016x.torn", scratch.directory, 0);
	f = fopen(path, "w");
	snprintf(text, sizeof text, "%016x %016" PRIx64 "\n", 0, end);
	fputs(text, f);
	fclose(f);
	scratch_path(0, path);
	assert_int_equal(truncate(path, 4096), 0);
	j = scratch_open();
	assert_int_equal(journal_end(j), end);
	assert_int_equal(scratch_replay(j, 0).frames, 0);
	assert_int_equal(journal_skipped(j), end);
	scratch_add(j, 2, 100, 'b');
	scratch_write(j);
	journal_close(j);
	j = scratch_open();
	assert_int_equal(scratch_replay(j, 0).frames, 1);
	assert_int_equal(scratch_replay(j, end).first, end + SEGMENT_FRAME_HEADER);
	journal_close(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    SCRATCH_TEST(test_a_segment_of_another_format_is_told_and_kept),
	    SCRATCH_TEST(test_a_torn_tail_is_cut_at_the_last_whole_frame),
	    SCRATCH_TEST(test_a_torn_write_with_a_later_block_on_disk_is_cut_too),
	    SCRATCH_TEST(
		test_damage_before_what_was_durable_is_an_error_with_its_repair),
	    SCRATCH_TEST(test_damage_in_an_older_segment_is_an_error),
	    SCRATCH_TEST(test_a_trim_during_replay_takes_nothing_from_it),
	    SCRATCH_TEST(test_a_segment_of_another_journal_is_refused),
	    SCRATCH_TEST(test_a_segment_without_header_at_the_end_was_never_born),
	    SCRATCH_TEST(test_a_torn_range_is_settled_and_positions_go_on_after_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
