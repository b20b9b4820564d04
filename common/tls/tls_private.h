/* What the files behind tls.h share: tls_context.c (settings), tls_certificate.c
 * (certificates in words and judged), tls_carrier.c (connections over what carries
 * them), tls.c (their operations), tls_cookie.c (DTLS clients that are not known yet)
 * and tls_error.c.  Each calls only those after it, or none. */
#ifndef COMMON_TLS_TLS_PRIVATE_H
#define COMMON_TLS_TLS_PRIVATE_H

#include <openssl/ssl.h>

#include "common/tls/tls.h"
#include "common/tls/tls_cookie.h"

struct tls_context {
	SSL_CTX *stream, *datagram; /* TLS, DTLS */
	bool is_server;
	bool (*is_permitted)(const char *identity, void *data); /* or NULL */
	void *permission;
	char alpn[TLS_PROTOCOL];
};

struct tls {
	SSL *ssl;
	struct tls_carrier carrier;
	int alert;                  /* the last word of a peer that has gone; 0: none */
	bool has_key, is_keyed;     /* the carrier: knows it, uses it (RFC 6083) */
	struct tls_cookie *cookies; /* while it judges a cookie, and whose: */
	uint8_t sender[TLS_SENDER];
	size_t sender_length;
	int carrier_error; /* errno of the carrier's last failure */
	bool is_eof;       /* the carrier has ended */
	bool is_broken;    /* nothing more may be sent */
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

/* SAN dNSName, else URI, else address, else subject CN; "" when there is none. */
void tls_certificate_name(const X509 *x, char *out, size_t capacity);
/* OpenSSL's verification callback: notes in the connection what was wrong. */
int tls_certificate_verify(int ok, X509_STORE_CTX *store);

/* The cookies' callbacks. */
void tls_cookie_set(SSL_CTX *datagram);

/* Empties OpenSSL's queue: the system's error where there is one, else the first. */
const char *tls_openssl_reason(void);

#endif
