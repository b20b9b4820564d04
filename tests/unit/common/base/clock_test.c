#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"

static void
epoch_is_day_zero(void **state)
{
	(void)state;
	assert_int_equal(clock_days_from_civil(1970, 1, 1), 0);
}

static void
days_before_the_epoch_are_negative(void **state)
{
	(void)state;
	assert_int_equal(clock_days_from_civil(1969, 12, 31), -1);
}

static void
leap_day_of_a_four_hundredth_year_counts(void **state)
{
	(void)state;
	assert_int_equal(
	    clock_days_from_civil(2000, 3, 1) - clock_days_from_civil(2000, 2, 28), 2);
}

static void
century_without_leap_day_has_none(void **state)
{
	(void)state;
	assert_int_equal(
	    clock_days_from_civil(2100, 3, 1) - clock_days_from_civil(2100, 2, 28), 1);
}

static void
day_is_ten_characters(void **state)
{
	char text[11];

	(void)state;
	clock_format_day(17282, text);
	assert_string_equal(text, "2017-04-26");
}

static void
day_beyond_year_9999_stays_there(void **state)
{
	char text[11];

	(void)state;
	clock_format_day(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31");
	clock_format_day(INT64_MIN, text);
	assert_string_equal(text, "0000-01-01");
}

static void
iso_fraction_is_as_long_as_needed(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
	    {1493205077000000000, "2017-04-26T11:11:17Z"},
	    {1493205077120000000, "2017-04-26T11:11:17.120Z"},
	    {1493205077120300000, "2017-04-26T11:11:17.120300Z"},
	    {1493205077123456789, "2017-04-26T11:11:17.123456789Z"},
	    {0, "1970-01-01T00:00:00Z"},
	    {UINT64_MAX, "2554-07-21T23:34:33.709551615Z"},
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(
		    clock_format_iso(cases[i].ns, text), strlen(cases[i].text));
		assert_string_equal(text, cases[i].text);
	}
}

static void
parse_reads_every_form(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} cases[] = {
	    {"2017-04-26", 1493164800000000000},
	    {"2017-04-26T11:11:17Z", 1493205077000000000},
	    {"2017-04-26 11:11:17", 1493205077000000000},
	    {"2017-04-26T11:11", 1493205060000000000},
	    {"2017-04-26T11:11Z", 1493205060000000000},
	    {"2017-04-26T11:11:17.5Z", 1493205077500000000},
	    {"2017-04-26T11:11:17.1234567891Z", 1493205077123456789},
	    {"2017-04-26T13:11:17+02:00", 1493205077000000000},
	    {"2017-04-26T13:11:17+0200", 1493205077000000000},
	    {"2017-04-26T13:11:17+02", 1493205077000000000},
	    {"2017-04-26T05:41:17-05:30", 1493205077000000000},
	    {"1970-01-01T00:00:00Z", 0},
	    {"@1493205077", 1493205077000000000},
	    {"@1493205077.25", 1493205077250000000},
	};
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(clock_parse_iso(cases[i].text, &ns), 0);
		assert_int_equal(ns, cases[i].ns);
	}
}

static void
parse_refuses_what_is_no_time(void **state)
{
	static const char *const texts[] = {
	    "",
	    "yesterday",
	    "2017",
	    "2017-04",
	    "2017-4-26",
	    "2017-13-01",
	    "2017-00-01",
	    "2017-02-29",
	    "2017-04-31",
	    "2017-04-26T",
	    "2017-04-26T11",
	    "2017-04-26T24:00",
	    "2017-04-26T11:60",
	    "2017-04-26T11:11:60",
	    "2017-04-26T11:11:17.",
	    "2017-04-26T11:11:17z",
	    "2017-04-26T11:11:17ZZ",
	    "2017-04-26T11:11:17+24:00",
	    "2017-04-26T11:11:17+2",
	    "2017-04-26x11:11:17",
	    " 2017-04-26",
	    "1969-12-31",
	    "1970-01-01T00:00:00+01:00",
	    "9999-12-31",
	    "@",
	    "@-1",
	    "@1x",
	    "@99999999999999999999",
	};
	uint64_t ns = 7;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		assert_int_equal(clock_parse_iso(texts[i], &ns), -EINVAL);
	}
	assert_int_equal(ns, 7);
}

static void
monotonic_clock_never_goes_back(void **state)
{
	uint64_t before = clock_monotonic_ns();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t now = clock_monotonic_ns();
		assert_true(now >= before);
		before = now;
	}
}

static void
cpu_clock_counts_work(void **state)
{
	uint64_t before = clock_cpu_ns();

	(void)state;
	while (clock_cpu_ns() == before) {
	}
	assert_true(clock_cpu_ns() > before);
}

static void
real_clock_is_after_this_was_written(void **state)
{
	uint64_t then;

	(void)state;
	assert_int_equal(clock_parse_iso("2020-01-01", &then), 0);
	assert_true(clock_realtime_ns() > then);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(epoch_is_day_zero),
	    cmocka_unit_test(days_before_the_epoch_are_negative),
	    cmocka_unit_test(leap_day_of_a_four_hundredth_year_counts),
	    cmocka_unit_test(century_without_leap_day_has_none),
	    cmocka_unit_test(day_is_ten_characters),
	    cmocka_unit_test(day_beyond_year_9999_stays_there),
	    cmocka_unit_test(iso_fraction_is_as_long_as_needed),
	    cmocka_unit_test(parse_reads_every_form),
	    cmocka_unit_test(parse_refuses_what_is_no_time),
	    cmocka_unit_test(monotonic_clock_never_goes_back),
	    cmocka_unit_test(cpu_clock_counts_work),
	    cmocka_unit_test(real_clock_is_after_this_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
