#include "collector/journal/domain_range.h"

#include <errno.h>
#include <stddef.h>

/* Where the digits end; NULL: there are none, or too many. */
static const char *
read_domain(const char *at, uint32_t *ret)
{
	uint64_t v = 0;
	const char *begin = at;

	for (; *at >= '0' && *at <= '9'; at++) {
		v = 10 * v + (uint64_t)(*at - '0');
		if (v > UINT32_MAX) {
			return NULL;
		}
	}
	*ret = (uint32_t)v;
	return at == begin ? NULL : at;
}

/* Where one range ends; NULL: it is none. */
static const char *
read_range(const char *at, uint32_t *ret_first, uint32_t *ret_last)
{
	at = read_domain(at, ret_first);
	if (at == NULL) {
		return NULL;
	}
	*ret_last = *ret_first;
	if (*at == '-') {
		at = read_domain(at + 1, ret_last);
	}
	return at == NULL || *ret_last < *ret_first ? NULL : at;
}

int
domain_ranges_parse(const char *text, struct domain_ranges *ret)
{
	const char *at = text;
	struct domain_ranges r = {.is_limited = *text != '\0'};

	while (*at != '\0') {
		at = r.count == DOMAIN_RANGES ? NULL
					      : read_range(at, &r.ranges[r.count].first,
						    &r.ranges[r.count].last);
		if (at == NULL || (*at != '\0' && *at != ',') ||
		    (*at == ',' && at[1] == '\0')) {
			*ret = (struct domain_ranges){.is_limited = true};
			return -EINVAL;
		}
		r.count++;
		at += *at == ',';
	}
	*ret = r;
	return 0;
}

bool
domain_ranges_have(const struct domain_ranges *r, uint32_t domain)
{
	for (unsigned i = 0; i < r->count; i++) {
		if (domain >= r->ranges[i].first && domain <= r->ranges[i].last) {
			return true;
		}
	}
	return !r->is_limited;
}
