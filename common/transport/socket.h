/* Sockets for the transports: finding a host's addresses, connecting, listening,
 * accepting, and the peer at the other end. */
#ifndef COMMON_TRANSPORT_SOCKET_H
#define COMMON_TRANSPORT_SOCKET_H

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/err.h"
#include "common/transport/transport.h"
#include "common/transport/transport_listener.h"
#include "common/transport/uri.h"

/* The addresses of the URI's host, for freeaddrinfo(); it blocks.  type: SOCK_STREAM or
 * SOCK_DGRAM. */
int transport_find_host(
    const struct transport_uri *uri, int type, struct addrinfo **ret, struct err *e);
/* The addresses to listen at, likewise. */
int transport_find_place(
    const struct transport_uri *uri, struct addrinfo **ret, struct err *e);
/* A non-blocking socket that is connected or connecting to this address, its options
 * set by prepare(); or a negative errno. */
int transport_connect(const struct addrinfo *a, int type, void (*prepare)(int fd));

struct transport_target {             /* what is dialled */
	struct addrinfo *list, *next; /* its host's addresses, the one to try next */
	char text[320];               /* its URI */
	int type;                     /* SOCK_STREAM or SOCK_DGRAM */
	void (*prepare)(int fd);
};
/* With type and prepare set: finds its addresses. */
int transport_target_find(
    struct transport_target *x, const struct transport_uri *uri, struct err *e);
/* Connects t to the next addresses until one is under way.  code: what failed before.
 */
int transport_target_next(
    struct transport_target *x, struct transport *t, int code, struct err *e);
/* The sentence when there are no more addresses; returns code. */
int transport_target_failed(const struct transport_target *x, const struct transport *t,
    int code, struct err *e);
void transport_target_done(struct transport_target *x); /* a zeroed one too */

/* A connection to a local port that is not listened at can meet itself (simultaneous
 * open), when the kernel picks the same port for our end. */
bool transport_is_self(int fd);

/* A bound, non-blocking socket at this URI (protocol: IPPROTO_TCP and the like), which
 * listens unless it is for datagrams (IPPROTO_UDP); l->fd, l->port. */
int transport_listen_socket(struct transport_listener *l,
    const struct transport_uri *uri, int protocol, struct err *e);
/* The next connection's non-blocking socket, with its peer; -EAGAIN: there is none;
 * negative with e: an error of the listener. */
int transport_accept_socket(
    struct transport_listener *l, struct transport_peer *ret_peer, struct err *e);
/* -EAGAIN for the error of a connection that died in the queue; others are the
 * listener's own and get a sentence. */
int transport_accept_failed(int code, struct err *e);
void transport_close_listener(struct transport_listener *l); /* closes l->fd */

/* at: a struct sockaddr of IPv4 or IPv6, aligned or not. */
void transport_peer_set(struct transport_peer *p, const void *at);
uint16_t transport_port(const struct sockaddr_storage *at);

/* As transport_ops.proceed for a transport that is open from the beginning. */
int transport_proceed_open(struct transport *t, struct err *e);
/* As transport_ops.close for a transport that is nothing but its fd. */
void transport_close_socket(struct transport *t);
/* As transport_ops.want for a transport that connects, reads and writes by its fd. */
uint32_t transport_want_socket(const struct transport *t);

#endif
