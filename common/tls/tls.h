/* TLS 1.3 over byte streams and DTLS 1.2 over messages, whatever moves them: mutual
 * certificates by default, nothing weaker by accident.
 * Sits under the secured transports; all of OpenSSL is behind the headers of this
 * folder.  Every refusal has its own reason, which counters and sentences name.
 * Threads: one at a time per connection; a context is read by all of them. */
#ifndef COMMON_TLS_TLS_H
#define COMMON_TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/err.h"

#define TLS_PROTOCOL 16     /* bytes of a protocol's name, NUL included */
#define TLS_MESSAGE  16384u /* longest message by one DTLS write, bytes */

struct tls_settings {
	const char *certificate; /* PEM chain; NULL on a client: none is shown */
	const char *key;         /* PEM; refused when others can read it */
	/* PEM bundle that peers must chain to; NULL: the system's, which a server that
	 * asks for certificates refuses. */
	const char *ca;
	/* PEM bundle; NULL: none.  With one, every member of a chain is checked. */
	const char *crl;
	bool insecure_no_client_auth; /* server: do not ask for certificates */
	bool tls12; /* also TLS 1.2, for peers that need it; DTLS always has 1.2 */
	/* server: whether a certificate that is good so far is permitted; NULL: yes */
	bool (*is_permitted)(const char *identity, void *data);
	void *permission; /* data; outlives context and connections */
	/* Protocol that a client offers and a server picks when it is offered; NULL:
	 * none.  If the other end does not know it, that is plain RFC 7011. */
	const char *alpn;
};

enum tls_refusal {
	TLS_REFUSED_NONE,
	TLS_REFUSED_NO_CERTIFICATE, /* the peer showed none */
	TLS_REFUSED_UNKNOWN_CA,
	TLS_REFUSED_EXPIRED,
	TLS_REFUSED_NOT_YET, /* valid */
	TLS_REFUSED_REVOKED,
	TLS_REFUSED_NAME,          /* the certificate is for another name */
	TLS_REFUSED_IDENTITY,      /* a good certificate that is not permitted here */
	TLS_REFUSED_CERTIFICATE,   /* unfit otherwise: purpose, weak key, no CRL */
	TLS_REFUSED_BY_PEER,       /* the peer refused us, by an alert */
	TLS_REFUSED_VERSION,       /* none of our versions of TLS or DTLS */
	TLS_REFUSED_CUT,           /* its handshake ended in the middle */
	TLS_REFUSED_RENEGOTIATION, /* it wanted another handshake in its session */
	TLS_REFUSED_PROTOCOL,      /* not TLS, or malformed */
	TLS_REFUSALS,
};
const char *tls_refusal_name(enum tls_refusal r); /* "unknown-ca" */

struct tls_context;
int tls_context_new(const struct tls_settings *settings, bool is_server,
    struct tls_context **ret, struct err *e);
void tls_context_free(struct tls_context *c);

enum tls_carriage {
	TLS_STREAM,   /* bytes in order: TLS */
	TLS_MESSAGES, /* messages in order: DTLS (RFC 6083) */
	/* Messages that may be lost, doubled and reordered: DTLS (RFC 6347).  What is
	 * lost of a handshake goes out again, and no protocol is agreed on, because
	 * none of ours does without order. */
	TLS_DATAGRAMS,
};

struct tls_carrier { /* what moves the bytes of a connection */
	enum tls_carriage kind;
	/* Bytes, or those of one message; 0 at the end; -EAGAIN, or a negative errno.
	 */
	ssize_t (*read)(void *data, void *bytes, size_t n);
	/* Bytes moved, all of a message, or as above; -EMSGSIZE: this message is too
	 * long and was not sent, others may be. */
	ssize_t (*write)(void *data, const void *bytes, size_t n);
	/* RFC 6083 section 4.8, or NULL.  The key for what follows the handshake: to be
	 * accepted from now on; to be used from now on, before our Finished.  0 or a
	 * negative errno; the latter -EAGAIN too. */
	int (*add_key)(void *data, const uint8_t *key, size_t n);
	int (*use_key)(void *data);
	void *data;
};

/* One connection, which outlives its context.  name: what a client expects in the
 * server's SAN, a DNS name or an address; NULL on a server.  The carrier is copied, its
 * data borrowed.
 * With TLS 1.3 a client's handshake is over before the server has judged it.  A server
 * of ours sends one session ticket (never resumed) when it accepts, so a client that
 * must know waits for its socket to be readable and reads: -EAGAIN means accepted, an
 * alert refused. */
struct tls;
int tls_new(struct tls_context *c, const struct tls_carrier *carrier, const char *name,
    struct tls **ret, struct err *e);
void tls_free(struct tls *t);
void tls_carry(struct tls *t, const struct tls_carrier *carrier); /* from now on */

int tls_handshake(struct tls *t, struct err *e); /* 0, -EAGAIN, negative */
/* Nanoseconds until tls_handshake() is to be called again even if nothing came, because
 * something may have been lost; UINT64_MAX: never. */
uint64_t tls_timeout(const struct tls *t);
/* Bytes moved; read: 0 after close_notify; -EAGAIN; -ECONNABORTED (ended without
 * close_notify), -EPROTO, -EACCES (refused by alert or by us) or the carrier's error,
 * with the sentence in e. */
ssize_t tls_read(struct tls *t, void *bytes, size_t n, struct err *e);
ssize_t tls_write(struct tls *t, const void *bytes, size_t n, struct err *e);
int tls_shutdown(struct tls *t, struct err *e); /* sends close_notify */
uint32_t tls_want(const struct tls *t);         /* EPOLLIN or EPOLLOUT */
bool tls_pending(const struct tls *t);
void tls_identity(const struct tls *t, char out[static 256]);
/* What both ends agreed on; "": nothing. */
void tls_protocol(const struct tls *t, char out[static TLS_PROTOCOL]);
enum tls_refusal tls_refusal(const struct tls *t); /* why it failed */
/* Whether this server would still accept the peer of an open connection, by what
 * another context says: 0, or -EACCES with the sentence. */
int tls_recheck(struct tls *t, struct tls_context *c, struct err *e);

#endif
