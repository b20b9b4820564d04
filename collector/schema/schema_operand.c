#include "collector/schema/schema_operand.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/digits.h"

#define SHOWN    60 /* of an operand in a sentence */
#define MAC_TEXT 17 /* characters of 00:11:22:33:44:55 */

int
schema_operand_integer(const struct yaml *y, const struct yaml_node *node,
    const struct schema_range *range, int64_t *ret, struct err *e)
{
	struct err why;

	return digits_parse(node->text, range->min, range->max, ret, &why) < 0
		   ? yaml_complain(y, node, e, "%s", why.text)
		   : 0;
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
	struct err why;

	return digits_parse_real(node->text, ret, &why) < 0
		   ? yaml_complain(y, node, e, "%s", why.text)
		   : 0;
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
