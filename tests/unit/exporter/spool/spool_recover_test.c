/* What crashes and failing disks leave behind.  The kernel itself ends the program at a
 * system call, or refuses one (seccomp), in a child. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/base/log.h"
#include "exporter/spool/spool.h"
#include "exporter/spool/spool_format.h"
#include "tests/unit/exporter/spool/support_spool.h"

#define MESSAGE  1000u
#define SEGMENTS 300u /* messages that are several segments */

/* How many of n messages side by side were taken, with one data record each. */
static unsigned
append(struct spool *s, unsigned n, uint64_t now_ns)
{
	static uint8_t bytes[8][MESSAGE];
	struct queue_message m[8];

	for (unsigned i = 0; i < n; i++) {
		store_u16(bytes[i], 10);
		store_u16(bytes[i] + 2, MESSAGE);
		store_u64(bytes[i] + 20, spool_next(s) + i);
		m[i] = (struct queue_message){
		    .bytes = bytes[i], .length = MESSAGE, .records = 1, .data = 1};
	}
	return spool_append(s, m, n, now_ns);
}

static void
append_all(struct spool *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(append(s, 1, 1), 1);
	}
}

/* From now on this system call has that outcome.  False: the kernel cannot do that. */
static bool
sabotage(unsigned number, uint32_t outcome)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, outcome),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void
check_account(uint64_t messages, uint64_t lost)
{
	struct spool *s = spool_begin(spool_directory_of_test, true);
	struct spool_batch batch = {.bytes = malloc(SPOOL_BATCH_BYTES)};
	struct spool_counts c;

	spool_counts(s, &c);
	assert_int_equal(c.messages, messages);
	assert_int_equal(c.records, messages);
	assert_int_equal(c.lost_messages, lost);
	assert_int_equal(c.lost_records, lost);
	assert_int_equal(c.delivered_messages + c.held_messages, messages - lost);
	for (uint64_t at = spool_first(s); at < spool_next(s);) {
		const uint8_t *bytes = batch.bytes;
		assert_int_equal(spool_read(s, at, &batch), 0);
		for (unsigned i = 0; i < batch.count; i++, bytes += MESSAGE) {
			assert_int_equal(load_u64(bytes + 20), at++);
		}
	}
	free(batch.bytes);
	spool_close(s, true);
}

/* Releases two hundred and fifty of three hundred messages, and dies at this call. */
static void
die_releasing(unsigned number)
{
	struct spool *s = spool_begin(spool_directory_of_test, true);
	uint64_t total;
	int status;
	pid_t child;

	append_all(s, SEGMENTS);
	assert_int_equal(spool_total(s, 250, &total), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (!sabotage(number, SECCOMP_RET_KILL_PROCESS)) {
			_exit(77);
		}
		spool_release(s, 250, total, true);
		_exit(1); /* it came through */
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	spool_close(s, false);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		skip();
	}
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void
a_crash_before_the_account_is_written_loses_nothing(void **state)
{
	(void)state;
	die_releasing(SYS_pwrite64);
	check_account(SEGMENTS, 0);
}

static void
a_crash_before_a_delivered_segment_is_removed_loses_nothing(void **state)
{
	(void)state;
	die_releasing(SYS_unlinkat);
	check_account(SEGMENTS, 0);
}

/* Three messages and the beginning of five, which the disk does not take back; then the
 * five again. */
static int
write_twice(void)
{
	struct spool *s = spool_begin(spool_directory_of_test, true);
	struct rlimit limit;
	rlim_t before;

	if (append(s, 3, 1) != 3 || signal(SIGXFSZ, SIG_IGN) == SIG_ERR ||
	    getrlimit(RLIMIT_FSIZE, &limit) < 0) {
		return 1;
	}
	if (!sabotage(SYS_ftruncate, SECCOMP_RET_ERRNO | EIO)) {
		return 77;
	}
	before = limit.rlim_cur;
	limit.rlim_cur =
	    SPOOL_HEADER + sizeof spool_preamble_of_test + 5 * MESSAGE + 500;
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0 || append(s, 5, 2) != 0) {
		return 2;
	}
	limit.rlim_cur = before;
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0 || append(s, 5, NS_PER_MINUTE) != 5) {
		return 3;
	}
	return 0;
}

static void
what_a_failing_disk_does_not_take_back_hides_no_segment(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		log_set_level(LOG_ERROR);
		_exit(write_twice());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	check_account(8, 0);
}

/* The first segment, or where it went when it was damaged. */
static bool
is_there(const char *suffix)
{
	char path[128];

	(void)snprintf(
	    path, sizeof path, "%s/%016x.spool%s", spool_directory_of_test, 0u, suffix);
	return access(path, F_OK) == 0;
}

static void
cut_first_segment(off_t length)
{
	char path[128];

	(void)snprintf(
	    path, sizeof path, "%s/%016x.spool", spool_directory_of_test, 0u);
	assert_int_equal(truncate(path, length), 0);
}

static void
a_segment_that_was_being_begun_is_no_damage(void **state)
{
	const off_t lengths[] = {
	    0, 1, SPOOL_HEADER - 1, SPOOL_HEADER, SPOOL_HEADER + 23};
	struct spool *s;

	(void)state;
	for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		s = spool_begin(spool_directory_of_test, true);
		append_all(s, 1);
		spool_close(s, false);
		cut_first_segment(lengths[i]);
		check_account(0, 0);
		assert_false(is_there(""));
		assert_false(is_there(".damaged"));
	}
}

static void
a_header_cut_short_before_other_segments_is_damage(void **state)
{
	struct spool *s = spool_begin(spool_directory_of_test, true);
	struct spool_counts c;

	(void)state;
	append_all(s, SEGMENTS);
	spool_close(s, false);
	cut_first_segment(SPOOL_HEADER - 1);
	s = spool_begin(spool_directory_of_test, true);
	spool_counts(s, &c);
	assert_int_equal(c.messages, SEGMENTS);
	assert_true(c.lost_messages > 0);
	assert_true(is_there(".damaged"));
	spool_close(s, false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    SPOOL_TEST(a_crash_before_the_account_is_written_loses_nothing),
	    SPOOL_TEST(a_crash_before_a_delivered_segment_is_removed_loses_nothing),
	    SPOOL_TEST(what_a_failing_disk_does_not_take_back_hides_no_segment),
	    SPOOL_TEST(a_segment_that_was_being_begun_is_no_damage),
	    SPOOL_TEST(a_header_cut_short_before_other_segments_is_damage),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
