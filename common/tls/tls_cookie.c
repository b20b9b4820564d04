#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/tls/tls_private.h"

#define KEY_BYTES    32
#define COOKIE_BYTES 32
#define KEY_NS       NS_PER_MINUTE

struct tls_cookie {
	uint8_t keys[2][KEY_BYTES]; /* the present one and the one before */
	uint64_t since_ns;          /* of keys[0] */
	BIO_ADDR *unused;           /* DTLSv1_listen needs one; carriers know better */
	struct tls *spare;          /* of the next client that brings a cookie */
};

struct tls_cookie *
tls_cookie_new(void)
{
	struct tls_cookie *g = calloc(1, sizeof *g);

	if (g != NULL) {
		g->unused = BIO_ADDR_new();
		if (g->unused == NULL ||
		    RAND_bytes(&g->keys[0][0], sizeof g->keys) != 1) {
			tls_cookie_free(g);
			g = NULL;
		}
	}
	return g;
}

void
tls_cookie_free(struct tls_cookie *g)
{
	if (g != NULL) {
		tls_free(g->spare);
		BIO_ADDR_free(g->unused);
		OPENSSL_cleanse(g->keys, sizeof g->keys);
		free(g);
	}
}

static bool
make_cookie(const struct tls *t, unsigned which, uint8_t out[static COOKIE_BYTES])
{
	return t->cookies != NULL &&
	       HMAC(EVP_sha256(), t->cookies->keys[which], KEY_BYTES, t->sender,
		   t->sender_length, out, NULL) != NULL;
}

static int
generate(SSL *ssl, unsigned char *cookie, unsigned *n)
{
	*n = COOKIE_BYTES;
	return make_cookie(SSL_get_app_data(ssl), 0, cookie);
}

static int
check(SSL *ssl, const unsigned char *cookie, unsigned n)
{
	uint8_t right[COOKIE_BYTES];

	for (unsigned which = 0; which < 2 && n == COOKIE_BYTES; which++) {
		if (make_cookie(SSL_get_app_data(ssl), which, right) &&
		    CRYPTO_memcmp(cookie, right, COOKIE_BYTES) == 0) {
			return 1;
		}
	}
	return 0;
}

void
tls_cookie_set(SSL_CTX *datagram)
{
	SSL_CTX_set_cookie_generate_cb(datagram, generate);
	SSL_CTX_set_cookie_verify_cb(datagram, check);
}

/* Without randomness the old keys stay in use. */
static void
renew_keys(struct tls_cookie *g, uint64_t now_ns)
{
	uint8_t fresh[KEY_BYTES];

	if (g->since_ns == 0) {
		g->since_ns = now_ns;
	}
	if (now_ns - g->since_ns < KEY_NS || RAND_bytes(fresh, KEY_BYTES) != 1) {
		return;
	}
	memcpy(g->keys[1], g->keys[0], KEY_BYTES);
	memcpy(g->keys[0], fresh, KEY_BYTES);
	OPENSSL_cleanse(fresh, sizeof fresh);
	g->since_ns = now_ns;
}

/* The connection that listens is one of this context: a reload leaves the former's
 * behind. */
static struct tls *
spare_of(struct tls_cookie *g, struct tls_context *c, const struct tls_carrier *carrier)
{
	if (g->spare != NULL && SSL_get_SSL_CTX(g->spare->ssl) != c->datagram) {
		tls_free(g->spare);
		g->spare = NULL;
	}
	if (g->spare == NULL && tls_new(c, carrier, NULL, &g->spare, NULL) < 0) {
		g->spare = NULL;
	}
	return g->spare;
}

bool
tls_cookie_check(struct tls_cookie *g, struct tls_context *c,
    const struct tls_knock *knock, struct tls **ret)
{
	struct tls *t = spare_of(g, c, &knock->carrier);
	int rc;

	if (t == NULL || knock->sender_length > sizeof t->sender) {
		return false;
	}
	renew_keys(g, knock->now_ns);
	t->carrier = knock->carrier;
	t->cookies = g;
	t->sender_length = knock->sender_length;
	memcpy(t->sender, knock->sender, knock->sender_length);
	t->carrier_error = 0;
	t->is_eof = false;
	ERR_clear_error();
	rc = DTLSv1_listen(t->ssl, g->unused);
	ERR_clear_error();
	t->cookies = NULL;
	if (rc != 1) {
		return false;
	}
	/* Else the handshake would ask about the cookie again. */
	SSL_clear_options(t->ssl, SSL_OP_COOKIE_EXCHANGE);
	g->spare = NULL;
	*ret = t;
	return true;
}
