/* DTLS over SCTP (RFC 6083): every IPFIX message is one DTLS record, every record one
 * SCTP message on one ordered stream, in chunks that SCTP authenticates with a key from
 * the DTLS session.  One stream, because OpenSSL drops what arrives more than 64
 * records late. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/base/clock.h"
#include "common/sctp/sctp.h"
#include "common/tls/tls.h"
#include "common/transport/transport_secured.h"

#define KEY_EMPTY   0 /* of the handshake, RFC 6083 section 4.8 */
#define KEY_SESSION 1

/* So long after the handshake its key is accepted still.  What is sent again of the
 * handshake because an acknowledgement got lost comes within this time; without it the
 * association would wait for ever. */
#define OVERLAP_NS (5 * NS_PER_SECOND)

/* A client's Finished is the first message under the session's key.  A server that has
 * not derived this key yet, from the messages that come just before, throws the packet
 * away, and SCTP sends it again only after a second: so it goes out a little later. */
#define HEAD_START_NS (20 * NS_PER_MS)

struct secured {
	struct tls *tls; /* NULL while SCTP connects */
	struct transport sctp;
	struct tls_context *context; /* a dialling one's; else NULL */
	uint64_t use_ns;             /* a client's: when to use the session's key */
	bool is_keyed;               /* uses it */
	uint64_t open_ns;            /* when the handshake ended; 0: one key is left */
	ssize_t sctp_rc;             /* how the carrier failed last, ... */
	struct err sctp_err;         /* ... and what it said */
	char host[256];
	char text[320];
};

static void
secured_close(struct transport *t)
{
	struct secured *s = t->state;

	if (s != NULL) {
		tls_free(s->tls);
		s->sctp.ops->close(&s->sctp);
		free(s);
	}
	t->state = NULL;
	t->fd = -1;
	t->is_open = false;
}

static void
follow(struct transport *t)
{
	const struct secured *s = t->state;

	t->fd = s->sctp.fd;
	t->peer = s->sctp.peer;
}

/* The carrier. */

static ssize_t
note(struct secured *s, ssize_t rc)
{
	if (rc < 0 && rc != -EAGAIN) {
		s->sctp_rc = rc;
	}
	return rc;
}

static ssize_t
carrier_read(void *data, void *bytes, size_t n)
{
	struct secured *s = data;

	return note(s, s->sctp.ops->read(&s->sctp, bytes, n, &s->sctp_err));
}

static ssize_t
carrier_write(void *data, const void *bytes, size_t n)
{
	struct secured *s = data;

	s->sctp.stream = 0;
	return note(s, s->sctp.ops->write(&s->sctp, bytes, n, &s->sctp_err));
}

static int
carrier_add_key(void *data, const uint8_t *key, size_t n)
{
	struct secured *s = data;

	return (int)note(s, sctp_add_key(&s->sctp, KEY_SESSION, key, n, &s->sctp_err));
}

static int
carrier_use_key(void *data)
{
	struct secured *s = data;
	uint64_t now = clock_monotonic_ns();

	if (s->context != NULL && s->use_ns == 0) {
		s->use_ns = now + HEAD_START_NS;
	}
	if (now < s->use_ns) {
		return -EAGAIN;
	}
	s->is_keyed = true;
	return (int)note(s, sctp_activate_key(&s->sctp, KEY_SESSION, &s->sctp_err));
}

static int
begin(struct secured *s, struct tls_context *c, const char *host, struct err *e)
{
	const struct tls_carrier carrier = {
	    .read = carrier_read,
	    .write = carrier_write,
	    .add_key = carrier_add_key,
	    .use_key = carrier_use_key,
	    .data = s,
	};

	return tls_new_over(c, &carrier, host, &s->tls, e);
}

/* Where the carrier failed, its sentence says more than what OpenSSL makes of it. */
static ssize_t
complain(const struct secured *s, ssize_t rc, struct err *e)
{
	if (rc >= 0 || rc == -EAGAIN) {
		return rc;
	}
	if (rc == s->sctp_rc && e != NULL) {
		*e = s->sctp_err;
	}
	return err_prefix(e, (int)rc, "%s", s->text);
}

/* Dialling and listening. */

static int
secured_dial(struct transport *t, const struct transport_uri *uri,
    struct tls_context *tls, struct err *e)
{
	struct secured *s = calloc(1, sizeof *s);
	int rc;

	if (s == NULL) {
		return err_set(e, -ENOMEM, "no memory to connect to %s", uri->text);
	}
	s->context = tls;
	memcpy(s->host, uri->host, sizeof s->host);
	memcpy(s->text, uri->text, sizeof s->text);
	s->sctp = (struct transport){
	    .scheme = uri->scheme, .ops = transport_sctp.connection, .fd = -1};
	rc = sctp_dial_carrier(&s->sctp, uri, e);
	t->state = s;
	follow(t);
	if (rc < 0) {
		secured_close(t);
	}
	return rc;
}

static int
secured_accept(struct transport_listener *l, struct transport *t,
    struct tls_context *tls, struct err *e)
{
	struct secured *s = calloc(1, sizeof *s);
	struct transport sctp = {
	    .scheme = l->scheme, .ops = transport_sctp.connection, .fd = -1};
	int rc = transport_sctp.listener->accept(l, &sctp, tls, e);

	if (rc < 0) {
		free(s);
		return rc;
	}
	t->fd = sctp.fd;
	t->peer = sctp.peer;
	if (s == NULL) {
		sctp.ops->close(&sctp);
		return -ECONNABORTED;
	}
	s->sctp = sctp;
	snprintf(s->text, sizeof s->text, "%s", t->peer.text);
	t->state = s;
	if (begin(s, tls, NULL, e) < 0) {
		secured_close(t);
		return -ECONNABORTED;
	}
	return 0;
}

/* The handshake failed.  The alert that tells the peer why must not be overtaken by an
 * abort, which closing with unread messages would cause. */
static void
let_go(struct secured *s)
{
	uint8_t unread[SCTP_CARRIED];

	(void)s->sctp.ops->finish(&s->sctp, NULL);
	for (int i = 0; i < 16; i++) {
		if (s->sctp.ops->read(&s->sctp, unread, sizeof unread, NULL) <= 0) {
			break;
		}
	}
}

static int
secured_proceed(struct transport *t, struct err *e)
{
	struct secured *s = t->state;
	int rc;

	if (t->is_open) {
		return 0;
	}
	if (s->tls == NULL) {
		rc = s->sctp.ops->proceed(&s->sctp, e);
		follow(t);
		if (rc == 0) {
			rc = begin(s, s->context, s->host, e);
		}
		if (rc < 0) {
			return rc;
		}
	}
	rc = tls_handshake(s->tls, e);
	if (rc == 0) {
		t->is_open = true;
		t->streams = 1;
		s->open_ns = clock_monotonic_ns();
		tls_identity(s->tls, t->identity);
		tls_protocol(s->tls, t->protocol);
	} else if (rc != -EAGAIN) {
		let_go(s);
	}
	return (int)complain(s, rc, e);
}

/* Moving messages. */

static void
drop_old_key(struct secured *s)
{
	if (s->open_ns != 0 && clock_monotonic_ns() - s->open_ns >= OVERLAP_NS) {
		(void)sctp_drop_key(&s->sctp, KEY_EMPTY, NULL);
		s->open_ns = 0;
	}
}

static ssize_t
secured_read(struct transport *t, void *bytes, size_t n, struct err *e)
{
	struct secured *s = t->state;

	drop_old_key(s);
	return complain(s, tls_read(s->tls, bytes, n, e), e);
}

static ssize_t
secured_write(struct transport *t, const void *bytes, size_t n, struct err *e)
{
	struct secured *s = t->state;

	drop_old_key(s);
	return complain(s, tls_write(s->tls, bytes, n, e), e);
}

/* RFC 6083 section 4.7: everything is acknowledged before close_notify goes out. */
static int
secured_finish(struct transport *t, struct err *e)
{
	struct secured *s = t->state;
	int rc = sctp_drained(&s->sctp, e);

	return (int)complain(s, rc < 0 ? rc : tls_shutdown(s->tls, e), e);
}

static uint32_t
secured_want(const struct transport *t)
{
	const struct secured *s = t->state;

	return s->sctp.ops->want(&s->sctp);
}

static uint64_t
secured_timeout(const struct transport *t)
{
	const struct secured *s = t->state;
	uint64_t now = clock_monotonic_ns();

	if (s->use_ns == 0 || s->is_keyed) {
		return UINT64_MAX;
	}
	return s->use_ns > now ? s->use_ns - now : 0;
}

static void
secured_unlisten(struct transport_listener *l)
{
	transport_sctp.listener->unlisten(l);
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
    .listener =
	&(const struct transport_listener_ops){
	    .listen = sctp_listen_carrier,
	    .accept = secured_accept,
	    .unlisten = secured_unlisten,
	},
    .connection =
	&(const struct transport_ops){
	    .proceed = secured_proceed,
	    .timeout = secured_timeout,
	    .read = secured_read,
	    .write = secured_write,
	    .finish = secured_finish,
	    .want = secured_want,
	    .pending = secured_pending,
	    .refusal = secured_refusal,
	    .judge_anew = secured_judge_anew,
	    .close = secured_close,
	},
};
