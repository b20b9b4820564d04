#include "common/base/digits.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 60 /* of a mistaken number in a sentence */

const char *
digits_grouped(char out[static 32], uint64_t n)
{
	char digits[24];
	int length = snprintf(digits, sizeof digits, "%" PRIu64, n), at = 0;

	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0) {
			out[at++] = ' ';
		}
		out[at++] = digits[i];
	}
	out[at] = '\0';
	return out;
}

const char *
digits_short(char out[static 32], uint64_t n)
{
	static const char prefixes[] = "kMGTPE";
	double v = (double)n;
	int i = -1;

	if (n < 1000) {
		(void)snprintf(out, 32, "%" PRIu64, n);
		return out;
	}
	while (v >= 999.5 && prefixes[i + 1] != '\0') {
		v /= 1000;
		i++;
	}
	(void)snprintf(out, 32, "%.*f %c",
	    v < 9.995   ? 2
	    : v < 99.95 ? 1
			: 0,
	    v, prefixes[i]);
	return out;
}

void
digits_line(FILE *out, const char *label, uint64_t n, const char *note)
{
	char text[32];

	fprintf(out, "%-*s %19s%s%s\n", DIGITS_LABEL, label, digits_grouped(text, n),
	    *note == '\0' ? "" : "  ", note);
}

void
digits_line_if(FILE *out, const char *label, uint64_t n, const char *note)
{
	if (n > 0) {
		digits_line(out, label, n, note);
	}
}

const char *
digits_real(char out[static 32], double v)
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(out, 32, "%.*g", digits, v);
		if (strtod(out, NULL) == v) {
			break;
		}
	}
	return out;
}

static bool
is_made_of(const char *text, const char *digits)
{
	return text[0] != '\0' && text[strspn(text, digits)] == '\0';
}

int
digits_parse(const char *text, int64_t low, int64_t high, int64_t *ret, struct err *e)
{
	const char *digits = text + (text[0] == '-');
	bool is_hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
	int64_t v;

	if (!(is_hex ? is_made_of(digits + 2, "0123456789abcdefABCDEF")
		     : is_made_of(digits, "0123456789"))) {
		return err_set(e, -EINVAL,
		    "invalid number '%.*s' (expected a whole number such as 443)",
		    SHOWN, text);
	}
	if (!is_hex && digits[0] == '0' && digits[1] != '\0') {
		return err_set(e, -EINVAL,
		    "ambiguous number '%.*s': write it in decimal without a leading "
		    "zero, or in hexadecimal with 0x",
		    SHOWN, text);
	}
	errno = 0;
	v = strtoll(text, NULL, is_hex ? 16 : 10);
	if (errno != 0 || v < low || v > high) {
		return err_set(e, -EINVAL,
		    "%.*s is out of range (expected %" PRId64 " to %" PRId64 ")", SHOWN,
		    text, low, high);
	}
	*ret = v;
	return 0;
}

int
digits_parse_real(const char *text, double *ret, struct err *e)
{
	char *end = NULL;
	double v = strtod(text, &end);

	if (!is_made_of(text, "0123456789+-.eE") || *end != '\0' || !isfinite(v)) {
		return err_set(e, -EINVAL,
		    "invalid number '%.*s' (expected a finite decimal number such as "
		    "0.25)",
		    SHOWN, text);
	}
	*ret = v;
	return 0;
}
