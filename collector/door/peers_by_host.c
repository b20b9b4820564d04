#include "collector/door/peers_by_host.h"

#include <string.h>

#include "common/base/endpoint.h"
#include "common/base/hash.h"

static unsigned
bucket_of(const struct peers_by_host *c, const struct address *a)
{
	return (unsigned)hash_bytes(a->bytes, sizeof a->bytes, c->seed) &
	       (HOST_BUCKETS - 1);
}

/* One host has all of an IPv6 /64 (RFC 6177), and one IPv4 address. */
int
peers_by_host_address(const char *peer, struct address *ret)
{
	struct endpoint at;
	int rc = endpoint_parse(peer, &at);

	if (rc == 0) {
		*ret = at.address;
		address_mask(ret, 32, 64);
	}
	return rc;
}

void
peers_by_host_init(struct peers_by_host *c)
{
	*c = (struct peers_by_host){.seed = hash_seed()};
}

void
peers_by_host_add(struct peers_by_host *c, struct peer *p)
{
	struct peer **at;

	p->has_address = peers_by_host_address(p->transport.peer, &p->address) == 0;
	if (p->has_address) {
		at = &c->buckets[bucket_of(c, &p->address)];
		p->neighbour = *at;
		*at = p;
	}
}

void
peers_by_host_remove(struct peers_by_host *c, struct peer *p)
{
	struct peer **at;

	if (!p->has_address) {
		return;
	}
	at = &c->buckets[bucket_of(c, &p->address)];
	while (*at != p) {
		at = &(*at)->neighbour;
	}
	*at = p->neighbour;
	p->has_address = false;
}

unsigned
peers_by_host_count(const struct peers_by_host *c, const struct transport *t,
    const struct peer_list *list, struct peer **ret_oldest)
{
	struct address a;
	unsigned n = 0;

	*ret_oldest = NULL;
	if (peers_by_host_address(t->peer, &a) < 0) {
		return 0;
	}
	for (struct peer *p = c->buckets[bucket_of(c, &a)]; p != NULL;
	     p = p->neighbour) {
		if (memcmp(&p->address, &a, sizeof a) != 0) {
			continue;
		}
		n++;
		if (p->list == list &&
		    (*ret_oldest == NULL || p->began_ns < (*ret_oldest)->began_ns)) {
			*ret_oldest = p;
		}
	}
	return n;
}
