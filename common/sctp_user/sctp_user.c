/* SCTP in user space, its packets carried in UDP (RFC 6951): for machines whose kernel
 * has no SCTP.  libusrsctp runs without threads of its own; sctp_wire.c brings it what
 * arrives, and the time.  Every socket has an eventfd that is made readable whenever
 * something happens, and that is cleared when an operation finds nothing to do (and
 * tries once more, lest a signal be lost).  An association has one path, because to the
 * library all peers have the same address. */
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/sctp_user/sctp_user.h"
#include "common/sctp_user/sctp_user_private.h"
#include "common/sctp_user/sctp_wire.h"
#include "common/transport/socket.h"

#define PACKET_HEADER 12 /* RFC 9260 section 3.1 */
#define BACKLOG       128

/* RFC 6335 section 6: 49152 and up. */
#define EPHEMERAL          49152u
#define EPHEMERAL_ATTEMPTS 32

static void
something_happened(struct socket *so, void *arg, int flags)
{
	const struct user *u = arg;

	(void)so;
	(void)flags;
	ring(u->bell);
}

/* Starting the library. */

static char here; /* its address is every peer's, see sctp_wire.h */

static void
arrived(const void *packet, size_t n, const struct sockaddr_storage *local)
{
	uint8_t refusal[SCTP_USER_PLACE_REFUSAL];

	if (sctp_user_place_refuses(local, packet, n, refusal)) {
		sctp_wire_send(refusal, sizeof refusal);
	} else {
		usrsctp_conninput(&here, packet, n, 0);
	}
}

static int
leaves(void *to, void *packet, size_t n, uint8_t tos, uint8_t must_not_fragment)
{
	(void)to;
	(void)tos;
	(void)must_not_fragment;
	sctp_wire_send(packet, n);
	return 0;
}

static int
start(uint16_t port, struct err *e)
{
	static const struct sctp_wire_events events = {
	    arrived, usrsctp_handle_timers, usrsctp_crc32c};
	sigset_t all, mask;
	int rc;

	/* A thread for changes of addresses starts even so, and always sleeps. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask); /* signals are not for it */
	usrsctp_init_nothreads(0, leaves, NULL);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	usrsctp_enable_crc32c_offload(); /* to the wire, which changes ports */
	usrsctp_register_address(&here);
	usrsctp_sysctl_set_sctp_ecn_enable(0); /* UDP sockets show no ECN bits */
	rc = sctp_wire_start(port, &events);
	return rc == 0 ? 0
		       : err_set(e, rc, "cannot carry SCTP in UDP port %u: %s", port,
			     strerror(-rc));
}

static int
check_paths(const struct sctp_settings *settings, struct err *e)
{
	return settings->addresses == 0 && settings->locals <= 1
		   ? 0
		   : err_set(e, -EINVAL,
			 "SCTP in UDP has one path; several addresses need the "
			 "kernel's SCTP (encapsulation=none)");
}

static int
check(const struct sctp_settings *settings, const struct transport_uri *uri,
    struct err *e)
{
	uint16_t port =
	    settings->is_listening ? settings->udp_port : settings->local_udp_port;
	uint16_t has = sctp_wire_port();
	int rc = check_paths(settings, e);

	if (rc == 0 && has == 0) {
		rc = start(port, e);
	} else if (rc == 0 && port != 0 && port != has) {
		rc = err_set(e, -EINVAL,
		    "this process already runs SCTP over UDP port %u and can use only "
		    "one such port",
		    has);
	}
	return rc < 0 ? err_prefix(e, rc, "%s", uri->text) : 0;
}

/* Sockets. */

static int
epoll_of(int bell)
{
	struct epoll_event when = {.events = EPOLLIN};
	int fd = epoll_create1(EPOLL_CLOEXEC), rc;

	if (fd < 0) {
		return -errno;
	}
	if (epoll_ctl(fd, EPOLL_CTL_ADD, bell, &when) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

/* Takes so over, also on failure. */
static int
adopt(struct socket *so, struct sctp_socket *s)
{
	struct user *u = calloc(1, sizeof *u);
	int bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), fd = -1, rc = -ENOMEM;

	if (bell < 0) {
		rc = -errno;
		goto out;
	}
	fd = epoll_of(bell);
	if (fd < 0) {
		rc = fd;
		goto out;
	}
	if (u == NULL) {
		goto out;
	}
	*u = (struct user){.so = so, .bell = bell};
	usrsctp_set_upcall(so, something_happened, u);
	ring(bell); /* for what happened before */
	*s = (struct sctp_socket){.fd = fd, .state = u};
	return 0;
out:
	free(u);
	if (fd >= 0) {
		close(fd);
	}
	if (bell >= 0) {
		close(bell);
	}
	usrsctp_close(so);
	return rc;
}

static void
close_socket(struct sctp_socket *s)
{
	struct user *u = s->state;

	if (u != NULL) {
		sctp_user_place_close(&u->place);
		usrsctp_set_upcall(u->so, NULL, NULL);
		usrsctp_close(u->so);
		sctp_wire_unpin(u->alias);
		close(u->bell);
		close(s->fd);
		free(u);
	}
	*s = (struct sctp_socket){.fd = -1};
}

static int
open_socket(struct sctp_socket *s, int family, const struct sctp_settings *settings)
{
	struct socket *so =
	    usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
	int rc;

	(void)family; /* its UDP has both */
	if (so == NULL) {
		return -errno;
	}
	if (usrsctp_set_non_blocking(so, 1) < 0) {
		rc = -errno;
		usrsctp_close(so);
		return rc;
	}
	rc = adopt(so, s);
	if (rc < 0) {
		return rc;
	}
	((struct user *)s->state)->udp_port = settings->udp_port;
	rc = sctp_api_set_up(s, sctp_user_set, settings);
	if (rc < 0) {
		close_socket(s);
	}
	return rc;
}

/* Addresses. */

static bool
is_any(const struct sockaddr_storage *at)
{
	return at->ss_family == AF_INET6
		   ? IN6_IS_ADDR_UNSPECIFIED(
			 &((const struct sockaddr_in6 *)at)->sin6_addr)
		   : ((const struct sockaddr_in *)at)->sin_addr.s_addr == INADDR_ANY;
}

static int
bind_at(struct user *u, uint16_t port)
{
	struct sockaddr_conn at = {.sconn_family = AF_CONN, .sconn_port = htons(port)};

	u->place.port = port;
	return usrsctp_bind(u->so, (struct sockaddr *)&at, sizeof at) < 0 ? -errno : 0;
}

static int
bind_anywhere(struct user *u)
{
	int rc = -EADDRINUSE;

	for (int i = 0; i < EPHEMERAL_ATTEMPTS && rc == -EADDRINUSE; i++) {
		uint16_t some = 0;
		rc = getrandom(&some, sizeof some, 0) < 0
			 ? -errno
			 : bind_at(u, EPHEMERAL | some);
	}
	return rc;
}

/* The library binds the port; the addresses are looked at here. */
static int
bind_socket(struct sctp_socket *s, const struct sockaddr_storage *list, unsigned n)
{
	uint16_t port = transport_port(list);
	struct user *u = s->state;

	if (!is_any(list)) {
		memcpy(u->place.host, list, n * sizeof *list);
		u->place.hosts = n;
	}
	return port == 0 ? bind_anywhere(u) : bind_at(u, port);
}

static int
listen_socket(struct sctp_socket *s)
{
	struct user *u = s->state;

	if (usrsctp_listen(u->so, BACKLOG) < 0) {
		return -errno;
	}
	sctp_user_place_open(&u->place);
	return 0;
}

static int
port_of_socket(struct sctp_socket *s, uint16_t *ret)
{
	const struct user *u = s->state;

	*ret = u->place.port;
	return 0;
}

/* Packets as large as they can be now on the way to there.  The library adds its header
 * of 12 bytes to what it is told. */
static void
fit_packets(const struct sctp_socket *s)
{
	const struct user *u = s->state;
	size_t room = sctp_wire_room(u->alias);
	struct sctp_paddrparams path = {.spp_flags = SPP_PMTUD_DISABLE};

	if (room > PACKET_HEADER) {
		path.spp_pathmtu = (uint32_t)((room - PACKET_HEADER) & ~(size_t)3);
		(void)sctp_user_set(s, SCTP_PEER_ADDR_PARAMS, &path, sizeof path);
	}
}

/* Takes so over, also on failure. */
static int
welcome(struct socket *so, const struct sockaddr_conn *from, struct sctp_socket *ret,
    struct sockaddr_storage *ret_peer)
{
	struct user *u;
	int rc;

	usrsctp_set_non_blocking(so, 1);
	rc = adopt(so, ret);
	if (rc < 0) {
		return rc;
	}
	u = ret->state;
	if (sctp_wire_pin(ntohs(from->sconn_port)) < 0) {
		close_socket(ret);
		return -ECONNABORTED;
	}
	u->alias = ntohs(from->sconn_port);
	sctp_wire_peer(u->alias, ret_peer);
	fit_packets(ret);
	return 0;
}

static int
accept_socket(struct sctp_socket *from, struct sctp_socket *ret,
    struct sockaddr_storage *ret_peer)
{
	struct user *u = from->state;
	struct sockaddr_conn peer = {0};
	struct socket *so = NULL;

	for (int i = 0; i < 2 && so == NULL; i++) {
		socklen_t n = sizeof peer;
		so = usrsctp_accept(u->so, (struct sockaddr *)&peer, &n);
		if (so == NULL && errno != EWOULDBLOCK) {
			return -errno;
		}
		if (so == NULL && i == 0) {
			quieten(u->bell);
		}
	}
	return so == NULL ? -EAGAIN : welcome(so, &peer, ret, ret_peer);
}

static int
connect_socket(struct sctp_socket *s, const struct sockaddr_storage *list, unsigned n)
{
	struct sockaddr_conn to = {.sconn_family = AF_CONN, .sconn_addr = &here};
	struct user *u = s->state;

	(void)n; /* one, see check_paths() */
	if (u->place.hosts > 0 && u->place.host[0].ss_family != list->ss_family) {
		return -EADDRNOTAVAIL;
	}
	u->alias = sctp_wire_pin_to(
	    list, u->udp_port, u->place.hosts > 0 ? u->place.host : NULL);
	if (u->alias == 0) {
		return -ENOMEM;
	}
	fit_packets(s);
	to.sconn_port = htons(u->alias);
	return usrsctp_connect(u->so, (struct sockaddr *)&to, sizeof to) >= 0 ||
		       errno == EINPROGRESS
		   ? 0
		   : -errno;
}

static int
connected(struct sctp_socket *s)
{
	struct user *u = s->state;
	int events, error = 0;
	socklen_t n = sizeof error;

	quieten(u->bell);
	events = usrsctp_get_events(u->so);
	if ((events & SCTP_EVENT_ERROR) != 0) {
		usrsctp_getsockopt(u->so, SOL_SOCKET, SO_ERROR, &error, &n);
		return error == 0 ? -ECONNREFUSED : -error;
	}
	return (events & SCTP_EVENT_WRITE) != 0 ? 0 : -EAGAIN;
}

/* Ending. */

static int
shut_down(struct sctp_socket *s)
{
	struct user *u = s->state;

	return usrsctp_shutdown(u->so, SHUT_WR) < 0 ? -errno : 0;
}

static uint32_t
user_wants(const struct sctp_socket *s, bool to_read, bool to_write)
{
	(void)s;
	(void)to_read;
	(void)to_write;
	return EPOLLIN; /* the bell, whatever happens */
}

/* Every operation has the library to itself. */
#define OPERATION(name, work, parameters, ...)                                         \
	static int name parameters                                                     \
	{                                                                              \
		int rc;                                                                \
		sctp_wire_enter();                                                     \
		rc = work(__VA_ARGS__);                                                \
		sctp_wire_leave();                                                     \
		return rc;                                                             \
	}

OPERATION(user_check, check,
    (const struct sctp_settings *settings, const struct transport_uri *uri,
	struct err *e),
    settings, uri, e)
OPERATION(user_open, open_socket,
    (struct sctp_socket * s, int family, const struct sctp_settings *settings), s,
    family, settings)
OPERATION(user_bind, bind_socket,
    (struct sctp_socket * s, const struct sockaddr_storage *list, unsigned n), s, list,
    n)
OPERATION(user_listen, listen_socket, (struct sctp_socket * s), s)
OPERATION(user_port, port_of_socket, (struct sctp_socket * s, uint16_t *ret), s, ret)
OPERATION(user_accept, accept_socket,
    (struct sctp_socket * from, struct sctp_socket *ret, struct sockaddr_storage *peer),
    from, ret, peer)
OPERATION(user_connect, connect_socket,
    (struct sctp_socket * s, const struct sockaddr_storage *list, unsigned n), s, list,
    n)
OPERATION(user_connected, connected, (struct sctp_socket * s), s)
OPERATION(
    user_streams, sctp_user_streams, (struct sctp_socket * s, uint16_t *ret), s, ret)
OPERATION(user_receive, sctp_user_receive,
    (struct sctp_socket * s, void *bytes, size_t n, struct sctp_piece *ret), s, bytes,
    n, ret)
OPERATION(user_send, sctp_user_send,
    (struct sctp_socket * s, const void *bytes, size_t n, const struct sctp_send *how),
    s, bytes, n, how)
OPERATION(user_drained, sctp_user_drained, (struct sctp_socket * s), s)
OPERATION(user_add_key, sctp_user_add_key,
    (struct sctp_socket * s, uint16_t id, const uint8_t *key, size_t n), s, id, key, n)
OPERATION(user_activate_key, sctp_user_activate_key,
    (struct sctp_socket * s, uint16_t id), s, id)
OPERATION(
    user_drop_key, sctp_user_drop_key, (struct sctp_socket * s, uint16_t id), s, id)
OPERATION(user_shutdown, shut_down, (struct sctp_socket * s), s)

static void
user_close(struct sctp_socket *s)
{
	sctp_wire_enter();
	close_socket(s);
	sctp_wire_leave();
}

const struct sctp_stack sctp_user = {
    .check = user_check,
    .open = user_open,
    .bind = user_bind,
    .listen = user_listen,
    .port = user_port,
    .accept = user_accept,
    .connect = user_connect,
    .connected = user_connected,
    .streams = user_streams,
    .receive = user_receive,
    .send = user_send,
    .drained = user_drained,
    .add_key = user_add_key,
    .activate_key = user_activate_key,
    .drop_key = user_drop_key,
    .shutdown = user_shutdown,
    .wants = user_wants,
    .close = user_close,
};
