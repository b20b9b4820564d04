#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/tls/tls_private.h"

#define READ_BUFFER 32768 /* of ciphertext: two records by one system call */

/* A key with a passphrase must not stop a daemon with a question. */
static int
no_passphrase(char *out, int n, int is_writing, void *data)
{
	(void)out;
	(void)n;
	(void)is_writing;
	*(bool *)data = true;
	return -1;
}

static int
use_key(SSL_CTX *ssl, const char *path, struct err *e)
{
	FILE *f = fopen(path, "re");
	EVP_PKEY *key = NULL;
	bool is_locked = false;
	struct stat s;
	int rc;

	if (f == NULL || fstat(fileno(f), &s) < 0) {
		rc = -errno;
		err_set(e, rc, "cannot read the key %s: %s", path, strerror(-rc));
		goto out;
	}
	if ((s.st_mode & 077) != 0) {
		rc = err_set(e, -EPERM,
		    "the key %s can be read by others (mode %04o); it must be 0600 "
		    "or 0400: chmod 600 %s",
		    path, s.st_mode & 07777, path);
		goto out;
	}
	key = PEM_read_PrivateKey(f, NULL, no_passphrase, &is_locked);
	if (key == NULL) {
		rc = err_set(e, -EINVAL,
		    is_locked ? "the key %s has a passphrase; use a key without one"
			      : "no private key in PEM form in %s",
		    path);
		goto out;
	}
	rc = SSL_CTX_use_PrivateKey(ssl, key) == 1
		 ? 0
		 : err_set(e, -EINVAL, "the key %s does not fit the certificate: %s",
		       path, tls_openssl_reason());
out:
	EVP_PKEY_free(key);
	if (f != NULL) {
		fclose(f);
	}
	return rc;
}

static int
use_certificate(SSL_CTX *ssl, const struct tls_settings *s, struct err *e)
{
	if (s->certificate == NULL && s->key == NULL) {
		return 0;
	}
	if (s->certificate == NULL || s->key == NULL) {
		return err_set(e, -EINVAL,
		    "a certificate and its key belong together; the %s is missing",
		    s->key == NULL ? "key" : "certificate");
	}
	if (SSL_CTX_use_certificate_chain_file(ssl, s->certificate) != 1) {
		return err_set(e, -EINVAL,
		    "cannot read a certificate in PEM form from %s: %s", s->certificate,
		    tls_openssl_reason());
	}
	return use_key(ssl, s->key, e);
}

static int
use_authorities(
    SSL_CTX *ssl, const struct tls_settings *s, bool is_server, struct err *e)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ssl);
	X509_LOOKUP *lookup;

	if (s->ca == NULL) {
		if (SSL_CTX_set_default_verify_paths(ssl) != 1) {
			return err_set(e, -EINVAL, "cannot load the system's CAs: %s",
			    tls_openssl_reason());
		}
	} else if (SSL_CTX_load_verify_file(ssl, s->ca) != 1) {
		return err_set(e, -EINVAL,
		    "cannot read CA certificates in PEM form from %s: %s", s->ca,
		    tls_openssl_reason());
	} else {
		/* Whatever the file holds is trusted, intermediates too. */
		X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
		if (is_server) {
			SSL_CTX_set_client_CA_list(ssl, SSL_load_client_CA_file(s->ca));
		}
	}
	if (s->crl != NULL) {
		lookup = X509_STORE_add_lookup(
		    SSL_CTX_get_cert_store(ssl), X509_LOOKUP_file());
		if (lookup == NULL ||
		    X509_load_crl_file(lookup, s->crl, X509_FILETYPE_PEM) < 1) {
			return err_set(e, -EINVAL,
			    "cannot read revocation lists in PEM form from %s: %s",
			    s->crl, tls_openssl_reason());
		}
		X509_VERIFY_PARAM_set_flags(
		    param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	}
	return 0;
}

/* Tickets only say that the client is accepted: every handshake verifies again. */
static SSL_TICKET_RETURN
ignore_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t length,
    SSL_TICKET_STATUS status, void *data)
{
	(void)ssl;
	(void)session;
	(void)name;
	(void)length;
	(void)status;
	(void)data;
	return SSL_TICKET_RETURN_IGNORE;
}

/* OpenSSL refuses to renegotiate by a warning, and tells only this callback. */
static void
note_renegotiation(const SSL *ssl, int where, int alert)
{
	struct tls *t = SSL_get_app_data(ssl);

	if ((where & SSL_CB_ALERT) != 0 && (where & SSL_CB_WRITE) != 0 &&
	    (alert & 0xff) == SSL_AD_NO_RENEGOTIATION && t != NULL) {
		t->is_renegotiating = true;
	}
}

static void
set_common(SSL_CTX *ssl)
{
	SSL_CTX_set_info_callback(ssl, note_renegotiation);
	SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20");
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				     SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ssl, 1);
	SSL_CTX_set_default_read_buffer_len(ssl, READ_BUFFER);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(ssl, (const unsigned char *)"flowpair", 8);
}

static void
set_stream(SSL_CTX *ssl, bool tls12)
{
	set_common(ssl);
	SSL_CTX_set_min_proto_version(ssl, tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_num_tickets(ssl, 1);
	SSL_CTX_set_session_ticket_cb(ssl, NULL, ignore_ticket, NULL);
}

/* There is no DTLS 1.3 in OpenSSL 3.0.  A 1.2 handshake ends for the client when the
 * server has judged it, so no ticket need tell. */
static void
set_datagram(SSL_CTX *ssl)
{
	set_common(ssl);
	SSL_CTX_set_min_proto_version(ssl, DTLS1_2_VERSION);
	SSL_CTX_set_max_proto_version(ssl, DTLS1_2_VERSION);
	SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_QUERY_MTU);
}

/* The protocol that this connection would speak, where the client offers it. */
static int
choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_length,
    const unsigned char *offered, unsigned offered_length, void *data)
{
	const struct tls *t = SSL_get_app_data(ssl);
	size_t ours = strlen(t->alpn), n;

	(void)data;
	for (size_t at = 0; at < offered_length; at += n + 1) {
		n = offered[at];
		if (n == ours && n > 0 && memcmp(offered + at + 1, t->alpn, n) == 0) {
			*ret = offered + at + 1;
			*ret_length = (unsigned char)n;
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_NOACK;
}

/* What holds for TLS and DTLS alike. */
static int
use_settings(SSL_CTX *ssl, const struct tls_settings *s, bool is_server, struct err *e)
{
	int rc = use_certificate(ssl, s, e);

	if (rc == 0 && (!is_server || !s->insecure_no_client_auth)) {
		rc = use_authorities(ssl, s, is_server, e);
		SSL_CTX_set_verify(ssl,
		    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
		    tls_certificate_verify);
	}
	if (s->alpn != NULL) {
		SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
	}
	return rc;
}

static int
check_settings(const struct tls_settings *s, bool is_server, struct err *e)
{
	if (is_server && s->certificate == NULL) {
		return err_set(
		    e, -EINVAL, "a TLS server needs a certificate and its key");
	}
	if (is_server && !s->insecure_no_client_auth && s->ca == NULL) {
		return err_set(e, -EINVAL,
		    "a TLS server that authenticates clients needs the CA that issued "
		    "their certificates");
	}
	if (s->alpn != NULL && strlen(s->alpn) >= TLS_PROTOCOL) {
		return err_set(
		    e, -EINVAL, "\"%s\" is too long for a protocol's name", s->alpn);
	}
	return 0;
}

int
tls_context_new(const struct tls_settings *settings, bool is_server,
    struct tls_context **ret, struct err *e)
{
	struct tls_context *c = calloc(1, sizeof *c);
	int rc = -ENOMEM;

	if (c != NULL) {
		c->stream =
		    SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
		c->datagram = SSL_CTX_new(
		    is_server ? DTLS_server_method() : DTLS_client_method());
	}
	if (c == NULL || c->stream == NULL || c->datagram == NULL) {
		err_set(e, rc, "no memory for TLS");
		goto out;
	}
	rc = check_settings(settings, is_server, e);
	if (rc < 0) {
		goto out;
	}
	c->is_server = is_server;
	c->is_permitted = settings->is_permitted;
	c->permission = settings->permission;
	if (settings->alpn != NULL) {
		strcpy(c->alpn, settings->alpn);
	}
	set_stream(c->stream, settings->tls12);
	set_datagram(c->datagram);
	ERR_clear_error();
	rc = use_settings(c->stream, settings, is_server, e);
	if (rc == 0) {
		rc = use_settings(c->datagram, settings, is_server, e);
	}
	if (rc == 0) {
		tls_cookie_set(c->datagram);
		*ret = c;
		c = NULL;
	}
out:
	tls_context_free(c);
	return rc;
}

void
tls_context_free(struct tls_context *c)
{
	if (c != NULL) {
		SSL_CTX_free(c->stream);
		SSL_CTX_free(c->datagram);
		free(c);
	}
}
