/* Clocks, read by loops only; everything else gets now_ns as an argument.
 * Also civil time for people: UTC, ISO 8601. */
#ifndef COMMON_BASE_CLOCK_H
#define COMMON_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define SECONDS_PER_DAY 86400
#define NS_PER_US       1000ULL
#define NS_PER_MS       1000000ULL
#define NS_PER_SECOND   1000000000ULL
#define NS_PER_MINUTE   (60 * NS_PER_SECOND)
#define NS_PER_HOUR     (60 * NS_PER_MINUTE)
#define NS_PER_DAY      (24 * NS_PER_HOUR)

uint64_t clock_realtime_ns(void);  /* since 1970-01-01 UTC */
uint64_t clock_monotonic_ns(void); /* for intervals */
uint64_t clock_cpu_ns(void);       /* user + system of this process */

/* "2017-04-26": 10 characters and NUL.  days counts from 1970-01-01. */
void clock_format_day(int64_t days, char out[static 11]);
/* "2017-04-26T11:11:17.123456789Z", fraction only as long as needed (0, 3, 6 or 9
 * digits). */
size_t clock_format_iso(uint64_t ns, char out[static 32]);
/* Reads ISO 8601 date or date and time (T or blank, optional fraction, Z or nothing:
 * UTC, or an offset +hh:mm), or "@seconds".  0 or -EINVAL. */
int clock_parse_iso(const char *text, uint64_t *ret_ns);
/* Days since 1970-01-01 of a civil date (proleptic Gregorian). */
int64_t clock_days_from_civil(int year, unsigned month, unsigned day);

#endif
