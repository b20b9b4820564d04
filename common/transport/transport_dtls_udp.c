/* DTLS over UDP: every message is one record, every record one datagram.  Whatever UDP
 * loses is lost; the handshake alone is repeated until it is done.  A listener's
 * sessions share its socket (dtls_socket.h); a dialling one has its own, connected. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/tls/tls.h"
#include "common/transport/dtls_socket.h"
#include "common/transport/scheme.h"
#include "common/transport/socket.h"
#include "common/transport/transport_secured.h"
#include "common/transport/transport_udp.h"

#define PATIENCE_NS (5 * NS_PER_SECOND) /* with an address while others are left */
#define GLANCE      64u                 /* writes between two looks at what came */
#define BUDGET      256u                /* datagrams before others have their turn */
#define PROVED      (1u << 20)          /* records that may be under way */
#define OVERHEAD    37u /* record header, AES-GCM's explicit nonce and its tag */

struct secured {
	struct tls *tls;
	char host[256];
	char text[320];
	bool is_finished;
	struct dtls_sender *sender; /* an accepted one's; then fd is not ours */

	/* A dialling one's. */
	struct tls_context *context;
	struct addrinfo *list, *next;
	uint64_t began_ns; /* with this address */
	bool has_heard;    /* from there */
	bool is_disowned;  /* the collector does not know the session */
	unsigned written;
	unsigned budget;             /* datagrams that may still be read now */
	uint64_t proof;              /* of what was sent last */
	struct transport *transport; /* whose this is, while an operation runs */
};

/* Before every operation. */
static void
borrow(struct secured *s, struct transport *t)
{
	s->transport = t;
	s->budget = BUDGET;
}

/* The carrier of a dialling one: its connected socket. */

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
 * not long ago: see dtls_socket.c.  Who can read what we send may forge it, as he may
 * reset TCP, with the same effect: we begin anew, and lose nothing that was not on its
 * way.  Nobody else can. */
static bool
is_disowning(const struct secured *s, const uint8_t *bytes, size_t n)
{
	uint64_t most = ((uint64_t)1 << 8 * DTLS_PROOF_BYTES) - 1;

	return n >= 15 && bytes[0] == 21 && bytes[1] == 0xfe &&
	       (bytes[3] | bytes[4]) == 0 && bytes[13] == 2 &&
	       ((s->proof - proof_at(bytes + 5)) & most) < PROVED;
}

static ssize_t
dialled_read(void *data, void *bytes, size_t n)
{
	struct secured *s = data;
	ssize_t got;

	if (s->budget == 0) {
		return -EAGAIN;
	}
	s->budget--;
	got = recv(s->transport->fd, bytes, n, MSG_DONTWAIT);
	if (got < 0) {
		return -errno;
	}
	s->has_heard = true;
	if (s->transport->is_open && is_disowning(s, bytes, (size_t)got)) {
		s->is_disowned = true;
		return -ECONNRESET;
	}
	/* An empty datagram is nothing, and no end. */
	return got > 0 ? got : -EAGAIN;
}

static ssize_t
dialled_write(void *data, const void *bytes, size_t n)
{
	struct secured *s = data;
	struct transport *t = s->transport;
	ssize_t put;

	if (n >= DTLS_PROOF + DTLS_PROOF_BYTES) {
		s->proof = proof_at((const uint8_t *)bytes + DTLS_PROOF);
	}
	put = send(t->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (put < 0 && errno == EMSGSIZE) {
		put = transport_send_fragmented(t, bytes, n);
	}
	return put >= 0 ? put : -errno;
}

/* Dialling. */

static void
end_attempt(struct transport *t)
{
	struct secured *s = t->state;

	tls_free(s->tls);
	s->tls = NULL;
	if (t->fd >= 0 && s->sender == NULL) {
		close(t->fd);
	}
	t->fd = -1;
}

static void
secured_close(struct transport *t)
{
	struct secured *s = t->state;

	if (s != NULL) {
		end_attempt(t);
		if (s->sender != NULL) {
			dtls_sender_leave(s->sender);
		}
		if (s->list != NULL) {
			freeaddrinfo(s->list);
		}
		free(s);
	}
	t->state = NULL;
	t->fd = -1;
	t->is_open = false;
}

/* Begins with the next addresses until one can be sent to.  code: what failed before.
 */
static int
try_next(struct transport *t, int code, struct err *e)
{
	struct secured *s = t->state;
	struct tls_carrier carrier = {
	    .is_lossy = true, .read = dialled_read, .write = dialled_write, .data = s};

	while (s->next != NULL) {
		const struct addrinfo *a = s->next;
		s->next = a->ai_next;
		end_attempt(t);
		transport_peer_set(&t->peer, a->ai_addr);
		code = transport_connect(a, SOCK_DGRAM, transport_forbid_fragments);
		if (code < 0) {
			continue;
		}
		t->fd = code;
		s->began_ns = clock_monotonic_ns();
		s->has_heard = false;
		return tls_new_over(s->context, &carrier, s->host, &s->tls, e);
	}
	return err_set(e, code, "cannot reach %s (last tried %s): %s", s->text,
	    t->peer.text, strerror(-code));
}

static int
secured_dial(struct transport *t, const struct transport_uri *uri,
    struct tls_context *tls, struct err *e)
{
	struct secured *s = calloc(1, sizeof *s);
	int rc;

	if (s == NULL) {
		return err_set(e, -ENOMEM, "no memory to connect to %s", uri->text);
	}
	t->state = s;
	s->context = tls;
	memcpy(s->host, uri->host, sizeof s->host);
	memcpy(s->text, uri->text, sizeof s->text);
	rc = transport_find_host(uri, SOCK_DGRAM, &s->list, e);
	if (rc == 0) {
		s->next = s->list;
		rc = try_next(t, -EADDRNOTAVAIL, e);
	}
	if (rc < 0) {
		secured_close(t);
	}
	return rc;
}

/* Whether the others of the host's addresses may fare better: nothing speaks DTLS
 * there, or nothing answers. */
static bool
is_dead(const struct transport *t, int rc, uint64_t now_ns)
{
	const struct secured *s = t->state;

	if (s->next == NULL || s->has_heard) {
		return false;
	}
	return rc != -EAGAIN || now_ns - s->began_ns >= PATIENCE_NS;
}

static int
secured_proceed(struct transport *t, struct err *e)
{
	struct secured *s = t->state;
	int rc;

	if (t->is_open) {
		return 0;
	}
	borrow(s, t);
	rc = tls_handshake(s->tls, e);
	if (rc == 0) {
		t->is_open = true;
		tls_identity(s->tls, t->identity);
		if (s->sender != NULL) {
			dtls_sender_open(s->sender);
		}
		return 0;
	}
	if (is_dead(t, rc, clock_monotonic_ns())) {
		rc = try_next(t, rc == -EAGAIN ? -ETIMEDOUT : rc, e);
		return rc == 0 ? -EAGAIN : rc;
	}
	return rc == -EAGAIN ? rc : err_prefix(e, rc, "%s", s->text);
}

static uint64_t
secured_timeout(const struct transport *t)
{
	const struct secured *s = t->state;
	uint64_t again = tls_timeout(s->tls), now = clock_monotonic_ns(), left = 0;

	if (t->is_open || s->next == NULL || s->has_heard) {
		return again;
	}
	if (now < s->began_ns + PATIENCE_NS) {
		left = s->began_ns + PATIENCE_NS - now;
	}
	return left < again ? left : again;
}

/* Listening. */

static int
secured_listen(
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
secured_accept(struct transport_listener *l, struct transport *t,
    struct tls_context *tls, struct err *e)
{
	struct dtls_sender *sender = NULL;
	struct tls *connection = NULL;
	struct secured *s;
	int rc = dtls_socket_accept(l->state, tls, &sender, &connection, e);

	if (rc < 0) {
		return rc;
	}
	t->fd = dtls_sender_fd(sender);
	transport_peer_set(&t->peer, dtls_sender_address(sender));
	s = calloc(1, sizeof *s);
	if (s == NULL) {
		dtls_sender_leave(sender);
		tls_free(connection);
		return err_set(
		    e, -ECONNABORTED, "no memory for the peer %s", t->peer.text);
	}
	s->sender = sender;
	s->tls = connection;
	snprintf(s->text, sizeof s->text, "%s", t->peer.text);
	t->state = s;
	return 0;
}

static void
secured_counts(const struct transport_listener *l, struct transport_counts *ret)
{
	struct dtls_socket_counts c;

	dtls_socket_counts(l->state, &c);
	*ret = (struct transport_counts){
	    .datagrams = c.datagrams,
	    .octets = c.octets,
	    .connections = c.senders,
	    .dropped = c.dropped,
	    .foreign = c.foreign,
	};
}

static void
secured_unlisten(struct transport_listener *l)
{
	dtls_socket_close(l->state);
	l->fd = -1;
}

/* Moving messages. */

static ssize_t
complain(const struct secured *s, ssize_t rc, struct err *e)
{
	if (rc >= 0 || rc == -EAGAIN) {
		return rc;
	}
	if (s->is_disowned) {
		err_set(e, (int)rc,
		    "the collector does not know this session any more: it has "
		    "restarted, or sees us under another address");
	} else if (s->sender != NULL && rc == -ECONNRESET) {
		err_set(
		    e, (int)rc, "another session began from the same address and port");
	}
	return err_prefix(e, (int)rc, "%s", s->text);
}

static ssize_t
secured_read(struct transport *t, void *bytes, size_t n, struct err *e)
{
	struct secured *s = t->state;
	ssize_t got;

	borrow(s, t);
	got = tls_read(s->tls, bytes, n, e);
	/* The other end's word might be lost: it is not waited for.  And OpenSSL knows
	 * no handshake any more, the end of which a slow collector may say again. */
	if (s->is_finished && (got == -EAGAIN || got == -EPIPE)) {
		return 0;
	}
	return complain(s, got, e);
}

/* Who writes without a pause never reads: now and then it does.  Collectors send
 * nothing that matters, but that they have ended. */
static ssize_t
look_up(struct secured *s, struct err *e)
{
	uint8_t unasked[1024];
	ssize_t got = 1;

	if (s->sender != NULL || ++s->written % GLANCE != 0) {
		return 0;
	}
	while (got > 0) {
		got = tls_read(s->tls, unasked, sizeof unasked, e);
	}
	if (got == 0) {
		return err_set(e, -ECONNRESET, "the collector closed the connection");
	}
	return got == -EAGAIN ? 0 : got;
}

static ssize_t
secured_write(struct transport *t, const void *bytes, size_t n, struct err *e)
{
	struct secured *s = t->state;
	ssize_t rc;

	borrow(s, t);
	rc = look_up(s, e);
	if (rc < 0) {
		return complain(s, rc, e);
	}
	return complain(s, tls_write(s->tls, bytes, n, e), e);
}

static int
secured_finish(struct transport *t, struct err *e)
{
	struct secured *s = t->state;
	int rc;

	borrow(s, t);
	rc = tls_shutdown(s->tls, e);
	s->is_finished = rc == 0;
	return (int)complain(s, rc, e);
}

static uint32_t
secured_want(const struct transport *t)
{
	const struct secured *s = t->state;

	/* A sender's own fd tells of datagrams that came; its writes never wait. */
	return s->sender != NULL ? EPOLLIN : tls_want(s->tls);
}

static uint32_t
secured_message_size(const struct transport_uri *uri, uint32_t most)
{
	return transport_udp.dialer->message_size(uri, most + OVERHEAD) - OVERHEAD;
}

const struct transport_scheme transport_dtls_udp = {
    .name = "dtls+udp",
    .port = TRANSPORT_PORT_SECURE,
    .is_secure = true,
    .is_message = true,
    .is_unreliable = true,
    .message_max = TLS_MESSAGE,
    .dialer =
	&(const struct transport_dialer_ops){
	    .message_size = secured_message_size,
	    .dial = secured_dial,
	},
    .listener =
	&(const struct transport_listener_ops){
	    .listen = secured_listen,
	    .accept = secured_accept,
	    .unlisten = secured_unlisten,
	    .counts = secured_counts,
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
