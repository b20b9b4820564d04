#include "collector/schema/schema_operand.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"

#define SHOWN    60 /* of an operand in a sentence */
#define MAC_TEXT 17 /* characters of 00:11:22:33:44:55 */

static bool
is_digits(const char *text, const char *digits)
{
	return text[0] != '\0' && text[strspn(text, digits)] == '\0';
}

int
schema_operand_integer(const struct yaml *y, const struct yaml_node *node,
    const struct schema_range *range, int64_t *ret, struct err *e)
{
	const char *text = node->text, *digits = text + (text[0] == '-');
	bool is_hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
	int64_t v;

	if (!(is_hex ? is_digits(digits + 2, "0123456789abcdefABCDEF")
		     : is_digits(digits, "0123456789"))) {
		return yaml_complain(y, node, e,
		    "invalid number '%.*s' (expected a whole number such as 443)",
		    SHOWN, text);
	}
	if (!is_hex && digits[0] == '0' && digits[1] != '\0') {
		return yaml_complain(y, node, e,
		    "ambiguous number '%.*s': write it in decimal without a leading "
		    "zero, or in hexadecimal with 0x",
		    SHOWN, text);
	}
	errno = 0;
	v = strtoll(text, NULL, is_hex ? 16 : 10);
	if (errno != 0 || v < range->min || v > range->max) {
		return yaml_complain(y, node, e,
		    "%.*s is out of range (expected %" PRId64 " to %" PRId64 ")", SHOWN,
		    text, range->min, range->max);
	}
	*ret = v;
	return 0;
}

int
schema_operand_time(
    const struct yaml *y, const struct yaml_node *node, int64_t *ret, struct err *e)
{
	uint64_t ns = 0;

	if (clock_parse_iso(node->text, &ns) < 0) {
		return yaml_complain(y, node, e,
		    "invalid time '%.*s' (expected a time from 1970 to 2262 such as "
		    "2017-04-26 or 2017-04-26T11:11:17Z)",
		    SHOWN, node->text);
	}
	if (ns > INT64_MAX) {
		return yaml_complain(y, node, e,
		    "%.*s is too late (times end at 2262-04-11T23:47:16Z)", SHOWN,
		    node->text);
	}
	*ret = (int64_t)ns;
	return 0;
}

int
schema_operand_real(
    const struct yaml *y, const struct yaml_node *node, double *ret, struct err *e)
{
	char *end = NULL;
	double v = strtod(node->text, &end);

	if (!is_digits(node->text, "0123456789+-.eE") || *end != '\0' || !isfinite(v)) {
		return yaml_complain(y, node, e,
		    "invalid number '%.*s' (expected a finite decimal number such as "
		    "0.25)",
		    SHOWN, node->text);
	}
	*ret = v;
	return 0;
}

int
schema_operand_mac(
    const struct yaml *y, const struct yaml_node *node, int64_t *ret, struct err *e)
{
	const char *text = node->text;
	bool is_mac = strlen(text) == MAC_TEXT;
	int64_t v = 0;

	for (unsigned i = 0; is_mac && i < MAC_TEXT; i++) {
		int c = tolower((unsigned char)text[i]);
		if (i % 3 == 2) {
			is_mac = c == ':';
		} else {
			is_mac = isxdigit(c);
			v = v << 4 | (c <= '9' ? c - '0' : c - 'a' + 10);
		}
	}
	if (!is_mac) {
		return yaml_complain(y, node, e,
		    "invalid MAC address '%.*s' (expected one such as "
		    "00:11:22:33:44:55)",
		    SHOWN, text);
	}
	*ret = v;
	return 0;
}
