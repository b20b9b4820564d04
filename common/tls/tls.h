/* TLS 1.3 over sockets and DTLS 1.2 over whatever carries messages: mutual certificates
 * by default, nothing weaker by accident.
 * All of OpenSSL is behind this header and the files tls*.c.  Used by the secured
 * transports. Every refusal has its own reason, which peers' counters and sentences
 * name. */
#ifndef COMMON_TLS_TLS_H
#define COMMON_TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/err.h"

#define TLS_PROTOCOL 16 /* bytes of a protocol's name, NUL included */

struct tls_settings {
	const char *certificate; /* PEM chain; NULL on a client: none is shown */
	const char *key;         /* PEM; refused when others can read it */
	const char *ca; /* PEM bundle that peers must chain to; NULL: the system's,
			   which a server that asks for certificates refuses */
	const char
	    *crl; /* PEM bundle; NULL: none; then every chain member is checked */
	bool insecure_no_client_auth; /* server: ask nobody for a certificate */
	bool tls12; /* also TLS 1.2, for peers that need it; DTLS has 1.2 anyhow */
	/* server: whether a certificate that is good so far may come in; NULL: yes */
	bool (*is_permitted)(const char *identity, void *data);
	void *permission; /* data; outlives context and connections */
	const char *alpn; /* protocol that a client offers and a server picks when it is
			     offered; NULL: none.  That the other end knows it not is no
			     error: plain RFC 7011 */
};

enum tls_refusal {
	TLS_REFUSED_NONE,
	TLS_REFUSED_NO_CERTIFICATE, /* the peer showed none */
	TLS_REFUSED_UNKNOWN_CA,
	TLS_REFUSED_EXPIRED,
	TLS_REFUSED_NOT_YET, /* valid */
	TLS_REFUSED_REVOKED,
	TLS_REFUSED_NAME,        /* the certificate is for somebody else */
	TLS_REFUSED_IDENTITY,    /* of a good certificate: not permitted here */
	TLS_REFUSED_CERTIFICATE, /* unfit otherwise: purpose, weak key, no CRL of its CA
				  */
	TLS_REFUSED_BY_PEER,     /* an alert came: the peer did not like us */
	TLS_REFUSED_VERSION,     /* it speaks none of our versions of TLS or DTLS */
	TLS_REFUSED_CUT,         /* its handshake ended in the middle */
	TLS_REFUSED_RENEGOTIATION, /* it wanted another handshake in its session */
	TLS_REFUSED_PROTOCOL,      /* no TLS at all, malformed */
	TLS_REFUSALS,
};
const char *tls_refusal_name(enum tls_refusal r); /* "unknown-ca" */

struct tls_context;
int tls_context_new(const struct tls_settings *settings, bool is_server,
    struct tls_context **ret, struct err *e);
void tls_context_free(struct tls_context *c);

/* One connection over a connected non-blocking socket (borrowed).  name: what a client
 * expects in the server's SAN: a DNS name or an address; NULL on a server.  It outlives
 * its context.
 * With TLS 1.3 a client's handshake is over before the server has judged it.  A server
 * of ours sends one session ticket (never resumed) when it is content, so a client that
 * must know waits for its socket to be readable and reads: -EAGAIN says welcome, an
 * alert says refused. */
struct tls;
int tls_new(
    struct tls_context *c, int fd, const char *name, struct tls **ret, struct err *e);
void tls_free(struct tls *t);

/* DTLS 1.2 (RFC 6347) over messages that somebody else moves. */
#define TLS_MESSAGE 16384u /* longest message by one write, bytes */

struct tls_carrier {
	/* Messages may be lost, doubled and reordered (UDP): what is lost of a
	 * handshake goes out again, and no protocol is agreed on, because none of ours
	 * does without order. */
	bool is_lossy;
	/* One message: its bytes; 0 at the end; -EAGAIN, or a negative errno. */
	ssize_t (*read)(void *data, void *bytes, size_t n);
	/* n, or as above; -EMSGSIZE: this one is too long and not sent, others may be.
	 */
	ssize_t (*write)(void *data, const void *bytes, size_t n);
	/* RFC 6083 section 4.8, or NULL.  The key for what follows the handshake: to be
	 * accepted from now on; to be used from now on, before our Finished.  0 or a
	 * negative errno; the latter -EAGAIN too. */
	int (*add_key)(void *data, const uint8_t *key, size_t n);
	int (*use_key)(void *data);
	void *data;
};

/* name: as for tls_new().  The carrier is copied, its data borrowed. */
int tls_new_over(struct tls_context *c, const struct tls_carrier *carrier,
    const char *name, struct tls **ret, struct err *e);
void tls_carry(struct tls *t, const struct tls_carrier *carrier); /* from now on */
/* Nanoseconds until tls_handshake() is to be called again though nothing came, because
 * something may have been lost; UINT64_MAX: never. */
uint64_t tls_timeout(const struct tls *t);

/* Where DTLS clients knock of whom nothing is known.  Nothing is kept of them until
 * they have shown by a cookie that they receive what is sent to where they say they
 * are (RFC 6347 section 4.2.1).  Cookies live a minute or two. */
#define TLS_SENDER 32 /* bytes at most that tell senders apart */
struct tls_cookie;
struct tls_cookie *tls_cookie_new(void); /* NULL: no memory, or no randomness */
void tls_cookie_free(struct tls_cookie *g);
/* The carrier reads one datagram of the sender, and writes the answer if there is one.
 * True: with *ret the handshake goes on, over what tls_carry() says. */
bool tls_cookie_check(struct tls_cookie *g, struct tls_context *c,
    const struct tls_carrier *carrier, const void *sender, size_t sender_length,
    uint64_t now_ns, struct tls **ret);

int tls_handshake(struct tls *t, struct err *e); /* 0, -EAGAIN, negative */
/* Bytes moved; read: 0 after close_notify; -EAGAIN; -ECONNABORTED (ended without
 * close_notify), -EPROTO, -EACCES (refused by alert or by us) or the socket's error,
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
/* Whether this server would still let the peer of an open connection in, by what
 * another context says: 0, or -EACCES with the sentence. */
int tls_judge_anew(struct tls *t, struct tls_context *c, struct err *e);

/* When what the settings name ends, in seconds since 1970 (0: there is none, or it
 * never ends): our certificate; the first of the authorities, of the revocation lists.
 */
struct metrics;
enum tls_paper { TLS_PAPER_CERTIFICATE, TLS_PAPER_CA, TLS_PAPER_CRL, TLS_PAPERS };
struct tls_expiry {
	uint64_t end_s[TLS_PAPERS];
};
const char *tls_paper_name(enum tls_paper p); /* "certificate" */
void tls_expiry_read(const struct tls_settings *settings, struct tls_expiry *ret);
/* 0, or -ETIME with the sentence: it ends within 30 days, or has. */
int tls_expiry_warn(const struct tls_settings *settings, const struct tls_expiry *x,
    enum tls_paper p, uint64_t now_s, struct err *e);

/* As the family flowpair_certificate_expiry_timestamp_seconds. */
void tls_expiry_add(const struct tls_expiry *x, struct metrics *m);

#endif
