/* Cookies for DTLS clients that are not known yet (RFC 6347 section 4.2.1): no state is
 * kept for a client until it has shown, by a cookie, that it receives what is sent to
 * its address.  Cookies are valid for a minute or two.
 * Threads: one, that of the listener's socket. */
#ifndef COMMON_TLS_TLS_COOKIE_H
#define COMMON_TLS_TLS_COOKIE_H

#include "common/tls/tls.h"

#define TLS_SENDER 32 /* bytes at most that tell senders apart */

struct tls_cookie;
struct tls_cookie *tls_cookie_new(void); /* NULL: no memory, or no randomness */
void tls_cookie_free(struct tls_cookie *g);

struct tls_knock { /* one datagram of an unknown sender */
	struct tls_carrier
	    carrier; /* reads it, and writes the answer if there is one */
	const void *sender;
	size_t sender_length;
	uint64_t now_ns;
};
/* True: with *ret the handshake goes on, over what tls_carry() says. */
bool tls_cookie_check(struct tls_cookie *g, struct tls_context *c,
    const struct tls_knock *knock, struct tls **ret);

#endif
