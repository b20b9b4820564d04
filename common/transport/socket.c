#include "common/transport/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static int
look_up(const struct transport_uri *uri, const struct addrinfo *hints,
    struct addrinfo **ret, const char **ret_why)
{
	bool is_any = (hints->ai_flags & AI_PASSIVE) && transport_is_everywhere(uri);
	char port[8];
	int rc;

	snprintf(port, sizeof port, "%u", uri->port);
	rc = getaddrinfo(is_any ? "::" : uri->host, port, hints, ret);
	if (rc != 0) {
		*ret = NULL;
		*ret_why = rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc);
	}
	return rc;
}

int
transport_find_host(
    const struct transport_uri *uri, int type, struct addrinfo **ret, struct err *e)
{
	const struct addrinfo hints = {.ai_socktype = type, .ai_flags = AI_NUMERICSERV};
	const char *why;

	return look_up(uri, &hints, ret, &why) == 0
		   ? 0
		   : err_set(e, -EHOSTUNREACH, "cannot find the address of %s: %s",
			 uri->text, why);
}

int
transport_find_place(
    const struct transport_uri *uri, struct addrinfo **ret, struct err *e)
{
	const struct addrinfo hints = {
	    .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	const char *why;

	return look_up(uri, &hints, ret, &why) == 0
		   ? 0
		   : err_set(
			 e, -EADDRNOTAVAIL, "cannot listen at %s: %s", uri->text, why);
}

int
transport_connect(const struct addrinfo *a, int type, void (*prepare)(int fd))
{
	int fd = socket(a->ai_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;

	if (fd < 0) {
		return -errno;
	}
	prepare(fd);
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS) {
		return fd;
	}
	rc = -errno;
	close(fd);
	return rc;
}

int
transport_target_find(
    struct transport_target *x, const struct transport_uri *uri, struct err *e)
{
	int rc = transport_find_host(uri, x->type, &x->list, e);

	x->next = x->list;
	memcpy(x->text, uri->text, sizeof x->text);
	return rc;
}

int
transport_target_next(
    struct transport_target *x, struct transport *t, int code, struct err *e)
{
	while (x->next != NULL) {
		const struct addrinfo *a = x->next;
		x->next = a->ai_next;
		transport_close_socket(t);
		transport_peer_set(&t->peer, a->ai_addr);
		code = transport_connect(a, x->type, x->prepare);
		if (code >= 0) {
			t->fd = code;
			return 0;
		}
	}
	return transport_target_failed(x, t, code, e);
}

int
transport_target_failed(const struct transport_target *x, const struct transport *t,
    int code, struct err *e)
{
	return err_set(e, code, "cannot connect to %s (last tried %s): %s", x->text,
	    t->peer.text, strerror(-code));
}

void
transport_target_done(struct transport_target *x)
{
	if (x->list != NULL) {
		freeaddrinfo(x->list);
	}
	x->list = x->next = NULL;
}

bool
transport_is_self(int fd)
{
	struct sockaddr_storage ours = {0}, theirs = {0};
	socklen_t n = sizeof ours, m = sizeof theirs;

	return getsockname(fd, (struct sockaddr *)&ours, &n) == 0 &&
	       getpeername(fd, (struct sockaddr *)&theirs, &m) == 0 && n == m &&
	       memcmp(&ours, &theirs, n) == 0;
}

/* One listening socket at this address; negative errno. */
static int
listen_at(const struct addrinfo *a, int protocol, bool is_dual)
{
	int one = 1, zero = 0, rc;
	bool is_datagram = protocol == IPPROTO_UDP;
	int fd = socket(a->ai_family,
	    (is_datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    protocol);

	if (fd < 0) {
		return -errno;
	}
	if (!is_datagram) { /* there it would let another program take the port over */
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	}
	if (a->ai_family == AF_INET6) {
		setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, is_dual ? &zero : &one, sizeof one);
	}
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 &&
	    (is_datagram || listen(fd, SOMAXCONN) == 0)) {
		return fd;
	}
	rc = -errno;
	close(fd);
	return rc;
}

static int
bind_somewhere(const struct transport_uri *uri, int protocol, struct err *e)
{
	bool is_any = transport_is_everywhere(uri);
	struct addrinfo *list = NULL;
	int rc = transport_find_place(uri, &list, e);

	if (rc < 0) {
		return rc;
	}
	rc = -EADDRNOTAVAIL;
	for (const struct addrinfo *a = list; a != NULL && rc < 0; a = a->ai_next) {
		rc = listen_at(a, protocol, is_any);
	}
	freeaddrinfo(list);
	if (rc == -EAFNOSUPPORT && is_any) { /* a kernel without IPv6 */
		struct sockaddr_in v4 = {
		    .sin_family = AF_INET, .sin_port = htons(uri->port)};
		rc = listen_at(&(struct addrinfo){.ai_family = AF_INET,
				   .ai_addr = (struct sockaddr *)&v4,
				   .ai_addrlen = sizeof v4},
		    protocol, false);
	}
	return rc >= 0 ? rc
		       : err_set(e, rc, "cannot listen at %s: %s", uri->text,
			     strerror(-rc));
}

int
transport_listen_socket(struct transport_listener *l, const struct transport_uri *uri,
    int protocol, struct err *e)
{
	struct sockaddr_storage at = {0};
	socklen_t n = sizeof at;

	l->fd = bind_somewhere(uri, protocol, e);
	if (l->fd < 0) {
		return l->fd;
	}
	getsockname(l->fd, (struct sockaddr *)&at, &n);
	l->port = transport_port(&at);
	return 0;
}

int
transport_accept_failed(int code, struct err *e)
{
	if (code == -EMFILE || code == -ENFILE || code == -ENOBUFS || code == -ENOMEM ||
	    code == -EBADF || code == -EINVAL) {
		return err_set(
		    e, code, "cannot accept connections: %s", strerror(-code));
	}
	return -EAGAIN;
}

int
transport_accept_socket(
    struct transport_listener *l, struct transport_peer *ret_peer, struct err *e)
{
	struct sockaddr_storage from = {0};
	socklen_t n = sizeof from;
	int fd =
	    accept4(l->fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		return transport_accept_failed(-errno, e);
	}
	transport_peer_set(ret_peer, &from);
	return fd;
}

void
transport_close_listener(struct transport_listener *l)
{
	close(l->fd);
	l->fd = -1;
}

void
transport_peer_set(struct transport_peer *p, const void *at)
{
	endpoint_from_sockaddr(at, &p->at);
	endpoint_format(&p->at, p->text);
}

uint16_t
transport_port(const struct sockaddr_storage *at)
{
	return ntohs(at->ss_family == AF_INET6
			 ? ((const struct sockaddr_in6 *)at)->sin6_port
			 : ((const struct sockaddr_in *)at)->sin_port);
}

int
transport_proceed_open(struct transport *t, struct err *e)
{
	(void)t;
	(void)e;
	return 0;
}

void
transport_close_socket(struct transport *t)
{
	if (t->fd >= 0) {
		close(t->fd);
	}
	t->fd = -1;
	t->is_open = false;
}

uint32_t
transport_want_socket(const struct transport *t)
{
	return t->is_open && !t->write_waits ? EPOLLIN : EPOLLOUT;
}
