/* The journal on a disk that fails: calls of the C library that fail when told to. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "tests/unit/collector/journal/support_journal.h"

#define PAYLOAD 65536u
#define FRAMES  10u /* in a buffer */

static _Atomic unsigned failing_syncs, failing_creations;
static _Atomic unsigned failing_each; /* this many'th sync fails; 0: none */
static bool is_cut_short; /* the next write takes the first half, the one after none */
static bool is_full;

/* A sync that fails once another thread waits for it. */
static _Atomic bool is_awaited, is_syncing, has_waited;
static _Atomic pid_t waiting; /* that thread; 0: it does not wait yet */

static void
await_sleep(void)
{
	uint64_t patience = clock_monotonic_ns() + 10 * NS_PER_SECOND;
	char path[64], stat[512] = "";

	while (waiting == 0) {
		sched_yield();
	}
	snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)waiting);
	while (!has_waited && clock_monotonic_ns() < patience) {
		FILE *f = fopen(path, "r");
		has_waited = f != NULL && fgets(stat, sizeof stat, f) != NULL &&
			     strstr(stat, ") S ") != NULL;
		if (f != NULL) {
			fclose(f);
		}
	}
}

/* In front of the C library's. */

int
fdatasync(int fd)
{
	static _Atomic unsigned count;
	bool is_failing = failing_each > 0 && ++count % failing_each == 0;

	if (atomic_exchange(&is_awaited, false)) {
		is_syncing = true;
		await_sleep();
		is_failing = true;
	} else if (failing_syncs > 0) {
		failing_syncs--;
		is_failing = true;
	}
	if (is_failing) {
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
set_up(void **state)
{
	failing_syncs = failing_creations = failing_each = 0;
	is_awaited = is_syncing = has_waited = false;
	waiting = 0;
	is_cut_short = is_full = false;
	return scratch_set_up(state);
}

static void
fill(struct journal *j, int value)
{
	for (unsigned i = 0; i < FRAMES; i++) {
		scratch_add(j, 1, PAYLOAD, value);
	}
}

/* Fills segments until the next write begins another. */
static void
fill_segment(struct journal *j)
{
	for (unsigned i = 0; i < 6; i++) {
		fill(j, 'a');
		assert_int_equal(scratch_try_write(j), 0);
	}
	fill(j, 'b');
}

static void
test_a_sync_that_failed_stays_failed_when_no_segment_can_follow(void **state)
{
	struct journal *j = scratch_open();

	(void)state;
	fill_segment(j);
	failing_syncs = failing_creations = 1;
	assert_int_equal(scratch_try_write(j), -ENOSPC);
	/* The kernel tells a failure once: asked again, it would claim success. */
	assert_int_equal(scratch_try_write(j), 0);
	assert_true(journal_is_unsynced(j, PAYLOAD));
	assert_true(journal_failed_syncs(j) > 0);
	journal_close(j);
}

static void
test_half_a_buffer_in_a_segment_that_failed_is_written_whole_to_the_next(void **state)
{
	struct journal *j = scratch_open();
	struct scratch_seen s;

	(void)state;
	fill(j, 'a');
	assert_int_equal(scratch_try_write(j), 0);
	fill(j, 'b');
	is_cut_short = true;
	assert_int_equal(scratch_try_write(j), -ENOSPC);
	failing_syncs = 1;
	assert_int_equal(journal_sync(j, journal_end(j), NULL), -EIO);
	assert_int_equal(scratch_try_write(j), 0);
	assert_int_equal(journal_sync(j, journal_end(j), NULL), 0);
	assert_int_equal(journal_synced(j), journal_end(j));
	journal_close(j);
	j = scratch_open();
	s = scratch_replay(j, 0);
	assert_int_equal(s.frames, 2 * FRAMES);
	assert_int_equal(s.last_value, 'b');
	journal_close(j);
}

static void *
sync_once(void *data)
{
	(void)journal_sync(data, UINT64_MAX, NULL);
	return NULL;
}

static void
test_a_write_that_waits_for_a_failing_sync_finds_the_segment_begun(void **state)
{
	struct journal *j = scratch_open();
	pthread_t thread;

	(void)state;
	fill_segment(j);
	is_awaited = true;
	assert_int_equal(pthread_create(&thread, NULL, sync_once, j), 0);
	while (!is_syncing) {
		sched_yield();
	}
	waiting = gettid();
	assert_int_equal(scratch_try_write(j), 0);
	pthread_join(thread, NULL);
	assert_true(has_waited);
	assert_true(journal_failed_syncs(j) > 0);
	scratch_sync(j);
	assert_true(journal_is_unsynced(j, PAYLOAD));
	assert_false(journal_is_unsynced(j, journal_end(j)));
	journal_close(j);
	j = scratch_open();
	assert_int_equal(scratch_replay(j, 0).frames, 7 * FRAMES);
	journal_close(j);
}

static _Atomic bool is_over, is_backwards;

static void *
sync_always(void *data)
{
	struct journal *j = data;
	uint64_t before = 0;

	while (!is_over) {
		(void)journal_sync(j, UINT64_MAX, NULL);
		is_backwards = is_backwards || journal_synced(j) < before;
		before = journal_synced(j);
		sched_yield();
	}
	return NULL;
}

static void
test_syncs_that_fail_again_and_again_stop_no_write(void **state)
{
	enum { BUFFERS = 60 };
	struct journal *j = scratch_open();
	pthread_t threads[2];

	(void)state;
	failing_each = 5;
	is_over = is_backwards = false;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, sync_always, j), 0);
	}
	for (unsigned i = 0; i < BUFFERS; i++) {
		int rc;
		fill(j, 'a' + (int)(i % 26));
		/* No segment can follow where its header's sync fails. */
		while ((rc = scratch_try_write(j)) == -EIO) {
			sched_yield();
		}
		assert_int_equal(rc, 0);
	}
	is_over = true;
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
	}
	assert_false(is_backwards);
	journal_close(j);
	failing_each = 0;
	j = scratch_open();
	assert_int_equal(scratch_replay(j, 0).frames, BUFFERS * FRAMES);
	journal_close(j);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, support_directory_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_a_sync_that_failed_stays_failed_when_no_segment_can_follow),
	    CASE(
		test_half_a_buffer_in_a_segment_that_failed_is_written_whole_to_the_next),
	    CASE(test_a_write_that_waits_for_a_failing_sync_finds_the_segment_begun),
	    CASE(test_syncs_that_fail_again_and_again_stop_no_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
