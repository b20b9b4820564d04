#include "common/transport/transport_tcp.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/transport/scheme.h"
#include "common/transport/socket.h"

/* In vain, each after twice the time; the first after 0.2 s at least. */
#define RETRANSMITS_MOST 7
#define USER_TIMEOUT_MS  60000u

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

/* While connecting, the state is the target. */
static void
end_dial(struct transport *t)
{
	if (t->state != NULL) {
		transport_target_done(t->state);
		free(t->state);
	}
	t->state = NULL;
}

static void
tcp_close(struct transport *t)
{
	end_dial(t);
	transport_close_socket(t);
}

static int
tcp_dial(struct transport *t, const struct transport_uri *uri, struct tls_context *tls,
    struct err *e)
{
	struct transport_target *x = calloc(1, sizeof *x);
	int rc;

	(void)tls;
	if (x == NULL) {
		return err_set(e, -ENOMEM, "no memory to connect to %s", uri->text);
	}
	t->state = x;
	x->type = SOCK_STREAM;
	x->prepare = set_options;
	rc = transport_target_find(x, uri, e);
	if (rc == 0) {
		rc = transport_target_next(x, t, -EADDRNOTAVAIL, e);
	}
	if (rc < 0) {
		tcp_close(t);
	}
	return rc;
}

void
transport_tcp_take(struct transport *t, int fd)
{
	unsigned most = USER_TIMEOUT_MS;

	set_common_options(fd);
	/* What is said to a client is little.  One that does not answer keeps a place,
	 * and its spool, that it may want to have again from elsewhere. */
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &most, sizeof most);
	t->scheme = &transport_tcp;
	t->ops = transport_tcp.connection;
	t->fd = fd;
	t->state = NULL;
	t->is_open = true;
}

static int
tcp_accept(struct transport_listener *l, struct transport *t, struct tls_context *tls,
    struct err *e)
{
	int fd = transport_accept_socket(l, &t->peer, e);

	(void)tls;
	if (fd >= 0) {
		transport_tcp_take(t, fd);
	}
	return fd < 0 ? fd : 0;
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
	if (error == 0 && transport_is_self(t->fd)) {
		error = ECONNREFUSED;
	}
	if (error == 0) {
		end_dial(t);
		t->is_open = true;
		return 0;
	}
	rc = transport_target_next(t->state, t, -error, e);
	return rc == 0 ? -EAGAIN : rc;
}

/* As code, errno of a system call. */
static int
say_broken(const struct transport *t, int code, struct err *e)
{
	if (code == EAGAIN || code == EINTR) {
		return -EAGAIN;
	}
	return err_set(
	    e, -code, "the connection with %s broke: %s", t->peer.text, strerror(code));
}

static ssize_t
tcp_read(struct transport *t, void *bytes, size_t n, struct err *e)
{
	ssize_t got = recv(t->fd, bytes, n, 0);

	return got >= 0 ? got : say_broken(t, errno, e);
}

static ssize_t
tcp_write(struct transport *t, const void *bytes, size_t n, struct err *e)
{
	ssize_t put = send(t->fd, bytes, n, MSG_NOSIGNAL);

	put = put >= 0 ? put : say_broken(t, errno, e);
	t->write_waits = put == -EAGAIN;
	return put;
}

static int
tcp_finish(struct transport *t, struct err *e)
{
	return shutdown(t->fd, SHUT_WR) == 0 ? 0 : say_broken(t, errno, e);
}

/* No TCP_USER_TIMEOUT for the side that dials: it also ends connections whose other end
 * answers with a closed window, and those are meant to wait. */
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
	    "the connection with %s broke: no answer after %u retransmissions",
	    t->peer.text, info.tcpi_retransmits);
}

static int
tcp_listen(struct transport_listener *l, const struct transport_uri *uri, struct err *e)
{
	return transport_listen_socket(l, uri, IPPROTO_TCP, e);
}

const struct transport_scheme transport_tcp = {
    .name = "tcp",
    .port = TRANSPORT_PORT,
    .message_max = 65535,
    .dialer = &(const struct transport_dialer_ops){.dial = tcp_dial},
    .listener =
	&(const struct transport_listener_ops){
	    .listen = tcp_listen,
	    .accept = tcp_accept,
	    .unlisten = transport_close_listener,
	},
    .connection =
	&(const struct transport_ops){
	    .proceed = tcp_proceed,
	    .read = tcp_read,
	    .write = tcp_write,
	    .finish = tcp_finish,
	    .want = transport_want_socket,
	    .close = tcp_close,
	},
};
