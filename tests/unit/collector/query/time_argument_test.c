#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/query/time_argument.h"
#include "common/base/clock.h"

#define NOW 1493205077500000000ULL /* 2017-04-26T11:11:17.5Z */
#define DAY 1493164800000000000ULL /* its beginning */

static void
is(const char *text, uint64_t ns, bool is_day)
{
	struct err e = {""};
	uint64_t got = 0;
	bool got_day = !is_day;

	if (time_argument_parse(text, NOW, &got, &got_day, &e) < 0) {
		fail_msg("%s: %s", text, e.text);
	}
	assert_int_equal(got, ns);
	assert_int_equal(got_day, is_day);
}

static void
complains(const char *text, const char *sentence)
{
	struct err e = {""};
	uint64_t ns;
	bool is_day;

	assert_true(time_argument_parse(text, NOW, &ns, &is_day, &e) < 0);
	assert_string_equal(e.text, sentence);
}

static void
times_count_from_now(void **state)
{
	(void)state;
	is("now", NOW, false);
	is("-90", NOW - 90 * NS_PER_SECOND, false);
	is("-30min", NOW - 30 * NS_PER_MINUTE, false);
	is("-2d", NOW - 2 * NS_PER_DAY, false);
}

static void
today_and_yesterday_are_whole_days(void **state)
{
	(void)state;
	is("today", DAY, true);
	is("yesterday", DAY - NS_PER_DAY, true);
	is("2017-04-26", DAY, true);
}

static void
times_of_conditions_are_taken_too(void **state)
{
	(void)state;
	is("2017-04-26T13:11:17.5+02:00", NOW, false);
	is("@1493205077", NOW - 500000000, false);
	is("1493205077500000000", NOW, false);
}

static void
what_is_not_a_time_is_explained(void **state)
{
	static const char sentence[] =
	    "invalid time \"tomorrow\" (expected -2h, today, 2017-04-26, "
	    "2017-04-26T11:11:17Z, @seconds or nanoseconds since 1970)";

	(void)state;
	complains("tomorrow", sentence);
	complains("-2weeks",
	    "invalid time \"-2weeks\" (expected -90s, -30min, -2h or -7d for a time before "
	    "now)");
	complains("-99999d",
	    "invalid time \"-99999d\" (expected -90s, -30min, -2h or -7d for a time before "
	    "now)");
	complains(
	    "2300-01-01", "2300-01-01 is too late (times end at 2262-04-11T23:47:16Z)");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(times_count_from_now),
	    cmocka_unit_test(today_and_yesterday_are_whole_days),
	    cmocka_unit_test(times_of_conditions_are_taken_too),
	    cmocka_unit_test(what_is_not_a_time_is_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
