/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/state_file.h"
#include "tests/unit/collector/protocol/support_set.h"

static char path[512];

static int
set_up(void **state)
{
	(void)state;
	snprintf(path, sizeof path, "%s/state", support_directory());
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	support_directory_remove();
	return 0;
}

static void
what_was_written_is_read_and_nobody_else_may(void **state)
{
	uint8_t *bytes = NULL;
	struct stat st;
	size_t n = 0;

	(void)state;
	assert_int_equal(state_file_write(path, (const uint8_t *)"before", 6), 0);
	assert_int_equal(state_file_write(path, (const uint8_t *)"a\0b", 3), 0);
	assert_int_equal(state_file_read(path, &bytes, &n), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(bytes, "a\0b", 3);
	free(bytes);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
a_file_that_is_not_there_or_is_none_is_told(void **state)
{
	uint8_t *bytes = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(state_file_read(path, &bytes, &n), -ENOENT);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(state_file_read(path, &bytes, &n), -EPROTO);
	assert_true(state_file_write(path, (const uint8_t *)"x", 1) < 0);
	assert_null(bytes);
}

static void
what_cannot_be_written_leaves_nothing_behind(void **state)
{
	char inside[600];

	(void)state;
	snprintf(inside, sizeof inside, "%s/none/state", path);
	assert_int_equal(state_file_write(inside, (const uint8_t *)"x", 1), -ENOENT);
}

static void
what_could_not_be_read_is_not_written(void **state)
{
	uint8_t *bytes = NULL;
	size_t n;

	(void)state;
	assert_int_equal(state_file_write(path, (const uint8_t *)"before", 6), 0);
	/* Nothing of it is looked at. */
	assert_int_equal(
	    state_file_write(path, (const uint8_t *)"", (size_t)STATE_FILE_MAX + 1),
	    -EFBIG);
	assert_int_equal(state_file_read(path, &bytes, &n), 0);
	assert_memory_equal(bytes, "before", n);
	free(bytes);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(what_was_written_is_read_and_nobody_else_may),
	    TEST(a_file_that_is_not_there_or_is_none_is_told),
	    TEST(what_cannot_be_written_leaves_nothing_behind),
	    TEST(what_could_not_be_read_is_not_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
