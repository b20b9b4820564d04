/* A journal whose end was taken away where it looks whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/journal/journal.h"
#include "collector/journal/segment.h"

static char directory[64];

static int
set_up(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/journal_mark_test_XXXXXX");
	return mkdtemp(directory) == NULL;
}

static void
remove_files(const char *suffix)
{
	DIR *d = opendir(directory);
	const struct dirent *entry;

	while ((entry = readdir(d)) != NULL) {
		size_t n = strlen(entry->d_name), m = strlen(suffix);
		if (n >= m && strcmp(entry->d_name + n - m, suffix) == 0) {
			unlinkat(dirfd(d), entry->d_name, 0);
		}
	}
	closedir(d);
}

static int
tear_down(void **state)
{
	(void)state;
	remove_files("");
	return rmdir(directory);
}

static struct journal *
open_with(bool skip_damage, struct err *e)
{
	struct journal_settings s = {.directory = directory,
	    .segment_bytes = 4 << 20,
	    .max_bytes = 64 << 20,
	    .skip_damage = skip_damage};
	struct journal *j = NULL;

	(void)journal_open(&s, &j, e);
	return j;
}

static struct journal *
open_journal(void)
{
	struct err e = {""};
	struct journal *j = open_with(false, &e);

	if (j == NULL) {
		fail_msg("%s", e.text);
	}
	return j;
}

/* One buffer with one frame. */
static void
write_frame(struct journal *j, size_t length)
{
	struct journal_buffer *b;
	size_t room;
	uint8_t *p = journal_reserve(j, &room);

	assert_true(p != NULL && room >= length);
	memset(p, 'x', length);
	assert_int_equal(journal_commit(j, FRAME_MESSAGES, 1, 0, 5, length, NULL), 0);
	assert_int_equal(journal_write(j, &b, NULL), 0);
	journal_buffer_return(j, b);
}

static void
sync_all(struct journal *j)
{
	assert_int_equal(journal_sync(j, journal_end(j), NULL), 0);
}

static void
cut_file(uint64_t start, uint64_t position)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%016" PRIx64 ".journal", directory, start);
	assert_int_equal(
	    truncate(path, (off_t)(SEGMENT_BLOCK + (position - start))), 0);
}

static int
count_frame(const struct frame *f, void *data)
{
	(void)f;
	++*(unsigned *)data;
	return 0;
}

static unsigned
count_frames(struct journal *j)
{
	unsigned n = 0;

	assert_int_equal(journal_replay(j, 0, count_frame, &n, NULL), 0);
	return n;
}

/* Three frames; returns where the third begins. */
static uint64_t
make_journal(void)
{
	struct journal *j = open_journal();
	uint64_t third;

	write_frame(j, 1000);
	sync_all(j);
	write_frame(j, 1000);
	sync_all(j);
	third = journal_end(j);
	write_frame(j, 1000);
	sync_all(j);
	journal_close(j);
	return third;
}

static void
an_end_that_is_missing_at_a_frame_boundary_is_noticed(void **state)
{
	uint64_t third = make_journal();
	struct err e = {""};

	(void)state;
	cut_file(0, third);
	assert_null(open_with(false, &e));
	assert_non_null(strstr(e.text, "was durable up to position"));
	assert_non_null(strstr(e.text, "--skip-damaged-journal"));
}

static void
after_the_repair_positions_go_on_behind_what_is_missing(void **state)
{
	uint64_t third = make_journal(), end;
	struct journal *j = open_journal();
	struct err e = {""};

	(void)state;
	end = journal_end(j);
	journal_close(j);
	cut_file(0, third);
	j = open_with(true, &e);
	assert_non_null(j);
	assert_int_equal(journal_end(j), end);
	assert_int_equal(count_frames(j), 2);
	assert_int_equal(journal_skipped(j), end - third);
	write_frame(j, 10);
	sync_all(j);
	journal_close(j);
	j = open_journal(); /* leave was given once and for all */
	assert_int_equal(count_frames(j), 3);
	journal_close(j);
}

static void
what_was_never_synced_may_be_missing(void **state)
{
	struct journal *j = open_journal();
	uint64_t end;

	(void)state;
	write_frame(j, 1000);
	sync_all(j);
	end = journal_end(j);
	write_frame(j, 1000);
	journal_close(j);
	cut_file(0, end);
	j = open_journal();
	assert_int_equal(count_frames(j), 1);
	journal_close(j);
}

static void
a_missing_last_segment_is_noticed(void **state)
{
	struct journal *j = open_journal();
	struct err e = {""};
	char path[128];
	uint64_t start;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		write_frame(j, 900000);
	}
	sync_all(j);
	start = journal_segment_start(j, journal_end(j));
	assert_int_not_equal(start, 0);
	journal_close(j);
	snprintf(path, sizeof path, "%s/%016" PRIx64 ".journal", directory, start);
	assert_int_equal(unlink(path), 0);
	assert_null(open_with(false, &e));
	assert_non_null(strstr(e.text, "was durable up to position"));
	j = open_with(true, &e);
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
	assert_null(open_with(false, &e));
	assert_non_null(strstr(e.text, "but ends at 0"));
	j = open_with(true, &e);
	assert_int_equal(journal_end(j), 0);
	journal_close(j);
	journal_close(open_journal());
}

static void
the_mark_of_another_journal_and_no_mark_say_nothing(void **state)
{
	struct journal *j;
	char path[128];
	FILE *f;

	(void)state;
	make_journal();
	snprintf(path, sizeof path, "%s/synced", directory);
	f = fopen(path, "w");
	fprintf(f, "%032d %016x\n", 7, 0x7fffffff);
	fclose(f);
	j = open_journal();
	journal_close(j);
	assert_int_equal(unlink(path), 0);
	j = open_journal();
	assert_int_equal(count_frames(j), 3);
	journal_close(j);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(an_end_that_is_missing_at_a_frame_boundary_is_noticed),
	    CASE(after_the_repair_positions_go_on_behind_what_is_missing),
	    CASE(what_was_never_synced_may_be_missing),
	    CASE(a_missing_last_segment_is_noticed),
	    CASE(no_segment_at_all_is_noticed_and_the_repair_begins_another_journal),
	    CASE(the_mark_of_another_journal_and_no_mark_say_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
