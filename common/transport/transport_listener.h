/* A place where connections are accepted, or datagrams received.
 * Threads: one at a time.  Memory: the caller's, up to transport_unlisten(). */
#ifndef COMMON_TRANSPORT_TRANSPORT_LISTENER_H
#define COMMON_TRANSPORT_TRANSPORT_LISTENER_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/tls/tls.h"
#include "common/transport/transport.h"

struct transport_listener {
	const struct transport_scheme *scheme;
	int fd;        /* readable when transport_accept() may succeed */
	uint16_t port; /* bound, also where 0 was asked for */
	char text[320];
	void *state; /* the scheme's own */
};

struct transport_counts { /* of a listener whose connections share a socket */
	uint64_t datagrams, octets, connections;
	uint64_t dropped; /* datagrams that found no room */
	uint64_t foreign; /* datagrams that belong to no connection */
	/* Of those, answered because they look like a lost session's. */
	uint64_t disowned;
};

/* Opens a place to accept connections at; host "" or "*" is every address, IPv4 and
 * IPv6. */
int transport_listen(
    const struct transport_uri *uri, struct transport_listener *ret, struct err *e);
/* As transport_listener_ops.accept. */
int transport_accept(struct transport_listener *l, struct transport *t,
    struct tls_context *tls, struct err *e);
void transport_unlisten(struct transport_listener *l); /* a zeroed one too */

#endif
