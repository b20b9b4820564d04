/* DTLS over SCTP (RFC 6083): every IPFIX message is one DTLS record, every record one
 * SCTP message on one ordered stream, in chunks that SCTP authenticates with a key from
 * the DTLS session.  One stream, because OpenSSL drops what arrives more than 64
 * records late. */
#include <errno.h>

#include "common/base/clock.h"
#include "common/sctp/sctp.h"
#include "common/sctp/sctp_association.h"
#include "common/transport/transport_secured.h"

#define KEY_EMPTY   0 /* of the handshake, RFC 6083 section 4.8 */
#define KEY_SESSION 1

/* The key of the handshake is still accepted for this long after it.  What is sent
 * again of the handshake because an acknowledgement got lost comes within this time;
 * without it the association would wait for ever. */
#define OVERLAP_NS (5 * NS_PER_SECOND)

/* A client's Finished is the first message under the session's key.  A server that has
 * not derived this key yet, from the messages that come just before, throws the packet
 * away, and SCTP sends it again only after a second: so it goes out a little later. */
#define HEAD_START_NS (20 * NS_PER_MS)

struct keyed {
	struct secured secured;
	uint64_t use_ns;  /* a client's: when to use the session's key */
	bool is_keyed;    /* uses it */
	uint64_t open_ns; /* when the handshake ended; 0: one key is left */
};

static int
add_key(struct secured *s, const uint8_t *key, size_t n, struct err *e)
{
	return association_add_key(&s->carrier, KEY_SESSION, key, n, e);
}

static int
use_key(struct secured *s, struct err *e)
{
	struct keyed *k = (struct keyed *)s;
	uint64_t now = clock_monotonic_ns();

	if (s->context != NULL && k->use_ns == 0) {
		k->use_ns = now + HEAD_START_NS;
	}
	if (now < k->use_ns) {
		return -EAGAIN;
	}
	k->is_keyed = true;
	return association_activate_key(&s->carrier, KEY_SESSION, e);
}

/* The handshake failed.  The alert that tells the peer why must not be overtaken by an
 * abort, which closing with unread messages would cause. */
static void
let_go(struct secured *s)
{
	uint8_t unread[SCTP_CARRIED];

	(void)s->carrier.ops->finish(&s->carrier, NULL);
	for (int i = 0; i < 16; i++) {
		if (s->carrier.ops->read(&s->carrier, unread, sizeof unread, NULL) <=
		    0) {
			break;
		}
	}
}

static int
keyed_proceed(struct transport *t, struct err *e)
{
	struct keyed *k = t->state;
	int rc;

	if (t->is_open) {
		return 0;
	}
	rc = secured_proceed(t, e);
	if (rc == 0) {
		t->streams = 1;
		k->open_ns = clock_monotonic_ns();
	} else if (rc != -EAGAIN && k->secured.tls != NULL) {
		let_go(&k->secured);
	}
	return rc;
}

static void
drop_old_key(struct keyed *k)
{
	if (k->open_ns != 0 && clock_monotonic_ns() - k->open_ns >= OVERLAP_NS) {
		(void)association_drop_key(&k->secured.carrier, KEY_EMPTY, NULL);
		k->open_ns = 0;
	}
}

static ssize_t
keyed_read(struct transport *t, void *bytes, size_t n, struct err *e)
{
	drop_old_key(t->state);
	return secured_read(t, bytes, n, e);
}

static ssize_t
keyed_write(struct transport *t, const void *bytes, size_t n, struct err *e)
{
	drop_old_key(t->state);
	return secured_write(t, bytes, n, e);
}

/* RFC 6083 section 4.7: everything is acknowledged before close_notify goes out. */
static int
keyed_finish(struct transport *t, struct err *e)
{
	struct secured *s = t->state;
	int rc = association_drained(&s->carrier, e);

	return rc < 0 ? secured_complain(s, rc, e) : secured_finish(t, e);
}

static uint32_t
keyed_want(const struct transport *t)
{
	const struct secured *s = t->state;

	return s->carrier.ops->want(&s->carrier);
}

static uint64_t
keyed_timeout(const struct transport *t)
{
	const struct keyed *k = t->state;
	uint64_t now = clock_monotonic_ns();

	if (k->use_ns == 0 || k->is_keyed) {
		return UINT64_MAX;
	}
	return k->use_ns > now ? k->use_ns - now : 0;
}

const struct transport_scheme transport_dtls_sctp = {
    .name = "dtls+sctp",
    .port = TRANSPORT_PORT_SECURE,
    .is_secure = true,
    .is_message = true,
    .message_max = TLS_MESSAGE,
    .options = sctp_secure_option_names,
    .dialer =
	&(const struct transport_dialer_ops){
	    .check = sctp_check_target,
	    .dial = secured_dial,
	},
    .listener = &secured_listener,
    .connection =
	&(const struct transport_ops){
	    .proceed = keyed_proceed,
	    .timeout = keyed_timeout,
	    .read = keyed_read,
	    .write = keyed_write,
	    .finish = keyed_finish,
	    .want = keyed_want,
	    .pending = secured_pending,
	    .refusal = secured_refusal,
	    .recheck = secured_recheck,
	    .close = secured_close,
	},
    .carrier =
	&(const struct secured_carrier){
	    .scheme = &transport_sctp,
	    .kind = TLS_MESSAGES,
	    .size = sizeof(struct keyed),
	    .add_key = add_key,
	    .use_key = use_key,
	},
};
