#include "common/tls/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>

#include "common/base/clock.h"
#include "common/tls/tls_private.h"

/* Between the clock on the wall and ours while they wait. */
#define CLOCK_SKEW_NS 50000000u

void
tls_free(struct tls *t)
{
	if (t != NULL) {
		SSL_free(t->ssl);
		free(t);
	}
}

/* Nanoseconds until OpenSSL's timer runs out; UINT64_MAX: never. */
static uint64_t
openssl_timeout(const struct tls *t)
{
	struct timeval left;

	if (t->is_open || t->carrier.kind != TLS_DATAGRAMS ||
	    DTLSv1_get_timeout(t->ssl, &left) != 1) {
		return UINT64_MAX;
	}
	return (uint64_t)left.tv_sec * NS_PER_SECOND +
	       (uint64_t)left.tv_usec * NS_PER_US;
}

/* A server is patient: its clients start over. */
uint64_t
tls_timeout(const struct tls *t)
{
	uint64_t left = openssl_timeout(t), now, due = t->again_ns + CLOCK_SKEW_NS;

	if (left == UINT64_MAX || SSL_is_server(t->ssl)) {
		return left;
	}
	now = clock_monotonic_ns();
	due = due > now ? due - now : 0;
	return due < left ? due : left;
}

/* Whether a client's handshake would wait for much longer than it was to before it
 * sends again, because the clock was set back. */
static bool
is_stalled(const struct tls *t)
{
	uint64_t left = openssl_timeout(t);

	return left > 0 && left != UINT64_MAX && !SSL_is_server(t->ssl) &&
	       clock_monotonic_ns() >= t->again_ns + CLOCK_SKEW_NS;
}

/* The peer's alert as the reader of our sentence needs it. */
static const char *
alert_text(int alert)
{
	switch (alert) {
	case SSL_AD_CERTIFICATE_REQUIRED:
		return "it requires a certificate and we presented none";
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
		return "it supports none of our TLS versions";
	case SSL_AD_HANDSHAKE_FAILURE:
		return "it shares no cipher with us, or requires a certificate and we "
		       "presented none";
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
		return err_set(e, -EACCES, "the peer presented no certificate");
	}
	t->refusal = TLS_REFUSED_PROTOCOL;
	switch (reason) {
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		if (t->is_open) {
			return err_set(e, -ECONNABORTED,
			    "the connection was cut off: it ended without a TLS "
			    "close_notify");
		}
		t->refusal = TLS_REFUSED_CUT;
		return err_set(e, -EPROTO,
		    SSL_get_state(t->ssl) == TLS_ST_CW_CLNT_HELLO
			? "the peer closed the connection during the handshake "
			  "without answering: it may not speak TLS"
			: "the peer closed the connection during the handshake");
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
	case SSL_R_VERSION_TOO_HIGH:
	case SSL_R_WRONG_SSL_VERSION:
		t->refusal = TLS_REFUSED_VERSION;
		return err_set(
		    e, -EPROTO, "the peer supports none of our TLS versions");
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
		return err_set(e, -EPROTO, "the peer does not speak TLS");
	case SSL_R_NO_SHARED_CIPHER:
		return err_set(e, -EPROTO, "the peer shares no cipher with us");
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
		int code = t->carrier_error != 0 ? t->carrier_error : EPIPE;
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
	if (rc == -EAGAIN && is_stalled(t)) {
		return err_set(
		    e, -ETIMEDOUT, "the clock was set back during the handshake");
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
		return err_set(
		    e, -EPROTO, "the peer tried to renegotiate, which is not allowed");
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

	t->carrier_error = 0;
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
	if (t->carrier.kind != TLS_STREAM && n > TLS_MESSAGE) {
		return err_set(e, -EMSGSIZE,
		    "a message of %zu bytes is too long for DTLS (at most %u)", n,
		    TLS_MESSAGE);
	}
	ERR_clear_error();
	rc = SSL_write_ex(t->ssl, bytes, n, &put);
	if (rc == 1) {
		t->want = EPOLLIN;
		return (ssize_t)put;
	}
	if (t->carrier_error == EMSGSIZE && t->carrier.kind != TLS_STREAM) {
		t->carrier_error = 0;
		ERR_clear_error();
		return err_set(e, -EMSGSIZE,
		    "a message of %zu bytes is too long for the path to the peer", n);
	}
	rc = fail(t, rc, e);
	if (t->carrier_error != 0) {
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
