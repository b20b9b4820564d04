#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/transport/transport.h"

/* In vain, each after twice the time; the first after 0.2 s at least. */
#define RETRANSMITS_MOST 7
#define USER_TIMEOUT_MS  60000u

/* While connecting: the addresses of the host and the one to try next. */
struct dial {
	struct addrinfo *list, *next;
	char text[320];
};

static void
set_common_options(int fd)
{
	int one = 1, idle = 60, interval = 15, probes = 4;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

static void
set_options(int fd)
{
	int attempts = 2, unsent = 131072;

	set_common_options(fd);
	/* Two more SYNs: a silent address gives up after 7 s and the next has its turn.
	 */
	setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &attempts, sizeof attempts);
	/* What the kernel holds is lost with the connection, what we hold is not: so
	 * let it hold no more than it can send soon. */
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

/* A dial to a local port nobody listens at can meet itself (simultaneous open), when
 * the kernel picks the same port for our end.  It would keep the collector from
 * binding. */
static bool
is_self(int fd)
{
	struct sockaddr_storage ours = {0}, theirs = {0};
	socklen_t n = sizeof ours, m = sizeof theirs;

	return getsockname(fd, (struct sockaddr *)&ours, &n) == 0 &&
	       getpeername(fd, (struct sockaddr *)&theirs, &m) == 0 && n == m &&
	       memcmp(&ours, &theirs, n) == 0;
}

static void
end_dial(struct transport *t)
{
	struct dial *d = t->state;

	if (d != NULL) {
		freeaddrinfo(d->list);
		free(d);
	}
	t->state = NULL;
}

static void
tcp_close(struct transport *t)
{
	end_dial(t);
	if (t->fd >= 0) {
		close(t->fd);
	}
	t->fd = -1;
	t->is_open = false;
}

/* Begins with the next addresses until one connects or is under way.  code: what failed
 * before. */
static int
try_next(struct transport *t, int code, struct err *e)
{
	struct dial *d = t->state;

	for (; d->next != NULL; d->next = d->next->ai_next) {
		const struct addrinfo *a = d->next;
		char host[64] = "?", port[8] = "?";
		if (t->fd >= 0) {
			close(t->fd);
		}
		t->fd =
		    socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (t->fd < 0) {
			code = -errno;
			continue;
		}
		set_options(t->fd);
		getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof host, port,
		    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
		snprintf(t->peer, sizeof t->peer,
		    a->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
		if (connect(t->fd, a->ai_addr, a->ai_addrlen) == 0 ||
		    errno == EINPROGRESS) {
			d->next = a->ai_next;
			return 0;
		}
		code = -errno;
	}
	return err_set(e, code, "cannot connect to %s (last tried %s): %s", d->text,
	    t->peer, strerror(-code));
}

static int
tcp_dial(struct transport *t, const struct transport_uri *uri, struct tls_context *tls,
    struct err *e)
{
	struct addrinfo hints = {
	    .ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_NUMERICSERV,
	};
	struct dial *d = NULL;
	char port[8];
	int rc;

	(void)tls;
	*t = (struct transport){.ops = uri->ops, .fd = -1};
	rc = transport_check_target(uri, e);
	if (rc < 0) {
		return rc;
	}
	d = calloc(1, sizeof *d);
	if (d == NULL) {
		return err_set(e, -ENOMEM, "no memory to connect to %s", uri->text);
	}
	t->state = d;
	snprintf(d->text, sizeof d->text, "%s", uri->text);
	snprintf(port, sizeof port, "%u", uri->port);
	rc = getaddrinfo(uri->host, port, &hints, &d->list);
	if (rc != 0) {
		d->list = NULL;
		rc = err_set(e, -EHOSTUNREACH, "cannot find the address of %s: %s",
		    uri->text, rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
	} else {
		d->next = d->list;
		rc = try_next(t, -EADDRNOTAVAIL, e);
	}
	if (rc < 0) {
		tcp_close(t);
	}
	return rc;
}

static int
tcp_accepted(struct transport *t, int fd, struct tls_context *tls, struct err *e)
{
	unsigned most = USER_TIMEOUT_MS;

	(void)tls;
	(void)e;
	set_common_options(fd);
	/* What is said to a client is little.  One that does not answer keeps a place,
	 * and its spool, that it may want to have again from elsewhere. */
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &most, sizeof most);
	t->ops = &transport_tcp;
	t->fd = fd;
	t->state = NULL;
	t->is_open = true;
	return 0;
}

static int
tcp_proceed(struct transport *t, struct err *e)
{
	struct pollfd p = {.fd = t->fd, .events = POLLOUT};
	int error = 0, rc;
	socklen_t n = sizeof error;

	if (t->is_open) {
		return 0;
	}
	if (poll(&p, 1, 0) <= 0) {
		return -EAGAIN;
	}
	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0) {
		error = errno;
	}
	if (error == 0 && is_self(t->fd)) {
		error = ECONNREFUSED;
	}
	if (error == 0) {
		end_dial(t);
		t->is_open = true;
		return 0;
	}
	rc = try_next(t, -error, e);
	return rc == 0 ? -EAGAIN : rc;
}

static ssize_t
tcp_read(struct transport *t, void *bytes, size_t n, struct err *e)
{
	ssize_t got = recv(t->fd, bytes, n, 0);
	int code = errno;

	if (got >= 0) {
		return got;
	}
	if (code == EAGAIN || code == EINTR) {
		return -EAGAIN;
	}
	return err_set(
	    e, -code, "the connection with %s broke: %s", t->peer, strerror(code));
}

static ssize_t
tcp_write(struct transport *t, const void *bytes, size_t n, struct err *e)
{
	ssize_t put = send(t->fd, bytes, n, MSG_NOSIGNAL);
	int code = errno;

	if (put >= 0) {
		return put;
	}
	if (code == EAGAIN || code == EINTR) {
		return -EAGAIN;
	}
	return err_set(
	    e, -code, "the connection with %s broke: %s", t->peer, strerror(code));
}

static int
tcp_finish(struct transport *t, struct err *e)
{
	int code;

	if (shutdown(t->fd, SHUT_WR) == 0) {
		return 0;
	}
	code = errno;
	return err_set(
	    e, -code, "the connection with %s broke: %s", t->peer, strerror(code));
}

static uint32_t
tcp_want(const struct transport *t)
{
	return t->is_open ? EPOLLIN : EPOLLOUT;
}

static bool
tcp_pending(const struct transport *t)
{
	(void)t;
	return false;
}

/* No TCP_USER_TIMEOUT for who dials: it also ends connections whose other end answers
 * that it takes nothing for now, and waiting for that is meant. */
int
transport_check_path(const struct transport *t, struct err *e)
{
	struct tcp_info info = {0};
	socklen_t n = sizeof info;

	if (t->fd < 0 || getsockopt(t->fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0 ||
	    info.tcpi_retransmits < RETRANSMITS_MOST) {
		return 0;
	}
	return err_set(e, -ETIMEDOUT,
	    "the connection with %s broke: nothing has come back, though the same was "
	    "sent %u times again",
	    t->peer, info.tcpi_retransmits);
}

static int
tcp_listen(struct transport_listener *l, const struct transport_uri *uri, struct err *e)
{
	return transport_listen_socket(l, uri, IPPROTO_TCP, e);
}

const struct transport_ops transport_tcp = {
    .scheme = "tcp",
    .port = TRANSPORT_PORT,
    .message_max = 65535,
    .listen = tcp_listen,
    .accept = transport_accept_socket,
    .unlisten = transport_close_listener,
    .dial = tcp_dial,
    .accepted = tcp_accepted,
    .proceed = tcp_proceed,
    .read = tcp_read,
    .write = tcp_write,
    .finish = tcp_finish,
    .want = tcp_want,
    .pending = tcp_pending,
    .close = tcp_close,
};
