/* Datagrams to the socket of a dtls+udp:// listener that has a session: each is a byte
 * (from the session's client, or by a stranger), two bytes of length, and its bytes.
 * None of them opens a session, because nobody can make a cookie up; none is taken for
 * a message; none keeps the next real message from getting through. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/cursor.h"
#include "common/schemes/schemes.h"
#include "common/tls/tls.h"
#include "tests/unit/common/tls/support_certificates.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct tls_context *ours, *theirs;
static struct transport_listener place;
static struct transport client, server;
static int stranger;

static void
check(int good, const char *what)
{
	if (!good) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

static struct tls_context *
context_of(bool is_server)
{
	struct tls_settings s = {
	    .certificate =
		support_certificate(is_server ? "collector.pem" : "exporter.pem"),
	    .key = support_certificate(is_server ? "collector.key" : "exporter.key"),
	    .ca = support_certificate("ca.pem"),
	};
	struct tls_context *c = NULL;

	check(tls_context_new(&s, is_server, &c, NULL) == 0, "context");
	return c;
}

static void
open_session(void)
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct transport_uri uri;
	bool is_in = false;
	char text[64];

	ours = context_of(true);
	theirs = context_of(false);
	check(schemes_parse_uri("dtls+udp://127.0.0.1:0", &uri, NULL) == 0 &&
		  transport_listen(&uri, &place, NULL) == 0,
	    "listen");
	snprintf(text, sizeof text, "dtls+udp://127.0.0.1:%u", place.port);
	check(schemes_parse_uri(text, &uri, NULL) == 0 &&
		  transport_dial(&client, &uri, theirs, NULL) == 0,
	    "dial");
	for (int i = 0; i < 1000 && !(client.is_open && server.is_open); i++) {
		client.ops->proceed(&client, NULL);
		if (transport_accept(&place, is_in ? &(struct transport){0} : &server,
			ours, NULL) == 0) {
			is_in = true;
		}
		if (is_in) {
			server.ops->proceed(&server, NULL);
		}
	}
	check(client.is_open && server.is_open, "handshake");
	stranger = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	at.sin_port = htons(place.port);
	check(connect(stranger, (struct sockaddr *)&at, sizeof at) == 0, "connect");
}

/* What was sent is with the session, or gone. */
static void
sort(void)
{
	struct pollfd p = {.fd = place.fd, .events = POLLIN};
	struct transport none;

	while (poll(&p, 1, 0) == 1) {
		check(transport_accept(&place, &none, ours, NULL) != 0,
		    "a session came of nothing");
	}
}

static void
empty(int fd)
{
	uint8_t unread[2048];

	while (recv(fd, unread, sizeof unread, MSG_DONTWAIT) > 0) {
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	struct err e = {0};
	uint8_t got[65536];
	ssize_t n;

	if (ours == NULL) {
		open_session();
	}
	for (unsigned i = 0; i < 64 && cursor_left(&c) > 3; i++) {
		int fd = cursor_u8(&c) % 2 == 0 ? stranger : client.fd;
		size_t size = cursor_u16(&c);
		size = size < cursor_left(&c) ? size : cursor_left(&c);
		(void)send(fd, cursor_take(&c, size), size, MSG_NOSIGNAL);
	}
	sort();
	n = server.ops->read(&server, got, sizeof got, &e);
	if (n != -EAGAIN) {
		fprintf(stderr, "read: %zd %s\n", n, e.text);
	}
	check(n == -EAGAIN, "a datagram was taken for a message, or ended the session");
	empty(client.fd);
	empty(stranger);
	check(client.ops->write(&client, "real", 4, NULL) == 4, "write");
	sort();
	check(server.ops->read(&server, got, sizeof got, NULL) == 4 &&
		  memcmp(got, "real", 4) == 0,
	    "a real message got lost");
	return 0;
}
