#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/tls/tls.h"
#include "common/transport/scheme.h"
#include "common/transport/socket.h"
#include "common/transport/transport_secured.h"
#include "common/transport/transport_tcp.h"

/* TLS over a TCP transport of its own; t->fd and t->peer follow that one's. */
struct secured {
	struct tls *tls; /* NULL while TCP connects */
	struct transport tcp;
	struct tls_context *context; /* a dialling one's, until TCP is up */
	char host[256];
	char text[320];
};

static void
secured_close(struct transport *t)
{
	struct secured *s = t->state;

	if (s != NULL) {
		tls_free(s->tls);
		transport_tcp.connection->close(&s->tcp);
		free(s);
	}
	t->state = NULL;
	t->fd = -1;
	t->is_open = false;
}

static void
follow(struct transport *t)
{
	struct secured *s = t->state;

	t->fd = s->tcp.fd;
	t->peer = s->tcp.peer;
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
	s->context = tls;
	memcpy(s->host, uri->host, sizeof s->host);
	memcpy(s->text, uri->text, sizeof s->text);
	s->tcp = (struct transport){
	    .scheme = uri->scheme, .ops = transport_tcp.connection, .fd = -1};
	rc = transport_tcp.dialer->dial(&s->tcp, uri, NULL, e);
	t->state = s;
	follow(t);
	if (rc < 0) {
		secured_close(t);
	}
	return rc;
}

int
transport_tls_take(struct transport *t, int fd, struct tls_context *tls, struct err *e)
{
	struct secured *s = calloc(1, sizeof *s);
	int rc;

	t->scheme = &transport_tls;
	t->ops = transport_tls.connection;
	t->fd = -1;
	t->is_open = false;
	t->state = s;
	if (s == NULL) {
		close(fd);
		return err_set(e, -ENOMEM, "no memory for the peer %s", t->peer.text);
	}
	s->tcp.peer = t->peer;
	snprintf(s->text, sizeof s->text, "%s", t->peer.text);
	transport_tcp_take(&s->tcp, fd);
	t->fd = fd;
	rc = tls_new(tls, fd, NULL, &s->tls, e);
	if (rc < 0) {
		secured_close(t);
	}
	return rc;
}

static int
secured_proceed(struct transport *t, struct err *e)
{
	struct secured *s = t->state;
	int rc;

	if (t->is_open) {
		return 0;
	}
	if (s->tls == NULL) {
		rc = transport_tcp.connection->proceed(&s->tcp, e);
		follow(t);
		if (rc == 0) {
			rc = tls_new(s->context, t->fd, s->host, &s->tls, e);
		}
		if (rc < 0) {
			return rc;
		}
	}
	rc = tls_handshake(s->tls, e);
	if (rc == 0) {
		t->is_open = true;
		tls_identity(s->tls, t->identity);
		tls_protocol(s->tls, t->protocol);
	} else if (rc != -EAGAIN) {
		err_prefix(e, rc, "%s", s->text);
	}
	return rc;
}

static ssize_t
secured_read(struct transport *t, void *bytes, size_t n, struct err *e)
{
	struct secured *s = t->state;
	ssize_t got = tls_read(s->tls, bytes, n, e);

	return got >= 0 || got == -EAGAIN ? got
					  : err_prefix(e, (int)got, "%s", s->text);
}

static ssize_t
secured_write(struct transport *t, const void *bytes, size_t n, struct err *e)
{
	struct secured *s = t->state;
	ssize_t put = tls_write(s->tls, bytes, n, e);

	return put >= 0 || put == -EAGAIN ? put
					  : err_prefix(e, (int)put, "%s", s->text);
}

static int
secured_finish(struct transport *t, struct err *e)
{
	struct secured *s = t->state;
	int rc = tls_shutdown(s->tls, e);

	return rc == 0 || rc == -EAGAIN ? rc : err_prefix(e, rc, "%s", s->text);
}

static uint32_t
secured_want(const struct transport *t)
{
	const struct secured *s = t->state;

	return s->tls == NULL ? EPOLLOUT : tls_want(s->tls);
}

static int
secured_listen(
    struct transport_listener *l, const struct transport_uri *uri, struct err *e)
{
	return transport_listen_socket(l, uri, IPPROTO_TCP, e);
}

static int
secured_accept(struct transport_listener *l, struct transport *t,
    struct tls_context *tls, struct err *e)
{
	int fd = transport_accept_socket(l, &t->peer, e);

	if (fd < 0) {
		return fd;
	}
	return transport_tls_take(t, fd, tls, e) < 0 ? -ECONNABORTED : 0;
}

const struct transport_scheme transport_tls = {
    .name = "tls",
    .port = TRANSPORT_PORT_SECURE,
    .is_secure = true,
    .is_welcoming = true,
    .message_max = 65535,
    .dialer = &(const struct transport_dialer_ops){.dial = secured_dial},
    .listener =
	&(const struct transport_listener_ops){
	    .listen = secured_listen,
	    .accept = secured_accept,
	    .unlisten = transport_close_listener,
	},
    .connection =
	&(const struct transport_ops){
	    .proceed = secured_proceed,
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
