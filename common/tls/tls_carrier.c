#include <arpa/inet.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/base/clock.h"
#include "common/tls/tls_private.h"

#define RECORD_HEADER 13 /* type, version, epoch, sequence number, length */
#define RECORD_MOST   18445
#define RECORD_ALERT  21

/* What ciphers add to a record: AES-GCM its nonce and tag, ChaCha20-Poly1305 its tag.
 */
#define GCM_ADDS    24
#define CHACHA_ADDS 16

/* Longest encrypted record of a session: RFC 5246 section 6.2.3. */
#define ENCRYPTED_MOST (TLS_MESSAGE + 256)

/* Records of an epoch that our handshake has not reached; our peers send one, again
 * whenever something was lost. */
#define EARLY_MOST 16

/* UDP payload that every path takes without fragments: the least MTU of IPv6 less its
 * header and UDP's. */
#define LOSSY_MTU 1232

/* A carrier that loses nothing cuts messages up itself.  OpenSSL gathers records in a
 * buffer of 4096 bytes before they get here, and must not cut one at its end. */
#define SAFE_MTU 4000

/* Microseconds before what may be lost goes out again: RFC 6347 section 4.2.4.1. */
#define WAIT_LEAST 1000000u
#define WAIT_MOST  60000000u

#define KEY_LABEL "EXPORTER_DTLS_OVER_SCTP" /* RFC 6083 section 5 */
#define KEY_BYTES 64

/* RFC 6083 section 4.8: as soon as there is a master secret, the key derived from it is
 * accepted from the peer.  Called whenever OpenSSL wants to read or write, which it
 * does after every step of the handshake. */
static int
share_key(struct tls *t)
{
	const SSL_SESSION *session = SSL_get_session(t->ssl);
	uint8_t key[KEY_BYTES];
	int rc;

	if (t->has_key || t->carrier.add_key == NULL || session == NULL ||
	    SSL_SESSION_get_master_key(session, NULL, 0) == 0) {
		return 0;
	}
	if (SSL_export_keying_material(t->ssl, key, sizeof key, KEY_LABEL,
		strlen(KEY_LABEL), NULL, 0, 0) != 1) {
		return -EPROTO;
	}
	rc = t->carrier.add_key(t->carrier.data, key, sizeof key);
	OPENSSL_cleanse(key, sizeof key);
	t->has_key = rc == 0;
	return rc;
}

/* Turns what a carrier said into what a BIO says. */
static int
report(BIO *b, struct tls *t, ssize_t moved, bool is_reading)
{
	BIO_clear_retry_flags(b);
	if (moved == -EAGAIN || moved == -EINTR) {
		BIO_set_flags(b, (is_reading ? BIO_FLAGS_READ : BIO_FLAGS_WRITE) |
				     BIO_FLAGS_SHOULD_RETRY);
		return -1;
	}
	if (moved < 0) {
		t->carrier_error = (int)-moved;
		return -1;
	}
	return (int)moved;
}

/* Bytes of the record at the beginning; 0: it is none. */
static size_t
record_length(const uint8_t *record, size_t n)
{
	size_t length;

	if (n < RECORD_HEADER) {
		return 0;
	}
	length = RECORD_HEADER + ((size_t)record[11] << 8 | record[12]);
	return length <= n ? length : 0;
}

static size_t
least_encrypted(const struct tls *t)
{
	const SSL_CIPHER *c = SSL_get_current_cipher(t->ssl);
	bool is_chacha =
	    c != NULL && SSL_CIPHER_get_cipher_nid(c) == NID_chacha20_poly1305;

	return RECORD_HEADER + (is_chacha ? CHACHA_ADDS : GCM_ADDS);
}

/* Whether the peer's first encrypted record is what our handshake waits for. */
static bool
has_switched(const struct tls *t)
{
	OSSL_HANDSHAKE_STATE at = SSL_get_state(t->ssl);

	return at == TLS_ST_SR_CHANGE || at == TLS_ST_CR_CHANGE;
}

/* Whether OpenSSL may see this record of a datagram that anybody may have sent.  An
 * encrypted one that is shorter than what the cipher adds ends its session
 * (CVE-2026-75806; mended in some packages of 3.0 only), and each that comes before the
 * handshake is so far keeps a whole buffer (CVE-2026-54874).  In a session it would
 * pass over a record of another version or without end by its header alone, and look
 * for the next one inside. */
static bool
is_sound(struct tls *t, const uint8_t *record, size_t length)
{
	bool is_encrypted = (record[3] | record[4]) != 0;

	if (is_encrypted && length < least_encrypted(t)) {
		return false;
	}
	if (!t->is_open) {
		return !is_encrypted || has_switched(t) || t->early++ < EARLY_MOST;
	}
	return record[1] == 0xfe && record[2] == 0xfd &&
	       length <= RECORD_HEADER + ENCRYPTED_MOST;
}

/* Bytes of the records at the beginning of a datagram that are sound. */
static size_t
sound_length(struct tls *t, const uint8_t *bytes, size_t n)
{
	size_t at = 0, length;

	while ((length = record_length(bytes + at, n - at)) > 0 &&
	       is_sound(t, bytes + at, length)) {
		at += length;
	}
	return at;
}

static ssize_t
read_datagram(struct tls *t, uint8_t *bytes, size_t n)
{
	ssize_t got;

	do {
		got = t->carrier.read(t->carrier.data, bytes, n);
		if (got <= 0) {
			return got;
		}
		got = (ssize_t)sound_length(t, bytes, (size_t)got);
	} while (got == 0);
	return got;
}

static int
carrier_read(BIO *b, char *bytes, int n)
{
	struct tls *t = BIO_get_data(b);
	ssize_t got = share_key(t);

	if (got == 0) {
		got = t->carrier.kind == TLS_DATAGRAMS
			  ? read_datagram(t, (uint8_t *)bytes, (size_t)n)
			  : t->carrier.read(t->carrier.data, bytes, (size_t)n);
	}
	t->is_eof = got == 0;
	return report(b, t, got, true);
}

/* Each record is a message of its own, because the key changes between them: our
 * Finished is the first record of the first encrypted epoch. */
static ssize_t
write_records(struct tls *t, const uint8_t *bytes, size_t n)
{
	size_t done = 0, length;
	ssize_t put = 0;

	while (done < n && put >= 0) {
		const uint8_t *record = bytes + done;
		length = record_length(record, n - done);
		if (length == 0) {
			return -EPROTO;
		}
		put = share_key(t);
		if (put == 0 && !t->is_keyed && t->carrier.use_key != NULL &&
		    (record[3] | record[4]) != 0) {
			put = t->carrier.use_key(t->carrier.data);
			t->is_keyed = put == 0;
		}
		if (put == 0) {
			put = t->carrier.write(t->carrier.data, record, length);
		}
		done += put > 0 ? length : 0;
	}
	return done > 0 ? (ssize_t)done : put;
}

/* The handshake cannot go on because the peer has gone, while OpenSSL was writing. What
 * it said before, which may be why it refused us, waits to be read: a plain alert. */
static void
hear_alert(struct tls *t)
{
	uint8_t record[RECORD_MOST];
	ssize_t got = 1;

	for (int i = 0; i < 16 && got > 0 && t->alert == 0; i++) {
		got = t->carrier.read(t->carrier.data, record, sizeof record);
		if (got > RECORD_HEADER + 1 && record[0] == RECORD_ALERT &&
		    (record[3] | record[4]) == 0 &&
		    record[RECORD_HEADER] == SSL3_AL_FATAL) {
			t->alert = record[RECORD_HEADER + 1];
		}
	}
}

static int
carrier_write(BIO *b, const char *bytes, int n)
{
	struct tls *t = BIO_get_data(b);
	ssize_t put;

	if (t->carrier.kind != TLS_MESSAGES) {
		put = t->carrier.write(t->carrier.data, bytes, (size_t)n);
	} else {
		put = write_records(t, (const uint8_t *)bytes, (size_t)n);
		if (put < 0 && put != -EAGAIN && !t->is_open) {
			hear_alert(t);
		}
	}
	return report(b, t, put, false);
}

static long
carrier_control(BIO *b, int command, long number, void *pointer)
{
	const struct tls *t = BIO_get_data(b);

	(void)number;
	(void)pointer;
	if (command == BIO_CTRL_EOF) {
		return t->is_eof;
	}
	return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT;
}

static BIO_METHOD *carrier_method;

static void
make_carrier_method(void)
{
	carrier_method = BIO_meth_new(
	    BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "flowpair carrier");
	if (carrier_method != NULL) {
		BIO_meth_set_write(carrier_method, carrier_write);
		BIO_meth_set_read(carrier_method, carrier_read);
		BIO_meth_set_ctrl(carrier_method, carrier_control);
	}
}

/* OpenSSL's own waits, noted: it goes by the clock on the wall, which may be set back
 * meanwhile. */
static unsigned
wait_longer(SSL *ssl, unsigned microseconds)
{
	struct tls *t = SSL_get_app_data(ssl);

	if (microseconds == 0) {
		microseconds = WAIT_LEAST;
	} else {
		microseconds =
		    microseconds < WAIT_MOST / 2 ? 2 * microseconds : WAIT_MOST;
	}
	t->again_ns = clock_monotonic_ns() + microseconds * 1000ull;
	return microseconds;
}

/* Where nothing is lost nothing is sent twice (RFC 6083 section 3.3): OpenSSL's timer
 * never runs out while a handshake may take. */
static unsigned
wait_for_ever(SSL *ssl, unsigned microseconds)
{
	(void)ssl;
	(void)microseconds;
	return UINT32_MAX;
}

static void
set_datagrams(struct tls *t)
{
	bool is_lossy = t->carrier.kind == TLS_DATAGRAMS;

	SSL_set_mtu(t->ssl, is_lossy ? LOSSY_MTU : SAFE_MTU);
	DTLS_set_timer_cb(t->ssl, is_lossy ? wait_longer : wait_for_ever);
	if (is_lossy) {
		t->alpn[0] = '\0';
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

/* A connection that is neither a client's nor a server's yet.  Takes the BIO (NULL: no
 * memory). */
static int
make(struct tls_context *c, SSL_CTX *ssl, BIO *bio, struct tls **ret)
{
	struct tls *t = calloc(1, sizeof *t);

	if (t != NULL) {
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

/* Makes it a client's, which expects this name, or a server's. */
static int
begin(struct tls *t, bool is_server, const char *name, struct err *e)
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
tls_new(struct tls_context *c, const struct tls_carrier *carrier, const char *name,
    struct tls **ret, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	bool is_stream = carrier->kind == TLS_STREAM;
	struct tls *t = NULL;
	BIO *bio;
	int rc;

	pthread_once(&once, make_carrier_method);
	bio = carrier_method != NULL ? BIO_new(carrier_method) : NULL;
	rc = make(c, is_stream ? c->stream : c->datagram, bio, &t);
	if (rc < 0) {
		return err_set(
		    e, rc, "no memory for a %s connection", is_stream ? "TLS" : "DTLS");
	}
	t->carrier = *carrier;
	if (!is_stream) {
		set_datagrams(t);
	}
	rc = begin(t, c->is_server, name, e);
	if (rc < 0) {
		tls_free(t);
		return rc;
	}
	*ret = t;
	return 0;
}

void
tls_carry(struct tls *t, const struct tls_carrier *carrier)
{
	t->carrier = *carrier;
}
