/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "collector/journal/domain_range.h"

static void
no_text_is_every_domain(void **state)
{
	struct domain_ranges r;

	(void)state;
	assert_int_equal(domain_ranges_parse("", &r), 0);
	assert_true(domain_ranges_have(&r, 0));
	assert_true(domain_ranges_have(&r, UINT32_MAX));
}

static void
ranges_hold_their_ends_and_nothing_beside(void **state)
{
	struct domain_ranges r;

	(void)state;
	assert_int_equal(domain_ranges_parse("1,5-9,4294967295", &r), 0);
	assert_true(domain_ranges_have(&r, 1));
	assert_true(domain_ranges_have(&r, 5));
	assert_true(domain_ranges_have(&r, 9));
	assert_true(domain_ranges_have(&r, UINT32_MAX));
	assert_false(domain_ranges_have(&r, 0));
	assert_false(domain_ranges_have(&r, 4));
	assert_false(domain_ranges_have(&r, 10));
}

static void
what_is_no_list_of_ranges_has_no_domain(void **state)
{
	static const char *const texts[] = {
	    "x", "1,", ",1", "9-5", "1-", "-1", "1 ,2", "4294967296", "1--2", "1,x"};
	struct domain_ranges r;

	(void)state;
	for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_int_equal(domain_ranges_parse(texts[i], &r), -EINVAL);
		assert_false(domain_ranges_have(&r, 1));
	}
}

static void
more_ranges_than_there_is_room_for_are_refused(void **state)
{
	struct domain_ranges r;
	char text[2 * DOMAIN_RANGES + 2];

	(void)state;
	for (unsigned i = 0; i <= DOMAIN_RANGES; i++) {
		text[2 * i] = '7';
		text[2 * i + 1] = ',';
	}
	text[2 * DOMAIN_RANGES + 1] = '\0';
	assert_int_equal(domain_ranges_parse(text, &r), -EINVAL);
	text[2 * DOMAIN_RANGES - 1] = '\0';
	assert_int_equal(domain_ranges_parse(text, &r), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_text_is_every_domain),
	    cmocka_unit_test(ranges_hold_their_ends_and_nothing_beside),
	    cmocka_unit_test(what_is_no_list_of_ranges_has_no_domain),
	    cmocka_unit_test(more_ranges_than_there_is_room_for_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
