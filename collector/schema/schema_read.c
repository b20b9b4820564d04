#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "collector/schema/schema_private.h"
#include "common/config/option.h"

#define COUNT(a)    (unsigned)(sizeof(a) / sizeof(a)[0])
#define NAME_LENGTH 63

int
schema_choose(const struct yaml *y, const struct yaml_node *node, const char *what,
    const char *const *names, struct err *e)
{
	const char *nearest;
	char all[256] = "";
	unsigned count;

	if (node->kind != YAML_SCALAR) {
		return yaml_complain(y, node, e, "%s must be a single word", what);
	}
	for (count = 0; names[count] != NULL; count++) {
		if (strcmp(node->text, names[count]) == 0) {
			return (int)count;
		}
	}
	nearest = err_nearest(node->text, names, count);
	if (nearest != NULL) {
		return yaml_complain(y, node, e, "unknown %s '%s'; did you mean '%s'?",
		    what, node->text, nearest);
	}
	for (unsigned i = 0; i < count; i++) {
		size_t n = strlen(all);
		snprintf(all + n, sizeof all - n, "%s%s",
		    i == 0          ? ""
		    : i + 1 < count ? ", "
				    : " or ",
		    names[i]);
	}
	return yaml_complain(
	    y, node, e, "unknown %s '%s' (expected %s)", what, node->text, all);
}

int
schema_check_name(
    const struct yaml *y, const struct yaml_node *node, const char *what, struct err *e)
{
	const char *p = node->text;

	if (node->kind != YAML_SCALAR || *p < 'a' || *p > 'z') {
		return yaml_complain(y, node, e,
		    "the name of a %s must begin with a letter from a to z", what);
	}
	for (; *p != '\0'; p++) {
		if (!islower((unsigned char)*p) && !isdigit((unsigned char)*p) &&
		    *p != '_') {
			return yaml_complain(y, node, e,
			    "invalid name '%s': the name of a %s may contain only a-z, "
			    "0-9 and _",
			    node->text, what);
		}
	}
	if (p - node->text > NAME_LENGTH) {
		return yaml_complain(y, node, e,
		    "the name of a %s may have at most %d characters", what,
		    NAME_LENGTH);
	}
	if (strncmp(node->text, "flowpair_", 9) == 0 ||
	    strncmp(node->text, "sqlite_", 7) == 0) {
		return yaml_complain(y, node, e,
		    "reserved name '%s': names must not begin with flowpair_ or "
		    "sqlite_",
		    node->text);
	}
	return 0;
}

int
schema_duration(
    const struct yaml *y, const struct yaml_node *node, uint64_t *ret, struct err *e)
{
	uint64_t v;

	if (node->kind == YAML_SCALAR && option_parse_duration(node->text, &v) == 0 &&
	    v <= OPTION_DURATION_MAX_NS) {
		*ret = v;
		return 0;
	}
	return yaml_complain(y, node, e,
	    "expected a duration such as 15s, 90min, 2h or 3d (at most 100000d)");
}
