/* sctp://: IPFIX messages over SCTP (RFC 7011 section 10.2).  Templates go out on
 * stream 0, reliably; data on the others, if there are any, as reliably as the URI
 * says.  Also the carrier of DTLS (sctp_association.h). */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/sctp/sctp.h"
#include "common/sctp/sctp_association.h"
#include "common/transport/socket.h"

#define IDLE_TURNS 64 /* pieces that one read may find useless */

/* Connecting. */

/* One address, and the further ones of the URI, which are the same host's. */
static int
try_address(struct association *a, const struct addrinfo *at)
{
	struct sockaddr_storage list[SCTP_ADDRESSES + 1];
	unsigned n = association_addresses(&a->settings, at, list);
	int rc = a->stack->open(
	    &a->socket, association_family(&a->settings, at), &a->settings);

	if (rc == 0 && a->settings.locals > 0) {
		rc = a->stack->bind(&a->socket, a->settings.local, a->settings.locals);
	}
	return rc < 0 ? rc : a->stack->connect(&a->socket, list, n);
}

/* Begins with the next addresses until one is under way.  code: what failed before. */
static int
try_next(struct transport *t, int code, struct err *e)
{
	struct association *a = t->state;

	while (a->target.next != NULL) {
		const struct addrinfo *at = a->target.next;
		a->target.next = at->ai_next;
		a->stack->close(&a->socket);
		transport_peer_set(&t->peer, at->ai_addr);
		code = try_address(a, at);
		if (code == 0) {
			t->fd = a->socket.fd;
			return 0;
		}
	}
	return transport_target_failed(&a->target, t, code, e);
}

static int
sctp_dial(struct transport *t, const struct transport_uri *uri, struct tls_context *tls,
    struct err *e)
{
	struct association *a = calloc(1, sizeof *a);
	int rc;

	(void)tls;
	if (a == NULL) {
		return err_set(e, -ENOMEM, "no memory to connect to %s", uri->text);
	}
	t->state = a;
	a->socket.fd = -1;
	rc = association_settings(uri, false, &a->settings, e);
	a->stack = rc == 0 ? a->settings.stack : &sctp_kernel;
	if (rc == 0) {
		a->target.type = SOCK_STREAM;
		rc = transport_target_find(&a->target, uri, e);
	}
	if (rc == 0) {
		rc = try_next(t, -EADDRNOTAVAIL, e);
	}
	if (rc < 0) {
		association_close(t);
	}
	return rc;
}

static int
sctp_proceed(struct transport *t, struct err *e)
{
	struct association *a = t->state;
	int rc;

	if (t->is_open) {
		return 0;
	}
	rc = a->stack->connected(&a->socket);
	if (rc == 0) {
		rc = association_opened(t);
	}
	if (rc == 0 || rc == -EAGAIN) {
		return rc;
	}
	rc = try_next(t, rc, e);
	return rc == 0 ? -EAGAIN : rc;
}

/* Reading. */

/* The beginning of a message waits for its rest. */
static int
keep(struct association *a, const uint8_t *bytes, size_t n)
{
	if (n > a->part_length) {
		uint8_t *larger = realloc(a->part, n);
		if (larger == NULL) {
			return -ENOMEM;
		}
		a->part = larger;
		memcpy(a->part + a->part_length, bytes + a->part_length,
		    n - a->part_length);
	}
	a->part_length = n;
	return -EAGAIN;
}

static void
drop_part(struct association *a)
{
	free(a->part);
	a->part = NULL;
	a->part_length = 0;
}

/* One more piece behind *have bytes.  1: that made a message whole; 0: it did not. */
static int
take_piece(
    struct transport *t, size_t *have, const struct sctp_piece *piece, struct err *e)
{
	struct association *a = t->state;

	switch (piece->kind) {
	case SCTP_PIECE_NOTE:
		return 0;
	case SCTP_PIECE_CUT:
		drop_part(a);
		*have = 0;
		return 0;
	case SCTP_PIECE_RESTART:
		return err_set(e, -ECONNRESET,
		    "the connection with %s broke: the peer restarted", t->peer.text);
	case SCTP_PIECE_DATA:
		break;
	}
	*have += piece->length;
	if (!piece->is_last) {
		return 0;
	}
	drop_part(a);
	if (a->settings.has_auth && piece->protocol != association_protocol(a)) {
		*have = 0;
		return 0;
	}
	t->stream = piece->stream;
	return 1;
}

static ssize_t
sctp_read(struct transport *t, void *to, size_t n, struct err *e)
{
	struct association *a = t->state;
	size_t have = a->part_length;
	uint8_t *bytes = to;
	struct sctp_piece piece;
	int rc = 0;

	if (have > 0 && have < n) {
		memcpy(bytes, a->part, have);
	}
	for (unsigned i = 0; i < IDLE_TURNS && rc == 0; i++) {
		if (have >= n) {
			return err_set(e, -EMSGSIZE,
			    "the connection with %s broke: a message is longer than "
			    "%zu bytes",
			    t->peer.text, n);
		}
		rc = a->stack->receive(&a->socket, bytes + have, n - have, &piece);
		if (rc == 0) {
			return have == 0 ? 0 : association_broken(t, -ECONNRESET, e);
		}
		if (rc == -EAGAIN) {
			break;
		}
		rc = rc < 0 ? association_broken(t, rc, e)
			    : take_piece(t, &have, &piece, e);
	}
	if (rc == 1) {
		return (ssize_t)have;
	}
	if (rc == 0 || rc == -EAGAIN) {
		rc = keep(a, bytes, have);
	}
	return rc == -ENOMEM ? association_broken(t, rc, e) : rc;
}

/* Writing. */

/* Stream 0 carries what the others need to be understood. */
static int
await_head(struct association *a)
{
	int rc = a->head_waits ? a->stack->drained(&a->socket) : 0;

	a->head_waits = a->head_waits && rc < 0;
	return rc;
}

static ssize_t
sctp_write(struct transport *t, const void *bytes, size_t n, struct err *e)
{
	struct association *a = t->state;
	struct sctp_send how = {
	    .stream = t->stream, .protocol = association_protocol(a)};
	int rc = 0;

	if (n > (a->settings.has_auth ? SCTP_CARRIED : transport_sctp.message_max)) {
		return err_set(e, -EMSGSIZE,
		    "a message of %zu bytes is too long for %s://", n, t->scheme->name);
	}
	if (t->stream > 0) {
		how.reliability = a->settings.reliability;
		how.limit = a->settings.limit;
		rc = await_head(a);
		t->write_waits = false;
	}
	if (rc == 0) {
		rc = a->stack->send(&a->socket, bytes, n, &how);
		t->write_waits = rc == -EAGAIN;
	}
	if (rc == 0) {
		a->head_waits |= t->stream == 0 && t->streams > 1;
		return (ssize_t)n;
	}
	return rc == -EAGAIN ? rc : association_broken(t, rc, e);
}

static int
sctp_finish(struct transport *t, struct err *e)
{
	struct association *a = t->state;
	int rc = a->stack->shutdown(&a->socket);

	return rc == 0 || rc == -EAGAIN ? rc : association_broken(t, rc, e);
}

static uint32_t
sctp_want(const struct transport *t)
{
	const struct association *a = t->state;

	return t->is_open ? a->stack->wants(&a->socket, true, t->write_waits)
			  : a->stack->wants(&a->socket, false, true);
}

const struct transport_scheme transport_sctp = {
    .name = "sctp",
    .port = TRANSPORT_PORT,
    .is_message = true,
    .can_reorder = true, /* where the peer sends unordered (RFC 7011 section 10.2.4) */
    .message_max = 65535,
    .options = sctp_option_names,
    .dialer =
	&(const struct transport_dialer_ops){
	    .check = sctp_check_target,
	    .dial = sctp_dial,
	},
    .listener = &association_listener,
    .connection =
	&(const struct transport_ops){
	    .proceed = sctp_proceed,
	    .read = sctp_read,
	    .write = sctp_write,
	    .finish = sctp_finish,
	    .want = sctp_want,
	    .close = association_close,
	},
};
