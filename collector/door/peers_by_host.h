/* Connected peers by the host that they come from, an IPv4 address or an IPv6 /64, to
 * limit how many of one there are.
 * Threads: the receiving thread.  Memory: a fixed table, chained through the peers. */
#ifndef COLLECTOR_DOOR_PEERS_BY_HOST_H
#define COLLECTOR_DOOR_PEERS_BY_HOST_H

#include "collector/door/peer.h"

#define HOST_BUCKETS 1024u

struct peers_by_host {
	uint64_t seed;
	struct peer *buckets[HOST_BUCKETS];
};

void peers_by_host_init(struct peers_by_host *c);
/* The host of an address, as in p->host. */
struct address peers_by_host_of(const struct address *a);
/* Sets p->host. */
void peers_by_host_add(struct peers_by_host *c, struct peer *p);
void peers_by_host_remove(struct peers_by_host *c, struct peer *p);
/* How many come from the host of this address; of those that are in `list`,
 * *ret_oldest is the one that began first (NULL: none is). */
unsigned peers_by_host_count(const struct peers_by_host *c, const struct address *a,
    const struct peer_list *list, struct peer **ret_oldest);

#endif
