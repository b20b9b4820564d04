#include "common/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#define READ_BUFFER 32768 /* of ciphertext: two records by one system call */

struct tls_context {
	SSL_CTX *ssl;
	bool is_server;
};

struct tls {
	SSL *ssl;
	int fd;
	int socket_error; /* errno of the last failed system call */
	bool is_eof;      /* the socket has ended */
	bool is_broken;   /* nothing more may be sent */
	bool is_server;
	bool is_open;
	uint32_t want;
	enum tls_refusal refusal;
	char name[256];   /* expected of the server */
	char reason[480]; /* what verification found wrong */
};

const char *
tls_refusal_name(enum tls_refusal r)
{
	static const char *const names[TLS_REFUSALS] = {
	    [TLS_REFUSED_NONE] = "none",
	    [TLS_REFUSED_NO_CERTIFICATE] = "no-certificate",
	    [TLS_REFUSED_UNKNOWN_CA] = "unknown-ca",
	    [TLS_REFUSED_EXPIRED] = "expired",
	    [TLS_REFUSED_REVOKED] = "revoked",
	    [TLS_REFUSED_NAME] = "name",
	    [TLS_REFUSED_CERTIFICATE] = "certificate",
	    [TLS_REFUSED_BY_PEER] = "by-peer",
	    [TLS_REFUSED_PROTOCOL] = "protocol",
	};

	return (unsigned)r < TLS_REFUSALS ? names[r] : "unknown";
}

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

/* Certificates in words. */

/* Text of an ASN.1 string: 0, or negative when it does not fit or holds control
 * characters (an embedded NUL or newline would let a name pass for another). */
static int
copy_text(const ASN1_STRING *s, char *out, size_t capacity)
{
	unsigned char *text = NULL;
	int n = ASN1_STRING_to_UTF8(&text, s);
	int rc = n > 0 && (size_t)n < capacity ? 0 : -EINVAL;

	for (int i = 0; rc == 0 && i < n; i++) {
		if (text[i] < 0x20 || text[i] == 0x7f) {
			rc = -EINVAL;
		}
	}
	if (rc == 0) {
		memcpy(out, text, (size_t)n);
		out[n] = '\0';
	}
	OPENSSL_free(text);
	return rc;
}

static int
copy_address(const ASN1_OCTET_STRING *s, char *out, size_t capacity)
{
	int n = ASN1_STRING_length(s);
	int family = n == 4 ? AF_INET : AF_INET6;

	if (n != 4 && n != 16) {
		return -EINVAL;
	}
	return inet_ntop(family, ASN1_STRING_get0_data(s), out, (socklen_t)capacity) ==
		       NULL
		   ? -EINVAL
		   : 0;
}

/* One subject alternative name of the given kind. */
static int
copy_name(const GENERAL_NAME *g, int kind, char *out, size_t capacity)
{
	if (g->type != kind) {
		return -ENOENT;
	}
	return kind == GEN_IPADD ? copy_address(g->d.iPAddress, out, capacity)
				 : copy_text(g->d.ia5, out, capacity);
}

static const int name_kinds[] = {GEN_DNS, GEN_URI, GEN_IPADD};

/* SAN dNSName, else URI, else address, else subject CN; "" when there is none. */
static void
certificate_name(const X509 *x, char *out, size_t capacity)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	const X509_NAME *subject = X509_get_subject_name(x);
	int at;

	out[0] = '\0';
	for (size_t k = 0; k < 3 && out[0] == '\0'; k++) {
		for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
			if (copy_name(sk_GENERAL_NAME_value(names, i), name_kinds[k],
				out, capacity) == 0) {
				break;
			}
			out[0] = '\0';
		}
	}
	GENERAL_NAMES_free(names);
	at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (out[0] == '\0' && at >= 0) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, at);
		if (copy_text(X509_NAME_ENTRY_get_data(entry), out, capacity) < 0) {
			out[0] = '\0';
		}
	}
}

/* All names that a server's certificate is good for, for the sentence about a wrong
 * one. */
static void
list_names(const X509 *x, char *out, size_t capacity)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	int count = sk_GENERAL_NAME_num(names), shown = 0;
	size_t used = 0;

	out[0] = '\0';
	for (int i = 0; i < count && shown < 5; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		char name[128];
		if (copy_name(g, GEN_DNS, name, sizeof name) < 0 &&
		    copy_name(g, GEN_IPADD, name, sizeof name) < 0) {
			continue;
		}
		if (used + strlen(name) + 20 > capacity) {
			break;
		}
		used += (size_t)snprintf(
		    out + used, capacity - used, "%s%s", shown > 0 ? ", " : "", name);
		shown++;
	}
	if (shown == 0) {
		snprintf(out, capacity, "no host (it has no subject alternative name)");
	} else if (shown < count) {
		snprintf(out + used, capacity - used, " and others");
	}
	GENERAL_NAMES_free(names);
}

static void
format_time(const ASN1_TIME *when, char out[static 32])
{
	struct tm tm;

	if (ASN1_TIME_to_tm(when, &tm) != 1 ||
	    strftime(out, 32, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0) {
		strcpy(out, "an unreadable time");
	}
}

static enum tls_refusal
refusal_of(int code)
{
	switch (code) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return TLS_REFUSED_EXPIRED;
	case X509_V_ERR_CERT_REVOKED:
		return TLS_REFUSED_REVOKED;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return TLS_REFUSED_NAME;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_CERT_UNTRUSTED:
		return TLS_REFUSED_UNKNOWN_CA;
	default:
		return TLS_REFUSED_CERTIFICATE;
	}
}

/* Says what is wrong with the certificate that verification stopped at. */
static void
explain(struct tls *t, const X509 *x, int code)
{
	char name[160], issuer[160] = "an unnamed issuer", when[32], names[256];
	const X509_NAME *by = X509_get_issuer_name(x);
	int at = X509_NAME_get_index_by_NID(by, NID_commonName, -1);
	size_t n = sizeof t->reason;

	certificate_name(x, name, sizeof name);
	if (name[0] == '\0') {
		strcpy(name, "a nameless peer");
	}
	if (at >= 0) {
		copy_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(by, at)), issuer,
		    sizeof issuer);
	}
	switch (refusal_of(code)) {
	case TLS_REFUSED_EXPIRED:
		format_time(code == X509_V_ERR_CERT_HAS_EXPIRED
				? X509_get0_notAfter(x)
				: X509_get0_notBefore(x),
		    when);
		snprintf(t->reason, n, "the certificate of %s %s %s", name,
		    code == X509_V_ERR_CERT_HAS_EXPIRED ? "expired on"
							: "is not valid before",
		    when);
		break;
	case TLS_REFUSED_REVOKED:
		snprintf(t->reason, n, "the certificate of %s was revoked by %s", name,
		    issuer);
		break;
	case TLS_REFUSED_NAME:
		list_names(x, names, sizeof names);
		snprintf(t->reason, n, "the certificate is for %s; expected %.120s",
		    names, t->name);
		break;
	case TLS_REFUSED_UNKNOWN_CA:
		snprintf(t->reason, n,
		    "the certificate of %s was issued by %s, which no CA given here "
		    "vouches for",
		    name, issuer);
		break;
	default:
		snprintf(t->reason, n, "the certificate of %s cannot be accepted: %s",
		    name, X509_verify_cert_error_string(code));
		break;
	}
}

static int
verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl =
	    X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *t = SSL_get_app_data(ssl);
	const X509 *x = X509_STORE_CTX_get_current_cert(store);
	int code = X509_STORE_CTX_get_error(store);

	if (!ok && t != NULL && x != NULL) {
		t->refusal = refusal_of(code);
		explain(t, x, code);
	}
	return ok;
}

/* Contexts. */

/* Empties OpenSSL's queue: the system's error where there is one, else the first. */
static const char *
openssl_reason(void)
{
	const char *reason = NULL;
	unsigned long code;

	while ((code = ERR_get_error()) != 0) {
		if (ERR_SYSTEM_ERROR(code)) {
			ERR_clear_error();
			return strerror(ERR_GET_REASON(code));
		}
		if (reason == NULL) {
			reason = ERR_reason_error_string(code);
		}
	}
	return reason != NULL ? reason : "unknown reason";
}

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
		    is_locked ? "the key %s has a passphrase; one without is needed"
			      : "there is no private key in PEM form in %s",
		    path);
		goto out;
	}
	rc = SSL_CTX_use_PrivateKey(ssl, key) == 1
		 ? 0
		 : err_set(e, -EINVAL, "the key %s does not fit the certificate: %s",
		       path, openssl_reason());
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
		    openssl_reason());
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
			    openssl_reason());
		}
	} else if (SSL_CTX_load_verify_file(ssl, s->ca) != 1) {
		return err_set(e, -EINVAL,
		    "cannot read CA certificates in PEM form from %s: %s", s->ca,
		    openssl_reason());
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
			    s->crl, openssl_reason());
		}
		X509_VERIFY_PARAM_set_flags(
		    param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	}
	return 0;
}

/* Tickets are sent as a sign of welcome only: every handshake verifies anew. */
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

static void
set_protocol(SSL_CTX *ssl, bool tls12)
{
	SSL_CTX_set_min_proto_version(ssl, tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20");
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				     SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ssl, 1);
	SSL_CTX_set_default_read_buffer_len(ssl, READ_BUFFER);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ssl, 1);
	SSL_CTX_set_session_ticket_cb(ssl, NULL, ignore_ticket, NULL);
	SSL_CTX_set_session_id_context(ssl, (const unsigned char *)"flowpair", 8);
}

int
tls_context_new(const struct tls_settings *settings, bool is_server,
    struct tls_context **ret, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	bool asks = !is_server || !settings->insecure_no_client_auth;
	struct tls_context *c = calloc(1, sizeof *c);
	int rc = -ENOMEM;

	pthread_once(&once, make_socket_method);
	if (c != NULL) {
		c->is_server = is_server;
		c->ssl =
		    SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
	}
	if (c == NULL || c->ssl == NULL || socket_method == NULL) {
		err_set(e, rc, "no memory for TLS");
		goto out;
	}
	rc = -EINVAL;
	if (is_server && settings->certificate == NULL) {
		err_set(e, rc, "to be reached by TLS needs a certificate and its key");
		goto out;
	}
	if (is_server && asks && settings->ca == NULL) {
		err_set(e, rc,
		    "to tell friend from foe by TLS needs the CA that issued the "
		    "peers' certificates");
		goto out;
	}
	set_protocol(c->ssl, settings->tls12);
	ERR_clear_error();
	rc = use_certificate(c->ssl, settings, e);
	if (rc == 0 && asks) {
		rc = use_authorities(c->ssl, settings, is_server, e);
		SSL_CTX_set_verify(
		    c->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, verify);
	}
	if (rc == 0) {
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
		SSL_CTX_free(c->ssl);
		free(c);
	}
}

/* Connections. */

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

int
tls_new(
    struct tls_context *c, int fd, const char *name, struct tls **ret, struct err *e)
{
	struct tls *t = calloc(1, sizeof *t);
	BIO *bio = NULL;
	int rc = -ENOMEM;

	if (t != NULL) {
		t->fd = fd;
		t->is_server = c->is_server;
		t->want = c->is_server ? EPOLLIN : EPOLLOUT;
		t->ssl = SSL_new(c->ssl);
		bio = BIO_new(socket_method);
	}
	if (t == NULL || t->ssl == NULL || bio == NULL) {
		BIO_free(bio);
		err_set(e, rc, "no memory for a TLS connection");
		goto out;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_app_data(t->ssl, t);
	rc = 0;
	if (c->is_server) {
		SSL_set_accept_state(t->ssl);
	} else {
		SSL_set_connect_state(t->ssl);
		rc = expect_name(t, name, e);
	}
	if (rc == 0) {
		*ret = t;
		t = NULL;
	}
out:
	tls_free(t);
	return rc;
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

/* The protocol went wrong, as OpenSSL's queue tells. */
static int
explain_protocol(struct tls *t, struct err *e)
{
	unsigned long code = ERR_peek_error();
	int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;

	if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
		t->refusal = TLS_REFUSED_BY_PEER;
		return err_set(e, -EACCES, "the peer refused us: %s",
		    alert_text(reason - SSL_AD_REASON_OFFSET));
	}
	if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
		t->refusal = TLS_REFUSED_NO_CERTIFICATE;
		return err_set(e, -EACCES, "the peer showed no certificate");
	}
	t->refusal = TLS_REFUSED_PROTOCOL;
	switch (reason) {
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		return t->is_open
			   ? err_set(e, -ECONNABORTED,
				 "the connection was cut off: it ended without TLS "
				 "saying so")
			   : err_set(e, -EPROTO,
				 "the peer closed the connection in mid handshake");
	case SSL_R_UNSUPPORTED_PROTOCOL:
		return err_set(
		    e, -EPROTO, "the peer speaks none of the TLS versions that we do");
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
		return err_set(e, -EPROTO, "what the peer sends is no TLS");
	case SSL_R_NO_SHARED_CIPHER:
		return err_set(e, -EPROTO, "the peer has no cipher in common with us");
	default:
		return err_set(e, -EPROTO, "TLS failed: %s", openssl_reason());
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
	} else if (kind == SSL_ERROR_SYSCALL || ERR_peek_error() == 0) {
		int code = t->socket_error != 0 ? t->socket_error : EPIPE;
		t->refusal = TLS_REFUSED_PROTOCOL;
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
	return fail(t, rc, e);
}

ssize_t
tls_read(struct tls *t, void *bytes, size_t n, struct err *e)
{
	size_t got = 0;
	int rc;

	ERR_clear_error();
	rc = SSL_read_ex(t->ssl, bytes, n, &got);
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
	ERR_clear_error();
	rc = SSL_write_ex(t->ssl, bytes, n, &put);
	if (rc == 1) {
		t->want = EPOLLIN;
		return (ssize_t)put;
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
		certificate_name(x, out, 256);
	}
}

enum tls_refusal
tls_refusal(const struct tls *t)
{
	return t->refusal;
}

/* Digests. */

struct tls_digest {
	EVP_MD_CTX *md;
};

struct tls_digest *
tls_digest_new(void)
{
	struct tls_digest *d = calloc(1, sizeof *d);

	if (d != NULL) {
		d->md = EVP_MD_CTX_new();
		if (d->md == NULL ||
		    EVP_DigestInit_ex(d->md, EVP_sha256(), NULL) != 1) {
			EVP_MD_CTX_free(d->md);
			free(d);
			d = NULL;
		}
	}
	return d;
}

void
tls_digest_add(struct tls_digest *d, const void *bytes, size_t n)
{
	EVP_DigestUpdate(d->md, bytes, n);
}

void
tls_digest_end(struct tls_digest *d, uint8_t out[static 32])
{
	EVP_DigestFinal_ex(d->md, out, NULL);
	EVP_MD_CTX_free(d->md);
	free(d);
}
