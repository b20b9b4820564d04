/* One row for each transport: what its URIs look like, what dials, what listens and
 * what moves messages.  The row stands in the transport's own file; the list of all
 * rows is common/schemes/schemes.c.  Constant data. */
#ifndef COMMON_TRANSPORT_SCHEME_H
#define COMMON_TRANSPORT_SCHEME_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/tls/tls.h"
#include "common/transport/transport.h"
#include "common/transport/transport_listener.h"
#include "common/transport/uri.h"

#define TRANSPORT_PORT        4739
#define TRANSPORT_PORT_SECURE 4740

struct secured_carrier; /* transport_secured.h */

struct transport_dialer_ops {
	/* Whether this machine can do what the URI asks for; NULL: it can. */
	int (*check)(const struct transport_uri *uri, struct err *e);
	/* The best length of messages to this target, `most` at most; it may look up
	 * the host.  NULL: the scheme's message_max. */
	uint32_t (*message_size)(const struct transport_uri *uri, uint32_t most);
	/* Starts connecting, with a blocking look-up of the host's name.  t has its
	 * scheme and ops, and no fd.  0: under way or open already (is_open); negative:
	 * sentence in e, nothing to close. */
	int (*dial)(struct transport *t, const struct transport_uri *uri,
	    struct tls_context *tls, struct err *e);
};

struct transport_listener_ops {
	/* Opens a place to accept connections at.  On failure nothing is left open. */
	int (*listen)(struct transport_listener *l, const struct transport_uri *uri,
	    struct err *e);
	/* The next connection, whose handshake may still be to come; t has its scheme
	 * and ops, and gets its fd and peer.  0, -EAGAIN (also for one that died on its
	 * way), -ECONNABORTED when this one cannot be served but others may, or an
	 * error of the listener itself.
	 * NULL: the listener's fd receives datagrams, which its owner reads. */
	int (*accept)(struct transport_listener *l, struct transport *t,
	    struct tls_context *tls, struct err *e);
	void (*unlisten)(struct transport_listener *l);
	/* NULL: each connection has a socket of its own. */
	void (*counts)(
	    const struct transport_listener *l, struct transport_counts *ret);
};

struct transport_scheme {
	const char *name; /* "tls" */
	uint16_t port;    /* default; 0: no port */
	bool is_secure, is_file, is_message;
	bool is_unreliable; /* messages may get lost, unnoticed on this side */
	bool can_reorder;   /* messages may arrive in another order */
	/* A client's handshake ends before its server's: a server of ours then sends
	 * something to say that it accepted. */
	bool is_welcoming;
	uint32_t message_max;       /* longest message, bytes */
	const char *const *options; /* names that URIs may give; NULL: none */
	const struct transport_dialer_ops *dialer;
	const struct transport_listener_ops *listener; /* NULL: it cannot listen */
	const struct transport_ops *connection;
	const struct secured_carrier *carrier; /* of TLS or DTLS; NULL: neither */
};

extern const struct transport_scheme transport_tcp, transport_tls, transport_udp,
    transport_dtls_udp, transport_file;

#endif
