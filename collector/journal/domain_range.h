/* Which observation domains a peer may use: "1,5-9", at most DOMAIN_RANGES ranges; empty
 * text means all. */
#ifndef COLLECTOR_JOURNAL_DOMAIN_RANGE_H
#define COLLECTOR_JOURNAL_DOMAIN_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#define DOMAIN_RANGES 32

struct domain_ranges {
	bool is_limited; /* false: all domains */
	unsigned count;
	struct {
		uint32_t first, last;
	} ranges[DOMAIN_RANGES];
};

/* 0; or -EINVAL, and then *ret has no domain at all. */
int domain_ranges_parse(const char *text, struct domain_ranges *ret);
bool domain_ranges_have(const struct domain_ranges *r, uint32_t domain);

#endif
