#include "common/tls/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/tls/tls_private.h"

/* The socket as OpenSSL sees it.  Its own socket BIO writes with write(2), so a peer
 * that went away would kill the program by SIGPIPE. */

static int
socket_write(BIO *b, const char *bytes, int n)
{
	struct tls *t = BIO_get_data(b);
	ssize_t put = send(t->fd, bytes, (size_t)n, MSG_NOSIGNAL);

	BIO_clear_retry_flags(b);
	if (put < 0 && (errno == EAGAIN || errno == EINTR)) {
		BIO_set_retry_write(b);
	} else if (put < 0) {
		t->socket_error = errno;
	}
	return (int)put;
}

static int
socket_read(BIO *b, char *bytes, int n)
{
	struct tls *t = BIO_get_data(b);
	ssize_t got = recv(t->fd, bytes, (size_t)n, 0);

	BIO_clear_retry_flags(b);
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		BIO_set_retry_read(b);
	} else if (got < 0) {
		t->socket_error = errno;
	} else if (got == 0) {
		t->is_eof = true;
	}
	return (int)got;
}

static long
socket_control(BIO *b, int command, long number, void *pointer)
{
	const struct tls *t = BIO_get_data(b);

	(void)number;
	(void)pointer;
	if (command == BIO_CTRL_EOF) {
		return t->is_eof;
	}
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *socket_method;

static void
make_socket_method(void)
{
	socket_method =
	    BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "flowpair socket");
	if (socket_method != NULL) {
		BIO_meth_set_write(socket_method, socket_write);
		BIO_meth_set_read(socket_method, socket_read);
		BIO_meth_set_ctrl(socket_method, socket_control);
	}
}

static int
expect_name(struct tls *t, const char *name, struct err *e)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
	struct in6_addr address;

	/* An IPv6 zone is ours, no certificate knows it. */
	snprintf(t->name, sizeof t->name, "%.*s", (int)strcspn(name, "%"), name);
	if (inet_pton(AF_INET, t->name, &address) == 1 ||
	    inet_pton(AF_INET6, t->name, &address) == 1) {
		if (X509_VERIFY_PARAM_set1_ip_asc(param, t->name) == 1) {
			return 0;
		}
	} else {
		SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
					      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		if (SSL_set1_host(t->ssl, t->name) == 1 &&
		    SSL_set_tlsext_host_name(t->ssl, t->name) == 1) {
			return 0;
		}
	}
	return err_set(
	    e, -EINVAL, "\"%s\" cannot be the name in a certificate", t->name);
}

/* Offers the protocol; a server that knows none is content without. */
static int
offer_protocol(struct tls *t, struct err *e)
{
	unsigned char list[TLS_PROTOCOL];
	size_t n = strlen(t->alpn);

	list[0] = (unsigned char)n;
	memcpy(list + 1, t->alpn, n);
	if (n > 0 && SSL_set_alpn_protos(t->ssl, list, (unsigned)n + 1) != 0) {
		return err_set(e, -ENOMEM, "no memory for a TLS connection");
	}
	return 0;
}

int
tls_make(struct tls_context *c, SSL_CTX *ssl, BIO *bio, struct tls **ret)
{
	struct tls *t = calloc(1, sizeof *t);

	if (t != NULL) {
		t->fd = -1;
		memcpy(t->alpn, c->alpn, sizeof t->alpn);
		t->is_permitted = c->is_permitted;
		t->permission = c->permission;
		t->ssl = SSL_new(ssl);
	}
	if (t == NULL || t->ssl == NULL || bio == NULL) {
		BIO_free(bio);
		tls_free(t);
		return -ENOMEM;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_app_data(t->ssl, t);
	*ret = t;
	return 0;
}

int
tls_begin(struct tls *t, bool is_server, const char *name, struct err *e)
{
	int rc;

	t->want = is_server ? EPOLLIN : EPOLLOUT;
	if (is_server) {
		SSL_set_accept_state(t->ssl);
		return 0;
	}
	SSL_set_connect_state(t->ssl);
	rc = expect_name(t, name, e);
	return rc == 0 ? offer_protocol(t, e) : rc;
}

int
tls_new(
    struct tls_context *c, int fd, const char *name, struct tls **ret, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct tls *t = NULL;
	int rc;

	pthread_once(&once, make_socket_method);
	rc = tls_make(
	    c, c->stream, socket_method != NULL ? BIO_new(socket_method) : NULL, &t);
	if (rc < 0) {
		return err_set(e, rc, "no memory for a TLS connection");
	}
	t->fd = fd;
	rc = tls_begin(t, c->is_server, name, e);
	if (rc < 0) {
		tls_free(t);
		return rc;
	}
	*ret = t;
	return 0;
}

void
tls_free(struct tls *t)
{
	if (t != NULL) {
		SSL_free(t->ssl);
		free(t);
	}
}

/* What an alert of the peer means to the one who reads it here. */
static const char *
alert_text(int alert)
{
	switch (alert) {
	case SSL_AD_CERTIFICATE_REQUIRED:
		return "it wants a certificate and we showed none";
	case SSL_AD_UNKNOWN_CA:
		return "it does not know the CA of our certificate";
	case SSL_AD_CERTIFICATE_EXPIRED:
		return "our certificate has expired";
	case SSL_AD_CERTIFICATE_REVOKED:
		return "our certificate was revoked";
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_UNKNOWN:
		return "it cannot accept our certificate";
	case SSL_AD_ACCESS_DENIED:
		return "access is denied";
	case SSL_AD_PROTOCOL_VERSION:
		return "it speaks none of the TLS versions that we do";
	case SSL_AD_HANDSHAKE_FAILURE:
		return "it has no cipher in common with us, or wants a certificate and "
		       "we showed none";
	default:
		return SSL_alert_desc_string_long(alert);
	}
}

static int
explain_alert(struct tls *t, int alert, struct err *e)
{
	t->refusal = TLS_REFUSED_BY_PEER;
	return err_set(e, -EACCES, "the peer refused us: %s", alert_text(alert));
}

/* The protocol went wrong, as OpenSSL's queue tells. */
static int
explain_protocol(struct tls *t, struct err *e)
{
	unsigned long code = ERR_peek_error();
	int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;

	if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
		return explain_alert(t, reason - SSL_AD_REASON_OFFSET, e);
	}
	if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
		t->refusal = TLS_REFUSED_NO_CERTIFICATE;
		return err_set(e, -EACCES, "the peer showed no certificate");
	}
	t->refusal = TLS_REFUSED_PROTOCOL;
	switch (reason) {
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		if (t->is_open) {
			return err_set(e, -ECONNABORTED,
			    "the connection was cut off: it ended without TLS saying "
			    "so");
		}
		t->refusal = TLS_REFUSED_CUT;
		return err_set(e, -EPROTO,
		    SSL_get_state(t->ssl) == TLS_ST_CW_CLNT_HELLO
			? "the peer closed the connection in mid handshake, without "
			  "a word: it may speak no TLS"
			: "the peer closed the connection in mid handshake");
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
	case SSL_R_VERSION_TOO_HIGH:
	case SSL_R_WRONG_SSL_VERSION:
		t->refusal = TLS_REFUSED_VERSION;
		return err_set(
		    e, -EPROTO, "the peer speaks none of the TLS versions that we do");
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
		return err_set(e, -EPROTO, "what the peer sends is no TLS");
	case SSL_R_NO_SHARED_CIPHER:
		return err_set(e, -EPROTO, "the peer has no cipher in common with us");
	default:
		return err_set(e, -EPROTO, "TLS failed: %s", tls_openssl_reason());
	}
}

/* Turns the failure of an SSL call into -EAGAIN, or a refusal, a code and a sentence.
 */
static int
fail(struct tls *t, int rc, struct err *e)
{
	int kind = SSL_get_error(t->ssl, rc);

	if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
		t->want = kind == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT;
		return -EAGAIN;
	}
	t->is_broken = true;
	if (t->reason[0] != '\0') {
		rc = err_set(e, -EACCES, "%s", t->reason);
	} else if (t->alert != 0) {
		rc = explain_alert(t, t->alert, e);
	} else if (kind == SSL_ERROR_SYSCALL || ERR_peek_error() == 0) {
		int code = t->socket_error != 0 ? t->socket_error : EPIPE;
		t->refusal = t->is_open ? TLS_REFUSED_PROTOCOL : TLS_REFUSED_CUT;
		rc = err_set(e, -code, "the connection broke: %s", strerror(code));
	} else {
		rc = explain_protocol(t, e);
	}
	ERR_clear_error();
	return rc;
}

int
tls_handshake(struct tls *t, struct err *e)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(t->ssl);
	if (rc == 1) {
		t->is_open = true;
		t->want = EPOLLIN;
		return 0;
	}
	rc = fail(t, rc, e);
	if (rc == -EAGAIN && tls_is_stalled(t)) {
		return err_set(
		    e, -ETIMEDOUT, "the clock was set back in mid handshake");
	}
	return rc;
}

ssize_t
tls_read(struct tls *t, void *bytes, size_t n, struct err *e)
{
	size_t got = 0;
	int rc;

	ERR_clear_error();
	rc = SSL_read_ex(t->ssl, bytes, n, &got);
	if (t->is_renegotiating) {
		t->is_broken = true;
		t->refusal = TLS_REFUSED_RENEGOTIATION;
		return err_set(e, -EPROTO,
		    "the peer wanted another handshake in its session, which nobody "
		    "may have");
	}
	if (rc == 1) {
		t->want = EPOLLIN;
		return (ssize_t)got;
	}
	if ((SSL_get_shutdown(t->ssl) & SSL_RECEIVED_SHUTDOWN) != 0 &&
	    SSL_get_error(t->ssl, rc) == SSL_ERROR_ZERO_RETURN) {
		return 0;
	}
	return fail(t, rc, e);
}

/* Writing failed because the peer has closed.  What it said before, which may be why it
 * refused us, still lies in the socket. */
static void
hear_last_word(struct tls *t, int *rc, struct err *e)
{
	struct err said = {0};
	uint8_t unasked[1024];
	ssize_t got;

	t->socket_error = 0;
	do {
		got = tls_read(t, unasked, sizeof unasked, &said);
	} while (got > 0);
	if (t->refusal == TLS_REFUSED_BY_PEER) {
		*rc = (int)got;
		if (e != NULL) {
			*e = said;
		}
	}
}

ssize_t
tls_write(struct tls *t, const void *bytes, size_t n, struct err *e)
{
	size_t put = 0;
	int rc;

	if (t->is_broken) {
		return err_set(e, -EPIPE, "the connection is broken");
	}
	if (t->carrier.write != NULL && n > TLS_MESSAGE) {
		return err_set(e, -EMSGSIZE,
		    "a message of %zu bytes is too long for DTLS, which takes %u", n,
		    TLS_MESSAGE);
	}
	ERR_clear_error();
	rc = SSL_write_ex(t->ssl, bytes, n, &put);
	if (rc == 1) {
		t->want = EPOLLIN;
		return (ssize_t)put;
	}
	if (t->socket_error == EMSGSIZE && t->carrier.write != NULL) {
		t->socket_error = 0;
		ERR_clear_error();
		return err_set(e, -EMSGSIZE,
		    "a message of %zu bytes is longer than the path to the peer takes",
		    n);
	}
	rc = fail(t, rc, e);
	if (t->socket_error != 0) {
		hear_last_word(t, &rc, e);
	}
	return rc;
}

int
tls_shutdown(struct tls *t, struct err *e)
{
	int rc;

	if (t->is_broken || !t->is_open) {
		return 0;
	}
	ERR_clear_error();
	rc = SSL_shutdown(t->ssl);
	if (rc >= 0) {
		t->want = EPOLLIN;
		return 0;
	}
	return fail(t, rc, e);
}

uint32_t
tls_want(const struct tls *t)
{
	return t->want;
}

bool
tls_pending(const struct tls *t)
{
	return SSL_has_pending(t->ssl) == 1;
}

void
tls_identity(const struct tls *t, char out[static 256])
{
	const X509 *x = SSL_get0_peer_certificate(t->ssl);

	out[0] = '\0';
	if (x != NULL && SSL_get_verify_result(t->ssl) == X509_V_OK) {
		tls_certificate_name(x, out, 256);
	}
}

void
tls_protocol(const struct tls *t, char out[static TLS_PROTOCOL])
{
	const unsigned char *name = NULL;
	unsigned n = 0;

	SSL_get0_alpn_selected(t->ssl, &name, &n);
	n = n < TLS_PROTOCOL ? n : 0;
	if (n > 0) {
		memcpy(out, name, n);
	}
	out[n] = '\0';
}

enum tls_refusal
tls_refusal(const struct tls *t)
{
	return t->refusal;
}
