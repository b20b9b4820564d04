#include "collector/query/time_argument.h"

#include <errno.h>
#include <string.h>

#include "collector/query/condition.h"
#include "common/base/clock.h"
#include "common/config/option.h"

static int
parse_age(const char *text, uint64_t now_ns, uint64_t *ret_ns, struct err *e)
{
	uint64_t age;

	if (option_parse_duration(text + 1, &age) < 0 || age > now_ns) {
		return err_set(e, -EINVAL,
		    "invalid time \"%s\" (expected -90s, -30min, -2h or -7d for a time "
		    "before now)",
		    text);
	}
	*ret_ns = now_ns - age;
	return 0;
}

int
time_argument_parse(const char *text, uint64_t now_ns, uint64_t *ret_ns,
    bool *ret_is_day, struct err *e)
{
	uint64_t today = now_ns - now_ns % NS_PER_DAY, ns;
	bool is_day = false;
	int rc = 0;

	if (strcmp(text, "now") == 0) {
		ns = now_ns;
	} else if (strcmp(text, "today") == 0) {
		ns = today;
		is_day = true;
	} else if (strcmp(text, "yesterday") == 0) {
		ns = today - NS_PER_DAY;
		is_day = true;
	} else if (*text == '-') {
		rc = parse_age(text, now_ns, &ns, e);
	} else {
		rc = condition_parse_time(text, "-2h, today, " CONDITION_TIMES, &ns, e);
		is_day = strlen(text) == strlen("2017-04-26") && text[4] == '-';
	}
	if (rc == 0) {
		*ret_ns = ns;
		*ret_is_day = is_day;
	}
	return rc;
}
