#include "common/transport/dtls_socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/tls/tls_cookie.h"
#include "common/transport/pktinfo.h"
#include "common/transport/socket.h"

#define BUCKETS        4096u
#define ROUND          256u /* datagrams before others have their turn */
#define LAST_ROUND     65536u
#define RECEIVE_BUFFER (8 << 20) /* of the kernel, if it lets us */
#define LONGEST        65536u    /* datagram */
#define DISOWNED       100u      /* answers a second to lost sessions */

/* Of a DTLS record (RFC 6347 section 4.3.1). */
#define RECORD_NUMBER      5
#define RECORD_HEADER      13u
#define RECORD_ALERT       21
#define RECORD_HANDSHAKE   22
#define RECORD_APPLICATION 23
#define CLIENT_HELLO       1

struct datagram {
	struct datagram *next;
	size_t length;
	uint8_t bytes[];
};

struct dtls_sender {
	struct dtls_socket *socket;
	struct dtls_sender *next; /* of its bucket */
	struct pktinfo route;
	struct datagram *first, *last;
	size_t bytes;
	int wake; /* eventfd: signalled while there is something to read */
	bool is_open;
	bool is_superseded; /* and out of the table */
};

struct arrival { /* a datagram, whose bytes are those received last */
	struct pktinfo route;
	size_t length;
	struct tls_context *context; /* of new senders; NULL: none comes in */
	/* Of a new sender that has shown its cookie. */
	struct dtls_sender *sender;
	struct tls *tls;
};

struct dtls_socket {
	int fd;
	bool is_closed;
	unsigned senders;
	struct dtls_sender *buckets[BUCKETS];
	uint64_t seed;
	size_t bytes; /* of all queues */
	struct tls_cookie *cookies;
	struct transport_counts counts;
	uint32_t overflows; /* as the kernel told last */
	uint64_t disown_ns; /* of the second in which: */
	unsigned disowned;
	uint8_t received[LONGEST];
};

/* The socket. */

static void
set_options(int fd)
{
	int bytes = RECEIVE_BUFFER;

	pktinfo_prepare(fd);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	}
}

int
dtls_socket_new(int fd, struct dtls_socket **ret, struct err *e)
{
	struct dtls_socket *s = calloc(1, sizeof *s);

	if (s != NULL) {
		s->fd = fd;
		s->seed = hash_seed();
		s->cookies = tls_cookie_new();
	}
	if (s == NULL || s->cookies == NULL) {
		close(fd);
		free(s);
		return err_set(e, -ENOMEM, "no memory to listen");
	}
	set_options(fd);
	*ret = s;
	return 0;
}

static void
free_when_left(struct dtls_socket *s)
{
	if (s->is_closed && s->senders == 0) {
		tls_cookie_free(s->cookies);
		close(s->fd);
		free(s);
	}
}

void
dtls_socket_counts(const struct dtls_socket *s, struct transport_counts *ret)
{
	*ret = s->counts;
}

/* Datagrams. */

/* The next datagram: its bytes, in s->received, or a negative errno. */
static ssize_t
take_datagram(struct dtls_socket *s, struct pktinfo *r)
{
	_Alignas(struct cmsghdr) uint8_t control[ROUTE_CONTROL];
	struct iovec part = {.iov_base = s->received, .iov_len = sizeof s->received};
	struct sockaddr_storage from;
	struct msghdr m = {
	    .msg_name = &from,
	    .msg_namelen = sizeof from,
	    .msg_iov = &part,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof control,
	};
	uint32_t overflows = s->overflows;
	ssize_t n = recvmsg(s->fd, &m, MSG_DONTWAIT);

	if (n < 0) {
		return -errno;
	}
	pktinfo_read(r, &m, &overflows);
	s->counts.dropped += overflows - s->overflows;
	s->overflows = overflows;
	s->counts.datagrams++;
	s->counts.octets += (uint64_t)n;
	return n;
}

/* Senders. */

static struct dtls_sender **
bucket_of(struct dtls_socket *s, const struct pktinfo *r)
{
	return &s->buckets[hash_bytes(r->id, sizeof r->id, s->seed) % BUCKETS];
}

/* The first from x on that comes from there: the latest. */
static struct dtls_sender *
find_from(struct dtls_sender *x, const struct pktinfo *r)
{
	while (x != NULL && memcmp(x->route.id, r->id, sizeof r->id) != 0) {
		x = x->next;
	}
	return x;
}

static void
take_out(struct dtls_sender *x)
{
	struct dtls_sender **at = bucket_of(x->socket, &x->route);

	while (*at != NULL && *at != x) {
		at = &(*at)->next;
	}
	if (*at == x) {
		*at = x->next;
	}
}

static void
signal_sender(const struct dtls_sender *x)
{
	uint64_t one = 1;

	(void)!write(x->wake, &one, sizeof one);
}

static void
push(struct dtls_sender *x, const uint8_t *bytes, size_t n)
{
	struct dtls_socket *s = x->socket;
	size_t size = sizeof(struct datagram) + n;
	struct datagram *d = NULL;

	if (x->bytes + size <= DTLS_SENDER_BYTES &&
	    s->bytes + size <= DTLS_SOCKET_BYTES) {
		d = malloc(size);
	}
	if (d == NULL) {
		s->counts.dropped++;
		return;
	}
	d->next = NULL;
	d->length = n;
	memcpy(d->bytes, bytes, n);
	if (x->first == NULL) {
		x->first = d;
		signal_sender(x);
	} else {
		x->last->next = d;
	}
	x->last = d;
	x->bytes += size;
	s->bytes += size;
}

static void
pop(struct dtls_sender *x)
{
	struct datagram *d = x->first;
	size_t size = sizeof *d + d->length;
	uint64_t times;

	x->first = d->next;
	x->bytes -= size;
	x->socket->bytes -= size;
	free(d);
	if (x->first == NULL && !x->is_superseded) {
		(void)!read(x->wake, &times, sizeof times);
	}
}

static struct dtls_sender *
admit(struct dtls_socket *s, const struct pktinfo *r)
{
	struct dtls_sender *x = calloc(1, sizeof *x);

	if (x == NULL) {
		return NULL;
	}
	x->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (x->wake < 0) {
		free(x);
		return NULL;
	}
	x->socket = s;
	x->route = *r;
	x->next = *bucket_of(s, r);
	*bucket_of(s, r) = x;
	s->senders++;
	s->counts.connections++;
	return x;
}

static void
supersede(struct dtls_sender *x)
{
	take_out(x);
	x->is_superseded = true;
	signal_sender(x);
}

static void
leave(struct transport *t)
{
	struct dtls_sender *x = t->state;
	struct dtls_socket *s = x->socket;

	while (x->first != NULL) {
		pop(x);
	}
	if (!x->is_superseded) {
		take_out(x);
	}
	close(x->wake);
	free(x);
	s->senders--;
	free_when_left(s);
}

void
dtls_sender_open(struct transport *t)
{
	struct dtls_sender *x = t->state;
	struct dtls_sender *former = find_from(x->next, &x->route);

	x->is_open = true;
	if (former != NULL && !x->is_superseded) {
		supersede(former);
	}
}

static ssize_t
sender_read(struct transport *t, void *bytes, size_t n, struct err *e)
{
	struct dtls_sender *x = t->state;
	size_t length;

	if (x->first == NULL && x->is_superseded) {
		return err_set(e, -ECONNRESET,
		    "another session began from the same address and port");
	}
	if (x->first == NULL) {
		return -EAGAIN;
	}
	length = x->first->length < n ? x->first->length : n;
	memcpy(bytes, x->first->bytes, length);
	pop(x);
	return (ssize_t)length;
}

static ssize_t
sender_write(struct transport *t, const void *bytes, size_t n, struct err *e)
{
	struct dtls_sender *x = t->state;

	(void)e;
	pktinfo_send(x->socket->fd, &x->route, bytes, n);
	return (ssize_t)n;
}

static const struct transport_ops sender_connection = {
    .proceed = transport_proceed_open,
    .read = sender_read,
    .write = sender_write,
    .want = transport_want_socket,
    .close = leave,
};

/* Senders that are not known yet. */

struct knock {
	const struct dtls_socket *socket;
	const struct pktinfo *route;
	const uint8_t *bytes;
	size_t length; /* 0: read already */
};

static ssize_t
knock_read(void *data, void *bytes, size_t n)
{
	struct knock *k = data;
	size_t length = k->length < n ? k->length : n;

	if (length == 0) {
		return -EAGAIN;
	}
	memcpy(bytes, k->bytes, length);
	k->length = 0;
	return (ssize_t)length;
}

static ssize_t
knock_write(void *data, const void *bytes, size_t n)
{
	const struct knock *k = data;

	pktinfo_send(k->socket->fd, k->route, bytes, n);
	return (ssize_t)n;
}

/* Whether a datagram begins with a record of DTLS, and which. */
static bool
is_record(const uint8_t *bytes, size_t n)
{
	return n > RECORD_HEADER && bytes[1] == 0xfe;
}

static bool
is_encrypted(const uint8_t *bytes)
{
	return (bytes[3] | bytes[4]) != 0;
}

static bool
is_client_hello(const uint8_t *bytes, size_t n)
{
	return is_record(bytes, n) && bytes[0] == RECORD_HANDSHAKE &&
	       !is_encrypted(bytes) && bytes[RECORD_HEADER] == CLIENT_HELLO;
}

/* We have restarted, or the sender's address has changed on the way: a plain alert
 * tells it to start over, as a reset does in TCP.  What stands in the place of its sequence
 * number (DTLS_PROOF) shows that it comes from where the record was sent.  It is
 * shorter than what it answers, and there are few in a second, so that we cannot be
 * used to flood others.  Other DTLS implementations pass it over. */
static void
disown(struct dtls_socket *s, const struct pktinfo *r, const uint8_t *bytes, size_t n)
{
	uint8_t alert[] = {RECORD_ALERT, 0xfe, 0xfd, 0, 0, /* epoch 0 */
	    0, 0, 0, 0, 0, 0, 0, 2, 2 /* fatal */, 10 /* unexpected message */};
	uint64_t now = clock_monotonic_ns();

	s->counts.foreign++;
	if (!is_record(bytes, n) || bytes[0] != RECORD_APPLICATION ||
	    !is_encrypted(bytes) || n < DTLS_PROOF + DTLS_PROOF_BYTES) {
		return;
	}
	if (now - s->disown_ns >= NS_PER_SECOND) {
		s->disown_ns = now;
		s->disowned = 0;
	}
	if (s->disowned++ < DISOWNED) {
		s->counts.disowned++;
		memcpy(alert + RECORD_NUMBER, bytes + DTLS_PROOF, DTLS_PROOF_BYTES);
		pktinfo_send(s->fd, r, alert, sizeof alert);
	}
}

/* 0 when a new sender has shown its cookie. */
static int
knock(struct dtls_socket *s, struct arrival *a)
{
	struct knock k = {s, &a->route, s->received, a->length};
	const struct tls_knock unknown = {
	    .carrier = {.kind = TLS_DATAGRAMS,
		.read = knock_read,
		.write = knock_write,
		.data = &k},
	    .sender = a->route.id,
	    .sender_length = sizeof a->route.id,
	    .now_ns = clock_monotonic_ns(),
	};

	if (!tls_cookie_check(s->cookies, a->context, &unknown, &a->tls)) {
		return -EAGAIN;
	}
	a->sender = admit(s, &a->route);
	if (a->sender == NULL) {
		s->counts.dropped++;
		tls_free(a->tls);
		return -EAGAIN;
	}
	return 0;
}

/* The former session goes on until the handshake of another one from there is done,
 * which may be an attacker's who only repeats what he saw: each passes over what is
 * encrypted for the other. */
static void
hand_over(
    struct dtls_sender *x, const struct pktinfo *r, const uint8_t *bytes, size_t n)
{
	struct dtls_sender *former = x->is_open ? NULL : find_from(x->next, r);

	push(x, bytes, n);
	if (former != NULL && is_record(bytes, n) && is_encrypted(bytes)) {
		push(former, bytes, n);
	}
}

/* Sorts the next datagram.  1: done; 0: a new sender has shown its cookie. */
static int
sort(struct dtls_socket *s, struct arrival *a)
{
	struct dtls_sender *x = find_from(*bucket_of(s, &a->route), &a->route);
	const struct pktinfo *r = &a->route;
	size_t n = a->length;

	if (n == 0) {
		s->counts.foreign++; /* and no end of anything */
	} else if (is_client_hello(s->received, n) && (x == NULL || x->is_open)) {
		if (a->context != NULL && knock(s, a) == 0) {
			return 0;
		}
	} else if (x != NULL) {
		hand_over(x, r, s->received, n);
	} else {
		disown(s, r, s->received, n);
	}
	return 1;
}

int
dtls_socket_accept(struct dtls_socket *s, struct tls_context *c, struct transport *ret,
    struct tls **ret_tls, struct err *e)
{
	struct arrival a = {.context = c};

	for (unsigned i = 0; i < ROUND; i++) {
		ssize_t n = take_datagram(s, &a.route);
		if (n == -EAGAIN || n == -EINTR) {
			return -EAGAIN;
		}
		if (n < 0) {
			return err_set(e, (int)n, "cannot receive datagrams: %s",
			    strerror((int)-n));
		}
		a.length = (size_t)n;
		if (sort(s, &a) == 0) {
			*ret = (struct transport){.ops = &sender_connection,
			    .fd = a.sender->wake,
			    .state = a.sender};
			transport_peer_set(&ret->peer, &a.route.peer);
			*ret_tls = a.tls;
			return 0;
		}
	}
	return -EAGAIN;
}

void
dtls_socket_close(struct dtls_socket *s)
{
	struct arrival a = {.context = NULL};
	ssize_t n = 0;

	/* What the kernel holds is for the senders that are still there. */
	for (unsigned i = 0; i < LAST_ROUND && n >= 0; i++) {
		n = take_datagram(s, &a.route);
		a.length = n >= 0 ? (size_t)n : 0;
		if (n >= 0) {
			sort(s, &a);
		}
	}
	s->is_closed = true;
	free_when_left(s);
}
