/* sctp://: listening, and associations that peers begin. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/sctp/sctp.h"
#include "common/sctp/sctp_association.h"
#include "common/transport/socket.h"

struct place { /* of a listener */
	struct sctp_socket socket;
	struct sctp_settings settings;
};

static int
listen_at(struct place *p, int family, const struct sockaddr_storage *list, unsigned n)
{
	const struct sctp_stack *stack = p->settings.stack;
	int rc = stack->open(&p->socket, family, &p->settings);

	if (rc < 0) {
		return rc;
	}
	rc = stack->bind(&p->socket, list, n);
	if (rc == 0) {
		rc = stack->listen(&p->socket);
	}
	if (rc < 0) {
		stack->close(&p->socket);
	}
	return rc;
}

static int
listen_everywhere(struct place *p, uint16_t port)
{
	struct sockaddr_storage at = {0};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	int rc;

	memcpy(&at, &v6, sizeof v6);
	rc = listen_at(p, AF_INET6, &at, 1);
	if (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL) { /* no IPv6 here */
		memcpy(&at, &v4, sizeof v4);
		rc = listen_at(p, AF_INET, &at, 1);
	}
	return rc;
}

static int
listen_at_one(struct place *p, const struct addrinfo *found)
{
	struct sockaddr_storage list[SCTP_ADDRESSES + 1];
	int rc = -EADDRNOTAVAIL;

	for (const struct addrinfo *a = found; a != NULL && rc < 0; a = a->ai_next) {
		unsigned n = association_addresses(&p->settings, a, list);
		rc = listen_at(p, association_family(&p->settings, a), list, n);
	}
	return rc;
}

static int
association_listen(
    struct transport_listener *l, const struct transport_uri *uri, struct err *e)
{
	struct place *p = calloc(1, sizeof *p);
	struct addrinfo *found = NULL;
	int rc;

	if (p == NULL) {
		return err_set(e, -ENOMEM, "no memory to listen at %s", uri->text);
	}
	rc = association_settings(uri, true, &p->settings, e);
	if (rc == 0 && !transport_is_everywhere(uri)) {
		rc = transport_find_place(uri, &found, e);
	}
	if (rc < 0) {
		goto out;
	}
	rc = found == NULL ? listen_everywhere(p, uri->port) : listen_at_one(p, found);
	if (rc == 0) {
		rc = p->settings.stack->port(&p->socket, &l->port);
	}
	if (rc < 0) {
		err_set(e, rc, "cannot listen at %s: %s", uri->text,
		    rc == -EACCES && p->settings.has_auth
			? "this kernel does not authenticate SCTP (allow it with "
			  "sysctl -w net.sctp.auth_enable=1)"
			: strerror(-rc));
	}
	if (rc == 0) {
		l->fd = p->socket.fd;
		l->state = p;
		p = NULL;
	}
out:
	if (found != NULL) {
		freeaddrinfo(found);
	}
	free(p);
	return rc;
}

static int
association_accept(struct transport_listener *l, struct transport *t,
    struct tls_context *tls, struct err *e)
{
	struct place *p = l->state;
	struct sockaddr_storage from = {0};
	struct sctp_socket s;
	struct association *a;
	int rc = p->settings.stack->accept(&p->socket, &s, &from);

	(void)tls;
	if (rc < 0) {
		return transport_accept_failed(rc, e);
	}
	t->fd = s.fd;
	transport_peer_set(&t->peer, &from);
	a = calloc(1, sizeof *a);
	if (a == NULL) {
		p->settings.stack->close(&s);
		return -ECONNABORTED;
	}
	t->state = a;
	a->stack = p->settings.stack;
	a->settings = p->settings;
	a->socket = s;
	if (association_opened(t) < 0) { /* gone already */
		association_close(t);
		return -EAGAIN;
	}
	return 0;
}

static void
association_unlisten(struct transport_listener *l)
{
	struct place *p = l->state;

	p->settings.stack->close(&p->socket);
	free(p);
	l->state = NULL;
	l->fd = -1;
}

const struct transport_listener_ops association_listener = {
    .listen = association_listen,
    .accept = association_accept,
    .unlisten = association_unlisten,
};
