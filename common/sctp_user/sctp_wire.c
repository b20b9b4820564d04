#include "common/sctp_user/sctp_wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/transport/pktinfo.h"

#define BUCKETS       16384u
#define UNPINNED_MOST 16384u /* peers without an association that are remembered */
#define TICK_MS       10
#define ROUND         16u       /* datagrams read at a time */
#define LONGEST       65536u    /* datagram */
#define SOCKET_BUFFER (4 << 20) /* of the kernel, if it lets us */

/* RFC 9260 section 3.1. */
#define SOURCE_PORT      0
#define DESTINATION_PORT 2
#define CHECKSUM         8
#define HEADER           12u

struct path { /* to a peer */
	struct pktinfo route;
	uint16_t port; /* of its SCTP */
	uint16_t alias;
	unsigned pins;
	struct path *next;          /* of its bucket */
	struct path *newer, *older; /* while there are no pins */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
	const struct sctp_wire_events *events;
	uint16_t port;
	int fd[2]; /* IPv4, IPv6; -1: none */
	uint64_t seed;
	uint64_t tick_ns; /* up to when the library knows the time */
	struct path *by_route[BUCKETS], *by_alias[UINT16_MAX + 1];
	uint16_t alias;               /* given last */
	struct path *newest, *oldest; /* of the unpinned */
	unsigned unpinned;
} wire = {.fd = {-1, -1}};

void
sctp_wire_enter(void)
{
	pthread_mutex_lock(&lock);
}

void
sctp_wire_leave(void)
{
	pthread_mutex_unlock(&lock);
}

static uint16_t
port_at(const uint8_t *packet, size_t offset)
{
	return (uint16_t)(packet[offset] << 8 | packet[offset + 1]);
}

static void
put_port(uint8_t *packet, size_t offset, uint16_t port)
{
	packet[offset] = (uint8_t)(port >> 8);
	packet[offset + 1] = (uint8_t)port;
}

static void
put_checksum(uint8_t *packet, size_t n)
{
	uint32_t sum = 0;

	memcpy(packet + CHECKSUM, &sum, sizeof sum);
	sum = wire.events->checksum(packet, n);
	memcpy(packet + CHECKSUM, &sum, sizeof sum);
}

static bool
has_checksum(uint8_t *packet, size_t n)
{
	uint32_t said, sum;

	memcpy(&said, packet + CHECKSUM, sizeof said);
	put_checksum(packet, n);
	memcpy(&sum, packet + CHECKSUM, sizeof sum);
	return said == sum;
}

/* Paths. */

static struct path **
bucket_of(const struct pktinfo *r)
{
	return &wire.by_route[hash_bytes(r->id, sizeof r->id, wire.seed) % BUCKETS];
}

static void
leave_line(struct path *p)
{
	*(p->newer != NULL ? &p->newer->older : &wire.newest) = p->older;
	*(p->older != NULL ? &p->older->newer : &wire.oldest) = p->newer;
	p->newer = p->older = NULL;
	wire.unpinned--;
}

static void
join_line(struct path *p)
{
	p->older = wire.newest;
	*(wire.newest != NULL ? &wire.newest->newer : &wire.oldest) = p;
	wire.newest = p;
	wire.unpinned++;
}

static void
forget(struct path *p)
{
	struct path **at = bucket_of(&p->route);

	while (*at != p) {
		at = &(*at)->next;
	}
	*at = p->next;
	wire.by_alias[p->alias] = NULL;
	leave_line(p);
	free(p);
}

static bool
is_peer(const struct path *p, const struct pktinfo *r, uint16_t port)
{
	return p->port == port && p->route.peer.ss_family == r->peer.ss_family &&
	       memcmp(p->route.id, r->id, sizeof r->id) == 0;
}

static bool
is_local(const struct pktinfo *a, const struct pktinfo *b)
{
	return a->local_length == b->local_length &&
	       memcmp(a->local, b->local, a->local_length) == 0;
}

/* That with both ends the same, else with one end of ours unknown. */
static struct path *
find(const struct pktinfo *r, uint16_t port)
{
	struct path *found = NULL;

	for (struct path *p = *bucket_of(r); p != NULL; p = p->next) {
		if (!is_peer(p, r, port)) {
			continue;
		}
		if (is_local(&p->route, r)) {
			return p;
		}
		if (p->route.local_length == 0 || r->local_length == 0) {
			found = p;
		}
	}
	return found;
}

/* The one that was free for longest, more or less; 0: none. */
static uint16_t
free_alias(void)
{
	for (unsigned i = 0; i < UINT16_MAX; i++) {
		wire.alias++;
		if (wire.alias != 0 && wire.by_alias[wire.alias] == NULL) {
			return wire.alias;
		}
	}
	return 0;
}

static struct path *
make(const struct pktinfo *r, uint16_t port)
{
	struct path *p;

	if (wire.unpinned == UNPINNED_MOST) {
		forget(wire.oldest);
	}
	p = calloc(1, sizeof *p);
	if (p == NULL) {
		return NULL;
	}
	p->alias = free_alias();
	if (p->alias == 0) {
		free(p);
		return NULL;
	}
	p->route = *r;
	p->port = port;
	p->next = *bucket_of(r);
	*bucket_of(r) = p;
	wire.by_alias[p->alias] = p;
	join_line(p);
	return p;
}

/* Made if it is not there; as long as it is not pinned, it becomes the newest. */
static struct path *
path_by(const struct pktinfo *r, uint16_t port)
{
	struct path *p = find(r, port);

	if (p == NULL) {
		return make(r, port);
	}
	if (p->route.local_length == 0) { /* now it is known */
		p->route = *r;
	}
	if (p->pins == 0) {
		leave_line(p);
		join_line(p);
	}
	return p;
}

static void
pin(struct path *p)
{
	if (p->pins++ == 0) {
		leave_line(p);
	}
}

/* The port of an address; it is in the same place in both families. */
static in_port_t *
port_of(struct sockaddr_storage *at)
{
	return at->ss_family == AF_INET6 ? &((struct sockaddr_in6 *)at)->sin6_port
					 : &((struct sockaddr_in *)at)->sin_port;
}

uint16_t
sctp_wire_pin_to(const struct sockaddr_storage *peer, uint16_t udp_port,
    const struct sockaddr_storage *local)
{
	struct sockaddr_storage at = *peer;
	uint16_t port = ntohs(*port_of(&at));
	struct pktinfo r;
	struct path *p;

	*port_of(&at) = htons(udp_port);
	pktinfo_make(&r, &at, local);
	p = path_by(&r, port);
	if (p == NULL) {
		return 0;
	}
	pin(p);
	return p->alias;
}

int
sctp_wire_pin(uint16_t alias)
{
	struct path *p = wire.by_alias[alias];

	if (p == NULL) {
		return -1;
	}
	pin(p);
	return 0;
}

/* What the library sends afterwards, to end an association properly, still finds it. */
void
sctp_wire_unpin(uint16_t alias)
{
	struct path *p = wire.by_alias[alias];

	if (p != NULL && --p->pins == 0) {
		join_line(p);
		if (wire.unpinned > UNPINNED_MOST) {
			forget(wire.oldest);
		}
	}
}

void
sctp_wire_peer(uint16_t alias, struct sockaddr_storage *ret)
{
	const struct path *p = wire.by_alias[alias];

	*ret = p->route.peer;
	*port_of(ret) = htons(p->port);
}

size_t
sctp_wire_room(uint16_t alias)
{
	return pktinfo_room(&wire.by_alias[alias]->route);
}

/* Packets. */

void
sctp_wire_send(void *packet, size_t n)
{
	const struct path *p =
	    n < HEADER ? NULL : wire.by_alias[port_at(packet, DESTINATION_PORT)];

	if (p != NULL) {
		put_port(packet, DESTINATION_PORT, p->port);
		put_checksum(packet, n);
		pktinfo_send(
		    wire.fd[p->route.peer.ss_family == AF_INET6], &p->route, packet, n);
	}
}

static void
take(const struct pktinfo *r, uint8_t *packet, size_t n)
{
	struct sockaddr_storage local;
	const struct path *p;

	if (n < HEADER || !has_checksum(packet, n)) {
		return;
	}
	p = path_by(r, port_at(packet, SOURCE_PORT));
	if (p != NULL) {
		put_port(packet, SOURCE_PORT, p->alias);
		pktinfo_local(r, &local);
		wire.events->arrived(packet, n, &local);
	}
}

static uint8_t received[ROUND][LONGEST]; /* the thread's */

/* Reads outside of the lock, and delivers inside. */
static void
read_round(int fd)
{
	_Alignas(struct cmsghdr) static uint8_t control[ROUND][ROUTE_CONTROL];
	struct sockaddr_storage from[ROUND];
	struct iovec part[ROUND];
	struct mmsghdr m[ROUND];
	uint32_t overflows;
	int n;

	memset(from, 0, sizeof from);
	for (unsigned i = 0; i < ROUND; i++) {
		part[i] = (struct iovec){received[i], LONGEST};
		m[i] = (struct mmsghdr){.msg_hdr = {
					    .msg_name = &from[i],
					    .msg_namelen = sizeof from[i],
					    .msg_iov = &part[i],
					    .msg_iovlen = 1,
					    .msg_control = control[i],
					    .msg_controllen = ROUTE_CONTROL,
					}};
	}
	n = recvmmsg(fd, m, ROUND, MSG_DONTWAIT, NULL);
	sctp_wire_enter();
	for (int i = 0; i < n; i++) {
		struct pktinfo r;
		pktinfo_read(&r, &m[i].msg_hdr, &overflows);
		take(&r, received[i], m[i].msg_len);
	}
	sctp_wire_leave();
}

static void
tell_time(void)
{
	uint64_t now, ms;

	sctp_wire_enter();
	now = clock_monotonic_ns();
	ms = (now - wire.tick_ns) / NS_PER_MS;
	if (ms >= TICK_MS) {
		wire.tick_ns += ms * NS_PER_MS;
		wire.events->elapsed((uint32_t)(ms < UINT32_MAX ? ms : UINT32_MAX));
	}
	sctp_wire_leave();
}

static void *
run(void *arg)
{
	struct pollfd f[2] = {
	    {.fd = wire.fd[0], .events = POLLIN}, {.fd = wire.fd[1], .events = POLLIN}};

	(void)arg;
	for (;;) {
		poll(f, 2, TICK_MS);
		for (int i = 0; i < 2; i++) {
			if (f[i].revents != 0) {
				read_round(f[i].fd);
			}
		}
		tell_time();
	}
	return NULL;
}

/* Starting. */

/* Binds at the port, at any where it is 0. */
static int
open_at(int family, uint16_t *port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(*port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(*port)};
	bool is_v6 = family == AF_INET6;
	struct sockaddr *at = is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
	socklen_t n = is_v6 ? sizeof v6 : sizeof v4;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1, bytes = SOCKET_BUFFER, rc;

	if (fd < 0) {
		return -errno;
	}
	if (is_v6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	pktinfo_prepare(fd);
	if (bind(fd, at, n) < 0 || getsockname(fd, at, &n) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	*port = ntohs(is_v6 ? v6.sin6_port : v4.sin_port);
	return fd;
}

static int
open_both(uint16_t port)
{
	int v4, v6;

	v4 = open_at(AF_INET, &port);
	if (v4 < 0) {
		return v4;
	}
	v6 = open_at(AF_INET6, &port);
	if (v6 == -EADDRINUSE) {
		close(v4);
		return v6;
	}
	wire.fd[0] = v4;
	wire.fd[1] = v6; /* negative: this host has no IPv6 */
	wire.port = port;
	return 0;
}

static int
start_thread(void)
{
	sigset_t all, mask;
	pthread_t thread;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask); /* signals are not for it */
	rc = -pthread_create(&thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	return rc == 0 ? -pthread_detach(thread) : rc;
}

int
sctp_wire_start(uint16_t port, const struct sctp_wire_events *events)
{
	int rc;

	if (wire.events != NULL) {
		return 0;
	}
	rc = open_both(port);
	for (int i = 1; rc == -EADDRINUSE && port == 0 && i < 16; i++) {
		rc = open_both(port);
	}
	if (rc < 0) {
		return rc;
	}
	wire.events = events;
	wire.seed = hash_seed();
	wire.tick_ns = clock_monotonic_ns();
	return start_thread();
}

uint16_t
sctp_wire_port(void)
{
	return wire.port;
}
