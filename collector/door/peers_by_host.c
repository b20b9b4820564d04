#include "collector/door/peers_by_host.h"

#include <string.h>

#include "common/base/hash.h"

static unsigned
bucket_of(const struct peers_by_host *c, const struct address *a)
{
	return (unsigned)hash_bytes(a->bytes, sizeof a->bytes, c->seed) &
	       (HOST_BUCKETS - 1);
}

/* One host has all of an IPv6 /64 (RFC 6177), and one IPv4 address. */
struct address
peers_by_host_of(const struct address *a)
{
	struct address host = *a;

	address_mask(&host, 32, 64);
	return host;
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

	p->host = peers_by_host_of(&p->transport.peer.at.address);
	p->has_host = true;
	at = &c->buckets[bucket_of(c, &p->host)];
	p->neighbour = *at;
	*at = p;
}

void
peers_by_host_remove(struct peers_by_host *c, struct peer *p)
{
	struct peer **at;

	if (!p->has_host) {
		return;
	}
	at = &c->buckets[bucket_of(c, &p->host)];
	while (*at != p) {
		at = &(*at)->neighbour;
	}
	*at = p->neighbour;
	p->has_host = false;
}

unsigned
peers_by_host_count(const struct peers_by_host *c, const struct address *a,
    const struct peer_list *list, struct peer **ret_oldest)
{
	const struct address host = peers_by_host_of(a);
	unsigned n = 0;

	*ret_oldest = NULL;
	for (struct peer *p = c->buckets[bucket_of(c, &host)]; p != NULL;
	     p = p->neighbour) {
		if (memcmp(&p->host, &host, sizeof host) != 0) {
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
