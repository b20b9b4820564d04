#include "exporter/trace/csv_line.h"

#include <string.h>

#include "common/base/clock.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

void
csv_trim(struct csv_field *f)
{
	while (f->length > 0 && is_blank(*f->at)) {
		f->at++;
		f->length--;
	}
	while (f->length > 0 && is_blank(f->at[f->length - 1])) {
		f->length--;
	}
}

/* A doubled quote stays doubled: none of our values has one. */
bool
csv_take_field(struct csv_field *line, struct csv_field *ret, bool *ret_is_last)
{
	const char *at = line->at, *end = line->at + line->length, *comma;

	while (at < end && is_blank(*at)) {
		at++;
	}
	if (at < end && *at == '"') {
		const char *quote = at + 1;

		while (quote < end &&
		       (*quote != '"' || (quote + 1 < end && quote[1] == '"'))) {
			quote += *quote == '"' ? 2 : 1;
		}
		if (quote >= end) {
			return false;
		}
		*ret = (struct csv_field){at + 1, (size_t)(quote - at - 1)};
		for (comma = quote + 1; comma < end && is_blank(*comma); comma++) {
		}
		if (comma < end && *comma != ',') {
			return false;
		}
	} else {
		comma = memchr(at, ',', (size_t)(end - at));
		comma = comma == NULL ? end : comma;
		*ret = (struct csv_field){at, (size_t)(comma - at)};
	}
	csv_trim(ret);
	*ret_is_last = comma == end;
	line->at = comma + !*ret_is_last;
	line->length = (size_t)(end - line->at);
	return true;
}

bool
csv_number(const struct csv_field *f, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;

	for (; i < f->length && f->at[i] >= '0' && f->at[i] <= '9'; i++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(f->at[i] - '0'), &v)) {
			return false;
		}
	}
	if (i == 0 || v > max) {
		return false;
	}
	if (i < f->length) {
		if (f->at[i] != '.' || i + 1 == f->length) {
			return false;
		}
		while (++i < f->length) {
			if (f->at[i] != '0') {
				return false;
			}
		}
	}
	*ret = v;
	return true;
}

bool
csv_address(const struct csv_field *f, struct address *ret)
{
	char text[ADDRESS_TEXT];

	if (f->length >= sizeof text || memchr(f->at, '\0', f->length) != NULL) {
		return false;
	}
	memcpy(text, f->at, f->length);
	text[f->length] = '\0';
	return address_parse(text, ret) == 0;
}

/* Takes min to max digits from *f, then `end` (0: nothing has to follow). */
static bool
take_digits(struct csv_field *f, size_t min, size_t max, char end, unsigned *ret)
{
	unsigned v = 0;
	size_t i = 0;

	while (i < max && i < f->length && f->at[i] >= '0' && f->at[i] <= '9') {
		v = v * 10 + (unsigned)(f->at[i++] - '0');
	}
	if (i < min || (end != '\0' && (i == f->length || f->at[i++] != end))) {
		return false;
	}
	f->at += i;
	f->length -= i;
	*ret = v;
	return true;
}

static unsigned
days_of_month(unsigned year, unsigned month)
{
	static const uint8_t days[12] = {
	    31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && is_leap);
}

bool
csv_time(const struct csv_field *field, uint64_t *ret_ns)
{
	unsigned day, month, year, hour, minute, second;
	struct csv_field f = *field;

	if (!take_digits(&f, 1, 2, '/', &day) || !take_digits(&f, 1, 2, '/', &month) ||
	    !take_digits(&f, 4, 4, '\0', &year)) {
		return false;
	}
	if (f.length > 0 && *f.at == 'T') {
		f.at++;
		f.length--;
	}
	csv_trim(&f);
	if (!take_digits(&f, 1, 2, ':', &hour) ||
	    !take_digits(&f, 2, 2, ':', &minute) ||
	    !take_digits(&f, 2, 2, '\0', &second) || f.length != 0) {
		return false;
	}
	/* nanoseconds since 1970 in 63 bits end in 2262 */
	if (year < 1970 || year > 2261 || month < 1 || month > 12 || day < 1 ||
	    day > days_of_month(year, month) || hour > 23 || minute > 59 ||
	    second > 59) {
		return false;
	}
	*ret_ns = (uint64_t)clock_days_from_civil((int)year, month, day) * NS_PER_DAY +
		  (hour * 3600ULL + minute * 60 + second) * NS_PER_SECOND;
	return true;
}
