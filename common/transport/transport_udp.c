/* UDP: every message is one datagram, and nothing says whether it arrived.  Packets are
 * not fragmented (path MTU discovery), so that one lost piece does not cost a message;
 * a message that turns out longer than the path takes, because the path changed, goes
 * out in fragments all the same and is counted: it is better sent so than not. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "common/transport/pktinfo.h"
#include "common/transport/scheme.h"
#include "common/transport/socket.h"
#include "common/transport/transport_udp.h"

#define ATTEMPTS 4 /* each may meet an error about a datagram before */

/* Payload of UDP: what every IPv6 path takes (RFC 8200 section 5), and what an Ethernet
 * takes over IPv4.  The first is for paths that tell nothing, the second bounds those
 * whose first link tells of jumbo frames. */
#define MESSAGE_SAFE  1232u
#define MESSAGE_MOST  1472u
#define MESSAGE_LEAST 512u /* RFC 7011 section 10.3.3 */

static int
set_fragments(int fd, int family, bool may_fragment)
{
	int v4 = may_fragment ? IP_PMTUDISC_DONT : IP_PMTUDISC_DO;
	int v6 = may_fragment ? IPV6_PMTUDISC_DONT : IPV6_PMTUDISC_DO;

	return family == AF_INET6
		   ? setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v6, sizeof v6)
		   : setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &v4, sizeof v4);
}

static int
family_of(int fd)
{
	int family = AF_INET;
	socklen_t n = sizeof family;

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &n);
	return family;
}

void
transport_forbid_fragments(int fd)
{
	(void)set_fragments(fd, family_of(fd), false);
}

/* To the first address from this turn on that there is a route to. */
static int
connect_to_any(
    struct transport_target *x, struct transport *t, unsigned turn, struct err *e)
{
	int rc;

	for (const struct addrinfo *a = x->list; a != NULL; a = a->ai_next) {
		t->addresses++;
	}
	for (turn %= t->addresses; turn > 0; turn--) {
		x->next = x->next->ai_next;
	}
	rc = transport_target_next(x, t, -EADDRNOTAVAIL, e);
	if (rc < 0) {
		x->next = x->list;
		rc = transport_target_next(x, t, rc, e);
	}
	t->is_open = rc == 0;
	return rc;
}

static int
udp_dial(struct transport *t, const struct transport_uri *uri, struct tls_context *tls,
    struct err *e)
{
	struct transport_target x = {
	    .type = SOCK_DGRAM, .prepare = transport_forbid_fragments};
	int rc = transport_target_find(&x, uri, e);

	(void)tls;
	if (rc == 0) {
		rc = connect_to_any(&x, t, uri->turn, e);
	}
	transport_target_done(&x);
	return rc;
}

/* What one packet to this address carries, as far as the kernel knows now; 0: it does
 * not. */
static uint32_t
room_towards(const struct addrinfo *a)
{
	struct sockaddr_storage at = {0};
	struct pktinfo r;

	memcpy(&at, a->ai_addr, a->ai_addrlen);
	pktinfo_make(&r, &at, NULL);
	return (uint32_t)pktinfo_room(&r);
}

static uint32_t
udp_message_size(const struct transport_uri *uri, uint32_t most)
{
	struct addrinfo *list = NULL;
	uint32_t fits = 0;

	if (transport_check_target(uri, NULL) == 0 &&
	    transport_find_host(uri, SOCK_DGRAM, &list, NULL) == 0) {
		for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
			uint32_t room = room_towards(a);
			fits = room != 0 && (fits == 0 || room < fits) ? room : fits;
		}
		freeaddrinfo(list);
	}
	fits = fits == 0 ? MESSAGE_SAFE : fits;
	fits = fits > MESSAGE_MOST ? MESSAGE_MOST : fits;
	fits = fits < MESSAGE_LEAST ? MESSAGE_LEAST : fits;
	return fits < most ? fits : most;
}

/* What ICMP said about a datagram before this call: no end of anything. */
static bool
is_told_by_icmp(int code)
{
	return code == ECONNREFUSED || code == EHOSTUNREACH || code == ENOPROTOOPT ||
	       code == EMSGSIZE;
}

/* Whether what ICMP said is a reason to try another of the host's addresses. */
static bool
is_refused(const struct transport *t, int code)
{
	return t->addresses > 1 && is_told_by_icmp(code) && code != EMSGSIZE;
}

static int
complain_refused(struct transport *t, int code, struct err *e)
{
	t->refusals++;
	return err_set(
	    e, -code, "%s refuses datagrams (ICMP: %s)", t->peer.text, strerror(code));
}

/* Nobody answers; what comes all the same is not looked at. */
static ssize_t
udp_read(struct transport *t, void *bytes, size_t n, struct err *e)
{
	int code;

	if (!t->is_open) {
		return 0; /* finished: there is nothing to wait for */
	}
	for (unsigned i = 0; i < ATTEMPTS; i++) {
		ssize_t got = recv(t->fd, bytes, n, MSG_DONTWAIT);
		if (got > 0) {
			return got;
		}
		code = got == 0 ? EAGAIN : errno;
		if (code == EAGAIN || code == EINTR) {
			return -EAGAIN;
		}
		if (is_refused(t, code)) {
			return complain_refused(t, code, e);
		}
		if (!is_told_by_icmp(code)) {
			return err_set(e, -code, "cannot send to %s any more: %s",
			    t->peer.text, strerror(code));
		}
		t->refusals += code != EMSGSIZE;
	}
	return -EAGAIN;
}

/* The message is longer than what the path takes in one packet.  As send(). */
ssize_t
transport_send_fragmented(struct transport *t, const void *message, size_t n)
{
	int family = family_of(t->fd), code;
	ssize_t put;

	if (set_fragments(t->fd, family, true) < 0) {
		return -1;
	}
	put = send(t->fd, message, n, MSG_NOSIGNAL);
	code = errno;
	(void)set_fragments(t->fd, family, false);
	t->fragmented += put >= 0;
	errno = code;
	return put;
}

static ssize_t
send_message(struct transport *t, const void *bytes, size_t n, struct err *e)
{
	uint64_t refusals = 0;
	int code = 0;

	for (unsigned i = 0; i < ATTEMPTS; i++) {
		bool is_longer = code == EMSGSIZE; /* the second time it is this one */
		ssize_t put = is_longer ? transport_send_fragmented(t, bytes, n)
					: send(t->fd, bytes, n, MSG_NOSIGNAL);
		if (put >= 0) {
			t->refusals += refusals;
			return put;
		}
		code = errno;
		if (code == EAGAIN || code == EINTR) {
			t->refusals += refusals;
			return -EAGAIN;
		}
		if (is_refused(t, code)) {
			return complain_refused(t, code, e);
		}
		if (!is_told_by_icmp(code)) {
			break;
		}
		refusals += code != EMSGSIZE;
	}
	if (code == ECONNREFUSED) {
		t->refusals += refusals;
		return (ssize_t)n; /* refused as fast as we send: so was this one */
	}
	return err_set(
	    e, -code, "cannot send to %s any more: %s", t->peer.text, strerror(code));
}

static ssize_t
udp_write(struct transport *t, const void *bytes, size_t n, struct err *e)
{
	ssize_t put;

	if (n > t->scheme->message_max) {
		return err_set(e, -EMSGSIZE,
		    "a message of %zu bytes is too long for a datagram to %s", n,
		    t->peer.text);
	}
	put = send_message(t, bytes, n, e);
	t->write_waits = put == -EAGAIN;
	return put;
}

/* UDP cannot tell the peer about an end. */
static int
udp_finish(struct transport *t, struct err *e)
{
	(void)e;
	t->is_open = false;
	return 0;
}

static int
udp_listen(struct transport_listener *l, const struct transport_uri *uri, struct err *e)
{
	return transport_listen_socket(l, uri, IPPROTO_UDP, e);
}

const struct transport_scheme transport_udp = {
    .name = "udp",
    .port = TRANSPORT_PORT,
    .is_message = true,
    .is_unreliable = true,
    .can_reorder = true,
    .message_max = 65507,
    .dialer =
	&(const struct transport_dialer_ops){
	    .message_size = udp_message_size,
	    .dial = udp_dial,
	},
    .listener =
	&(const struct transport_listener_ops){
	    .listen = udp_listen,
	    .unlisten = transport_close_listener,
	},
    .connection =
	&(const struct transport_ops){
	    .proceed = transport_proceed_open,
	    .read = udp_read,
	    .write = udp_write,
	    .finish = udp_finish,
	    .want = transport_want_socket,
	    .close = transport_close_socket,
	},
};
