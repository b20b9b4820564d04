/* What the files behind common/tls.h share: tls_context.c (settings), tls_certificate.c
 * (certificates in words and judged), tls.c (connections).  tls_digest.c needs none of
 * it. */
#ifndef COMMON_TLS_STATE_H
#define COMMON_TLS_STATE_H

#include <openssl/ssl.h>

#include "common/tls.h"

struct tls_context {
	SSL_CTX *ssl;
	bool is_server;
	char alpn[TLS_PROTOCOL];
};

struct tls {
	SSL *ssl;
	int fd;
	int socket_error; /* errno of the last failed system call */
	bool is_eof;      /* the socket has ended */
	bool is_broken;   /* nothing more may be sent */
	bool is_open;
	uint32_t want;
	enum tls_refusal refusal;
	char alpn[TLS_PROTOCOL];
	char name[256];   /* expected of the server */
	char reason[480]; /* what verification found wrong */
};

/* SAN dNSName, else URI, else address, else subject CN; "" when there is none. */
void tls_certificate_name(const X509 *x, char *out, size_t capacity);
/* OpenSSL's verification callback: notes in the connection what was wrong. */
int tls_certificate_verify(int ok, X509_STORE_CTX *store);

/* Empties OpenSSL's queue: the system's error where there is one, else the first. */
const char *tls_openssl_reason(void);

#endif
