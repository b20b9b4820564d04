/* DTLS over UDP: every message is one record, every record one datagram.  What UDP
 * loses is lost; only the handshake is repeated until it is done.  A listener's
 * sessions share its socket (dtls_socket.h); a dialling one has its own, connected. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/transport/dtls_socket.h"
#include "common/transport/socket.h"
#include "common/transport/transport_secured.h"
#include "common/transport/transport_udp.h"

#define PATIENCE_NS (5 * NS_PER_SECOND) /* with an address while others are left */
#define GLANCE      64u                 /* writes between two looks at what came */
#define BUDGET      256u                /* datagrams before others have their turn */
#define PROVED      (1u << 20)          /* records that may be under way */
#define OVERHEAD    37u /* record header, AES-GCM's explicit nonce and its tag */

/* The carrier of a dialling one: its connected socket. */
struct dialled {
	struct transport_target target;
	uint64_t began_ns; /* with this address */
	bool has_heard;    /* from there */
	unsigned written;
	unsigned budget; /* datagrams that may still be read now */
	uint64_t proof;  /* of what was sent last */
};

struct dtls {
	struct secured secured;
	bool is_finished;
};

static uint64_t
proof_at(const uint8_t *bytes)
{
	uint64_t proof = 0;

	for (unsigned i = 0; i < DTLS_PROOF_BYTES; i++) {
		proof = proof << 8 | bytes[i];
	}
	return proof;
}

/* A plain fatal alert in an encrypted session, with the proof of a record that was sent
 * not long ago: see dtls_socket.c.  Only an attacker who can read what we send may
 * forge it, as he may reset TCP, with the same effect: a new session begins, and
 * nothing is lost that was not on its way. */
static bool
is_disowning(const struct dialled *d, const uint8_t *bytes, size_t n)
{
	uint64_t most = ((uint64_t)1 << 8 * DTLS_PROOF_BYTES) - 1;

	return n >= 15 && bytes[0] == 21 && bytes[1] == 0xfe &&
	       (bytes[3] | bytes[4]) == 0 && bytes[13] == 2 &&
	       ((d->proof - proof_at(bytes + 5)) & most) < PROVED;
}

static ssize_t
dialled_read(struct transport *t, void *bytes, size_t n, struct err *e)
{
	struct dialled *d = t->state;
	ssize_t got;

	if (d->budget == 0) {
		return -EAGAIN;
	}
	d->budget--;
	got = recv(t->fd, bytes, n, MSG_DONTWAIT);
	if (got < 0) {
		return -errno;
	}
	d->has_heard = true;
	if (t->is_open && is_disowning(d, bytes, (size_t)got)) {
		return err_set(e, -ECONNRESET,
		    "the collector does not know this session any more: it has "
		    "restarted, or sees us under another address");
	}
	/* An empty datagram is nothing, and no end. */
	return got > 0 ? got : -EAGAIN;
}

static ssize_t
dialled_write(struct transport *t, const void *bytes, size_t n, struct err *e)
{
	struct dialled *d = t->state;
	ssize_t put;

	(void)e;
	if (n >= DTLS_PROOF + DTLS_PROOF_BYTES) {
		d->proof = proof_at((const uint8_t *)bytes + DTLS_PROOF);
	}
	put = send(t->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (put < 0 && errno == EMSGSIZE) {
		put = transport_send_fragmented(t, bytes, n);
	}
	return put >= 0 ? put : -errno;
}

static void
dialled_close(struct transport *t)
{
	struct dialled *d = t->state;

	if (d != NULL) {
		transport_target_done(&d->target);
	}
	free(d);
	t->state = NULL;
	transport_close_socket(t);
}

static int
try_next(struct transport *t, int code, struct err *e)
{
	struct dialled *d = t->state;

	d->began_ns = clock_monotonic_ns();
	d->has_heard = false;
	return transport_target_next(&d->target, t, code, e);
}

static int
dialled_dial(struct transport *t, const struct transport_uri *uri,
    struct tls_context *tls, struct err *e)
{
	struct dialled *d = calloc(1, sizeof *d);
	int rc;

	(void)tls;
	if (d == NULL) {
		return err_set(e, -ENOMEM, "no memory to connect to %s", uri->text);
	}
	t->state = d;
	d->target.type = SOCK_DGRAM;
	d->target.prepare = transport_forbid_fragments;
	rc = transport_target_find(&d->target, uri, e);
	if (rc == 0) {
		rc = try_next(t, -EADDRNOTAVAIL, e);
	}
	if (rc < 0) {
		dialled_close(t);
	}
	return rc;
}

static const struct transport_ops dialled_connection = {
    .proceed = transport_proceed_open,
    .read = dialled_read,
    .write = dialled_write,
    .want = transport_want_socket,
    .close = dialled_close,
};

/* Handshake. */

/* NULL for an accepted one. */
static struct dialled *
dialled_of(const struct transport *t)
{
	const struct secured *s = t->state;

	return s->context == NULL ? NULL : s->carrier.state;
}

/* Before every operation. */
static void
renew_budget(struct transport *t)
{
	struct dialled *d = dialled_of(t);

	if (d != NULL) {
		d->budget = BUDGET;
	}
}

/* Whether the others of the host's addresses may fare better: nothing speaks DTLS
 * there, or nothing answers. */
static bool
is_dead(const struct dialled *d, int rc, uint64_t now_ns)
{
	if (d == NULL || d->target.next == NULL || d->has_heard) {
		return false;
	}
	return rc != -EAGAIN || now_ns - d->began_ns >= PATIENCE_NS;
}

static int
restart(struct transport *t, int code, struct err *e)
{
	struct secured *s = t->state;
	int rc;

	tls_free(s->tls);
	s->tls = NULL;
	rc = try_next(&s->carrier, code == -EAGAIN ? -ETIMEDOUT : code, e);
	secured_follow(t);
	return rc == 0 ? -EAGAIN : rc;
}

static int
dtls_proceed(struct transport *t, struct err *e)
{
	struct secured *s = t->state;
	int rc;

	if (t->is_open) {
		return 0;
	}
	renew_budget(t);
	rc = secured_proceed(t, e);
	if (rc == 0) {
		s->carrier.is_open = true;
		if (s->context == NULL) {
			dtls_sender_open(&s->carrier);
		}
	} else if (s->tls != NULL && is_dead(dialled_of(t), rc, clock_monotonic_ns())) {
		rc = restart(t, rc, e);
	}
	return rc;
}

static uint64_t
dtls_timeout(const struct transport *t)
{
	const struct dialled *d = dialled_of(t);
	uint64_t again = secured_timeout(t), now = clock_monotonic_ns(), left = 0;

	if (t->is_open || d == NULL || d->target.next == NULL || d->has_heard) {
		return again;
	}
	if (now < d->began_ns + PATIENCE_NS) {
		left = d->began_ns + PATIENCE_NS - now;
	}
	return left < again ? left : again;
}

/* Listening. */

static int
dtls_listen(
    struct transport_listener *l, const struct transport_uri *uri, struct err *e)
{
	struct dtls_socket *socket = NULL;
	int rc = transport_listen_socket(l, uri, IPPROTO_UDP, e);

	if (rc == 0) {
		rc = dtls_socket_new(l->fd, &socket, e);
		l->state = socket;
	}
	return rc;
}

static int
dtls_accept(struct transport_listener *l, struct transport *t, struct tls_context *tls,
    struct err *e)
{
	struct transport carrier;
	struct tls *connection = NULL;
	int rc = dtls_socket_accept(l->state, tls, &carrier, &connection, e);

	if (rc == 0 && secured_take(t, &carrier, connection, tls, e) < 0) {
		rc = -ECONNABORTED;
	}
	return rc;
}

static void
dtls_unlisten(struct transport_listener *l)
{
	dtls_socket_close(l->state);
	l->fd = -1;
}

static void
dtls_counts(const struct transport_listener *l, struct transport_counts *ret)
{
	dtls_socket_counts(l->state, ret);
}

/* Moving messages. */

static ssize_t
dtls_read(struct transport *t, void *bytes, size_t n, struct err *e)
{
	const struct dtls *x = t->state;
	ssize_t got;

	renew_budget(t);
	got = secured_read(t, bytes, n, e);
	/* The other end's word might be lost: it is not waited for.  And OpenSSL knows
	 * no handshake any more, the end of which a slow collector may say again. */
	if (x->is_finished && (got == -EAGAIN || got == -EPIPE)) {
		return 0;
	}
	return got;
}

/* A sender that writes without a pause never reads: now and then it does.  Collectors
 * send nothing that matters, except that they have ended. */
static ssize_t
glance(struct transport *t, struct err *e)
{
	struct dialled *d = dialled_of(t);
	uint8_t unasked[1024];
	ssize_t got = 1;

	if (d == NULL || ++d->written % GLANCE != 0) {
		return 0;
	}
	while (got > 0) {
		got = secured_read(t, unasked, sizeof unasked, e);
	}
	if (got == 0) {
		err_set(e, -ECONNRESET, "the collector closed the connection");
		return secured_complain(t->state, -ECONNRESET, e);
	}
	return got == -EAGAIN ? 0 : got;
}

static ssize_t
dtls_write(struct transport *t, const void *bytes, size_t n, struct err *e)
{
	struct secured *s = t->state;
	ssize_t rc;

	renew_budget(t);
	rc = glance(t, e);
	if (rc == 0) {
		rc = secured_write(t, bytes, n, e);
	}
	t->fragmented += s->carrier.fragmented;
	s->carrier.fragmented = 0;
	return rc;
}

static int
dtls_finish(struct transport *t, struct err *e)
{
	struct dtls *x = t->state;
	int rc;

	renew_budget(t);
	rc = secured_finish(t, e);
	x->is_finished = rc == 0;
	return rc;
}

static uint32_t
dtls_message_size(const struct transport_uri *uri, uint32_t most)
{
	return transport_udp.dialer->message_size(uri, most + OVERHEAD) - OVERHEAD;
}

static const struct transport_scheme datagrams = {
    .dialer = &(const struct transport_dialer_ops){.dial = dialled_dial},
    .connection = &dialled_connection,
};

const struct transport_scheme transport_dtls_udp = {
    .name = "dtls+udp",
    .port = TRANSPORT_PORT_SECURE,
    .is_secure = true,
    .is_message = true,
    .is_unreliable = true,
    .can_reorder = true,
    .message_max = TLS_MESSAGE,
    .dialer =
	&(const struct transport_dialer_ops){
	    .message_size = dtls_message_size,
	    .dial = secured_dial,
	},
    .listener =
	&(const struct transport_listener_ops){
	    .listen = dtls_listen,
	    .accept = dtls_accept,
	    .unlisten = dtls_unlisten,
	    .counts = dtls_counts,
	},
    .connection =
	&(const struct transport_ops){
	    .proceed = dtls_proceed,
	    .timeout = dtls_timeout,
	    .read = dtls_read,
	    .write = dtls_write,
	    .finish = dtls_finish,
	    .want = secured_want,
	    .pending = secured_pending,
	    .refusal = secured_refusal,
	    .recheck = secured_recheck,
	    .close = secured_close,
	},
    .carrier =
	&(const struct secured_carrier){
	    .scheme = &datagrams,
	    .kind = TLS_DATAGRAMS,
	    .size = sizeof(struct dtls),
	},
};
