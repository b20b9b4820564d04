#include "common/base/protocol_names.h"

#include <ctype.h>
#include <stdint.h>
#include <strings.h>

#include "common/base/err.h"

static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {
    {"icmp", 1},
    {"igmp", 2},
    {"ipip", 4},
    {"tcp", 6},
    {"egp", 8},
    {"udp", 17},
    {"dccp", 33},
    {"ipv6", 41},
    {"rsvp", 46},
    {"gre", 47},
    {"esp", 50},
    {"ah", 51},
    {"icmpv6", 58},
    {"icmp6", 58},
    {"eigrp", 88},
    {"ospf", 89},
    {"pim", 103},
    {"vrrp", 112},
    {"l2tp", 115},
    {"sctp", 132},
    {"udplite", 136},
};

#define COUNT (unsigned)(sizeof protocols / sizeof protocols[0])

int
protocol_names_find(const char *name)
{
	for (unsigned i = 0; i < COUNT; i++) {
		if (strcasecmp(name, protocols[i].name) == 0) {
			return protocols[i].number;
		}
	}
	return -1;
}

const char *
protocol_names_nearest(const char *name)
{
	const char *names[COUNT];
	char lower[16];
	unsigned n = 0;

	while (name[n] != '\0' && n + 1 < sizeof lower) {
		lower[n] = (char)tolower((unsigned char)name[n]);
		n++;
	}
	lower[n] = '\0';
	for (unsigned i = 0; i < COUNT; i++) {
		names[i] = protocols[i].name;
	}
	return err_nearest(lower, names, COUNT);
}
