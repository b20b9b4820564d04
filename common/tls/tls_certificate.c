#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/tls/tls_private.h"

const char *
tls_refusal_name(enum tls_refusal r)
{
	static const char *const names[TLS_REFUSALS] = {
	    [TLS_REFUSED_NONE] = "none",
	    [TLS_REFUSED_NO_CERTIFICATE] = "no-certificate",
	    [TLS_REFUSED_UNKNOWN_CA] = "unknown-ca",
	    [TLS_REFUSED_EXPIRED] = "expired",
	    [TLS_REFUSED_NOT_YET] = "not-yet-valid",
	    [TLS_REFUSED_REVOKED] = "revoked",
	    [TLS_REFUSED_NAME] = "name",
	    [TLS_REFUSED_IDENTITY] = "identity",
	    [TLS_REFUSED_CERTIFICATE] = "certificate",
	    [TLS_REFUSED_BY_PEER] = "by-peer",
	    [TLS_REFUSED_VERSION] = "version",
	    [TLS_REFUSED_CUT] = "cut-short",
	    [TLS_REFUSED_RENEGOTIATION] = "renegotiation",
	    [TLS_REFUSED_PROTOCOL] = "protocol",
	};

	return (unsigned)r < TLS_REFUSALS ? names[r] : "unknown";
}

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

void
tls_certificate_name(const X509 *x, char *out, size_t capacity)
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
		return TLS_REFUSED_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return TLS_REFUSED_NOT_YET;
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

/* Where no CAs were given the system's are asked (use_authorities()). */
static const char *
those_asked(const struct tls *t)
{
	return (X509_VERIFY_PARAM_get_flags(SSL_get0_param(t->ssl)) &
		   X509_V_FLAG_PARTIAL_CHAIN) != 0
		   ? "no CA given here vouches for"
		   : "none of the system's CAs vouches for (name others with --ca)";
}

/* Says what is wrong with x.  issued is where verification stopped: x, or above it, the
 * one whose issuer is not known. */
static void
explain(struct tls *t, const X509 *x, const X509 *issued, int code)
{
	char name[160], issuer[160] = "an unnamed issuer", when[32], names[256];
	const X509_NAME *by = X509_get_issuer_name(issued);
	int at = X509_NAME_get_index_by_NID(by, NID_commonName, -1);
	size_t n = sizeof t->reason;

	tls_certificate_name(x, name, sizeof name);
	if (name[0] == '\0') {
		strcpy(name, "a nameless peer");
	}
	if (at >= 0) {
		copy_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(by, at)), issuer,
		    sizeof issuer);
	}
	switch (refusal_of(code)) {
	case TLS_REFUSED_EXPIRED:
	case TLS_REFUSED_NOT_YET:
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
		    "the certificate of %s was issued by %s, which %s", name, issuer,
		    those_asked(t));
		break;
	default:
		snprintf(t->reason, n, "the certificate of %s cannot be accepted: %s",
		    name, X509_verify_cert_error_string(code));
		break;
	}
}

/* The peer's own certificate is good; whether it is welcome. */
static int
judge_identity(struct tls *t, const X509 *x, X509_STORE_CTX *store)
{
	char name[256];

	tls_certificate_name(x, name, sizeof name);
	if (t->is_permitted(name, t->permission)) {
		return 1;
	}
	t->refusal = TLS_REFUSED_IDENTITY;
	snprintf(t->reason, sizeof t->reason,
	    "the certificate is good, but %.255s is not among the peers permitted here",
	    name[0] == '\0' ? "its nameless owner" : name);
	X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
	return 0;
}

int
tls_certificate_verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl =
	    X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *t = SSL_get_app_data(ssl);
	const X509 *x = X509_STORE_CTX_get_current_cert(store);
	int code = X509_STORE_CTX_get_error(store);

	if (!ok && t != NULL && x != NULL) {
		const X509 *own = X509_STORE_CTX_get0_cert(store);
		t->refusal = refusal_of(code);
		explain(t, t->refusal == TLS_REFUSED_UNKNOWN_CA ? own : x, x, code);
	}
	if (ok && t != NULL && t->is_permitted != NULL && x != NULL &&
	    X509_STORE_CTX_get_error_depth(store) == 0) {
		return judge_identity(t, x, store);
	}
	return ok;
}

int
tls_recheck(struct tls *t, struct tls_context *c, struct err *e)
{
	SSL_CTX *ssl = t->carrier.kind == TLS_STREAM ? c->stream : c->datagram;
	X509 *own = SSL_get0_peer_certificate(t->ssl);
	X509_STORE_CTX *store = X509_STORE_CTX_new();
	int rc = 0;

	if (own == NULL || SSL_CTX_get_verify_mode(ssl) == SSL_VERIFY_NONE) {
		goto out;
	}
	if (store == NULL || X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(ssl),
				 own, SSL_get_peer_cert_chain(t->ssl)) != 1) {
		rc = err_set(e, -ENOMEM, "no memory to verify a certificate");
		goto out;
	}
	X509_STORE_CTX_set_default(store, "ssl_client");
	X509_VERIFY_PARAM_set1(
	    X509_STORE_CTX_get0_param(store), SSL_CTX_get0_param(ssl));
	X509_STORE_CTX_set_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx(), t->ssl);
	X509_STORE_CTX_set_verify_cb(store, tls_certificate_verify);
	if (X509_verify_cert(store) != 1) {
		rc = err_set(e, -EACCES, "%s", t->reason);
	}
	ERR_clear_error();
out:
	X509_STORE_CTX_free(store);
	return rc;
}
