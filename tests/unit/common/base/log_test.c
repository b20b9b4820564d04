#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

static char captured[4096];

/* Standard error goes into a pipe between these two. */
static int saved_stderr, pipe_ends[2];

static void
capture_begin(void)
{
	assert_int_equal(pipe(pipe_ends), 0);
	saved_stderr = dup(STDERR_FILENO);
	assert_true(saved_stderr >= 0);
	dup2(pipe_ends[1], STDERR_FILENO);
	close(pipe_ends[1]);
}

static void
capture_end(void)
{
	ssize_t n;
	size_t used = 0;

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	while (
	    (n = read(pipe_ends[0], captured + used, sizeof captured - 1 - used)) > 0) {
		used += (size_t)n;
	}
	captured[used] = '\0';
	close(pipe_ends[0]);
}

static int
reset(void **state)
{
	(void)state;
	log_set_level(LOG_INFO);
	log_set_program(NULL);
	return 0;
}

static void
line_has_program_level_and_sentence(void **state)
{
	(void)state;
	log_set_program("flowpair-collector");
	capture_begin();
	log_warning("disk %s is full", "a");
	capture_end();
	assert_string_equal(captured, "flowpair-collector: warning: disk a is full\n");
}

static void
line_without_a_program_begins_with_the_level(void **state)
{
	(void)state;
	capture_begin();
	log_error("gone");
	capture_end();
	assert_string_equal(captured, "error: gone\n");
}

static void
debug_lines_are_dropped_at_first(void **state)
{
	(void)state;
	capture_begin();
	log_debug("detail");
	capture_end();
	assert_string_equal(captured, "");
}

static void
lines_above_the_level_are_dropped(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	capture_begin();
	log_warning("dropped");
	log_error("kept");
	capture_end();
	assert_string_equal(captured, "error: kept\n");
}

static void
control_characters_of_foreign_names_are_not_shown(void **state)
{
	(void)state;
	capture_begin();
	log_info("peer %s", "a\x1b[2Jb\nerror: forged");
	capture_end();
	assert_string_equal(captured, "info: peer a?[2Jb?error: forged\n");
}

static void
endless_sentence_is_cut_and_still_one_line(void **state)
{
	char longer[3000];

	(void)state;
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	capture_begin();
	log_info("%s", longer);
	capture_end();
	assert_true(strlen(captured) <= 1024);
	assert_ptr_equal(strchr(captured, '\n'), captured + strlen(captured) - 1);
}

static void
errno_survives_a_line(void **state)
{
	(void)state;
	capture_begin();
	errno = ENOSPC;
	log_info("x");
	assert_int_equal(errno, ENOSPC);
	capture_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(line_has_program_level_and_sentence, reset),
	    cmocka_unit_test_setup(line_without_a_program_begins_with_the_level, reset),
	    cmocka_unit_test_setup(debug_lines_are_dropped_at_first, reset),
	    cmocka_unit_test_setup(lines_above_the_level_are_dropped, reset),
	    cmocka_unit_test_setup(
		control_characters_of_foreign_names_are_not_shown, reset),
	    cmocka_unit_test_setup(endless_sentence_is_cut_and_still_one_line, reset),
	    cmocka_unit_test_setup(errno_survives_a_line, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
