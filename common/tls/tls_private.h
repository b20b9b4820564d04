/* What the files behind common/tls/tls.h share: tls_context.c (settings), tls_certificate.c
 * (certificates in words and judged), tls.c (connections), tls_carrier.c (DTLS over
 * whatever carries messages), tls_cookie.c (DTLS clients that nothing is known of).
 * digest.c needs none of it. */
#ifndef COMMON_TLS_TLS_PRIVATE_H
#define COMMON_TLS_TLS_PRIVATE_H

#include <openssl/ssl.h>

#include "common/tls/tls.h"

struct tls_context {
	SSL_CTX *stream, *datagram; /* TLS, DTLS */
	bool is_server;
	bool (*is_permitted)(const char *identity, void *data); /* or NULL */
	void *permission;
	char alpn[TLS_PROTOCOL];
};

struct tls {
	SSL *ssl;
	int fd;                     /* of TLS over a socket; else -1 */
	struct tls_carrier carrier; /* of DTLS; else without operations */
	int alert;                  /* the last word of a peer that has gone; 0: none */
	bool has_key, is_keyed;     /* the carrier: knows it, uses it (RFC 6083) */
	struct tls_cookie *gate;    /* while it judges a cookie, and whose: */
	uint8_t sender[TLS_SENDER];
	size_t sender_length;
	int socket_error; /* errno of the last failed system call */
	bool is_eof;      /* the socket has ended */
	bool is_broken;   /* nothing more may be sent */
	bool is_open;
	uint64_t again_ns;     /* when DTLS repeats itself, by the monotonic clock */
	unsigned early;        /* encrypted records that came too early */
	bool is_renegotiating; /* the peer tried to, and was told no */
	uint32_t want;
	bool (*is_permitted)(const char *identity, void *data); /* or NULL */
	void *permission;
	enum tls_refusal refusal;
	char alpn[TLS_PROTOCOL];
	char name[256];   /* expected of the server */
	char reason[480]; /* what verification found wrong */
};

/* A connection without its BIO.  It takes the BIO (NULL: there was no memory). */
int tls_make(struct tls_context *c, SSL_CTX *ssl, BIO *bio, struct tls **ret);
/* Makes it a client's, who expects this name, or a server's. */
int tls_begin(struct tls *t, bool is_server, const char *name, struct err *e);

/* Whether a client's handshake would wait for much longer than it was to before it
 * sends again, because the clock was set back. */
bool tls_is_stalled(const struct tls *t);

/* SAN dNSName, else URI, else address, else subject CN; "" when there is none. */
void tls_certificate_name(const X509 *x, char *out, size_t capacity);
/* OpenSSL's verification callback: notes in the connection what was wrong. */
int tls_certificate_verify(int ok, X509_STORE_CTX *store);

/* The cookies' callbacks. */
void tls_cookie_set(SSL_CTX *datagram);

/* Empties OpenSSL's queue: the system's error where there is one, else the first. */
const char *tls_openssl_reason(void);

#endif
