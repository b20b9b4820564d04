/* Transports over TLS or DTLS: dialling, accepting, the handshake, reading, writing and
 * ending exist once, here.  The row of such a scheme names what carries it, and its
 * connection wraps those operations that need more. */
#ifndef COMMON_TRANSPORT_TRANSPORT_SECURED_H
#define COMMON_TRANSPORT_TRANSPORT_SECURED_H

#include "common/tls/tls.h"
#include "common/transport/scheme.h"

struct secured {
	struct tls *tls;             /* NULL while the carrier connects */
	struct transport carrier;    /* moves what TLS encrypts */
	struct tls_context *context; /* a dialling one's; else NULL */
	int carrier_rc;              /* how the carrier failed last, ... */
	struct err carrier_err;      /* ... and what it said, if anything */
	char host[256];
	char text[320]; /* its URI or peer, for sentences */
};

struct secured_carrier {
	const struct transport_scheme *scheme; /* dials, accepts, reads and writes */
	enum tls_carriage kind;
	size_t size; /* of the state, which begins with a struct secured */
	/* As those of struct tls_carrier, or NULL. */
	int (*add_key)(struct secured *s, const uint8_t *key, size_t n, struct err *e);
	int (*use_key)(struct secured *s, struct err *e);
};

extern const struct transport_listener_ops secured_listener;
extern const struct transport_ops secured_connection;

/* Operations of these tables, for those that wrap them. */
int secured_dial(struct transport *t, const struct transport_uri *uri,
    struct tls_context *tls, struct err *e);
int secured_proceed(struct transport *t, struct err *e);
ssize_t secured_read(struct transport *t, void *bytes, size_t n, struct err *e);
ssize_t secured_write(struct transport *t, const void *bytes, size_t n, struct err *e);
int secured_finish(struct transport *t, struct err *e);
uint32_t secured_want(const struct transport *t);
uint64_t secured_timeout(const struct transport *t);
bool secured_pending(const struct transport *t);
enum tls_refusal secured_refusal(const struct transport *t);
int secured_recheck(struct transport *t, struct tls_context *tls, struct err *e);
void secured_close(struct transport *t);

/* Makes t, which has its scheme and ops, the server of an accepted carrier.  Takes the
 * carrier, and tls (NULL: it is made in this context), on failure too. */
int secured_take(struct transport *t, const struct transport *carrier, struct tls *tls,
    struct tls_context *context, struct err *e);
/* After the carrier has connected: its fd and its peer are the transport's. */
void secured_follow(struct transport *t);
/* The sentence for a failure rc of an operation; returns rc.  What the carrier said
 * says more than what OpenSSL makes of it. */
int secured_complain(const struct secured *s, ssize_t rc, struct err *e);

#endif
