/* sFlow agents write their own address into their datagrams, which often come from
 * another one: a relay's, a NAT's, or that of another interface.  Anybody can write any
 * address there, so it is never shown without the sender's. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/session/session_private.h"

/* 0.0.0.0, ::, and loopback: agents that are not configured send these. */
static bool
says_nothing(const struct address *a)
{
	static const struct address none = {{0}}, loopback = {{[15] = 1}};

	if (address_is_ipv4(a)) {
		return a->bytes[12] == 0 || a->bytes[12] == 127;
	}
	return memcmp(a, &none, sizeof none) == 0 ||
	       memcmp(a, &loopback, sizeof loopback) == 0;
}

int
session_agent_via(
    const struct session_identity *sender, const struct address *agent, char **ret_via)
{
	char text[ADDRESS_TEXT], by[ADDRESS_TEXT];

	if (says_nothing(agent) || sender->peer_name[0] != '\0' ||
	    memcmp(&sender->peer.address, agent, sizeof *agent) == 0) {
		*ret_via = NULL;
		return 0;
	}
	address_format(agent, text);
	address_format(&sender->peer.address, by);
	return asprintf(ret_via, "%s via %s", text, by) < 0 ? -ENOMEM : 0;
}
