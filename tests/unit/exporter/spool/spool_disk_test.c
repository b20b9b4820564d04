/* A spool whose program is killed before each of its system calls in turn, or for which
 * each of them fails once.  The program is a child, which is traced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/base/log.h"
#include "exporter/spool/spool.h"
#include "tests/unit/exporter/spool/support_spool.h"

#define MESSAGE 1000u
#define BATCH   8u
#define STEPS   12 /* of a run; more than a segment */
#define RUNS    3

/* How far the child came. */
struct progress {
	uint64_t appended, appending; /* up to here surely; perhaps */
	uint64_t released, releasing;
};

static volatile struct progress *progress;

static void
append(struct spool *s, uint64_t now_ns)
{
	static uint8_t bytes[BATCH][MESSAGE];
	struct queue_message m[BATCH];

	for (unsigned i = 0; i < BATCH; i++) {
		store_u16(bytes[i], 10);
		store_u16(bytes[i] + 2, MESSAGE);
		store_u64(bytes[i] + 20, spool_next(s) + i);
		m[i] = (struct queue_message){
		    .bytes = bytes[i], .length = MESSAGE, .records = 1, .data = 1};
	}
	progress->appending = spool_next(s) + BATCH;
	(void)spool_append(s, m, BATCH, now_ns);
	progress->appended = spool_next(s);
}

static void
release(struct spool *s)
{
	uint64_t to = spool_first(s) + 20, total;

	to = to < spool_next(s) ? to : spool_next(s);
	if (spool_total(s, to, &total) == 0) {
		progress->releasing = to;
		spool_release(s, to, total, true);
		progress->released = to;
	}
}

/* What is traced. */
static void
live(void)
{
	uint64_t now_ns = NS_PER_SECOND;
	struct spool *s;

	for (int run = 0;
	     run < RUNS && spool_try(spool_directory_of_test, true, &s, NULL) == 0;
	     run++) {
		for (int i = 0; i < STEPS; i++) {
			append(s, now_ns += 2 * NS_PER_SECOND);
			if (spool_first(s) < spool_next(s)) {
				spool_mark_sent(s, spool_next(s) - 1);
			}
			if (i % 3 == 2) {
				release(s);
			}
		}
		spool_close(s, run % 2 == 1);
	}
}

/* All that was surely taken is there or was released, and nothing is lost.  What was
 * released surely stays so, unless the disk failed to note it; then it goes out again,
 * and the collector knows it. */
static void
check(unsigned call, int code)
{
	struct spool_batch batch = {.bytes = malloc(SPOOL_BATCH_BYTES)};
	struct spool *s = NULL;
	struct spool_counts c;
	uint64_t at;

	if (spool_try(spool_directory_of_test, true, &s, NULL) < 0) {
		fail_msg("call %u: does not open", call);
	}
	spool_counts(s, &c);
	if (c.next < progress->appended || c.next > progress->appending ||
	    (code == 0 && c.first < progress->released) ||
	    c.first > progress->releasing || c.lost_messages != 0 ||
	    c.lost_records != 0 || c.delivered_messages != c.first ||
	    c.delivered_records != c.first || c.held_messages != c.next - c.first ||
	    c.records != c.next) {
		fail_msg("call %u: of %lu to %lu, released %lu to %lu, the spool has "
			 "first %lu, next %lu, delivered %lu, held %lu, lost %lu",
		    call, progress->appended, progress->appending, progress->released,
		    progress->releasing, c.first, c.next, c.delivered_messages,
		    c.held_messages, c.lost_messages);
	}
	for (at = c.first; at < c.next;) {
		const uint8_t *bytes = batch.bytes;
		assert_int_equal(spool_read(s, at, &batch), 0);
		for (unsigned i = 0; i < batch.count; i++, bytes += MESSAGE) {
			assert_int_equal(load_u64(bytes + 20), at++);
		}
	}
	free(batch.bytes);
	spool_close(s, false);
}

#ifdef __x86_64__
/* Calls that can fail for want of a disk. */
static bool
needs_disk(unsigned long long number, int code)
{
	if (number == SYS_pread64) {
		return code != EIO; /* that is damage */
	}
	return number == SYS_pwrite64 || number == SYS_pwritev ||
	       number == SYS_ftruncate || number == SYS_unlinkat ||
	       number == SYS_openat || number == SYS_renameat;
}

/* The child is about to make a call: it will do nothing.  False: not such a call. */
static bool
deny(pid_t child, int code)
{
	struct user_regs_struct regs;

	assert_int_equal(ptrace(PTRACE_GETREGS, child, NULL, &regs), 0);
	if (!needs_disk(regs.orig_rax, code)) {
		return false;
	}
	regs.orig_rax = (unsigned long long)-1;
	assert_int_equal(ptrace(PTRACE_SETREGS, child, NULL, &regs), 0);
	return true;
}

/* What the call says that did nothing. */
static void
answer(pid_t child, int code)
{
	struct user_regs_struct regs;

	assert_int_equal(ptrace(PTRACE_GETREGS, child, NULL, &regs), 0);
	regs.rax = (unsigned long long)-code;
	assert_int_equal(ptrace(PTRACE_SETREGS, child, NULL, &regs), 0);
}
#endif

static pid_t
begin_child(void)
{
	int status;
	pid_t child;

	spool_remove_files();
	memset((void *)progress, 0, sizeof *progress);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		log_set_level(LOG_ERROR);
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) {
			_exit(77);
		}
		(void)raise(SIGSTOP);
		live();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFSTOPPED(status)) {
		skip();
	}
	return child;
}

/* Runs the child up to its call of this number.  There it is killed (code 0), or the
 * call, if it is one that the disk can fail, fails.  False: it ends before. */
static bool
interrupt(unsigned call, int code)
{
	pid_t child = begin_child();
	unsigned calls = 0;
	bool is_inside = false, is_denied = false;
	int status;

	for (;;) {
		(void)ptrace(PTRACE_SYSCALL, child, NULL, NULL);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (!WIFSTOPPED(status)) {
			return calls >= call;
		}
		is_inside = !is_inside;
		calls += is_inside;
		if (calls == call && code == 0) {
			(void)kill(child, SIGKILL);
		}
#ifdef __x86_64__
		if (calls == call && code != 0 && is_inside) {
			is_denied = deny(child, code);
		} else if (calls == call && is_denied) {
			answer(child, code);
		}
#endif
	}
}

static void
a_kill_before_any_system_call_loses_and_doubles_nothing(void **state)
{
	unsigned call = 1;

	(void)state;
	for (; interrupt(call, 0); call++) {
		check(call, 0);
	}
	assert_true(call > 100);
}

static void
a_disk_that_fails_once_at_any_call_costs_nothing(void **state)
{
	const int codes[] = {EIO, ENOSPC, EINTR};
	unsigned call = 1;

	(void)state;
#ifndef __x86_64__
	skip(); /* registers are not for everybody */
#endif
	for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++) {
		for (call = 1; interrupt(call, codes[i]); call++) {
			check(call, codes[i]);
		}
	}
	assert_true(call > 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_kill_before_any_system_call_loses_and_doubles_nothing),
	    cmocka_unit_test(a_disk_that_fails_once_at_any_call_costs_nothing),
	};

	log_set_level(LOG_ERROR);
	progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return progress == MAP_FAILED
		   ? 1
		   : cmocka_run_group_tests(
			 tests, spool_make_directory, spool_remove_directory);
}
