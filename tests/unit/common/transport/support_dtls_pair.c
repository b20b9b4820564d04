#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/schemes/schemes.h"
#include "tests/unit/common/tls/support_certificates.h"
#include "tests/unit/common/transport/support_dtls_pair.h"

struct tls_settings
settings_of(const char *name)
{
	char file[64];
	struct tls_settings s = {.ca = support_certificate("ca.pem")};

	if (name != NULL) {
		snprintf(file, sizeof file, "%s.pem", name);
		s.certificate = support_certificate(file);
		snprintf(file, sizeof file, "%s.key", name);
		s.key = support_certificate(file);
	}
	return s;
}

struct tls_context *
context_of(const char *name, bool is_server)
{
	struct tls_settings s = settings_of(name);
	struct tls_context *c = NULL;
	struct err e = {0};

	if (tls_context_new(&s, is_server, &c, &e) < 0) {
		fail_msg("%s", e.text);
	}
	return c;
}

void
place_open(struct place *p, const char *at)
{
	struct transport_uri uri;

	p->context = context_of("collector", true);
	assert_int_equal(schemes_parse_uri(at, &uri, NULL), 0);
	assert_int_equal(transport_listen(&uri, &p->listener, NULL), 0);
}

void
place_close(struct place *p)
{
	transport_unlisten(&p->listener);
	tls_context_free(p->context);
}

void
dial(struct transport *t, const char *host, uint16_t port, struct tls_context *c)
{
	struct transport_uri uri;
	struct err e = {0};
	char text[128];

	snprintf(text, sizeof text, "dtls+udp://%s:%u", host, port);
	assert_int_equal(schemes_parse_uri(text, &uri, NULL), 0);
	if (transport_dial(t, &uri, c, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

void
wait_for(int fd, int milliseconds)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	poll(&p, 1, milliseconds);
}

void
shake(struct place *p, struct transport *client, struct transport *server,
    int *client_rc, int *server_rc, struct err *e)
{
	bool is_in = false;

	*client_rc = *server_rc = -EAGAIN;
	for (int i = 0; i < 5000 && (*client_rc == -EAGAIN || *server_rc == -EAGAIN);
	     i++) {
		if (*client_rc == -EAGAIN) {
			*client_rc = client->ops->proceed(client, e);
		}
		is_in =
		    is_in || transport_accept(&p->listener, server, p->context, e) == 0;
		if (is_in && *server_rc == -EAGAIN) {
			*server_rc = server->ops->proceed(server, e);
		}
		if (is_in) {
			struct transport none;
			assert_int_equal(
			    transport_accept(&p->listener, &none, p->context, NULL),
			    -EAGAIN);
		}
		if (!is_in && *client_rc != -EAGAIN) {
			return;
		}
		wait_for(client->fd, 1);
	}
}

void
pair_open_at(struct pair *p, const char *at, const char *host)
{
	struct err e = {0};
	int client_rc, server_rc;

	memset(p, 0, sizeof *p);
	place_open(&p->place, at);
	p->context = context_of("exporter", false);
	dial(&p->client, host, p->place.listener.port, p->context);
	shake(&p->place, &p->client, &p->server, &client_rc, &server_rc, &e);
	if (client_rc != 0 || server_rc != 0) {
		fail_msg("%d %d %s", client_rc, server_rc, e.text);
	}
}

void
pair_open(struct pair *p)
{
	pair_open_at(p, "dtls+udp://*:0", "127.0.0.1");
}

void
pair_close(struct pair *p)
{
	p->client.ops->close(&p->client);
	p->server.ops->close(&p->server);
	tls_context_free(p->context);
	place_close(&p->place);
}

void
sort(struct place *p)
{
	struct transport none;

	wait_for(p->listener.fd, 1000);
	assert_int_equal(
	    transport_accept(&p->listener, &none, p->context, NULL), -EAGAIN);
}

void
expect_sentence(const struct err *e, const char *part)
{
	if (strstr(e->text, part) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", e->text, part);
	}
}

void
put(struct transport *t, const void *bytes, size_t n)
{
	struct err e = {0};
	ssize_t rc = t->ops->write(t, bytes, n, &e);

	if (rc != (ssize_t)n) {
		fail_msg("%zd %s", rc, e.text);
	}
}

void
expect(struct transport *t, const char *text)
{
	char got[65536];
	ssize_t n = t->ops->read(t, got, sizeof got, NULL);

	assert_int_equal(n, strlen(text));
	assert_memory_equal(got, text, (size_t)n);
}

int
connected_to(uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	return fd;
}
