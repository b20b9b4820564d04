/* A journal whose end was taken away where it looks whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/collector/journal/support_journal.h"

static void
remove_files(const char *suffix)
{
	DIR *d = opendir(scratch.directory);
	const struct dirent *entry;

	while ((entry = readdir(d)) != NULL) {
		size_t n = strlen(entry->d_name), m = strlen(suffix);
		if (n >= m && strcmp(entry->d_name + n - m, suffix) == 0) {
			unlinkat(dirfd(d), entry->d_name, 0);
		}
	}
	closedir(d);
}

static void
write_frame(struct journal *j, size_t length)
{
	scratch_add(j, 1, length, 'x');
	scratch_write(j);
}

static unsigned
count_frames(struct journal *j)
{
	return scratch_replay(j, 0).frames;
}

/* Three frames; returns where the third begins. */
static uint64_t
make_journal(void)
{
	struct journal *j = scratch_open();
	uint64_t third;

	write_frame(j, 1000);
	scratch_sync(j);
	write_frame(j, 1000);
	scratch_sync(j);
	third = journal_end(j);
	write_frame(j, 1000);
	scratch_sync(j);
	journal_close(j);
	return third;
}

static void
an_end_that_is_missing_at_a_frame_boundary_is_noticed(void **state)
{
	uint64_t third = make_journal();
	struct err e = {""};

	(void)state;
	scratch_cut(0, third);
	assert_null(scratch_try(false, &e));
	assert_non_null(strstr(e.text, "was durable up to position"));
	assert_non_null(strstr(e.text, "--skip-damaged-journal"));
}

static void
after_the_repair_positions_go_on_behind_what_is_missing(void **state)
{
	uint64_t third = make_journal(), end;
	struct journal *j = scratch_open();
	struct err e = {""};

	(void)state;
	end = journal_end(j);
	journal_close(j);
	scratch_cut(0, third);
	j = scratch_try(true, &e);
	assert_non_null(j);
	assert_int_equal(journal_end(j), end);
	assert_int_equal(count_frames(j), 2);
	assert_int_equal(journal_skipped(j), end - third);
	write_frame(j, 10);
	scratch_sync(j);
	journal_close(j);
	j = scratch_open(); /* leave was given once and for all */
	assert_int_equal(count_frames(j), 3);
	journal_close(j);
}

static void
what_was_never_synced_may_be_missing(void **state)
{
	struct journal *j = scratch_open();
	uint64_t end;

	(void)state;
	write_frame(j, 1000);
	scratch_sync(j);
	end = journal_end(j);
	write_frame(j, 1000);
	journal_close(j);
	scratch_cut(0, end);
	j = scratch_open();
	assert_int_equal(count_frames(j), 1);
	journal_close(j);
}

static void
a_missing_last_segment_is_noticed(void **state)
{
	struct journal *j = scratch_open();
	struct err e = {""};
	char path[128];
	uint64_t start;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		write_frame(j, 900000);
	}
	scratch_sync(j);
	start = journal_segment_start(j, journal_end(j));
	assert_int_not_equal(start, 0);
	journal_close(j);
	scratch_path(start, path);
	assert_int_equal(unlink(path), 0);
	assert_null(scratch_try(false, &e));
	assert_non_null(strstr(e.text, "was durable up to position"));
	j = scratch_try(true, &e);
	assert_true(journal_end(j) > start);
	journal_close(j);
}

static void
no_segment_at_all_is_noticed_and_the_repair_begins_another_journal(void **state)
{
	struct err e = {""};
	struct journal *j;

	(void)state;
	make_journal();
	remove_files(".journal");
	assert_null(scratch_try(false, &e));
	assert_non_null(strstr(e.text, "but ends at 0"));
	j = scratch_try(true, &e);
	assert_int_equal(journal_end(j), 0);
	journal_close(j);
	journal_close(scratch_open());
}

static void
the_mark_of_another_journal_and_no_mark_say_nothing(void **state)
{
	struct journal *j;
	char path[128];
	FILE *f;

	(void)state;
	make_journal();
	snprintf(path, sizeof path, "%s/synced", scratch.directory);
	f = fopen(path, "w");
	fprintf(f, "%032d %016x\n", 7, 0x7fffffff);
	fclose(f);
	j = scratch_open();
	journal_close(j);
	assert_int_equal(unlink(path), 0);
	j = scratch_open();
	assert_int_equal(count_frames(j), 3);
	journal_close(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    SCRATCH_TEST(an_end_that_is_missing_at_a_frame_boundary_is_noticed),
	    SCRATCH_TEST(after_the_repair_positions_go_on_behind_what_is_missing),
	    SCRATCH_TEST(what_was_never_synced_may_be_missing),
	    SCRATCH_TEST(a_missing_last_segment_is_noticed),
	    SCRATCH_TEST(
		no_segment_at_all_is_noticed_and_the_repair_begins_another_journal),
	    SCRATCH_TEST(the_mark_of_another_journal_and_no_mark_say_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
