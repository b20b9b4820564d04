#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/base/err.h"

static const char *const names[] = {"services", "pairs", NULL, "conversations"};

static void
set_writes_the_sentence_and_returns_the_code(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(err_set(&e, -EINVAL, "port %d is %s", 0, "wrong"), -EINVAL);
	assert_string_equal(e.text, "port 0 is wrong");
}

static void
set_accepts_nobody_listening(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, -EIO, "lost"), -EIO);
}

static void
set_cuts_a_sentence_that_is_too_long(void **state)
{
	struct err e;
	char longer[2000];

	(void)state;
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	err_set(&e, -EINVAL, "%s", longer);
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
}

static void
prefix_stands_before_the_sentence(void **state)
{
	struct err e;

	(void)state;
	err_set(&e, -EINVAL, "is empty");
	assert_int_equal(err_prefix(&e, -ENOENT, "file %s", "a"), -ENOENT);
	assert_string_equal(e.text, "file a: is empty");
}

static void
prefix_longer_than_the_room_is_cut(void **state)
{
	struct err e;
	char longer[2000];

	(void)state;
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	err_set(&e, -EINVAL, "is empty");
	err_prefix(&e, -EINVAL, "%s", longer);
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
}

static void
nearest_finds_a_missing_letter(void **state)
{
	(void)state;
	assert_string_equal(err_nearest("servces", names, 4), "services");
}

static void
nearest_finds_swapped_letters(void **state)
{
	(void)state;
	assert_string_equal(err_nearest("piars", names, 4), "pairs");
}

static void
nearest_ignores_case(void **state)
{
	(void)state;
	assert_string_equal(err_nearest("PAIRS", names, 4), "pairs");
}

static void
nearest_of_a_far_word_is_none(void **state)
{
	(void)state;
	assert_null(err_nearest("flowtuple4", names, 4));
}

static void
nearest_of_an_empty_or_endless_word_is_none(void **state)
{
	char endless[200];

	(void)state;
	memset(endless, 'p', sizeof endless - 1);
	endless[sizeof endless - 1] = '\0';
	assert_null(err_nearest("", names, 4));
	assert_null(err_nearest(endless, names, 4));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(set_writes_the_sentence_and_returns_the_code),
	    cmocka_unit_test(set_accepts_nobody_listening),
	    cmocka_unit_test(set_cuts_a_sentence_that_is_too_long),
	    cmocka_unit_test(prefix_stands_before_the_sentence),
	    cmocka_unit_test(prefix_longer_than_the_room_is_cut),
	    cmocka_unit_test(nearest_finds_a_missing_letter),
	    cmocka_unit_test(nearest_finds_swapped_letters),
	    cmocka_unit_test(nearest_ignores_case),
	    cmocka_unit_test(nearest_of_a_far_word_is_none),
	    cmocka_unit_test(nearest_of_an_empty_or_endless_word_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
