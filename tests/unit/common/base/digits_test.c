#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/digits.h"

static void
digits_stand_in_groups_of_three(void **state)
{
	static const struct {
		uint64_t n;
		const char *text;
	} cases[] = {
	    {0, "0"},
	    {999, "999"},
	    {1000, "1 000"},
	    {4838065, "4 838 065"},
	    {100000, "100 000"},
	    {UINT64_MAX, "18 446 744 073 709 551 615"},
	};
	char out[32];

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_string_equal(digits_grouped(out, cases[i].n), cases[i].text);
	}
}

static void
short_ones_have_three_digits_and_a_prefix(void **unused)
{
	static const struct {
		uint64_t n;
		const char *text;
	} cases[] = {{0, "0"}, {999, "999"}, {1000, "1.00 k"}, {12345, "12.3 k"},
	    {99960, "100 k"}, {999600, "1.00 M"}, {4838065, "4.84 M"},
	    {UINT64_MAX, "18.4 E"}};
	(void)unused;
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[32];
		assert_string_equal(digits_short(text, cases[i].n), cases[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(digits_stand_in_groups_of_three),
	    cmocka_unit_test(short_ones_have_three_digits_and_a_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
