/* The journal on a disk that fails: calls of the C library that fail when told to. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "collector/journal/journal.h"

#define PAYLOAD 65536u
#define FRAMES  10u /* in a buffer */

static char directory[64];
static unsigned failing_syncs, failing_creations;
static bool is_cut_short; /* the next write takes the first half, the one after none */
static bool is_full;

/* In front of the C library's. */

int
fdatasync(int fd)
{
	if (failing_syncs > 0) {
		failing_syncs--;
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

int
openat(int at, const char *name, int flags, ...)
{
	if ((flags & O_EXCL) != 0 && failing_creations > 0) {
		failing_creations--;
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_openat, at, name, flags, 0600);
}

ssize_t
pwrite(int fd, const void *bytes, size_t n, off_t at)
{
	if (is_full) {
		is_full = false;
		errno = ENOSPC;
		return -1;
	}
	if (is_cut_short && n > PAYLOAD) {
		is_cut_short = false;
		is_full = true;
		n = n / 2 & ~(size_t)4095;
	}
	return syscall(SYS_pwrite64, fd, bytes, n, at);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
set_up(void **state)
{
	(void)state;
	failing_syncs = failing_creations = 0;
	is_cut_short = is_full = false;
	strcpy(directory, "/tmp/journal_sync_test_XXXXXX");
	return mkdtemp(directory) == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct journal *
open_journal(void)
{
	const struct journal_settings s = {
	    .directory = directory, .segment_bytes = 4 << 20, .max_bytes = 64 << 20};
	struct journal *j = NULL;
	struct err e = {""};

	if (journal_open(&s, &j, &e) < 0) {
		fail_msg("%s", e.text);
	}
	return j;
}

static void
fill(struct journal *j, uint8_t value)
{
	for (unsigned i = 0; i < FRAMES; i++) {
		size_t room;
		uint8_t *p = journal_reserve(j, &room);
		assert_non_null(p);
		memset(p, value, PAYLOAD);
		assert_int_equal(
		    journal_commit(j, FRAME_MESSAGES, 1, 0, 1, PAYLOAD, NULL), 0);
	}
}

static int
write_out(struct journal *j)
{
	struct journal_buffer *b = NULL;
	int rc = journal_write(j, &b, NULL);

	journal_buffer_return(j, b);
	return rc;
}

/* Fills segments until the next write begins another. */
static void
fill_segment(struct journal *j)
{
	for (unsigned i = 0; i < 6; i++) {
		fill(j, 'a');
		assert_int_equal(write_out(j), 0);
	}
	fill(j, 'b');
}

static void
test_a_sync_that_failed_stays_failed_when_no_segment_can_follow(void **state)
{
	struct journal *j = open_journal();

	(void)state;
	fill_segment(j);
	failing_syncs = failing_creations = 1;
	assert_int_equal(write_out(j), -ENOSPC);
	/* The kernel tells a failure once: asked again, it would claim success. */
	assert_int_equal(write_out(j), 0);
	assert_true(journal_is_unsynced(j, PAYLOAD));
	assert_true(journal_failed_syncs(j) > 0);
	journal_close(j);
}

struct seen {
	unsigned frames;
	uint8_t last;
};

static int
see(const struct frame *f, void *data)
{
	struct seen *s = data;

	s->frames++;
	s->last = f->payload[0];
	return 0;
}

static void
test_half_a_buffer_in_a_segment_that_failed_is_written_whole_to_the_next(void **state)
{
	struct journal *j = open_journal();
	struct seen s = {0};
	struct err e = {""};

	(void)state;
	fill(j, 'a');
	assert_int_equal(write_out(j), 0);
	fill(j, 'b');
	is_cut_short = true;
	assert_int_equal(write_out(j), -ENOSPC);
	failing_syncs = 1;
	assert_int_equal(journal_sync(j, journal_end(j), NULL), -EIO);
	assert_int_equal(write_out(j), 0);
	assert_int_equal(journal_sync(j, journal_end(j), NULL), 0);
	assert_int_equal(journal_synced(j), journal_end(j));
	journal_close(j);
	j = open_journal();
	if (journal_replay(j, 0, see, &s, &e) < 0) {
		fail_msg("%s", e.text);
	}
	assert_int_equal(s.frames, 2 * FRAMES);
	assert_int_equal(s.last, 'b');
	journal_close(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		test_a_sync_that_failed_stays_failed_when_no_segment_can_follow, set_up,
		tear_down),
	    cmocka_unit_test_setup_teardown(
		test_half_a_buffer_in_a_segment_that_failed_is_written_whole_to_the_next,
		set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
