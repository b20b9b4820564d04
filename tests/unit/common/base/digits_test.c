#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include <string.h>

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

static void
numbers_are_decimal_or_hexadecimal_and_in_range(void **state)
{
	int64_t v = 0;
	struct err e = {""};

	(void)state;
	assert_int_equal(digits_parse("-5", -5, 5, &v, &e), 0);
	assert_int_equal(v, -5);
	assert_int_equal(digits_parse("0x1F", 0, 31, &v, &e), 0);
	assert_int_equal(v, 31);
	assert_int_equal(digits_parse("32", 0, 31, &v, &e), -EINVAL);
	assert_string_equal(e.text, "32 is out of range (expected 0 to 31)");
	assert_int_equal(digits_parse("010", 0, 31, &v, &e), -EINVAL);
	assert_non_null(strstr(e.text, "ambiguous number '010'"));
	assert_int_equal(digits_parse(" 1", 0, 31, &v, &e), -EINVAL);
	assert_int_equal(v, 31);
}

static void
reals_are_decimal_and_finite(void **state)
{
	double v = 0;
	struct err e = {""};

	(void)state;
	assert_int_equal(digits_parse_real("-2.5e-1", &v, &e), 0);
	assert_true(v == -0.25);
	assert_int_equal(digits_parse_real("nan", &v, &e), -EINVAL);
	assert_int_equal(digits_parse_real("1e999", &v, &e), -EINVAL);
	assert_int_equal(digits_parse_real("", &v, &e), -EINVAL);
	assert_non_null(strstr(e.text, "expected a finite decimal number"));
}

static void
a_real_has_as_many_digits_as_it_needs(void **state)
{
	char out[32];

	(void)state;
	assert_string_equal(digits_real(out, 0.1), "0.1");
	assert_string_equal(digits_real(out, 1.0 / 3), "0.3333333333333333");
	assert_string_equal(digits_real(out, -1e300), "-1e+300");
	assert_string_equal(digits_real(out, 0.1 + 0.2), "0.30000000000000004");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(digits_stand_in_groups_of_three),
	    cmocka_unit_test(numbers_are_decimal_or_hexadecimal_and_in_range),
	    cmocka_unit_test(reals_are_decimal_and_finite),
	    cmocka_unit_test(a_real_has_as_many_digits_as_it_needs),
	    cmocka_unit_test(short_ones_have_three_digits_and_a_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
