/* sctp://: IPFIX messages over SCTP (RFC 7011 section 10.2).  Templates go out on
 * stream 0, reliably; data on the others, if there are any, as reliably as the URI
 * says. Also the carrier of DTLS (common/sctp/sctp.h). */
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

static bool
is_carrier(const struct association *a)
{
	return a->protocol == SCTP_PPID_DTLS;
}

static int
say_broken(const struct transport *t, int code, struct err *e)
{
	if (code == -ENOTCONN || code == -EPIPE || code == -ENOENT) {
		code = -ECONNRESET;
	}
	return err_set(
	    e, code, "the connection with %s broke: %s", t->peer.text, strerror(-code));
}

int
association_settings(const struct transport_uri *uri, uint32_t protocol,
    bool is_listening, struct sctp_settings *ret, struct err *e)
{
	int rc = sctp_settings_read(uri, ret, e);

	ret->has_auth = protocol == SCTP_PPID_DTLS;
	ret->is_listening = is_listening;
	return rc < 0 ? rc : ret->stack->check(ret, uri, e);
}

int
sctp_check_target(const struct transport_uri *uri, struct err *e)
{
	struct sctp_settings settings;

	return association_settings(uri,
	    uri->scheme->is_secure ? SCTP_PPID_DTLS : SCTP_PPID_PLAIN, false, &settings,
	    e);
}

/* Connecting. */

static void
end_dial(struct association *a)
{
	if (a->list != NULL) {
		freeaddrinfo(a->list);
	}
	a->list = a->next = NULL;
}

void
association_close(struct transport *t)
{
	struct association *a = t->state;

	if (a != NULL) {
		a->stack->close(&a->socket);
		end_dial(a);
		free(a->part);
		free(a);
	}
	t->state = NULL;
	t->fd = -1;
	t->is_open = false;
}

static bool
has_ipv6(const struct sockaddr_storage *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (list[i].ss_family == AF_INET6) {
			return true;
		}
	}
	return false;
}

/* One socket can have addresses of both families if it is an IPv6 one. */
int
association_family(const struct sctp_settings *s, const struct addrinfo *a)
{
	return has_ipv6(s->address, s->addresses) || has_ipv6(s->local, s->locals)
		   ? AF_INET6
		   : a->ai_family;
}

unsigned
association_addresses(const struct sctp_settings *s, const struct addrinfo *a,
    struct sockaddr_storage list[SCTP_ADDRESSES + 1])
{
	memset(list, 0, sizeof *list);
	memcpy(list, a->ai_addr, a->ai_addrlen);
	memcpy(list + 1, s->address, s->addresses * sizeof *list);
	return s->addresses + 1;
}

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

	for (; a->next != NULL; a->next = a->next->ai_next) {
		a->stack->close(&a->socket);
		transport_peer_set(&t->peer, a->next->ai_addr);
		code = try_address(a, a->next);
		if (code == 0) {
			a->next = a->next->ai_next;
			t->fd = a->socket.fd;
			return 0;
		}
	}
	return err_set(e, code, "cannot connect to %s (last tried %s): %s", a->text,
	    t->peer.text, strerror(-code));
}

static int
dial(struct transport *t, const struct transport_uri *uri, uint32_t protocol,
    struct err *e)
{
	struct association *a = calloc(1, sizeof *a);
	int rc;

	if (a == NULL) {
		return err_set(e, -ENOMEM, "no memory to connect to %s", uri->text);
	}
	t->state = a;
	a->protocol = protocol;
	a->socket.fd = -1;
	memcpy(a->text, uri->text, sizeof a->text);
	rc = association_settings(uri, protocol, false, &a->settings, e);
	a->stack = rc == 0 ? a->settings.stack : &sctp_kernel;
	if (rc == 0) {
		rc = transport_find_host(uri, SOCK_STREAM, &a->list, e);
	}
	if (rc == 0) {
		a->next = a->list;
		rc = try_next(t, -EADDRNOTAVAIL, e);
	}
	if (rc < 0) {
		association_close(t);
	}
	return rc;
}

static int
sctp_dial(struct transport *t, const struct transport_uri *uri, struct tls_context *tls,
    struct err *e)
{
	(void)tls;
	return dial(t, uri, SCTP_PPID_PLAIN, e);
}

int
sctp_dial_carrier(struct transport *t, const struct transport_uri *uri, struct err *e)
{
	return dial(t, uri, SCTP_PPID_DTLS, e);
}

int
association_opened(struct transport *t)
{
	struct association *a = t->state;
	uint16_t agreed;
	int rc = a->stack->streams(&a->socket, &agreed);

	if (rc < 0) {
		return rc;
	}
	t->streams = agreed < a->settings.streams ? agreed : a->settings.streams;
	t->is_open = true;
	end_dial(a);
	return 0;
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
		    "the connection with %s broke: its other end began anew",
		    t->peer.text);
	case SCTP_PIECE_DATA:
		break;
	}
	*have += piece->length;
	if (!piece->is_last) {
		return 0;
	}
	drop_part(a);
	if (is_carrier(a) && piece->protocol != a->protocol) {
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
			    "the connection with %s broke: a message of more than %zu "
			    "bytes",
			    t->peer.text, n);
		}
		rc = a->stack->receive(&a->socket, bytes + have, n - have, &piece);
		if (rc == 0) {
			return have == 0 ? 0 : say_broken(t, -ECONNRESET, e);
		}
		if (rc == -EAGAIN) {
			break;
		}
		rc = rc < 0 ? say_broken(t, rc, e) : take_piece(t, &have, &piece, e);
	}
	if (rc == 1) {
		return (ssize_t)have;
	}
	if (rc == 0 || rc == -EAGAIN) {
		rc = keep(a, bytes, have);
	}
	return rc == -ENOMEM ? say_broken(t, rc, e) : rc;
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
	struct sctp_send how = {.stream = t->stream, .protocol = a->protocol};
	int rc = 0;

	if (n > (is_carrier(a) ? SCTP_CARRIED : transport_sctp.message_max)) {
		return err_set(e, -EMSGSIZE,
		    "a message of %zu bytes is longer than %s:// carries", n,
		    t->scheme->name);
	}
	if (t->stream > 0) {
		how.reliability = a->settings.reliability;
		how.limit = a->settings.limit;
		rc = await_head(a);
		a->write_waits = false;
	}
	if (rc == 0) {
		rc = a->stack->send(&a->socket, bytes, n, &how);
		a->write_waits = rc == -EAGAIN;
	}
	if (rc == 0) {
		a->head_waits |= t->stream == 0 && t->streams > 1;
		return (ssize_t)n;
	}
	return rc == -EAGAIN ? rc : say_broken(t, rc, e);
}

static int
sctp_finish(struct transport *t, struct err *e)
{
	struct association *a = t->state;
	int rc = a->stack->shutdown(&a->socket);

	return rc == 0 || rc == -EAGAIN ? rc : say_broken(t, rc, e);
}

static uint32_t
sctp_want(const struct transport *t)
{
	const struct association *a = t->state;

	return t->is_open ? a->stack->wants(&a->socket, true, a->write_waits)
			  : a->stack->wants(&a->socket, false, true);
}

/* For DTLS. */

static int
say_key(const struct transport *t, int rc, struct err *e)
{
	return rc == 0 ? 0
		       : err_set(e, rc,
			     "%s: its SCTP does not authenticate what it sends as DTLS "
			     "needs it (RFC 6083): %s",
			     t->peer.text, strerror(-rc));
}

int
sctp_add_key(
    struct transport *t, uint16_t id, const uint8_t *key, size_t n, struct err *e)
{
	struct association *a = t->state;

	return say_key(t, a->stack->add_key(&a->socket, id, key, n), e);
}

int
sctp_activate_key(struct transport *t, uint16_t id, struct err *e)
{
	struct association *a = t->state;

	return say_key(t, a->stack->activate_key(&a->socket, id), e);
}

int
sctp_drop_key(struct transport *t, uint16_t id, struct err *e)
{
	struct association *a = t->state;

	return say_key(t, a->stack->drop_key(&a->socket, id), e);
}

int
sctp_drained(struct transport *t, struct err *e)
{
	struct association *a = t->state;
	int rc = a->stack->drained(&a->socket);

	return rc == 0 || rc == -EAGAIN ? rc : say_broken(t, rc, e);
}

const struct transport_scheme transport_sctp = {
    .name = "sctp",
    .port = TRANSPORT_PORT,
    .is_message = true,
    .message_max = 65535,
    .options = sctp_option_names,
    .dialer =
	&(const struct transport_dialer_ops){
	    .check = sctp_check_target,
	    .dial = sctp_dial,
	},
    .listener =
	&(const struct transport_listener_ops){
	    .listen = association_listen,
	    .accept = association_accept,
	    .unlisten = association_unlisten,
	},
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
