#include "common/base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAYS_PER_ERA  146097 /* 400 Gregorian years */
#define DAYS_TO_EPOCH 719468 /* 0000-03-01 to 1970-01-01 */

static uint64_t
read_clock(clockid_t id)
{
	struct timespec t = {0};

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * NS_PER_SECOND + (uint64_t)t.tv_nsec;
}

uint64_t
clock_realtime_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

uint64_t
clock_monotonic_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t
clock_cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

/* Civil dates are counted in years that begin on March 1st, so that the leap day is the
 * last of its year and month lengths follow one line: (153 m + 2) / 5 days lie before
 * month m of such a year. */
int64_t
clock_days_from_civil(int year, unsigned month, unsigned day)
{
	int64_t y = (int64_t)year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t month_from_march = (month + 9) % 12;
	int64_t day_of_year = (153 * month_from_march + 2) / 5 + (int64_t)day - 1;
	int64_t day_of_era =
	    year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * DAYS_PER_ERA + day_of_era - DAYS_TO_EPOCH;
}

static void
civil_from_days(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
	int64_t z = days + DAYS_TO_EPOCH;
	int64_t era = (z >= 0 ? z : z - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
	int64_t day_of_era = z - era * DAYS_PER_ERA;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
				  day_of_era / 146096) /
			      365;
	int64_t day_of_year =
	    day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month_from_march = (5 * day_of_year + 2) / 153;

	*day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
	*month = (unsigned)(month_from_march < 10 ? month_from_march + 3
						  : month_from_march - 9);
	*year = year_of_era + era * 400 + (*month <= 2);
}

static void
put_digits(char *out, unsigned width, uint64_t value)
{
	while (width > 0) {
		out[--width] = (char)('0' + value % 10);
		value /= 10;
	}
}

void
clock_format_day(int64_t days, char out[static 11])
{
	static const int64_t first = -719528, last = 2932896; /* years 0000 to 9999 */
	int64_t year;
	unsigned month, day;

	days = days < first ? first : days > last ? last : days;
	civil_from_days(days, &year, &month, &day);
	put_digits(out, 4, (uint64_t)year);
	out[4] = '-';
	put_digits(out + 5, 2, month);
	out[7] = '-';
	put_digits(out + 8, 2, day);
	out[10] = '\0';
}

size_t
clock_format_iso(uint64_t ns, char out[static 32])
{
	uint64_t fraction = ns % NS_PER_SECOND;
	uint64_t second = ns / NS_PER_SECOND % SECONDS_PER_DAY;
	size_t n = 19;

	clock_format_day((int64_t)(ns / NS_PER_DAY), out);
	out[10] = 'T';
	put_digits(out + 11, 2, second / 3600);
	out[13] = ':';
	put_digits(out + 14, 2, second / 60 % 60);
	out[16] = ':';
	put_digits(out + 17, 2, second % 60);
	if (fraction != 0) {
		unsigned digits = 9;
		while (fraction % 1000 == 0) {
			fraction /= 1000;
			digits -= 3;
		}
		out[n++] = '.';
		put_digits(out + n, digits, fraction);
		n += digits;
	}
	out[n++] = 'Z';
	out[n] = '\0';
	return n;
}

/* Exactly width digits at *at, which moves on; false when there are others. */
static bool
take_digits(const char **at, unsigned width, unsigned *ret)
{
	unsigned v = 0;

	for (unsigned i = 0; i < width; i++) {
		unsigned d = (unsigned)(unsigned char)(*at)[i] - '0';
		if (d > 9) {
			return false;
		}
		v = v * 10 + d;
	}
	*at += width;
	*ret = v;
	return true;
}

static bool
take_char(const char **at, char c)
{
	if (**at != c) {
		return false;
	}
	(*at)++;
	return true;
}

/* An optional ".digits" in nanoseconds; digits beyond the ninth are cut. */
static bool
take_fraction(const char **at, uint64_t *ret_ns)
{
	uint64_t scale = NS_PER_SECOND / 10;
	unsigned d;

	*ret_ns = 0;
	if (!take_char(at, '.')) {
		return true;
	}
	if (!take_digits(at, 1, &d)) {
		return false;
	}
	do {
		*ret_ns += d * scale;
		scale /= 10;
	} while (take_digits(at, 1, &d));
	return true;
}

static bool
take_time(const char **at, int64_t *ret_second, uint64_t *ret_ns)
{
	unsigned hour, minute, second = 0;

	*ret_ns = 0;
	if (!take_digits(at, 2, &hour) || !take_char(at, ':') ||
	    !take_digits(at, 2, &minute) || hour > 23 || minute > 59) {
		return false;
	}
	if (take_char(at, ':')) {
		if (!take_digits(at, 2, &second) || second > 59 ||
		    !take_fraction(at, ret_ns)) {
			return false;
		}
	}
	*ret_second = (int64_t)(hour * 3600 + minute * 60 + second);
	return true;
}

/* "Z", nothing, or +hh:mm, +hhmm, +hh: seconds east of UTC. */
static bool
take_zone(const char **at, int64_t *ret_second)
{
	unsigned hour, minute = 0;
	int sign;

	*ret_second = 0;
	if (**at == '\0' || take_char(at, 'Z')) {
		return true;
	}
	if (**at != '+' && **at != '-') {
		return false;
	}
	sign = *(*at)++ == '-' ? -1 : 1;
	if (!take_digits(at, 2, &hour)) {
		return false;
	}
	if (**at != '\0') {
		take_char(at, ':');
		if (!take_digits(at, 2, &minute)) {
			return false;
		}
	}
	*ret_second = sign * (int64_t)(hour * 3600 + minute * 60);
	return hour < 24 && minute < 60;
}

static bool
take_date(const char **at, int64_t *ret_days)
{
	unsigned year, month, day;
	char again[11];
	const char *begin = *at;

	if (!take_digits(at, 4, &year) || !take_char(at, '-') ||
	    !take_digits(at, 2, &month) || !take_char(at, '-') ||
	    !take_digits(at, 2, &day) || month < 1 || month > 12 || day < 1) {
		return false;
	}
	*ret_days = clock_days_from_civil((int)year, month, day);
	clock_format_day(
	    *ret_days, again); /* days that the month does not have differ */
	return memcmp(again, begin, 10) == 0;
}

static int
combine(int64_t seconds, uint64_t fraction_ns, uint64_t *ret_ns)
{
	uint64_t ns;

	if (seconds < 0 ||
	    __builtin_mul_overflow((uint64_t)seconds, NS_PER_SECOND, &ns) ||
	    __builtin_add_overflow(ns, fraction_ns, &ns)) {
		return -EINVAL;
	}
	*ret_ns = ns;
	return 0;
}

static int
parse_seconds(const char *at, uint64_t *ret_ns)
{
	uint64_t seconds = 0, fraction;
	unsigned d;

	if (!take_digits(&at, 1, &d)) {
		return -EINVAL;
	}
	do {
		seconds = seconds * 10 + d;
		if (seconds > UINT64_MAX / NS_PER_SECOND) {
			return -EINVAL;
		}
	} while (take_digits(&at, 1, &d));
	if (!take_fraction(&at, &fraction) || *at != '\0') {
		return -EINVAL;
	}
	return combine((int64_t)seconds, fraction, ret_ns);
}

int
clock_parse_iso(const char *text, uint64_t *ret_ns)
{
	int64_t days, second = 0, zone = 0;
	uint64_t fraction = 0;

	if (text[0] == '@') {
		return parse_seconds(text + 1, ret_ns);
	}
	if (!take_date(&text, &days)) {
		return -EINVAL;
	}
	if (*text != '\0') {
		if (!take_char(&text, 'T') && !take_char(&text, ' ')) {
			return -EINVAL;
		}
		if (!take_time(&text, &second, &fraction) || !take_zone(&text, &zone) ||
		    *text != '\0') {
			return -EINVAL;
		}
	}
	return combine(days * SECONDS_PER_DAY + second - zone, fraction, ret_ns);
}
