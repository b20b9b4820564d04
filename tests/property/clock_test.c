/* Civil time against the C library's, and text that reads back as the same time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <time.h>

#include "common/base/clock.h"

#define ROUNDS 200000

static uint64_t
next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void
text_reads_back_as_the_same_time(void **state)
{
	static const uint64_t units[] = {1, 1000, 1000000, NS_PER_SECOND};
	uint64_t seed = 1970;
	char text[32];

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t ns = next(&seed), again = 0;
		ns -= ns % units[i % 4];
		clock_format_iso(ns, text);
		assert_int_equal(clock_parse_iso(text, &again), 0);
		assert_true(ns == again);
	}
}

static void
seconds_equal_gmtime(void **state)
{
	uint64_t seed = 1970;
	char ours[32], theirs[64];

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t ns = next(&seed);
		time_t seconds = (time_t)(ns / NS_PER_SECOND);
		struct tm t;
		assert_non_null(gmtime_r(&seconds, &t));
		strftime(theirs, sizeof theirs, "%Y-%m-%dT%H:%M:%SZ", &t);
		clock_format_iso((uint64_t)seconds * NS_PER_SECOND, ours);
		assert_string_equal(ours, theirs);
	}
}

static void
every_day_of_ten_thousand_years_reads_back(void **state)
{
	char text[11];

	(void)state;
	for (int64_t day = -719528; day <= 2932896; day++) {
		int year;
		unsigned month, d;
		clock_format_day(day, text);
		assert_int_equal(sscanf(text, "%d-%u-%u", &year, &month, &d), 3);
		assert_true(clock_days_from_civil(year, month, d) == day);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_reads_back_as_the_same_time),
	    cmocka_unit_test(seconds_equal_gmtime),
	    cmocka_unit_test(every_day_of_ten_thousand_years_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
