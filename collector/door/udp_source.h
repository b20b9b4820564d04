/* The sources of datagrams to one socket: a session for each address and port, or for
 * each address.  Their number is bounded, and they are in the order in which they were
 * heard last, so that the longest idle is at hand, of all and of each host: a host that
 * sends from ever new ports takes a share of the room, and then its own.
 * Threads: the receiving thread.  Memory: all of it from udp_sources_new(). */
#ifndef COLLECTOR_DOOR_UDP_SOURCE_H
#define COLLECTOR_DOOR_UDP_SOURCE_H

#include <stdint.h>

#include "common/base/endpoint.h"

struct udp_source {
	struct endpoint from; /* port 0: all ports of its address */
	uint32_t session;
	uint64_t seen_ns; /* monotonic */
	uint64_t terms;   /* on which it was let in */
	/* The table's. */
	struct {
		struct udp_source *newer, *older;
	} links[2]; /* among all; among those of its host */
	struct udp_host *host;
	struct udp_source *next; /* in its bucket, or among the free */
};

struct udp_sources;

/* The share of the room that one host may take from others is 1 in: */
#define UDP_SOURCES_SHARE 8

struct udp_sources *udp_sources_new(unsigned most); /* NULL: no memory */
void udp_sources_free(struct udp_sources *s);
unsigned udp_sources_count(const struct udp_sources *s);
/* NULL: not there. */
struct udp_source *udp_sources_find(
    const struct udp_sources *s, const struct endpoint *from);
/* Adds one that is not there yet.  NULL: full. */
struct udp_source *udp_sources_add(struct udp_sources *s, const struct endpoint *from,
    uint32_t session, uint64_t now_ns);
/* It was heard again. */
void udp_sources_touch(
    struct udp_sources *s, struct udp_source *source, uint64_t now_ns);
/* The one that was silent for longest; NULL: there are none. */
struct udp_source *udp_sources_oldest(const struct udp_sources *s);
/* The one heard next after this one; NULL: it was heard last of all. */
struct udp_source *udp_sources_newer(const struct udp_source *source);
/* The one that has to go, where there is no room, for one of this address: the one that
 * was silent for longest; of the same host (IPv4 address, IPv6 /64) where that has more
 * than its share. */
struct udp_source *udp_sources_spare(
    const struct udp_sources *s, const struct address *a);
void udp_sources_remove(struct udp_sources *s, struct udp_source *source);

#endif
