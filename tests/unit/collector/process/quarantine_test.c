#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/process/quarantine.h"
#include "tests/unit/collector/protocol/support_set.h"

static const char *directory;

static int
set_up(void **state)
{
	(void)state;
	directory = support_directory();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	support_directory_remove();
	return 0;
}

static struct quarantine *
open_quarantine(void)
{
	struct quarantine *q = NULL;
	struct err e = {""};

	if (quarantine_new(directory, &q, &e) < 0) {
		fail_msg("%s", e.text);
	}
	return q;
}

/* A process that works on the message at position and ends by this signal. */
static void
crash(uint64_t position, int number, bool is_after)
{
	const struct rlimit none = {0, 0};
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct quarantine *q = NULL;
		setrlimit(RLIMIT_CORE, &none);
		signal(number, SIG_DFL);
		if (quarantine_new(directory, &q, NULL) < 0) {
			_exit(1);
		}
		quarantine_begin(q, position, (const uint8_t *)"abc", 3, NULL);
		if (is_after) {
			quarantine_end(q);
		}
		raise(number);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), number);
}

static int
begin(struct quarantine *q, uint64_t position)
{
	return quarantine_begin(q, position, (const uint8_t *)"abc", 3, NULL);
}

static void
test_a_message_that_crashed_twice_is_set_aside_for_good(void **state)
{
	struct quarantine *q;
	char path[256], text[8] = "";
	FILE *f;

	(void)state;
	crash(4096, SIGSEGV, false);
	crash(4096, SIGABRT, false);
	q = open_quarantine();
	assert_int_equal(begin(q, 40), 0);
	quarantine_end(q);
	assert_int_equal(begin(q, 4096), QUARANTINE_NEW);
	quarantine_free(q);
	snprintf(path, sizeof path, "%s/quarantine/0000000000001000.ipfix", directory);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof text, f));
	assert_string_equal(text, "abc");
	fclose(f);
	q = open_quarantine();
	assert_int_equal(begin(q, 4096), QUARANTINE_KNOWN);
	quarantine_free(q);
}

static void
test_one_crash_is_forgiven(void **state)
{
	struct quarantine *q;

	(void)state;
	crash(4096, SIGSEGV, false);
	q = open_quarantine();
	assert_int_equal(begin(q, 4096), 0);
	quarantine_end(q);
	quarantine_free(q);
}

static void
test_crashes_of_two_messages_are_not_added_up(void **state)
{
	struct quarantine *q;

	(void)state;
	crash(4096, SIGSEGV, false);
	crash(8192, SIGSEGV, false);
	crash(4096, SIGSEGV, false);
	q = open_quarantine();
	assert_int_equal(begin(q, 4096), 0);
	quarantine_free(q);
}

static void
test_being_killed_is_no_crash(void **state)
{
	struct quarantine *q;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		crash(4096, SIGKILL, false);
	}
	q = open_quarantine();
	assert_int_equal(begin(q, 4096), 0);
	quarantine_free(q);
}

static void
test_a_crash_outside_of_a_message_blames_none(void **state)
{
	struct quarantine *q;

	(void)state;
	crash(4096, SIGSEGV, true);
	crash(4096, SIGSEGV, true);
	q = open_quarantine();
	assert_int_equal(begin(q, 4096), 0);
	quarantine_free(q);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_a_message_that_crashed_twice_is_set_aside_for_good),
	    CASE(test_one_crash_is_forgiven),
	    CASE(test_crashes_of_two_messages_are_not_added_up),
	    CASE(test_being_killed_is_no_crash),
	    CASE(test_a_crash_outside_of_a_message_blames_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
