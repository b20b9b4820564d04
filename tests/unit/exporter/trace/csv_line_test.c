#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/base/clock.h"
#include "exporter/trace/csv_line.h"

static struct csv_field
field(const char *text)
{
	return (struct csv_field){text, strlen(text)};
}

/* Takes all fields and joins them with '|'; a line that is refused is "bad". */
static const char *
split(const char *text)
{
	static char joined[256];
	struct csv_field line = field(text), f;
	size_t n = 0;
	bool is_last = false;

	while (!is_last) {
		if (!csv_take_field(&line, &f, &is_last)) {
			return "bad";
		}
		memcpy(joined + n, f.at, f.length);
		n += f.length;
		joined[n++] = '|';
	}
	joined[n - 1] = '\0';
	return joined;
}

static void
commas_part_fields(void **state)
{
	(void)state;
	assert_string_equal(split("a,b,,c"), "a|b||c");
	assert_string_equal(split(""), "");
	assert_string_equal(split(","), "|");
}

static void
blanks_around_fields_go(void **state)
{
	(void)state;
	assert_string_equal(split(" a b ,\tc "), "a b|c");
	assert_string_equal(split(" \"a\" , \"b\""), "a|b");
}

static void
quotes_keep_commas_together(void **state)
{
	(void)state;
	assert_string_equal(split("\"a,b\",c"), "a,b|c");
	assert_string_equal(split("\"\",c"), "|c");
	assert_string_equal(
	    split("\"say \"\"hi\"\", you\",c"), "say \"\"hi\"\", you|c");
}

static void
quotes_out_of_order_are_refused(void **state)
{
	(void)state;
	assert_string_equal(split("\"a,b"), "bad");
	assert_string_equal(split("\"a\"b,c"), "bad");
	assert_string_equal(split("\"a\"\""), "bad");
}

/* The number, or -1. */
static int64_t
number(const char *text, uint64_t max)
{
	struct csv_field f = field(text);
	uint64_t v;

	return csv_number(&f, max, &v) ? (int64_t)v : -1;
}

static void
numbers_are_decimal_digits(void **state)
{
	(void)state;
	assert_int_equal(number("0", 10), 0);
	assert_int_equal(number("45523", UINT64_MAX), 45523);
	assert_int_equal(number("007", 10), 7);
}

static void
a_fraction_of_nothing_is_let_pass(void **state)
{
	(void)state;
	assert_int_equal(number("45523.0", UINT64_MAX), 45523);
	assert_int_equal(number("1.000", 10), 1);
	assert_int_equal(number("1.5", 10), -1);
	assert_int_equal(number("1.", 10), -1);
	assert_int_equal(number(".0", 10), -1);
}

static void
everything_else_is_no_number(void **state)
{
	static const char *const bad[] = {
	    "", "-1", "+1", "1e3", "0x10", "1 2", "abc", "1,5", "NaN", "Infinity"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(number(bad[i], UINT64_MAX), -1);
	}
}

static void
numbers_that_do_not_fit_are_refused(void **state)
{
	struct csv_field f = field("18446744073709551615");
	uint64_t v;

	(void)state;
	assert_int_equal(number("65535", 65535), 65535);
	assert_int_equal(number("65536", 65535), -1);
	assert_true(csv_number(&f, UINT64_MAX, &v));
	assert_true(v == UINT64_MAX);
	assert_int_equal(number("18446744073709551616", UINT64_MAX), -1);
	assert_int_equal(number("99999999999999999999999999", UINT64_MAX), -1);
}

static bool
address(const char *text, size_t length, struct address *ret)
{
	struct csv_field f = {text, length};

	return csv_address(&f, ret);
}

static void
addresses_end_where_the_field_ends(void **state)
{
	struct address a, b;

	(void)state;
	address_from_ipv4(&b, (uint8_t[]){10, 0, 0, 1});
	assert_true(address("10.0.0.12", 8, &a));
	assert_memory_equal(&a, &b, sizeof a);
	assert_true(address("::ffff:10.0.0.1", 15, &a));
	assert_memory_equal(&a, &b, sizeof a);
	assert_true(address("2001:db8::1", 11, &a));
}

static void
what_is_no_address_is_refused(void **state)
{
	static const char *const bad[] = {"", "10.0.0", "10.0.0.256", "host",
	    "fe80::1%lo", "10.0.0.1 ", "1:2:3:4:5:6:7:8:9",
	    "00000000000000000000000000000000000000000000000000000010.0.0.1"};
	struct address a;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(address(bad[i], strlen(bad[i]), &a));
	}
	assert_false(address("10.0.0.1\0x", 10, &a));
}

/* Seconds since 1970, or -1. */
static int64_t
seconds(const char *text)
{
	struct csv_field f = field(text);
	uint64_t ns;

	return csv_time(&f, &ns) ? (int64_t)(ns / NS_PER_SECOND) : -1;
}

static void
times_are_read_with_and_without_something_between(void **state)
{
	(void)state;
	assert_int_equal(seconds("26/04/201711:11:17"), 1493205077);
	assert_int_equal(seconds("26/04/2017 11:11:17"), 1493205077);
	assert_int_equal(seconds("26/04/2017  11:11:17"), 1493205077);
	assert_int_equal(seconds("26/04/2017T11:11:17"), 1493205077);
	assert_int_equal(seconds("1/1/1970 0:00:01"), 1);
}

static void
hours_go_to_23(void **state)
{
	(void)state;
	assert_int_equal(seconds("01/01/197023:59:59"), 86399);
	assert_int_equal(seconds("01/01/197024:00:00"), -1);
}

static void
the_calendar_is_checked(void **state)
{
	(void)state;
	assert_true(seconds("29/02/2016 00:00:00") > 0);
	assert_true(seconds("29/02/2000 00:00:00") > 0);
	assert_int_equal(seconds("29/02/2017 00:00:00"), -1);
	assert_int_equal(seconds("29/02/2100 00:00:00"), -1);
	assert_int_equal(seconds("31/04/2017 00:00:00"), -1);
	assert_int_equal(seconds("00/04/2017 00:00:00"), -1);
	assert_int_equal(seconds("01/13/2017 00:00:00"), -1);
	assert_int_equal(seconds("01/00/2017 00:00:00"), -1);
	assert_int_equal(seconds("01/01/1969 23:59:59"), -1);
	assert_int_equal(seconds("01/01/2262 00:00:00"), -1);
}

static void
other_shapes_are_no_times(void **state)
{
	static const char *const bad[] = {"", "26/04/2017", "26/04/2017 11:11",
	    "26/04/17 11:11:17", "2017-04-26 11:11:17", "26/04/2017 11:11:60",
	    "26/04/2017 11:60:00", "26/04/2017 01:11:17 PM", "26/04/2017 11:11:17.5",
	    "26/04/2017TT11:11:17", "x26/04/2017 11:11:17", "Invalid date"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(seconds(bad[i]), -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(commas_part_fields),
	    cmocka_unit_test(blanks_around_fields_go),
	    cmocka_unit_test(quotes_keep_commas_together),
	    cmocka_unit_test(quotes_out_of_order_are_refused),
	    cmocka_unit_test(numbers_are_decimal_digits),
	    cmocka_unit_test(a_fraction_of_nothing_is_let_pass),
	    cmocka_unit_test(everything_else_is_no_number),
	    cmocka_unit_test(numbers_that_do_not_fit_are_refused),
	    cmocka_unit_test(addresses_end_where_the_field_ends),
	    cmocka_unit_test(what_is_no_address_is_refused),
	    cmocka_unit_test(times_are_read_with_and_without_something_between),
	    cmocka_unit_test(hours_go_to_23),
	    cmocka_unit_test(the_calendar_is_checked),
	    cmocka_unit_test(other_shapes_are_no_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
