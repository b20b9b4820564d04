/* Both ends in one thread, over the kernel's SCTP and over the one of user space. Where
 * the kernel has none those tests are skipped, and tests/integration/transport/test_dtls.py runs
 * them on one that has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/schemes/schemes.h"
#include "common/sctp/sctp.h"
#include "common/sctp/sctp_association.h"
#include "common/tls/tls.h"
#include "tests/unit/common/tls/support_certificates.h"

#define PATIENCE_NS (20 * NS_PER_SECOND)
#define ROOM        65535

static char more[64]; /* behind the URIs */

static bool
is_user(void)
{
	return more[0] != '\0';
}

static bool
has_sctp(void)
{
	struct transport_uri uri;
	struct sctp_settings user;
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);

	if (fd >= 0) {
		close(fd);
	}
	if (!is_user()) {
		return fd >= 0;
	}
	return schemes_parse_uri("sctp://h?encapsulation=udp", &uri, NULL) == 0 &&
	       sctp_settings_read(&uri, &user, NULL) == 0;
}

#define NEEDS_SCTP()                                                                   \
	(void)state;                                                                   \
	if (!has_sctp()) {                                                             \
		skip();                                                                \
	}

/* The library has one UDP port for all of this process. */
static void
choose_udp_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t n = sizeof at;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	close(fd);
	snprintf(more, sizeof more, "?encapsulation=udp&udp-port=%u&local-udp-port=%u",
	    ntohs(at.sin_port), ntohs(at.sin_port));
}

struct pair {
	struct tls_context *client_context, *server_context;
	struct transport_listener place;
	struct transport client, server;
	bool is_in; /* accepted */
	int client_rc, server_rc;
	struct err client_err, server_err;
};

static struct tls_context *
context_of(const char *name, bool is_server)
{
	struct tls_settings s = {
	    .ca = support_certificate("ca.pem"), .alpn = "flowpair/1"};
	struct tls_context *c = NULL;
	struct err e = {0};
	char file[64];

	if (name != NULL) {
		snprintf(file, sizeof file, "%s.pem", name);
		s.certificate = support_certificate(file);
		snprintf(file, sizeof file, "%s.key", name);
		s.key = support_certificate(file);
	}
	if (tls_context_new(&s, is_server, &c, &e) < 0) {
		fail_msg("%s", e.text);
	}
	return c;
}

static void
uri_of(struct transport_uri *ret, const char *host, unsigned port)
{
	struct err e = {0};
	char text[256];

	snprintf(text, sizeof text, "dtls+sctp://%s:%u%s", host, port, more);
	if (schemes_parse_uri(text, ret, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

/* Until something comes, or a while has passed. */
static void
wait_for(const struct pair *p)
{
	const struct transport *t[] = {&p->client, &p->server};
	uint64_t again = p->client.is_open ? UINT64_MAX : transport_timeout(&p->client);
	struct pollfd f[3] = {{.fd = p->place.fd, .events = POLLIN}};

	for (int i = 0; i < 2; i++) {
		uint32_t want =
		    i == 0 || p->is_in ? t[i]->ops->want(t[i]) : (uint32_t)0;
		f[i + 1] = (struct pollfd){.fd = want == 0 ? -1 : t[i]->fd,
		    .events = (short)(((want & EPOLLIN) != 0 ? POLLIN : 0) |
				      ((want & EPOLLOUT) != 0 ? POLLOUT : 0))};
	}
	poll(f, 3, again < 100 * 1000000 ? (int)(again / 1000000) + 1 : 100);
}

static void
shake(struct pair *p)
{
	uint64_t due = clock_monotonic_ns() + PATIENCE_NS;

	p->client_rc = p->server_rc = -EAGAIN;
	while (p->client_rc == -EAGAIN || p->server_rc == -EAGAIN) {
		assert_true(clock_monotonic_ns() < due);
		if (p->client_rc == -EAGAIN) {
			p->client_rc =
			    p->client.ops->proceed(&p->client, &p->client_err);
		}
		if (!p->is_in) {
			p->is_in = transport_accept(&p->place, &p->server,
				       p->server_context, &p->server_err) == 0;
		}
		if (p->is_in && p->server_rc == -EAGAIN) {
			p->server_rc =
			    p->server.ops->proceed(&p->server, &p->server_err);
		}
		wait_for(p);
	}
}

static void
pair_begin(struct pair *p, const char *host, const char *client, const char *server)
{
	struct transport_uri uri;

	memset(p, 0, sizeof *p);
	p->client_context = context_of(client, false);
	p->server_context = context_of(server, true);
	uri_of(&uri, host, 0);
	if (transport_listen(&uri, &p->place, &p->server_err) < 0) {
		fail_msg("%s", p->server_err.text);
	}
	uri_of(&uri, host, p->place.port);
	if (transport_dial(&p->client, &uri, p->client_context, &p->client_err) < 0) {
		fail_msg("%s", p->client_err.text);
	}
	shake(p);
}

static void
pair_open(struct pair *p, const char *host)
{
	pair_begin(p, host, "exporter", "collector");
	if (p->client_rc != 0 || p->server_rc != 0) {
		fail_msg("%s / %s", p->client_err.text, p->server_err.text);
	}
}

static void
pair_close(struct pair *p)
{
	p->client.ops->close(&p->client);
	p->server.ops->close(&p->server);
	transport_unlisten(&p->place);
	tls_context_free(p->client_context);
	tls_context_free(p->server_context);
}

static void
expect_sentence(const struct err *e, const char *part)
{
	if (strstr(e->text, part) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", e->text, part);
	}
}

/* What t reads when something comes. */
static ssize_t
await(struct pair *p, struct transport *t, void *bytes, struct err *e)
{
	uint64_t due = clock_monotonic_ns() + PATIENCE_NS;
	ssize_t n;

	while ((n = t->ops->read(t, bytes, ROOM, e)) == -EAGAIN) {
		assert_true(clock_monotonic_ns() < due);
		wait_for(p);
	}
	return n;
}

static void
finish(struct pair *p, struct transport *t)
{
	uint64_t due = clock_monotonic_ns() + PATIENCE_NS;
	int rc;

	while ((rc = t->ops->finish(t, NULL)) == -EAGAIN) {
		assert_true(clock_monotonic_ns() < due);
		wait_for(p);
	}
	assert_int_equal(rc, 0);
}

static void
a_session_opens_over_ipv4_and_ipv6_and_agrees_on_the_protocol(void **state)
{
	static const char *const hosts[] = {"127.0.0.1", "[::1]"};
	struct pair p;

	NEEDS_SCTP();
	for (size_t i = 0; i < 2; i++) {
		pair_open(&p, hosts[i]);
		assert_string_equal(p.server.identity, "exporter.example");
		assert_string_equal(p.client.identity, "localhost");
		assert_string_equal(p.server.protocol, "flowpair/1");
		assert_string_equal(p.client.protocol, "flowpair/1");
		assert_int_equal(p.client.streams, 1);
		pair_close(&p);
	}
}

/* Which takes a second.  On a busy machine it may be needed at times. */
static void
the_handshake_does_without_sending_anything_again(void **state)
{
	uint64_t least_ns = UINT64_MAX;

	NEEDS_SCTP();
	for (int i = 0; i < 10 && least_ns >= NS_PER_SECOND; i++) {
		uint64_t begin_ns = clock_monotonic_ns(), took_ns;
		struct pair p;
		pair_open(&p, "127.0.0.1");
		took_ns = clock_monotonic_ns() - begin_ns;
		least_ns = took_ns < least_ns ? took_ns : least_ns;
		pair_close(&p);
	}
	assert_true(least_ns < NS_PER_SECOND);
}

static void
messages_of_every_length_stay_whole_and_in_order(void **state)
{
	static const size_t sizes[] = {1, 500, 1400, 9000, 16384};
	static uint8_t sent[16385], got[ROOM];
	struct pair p;
	unsigned in = 0, out = 0;

	NEEDS_SCTP();
	pair_open(&p, "127.0.0.1");
	while (in < 500) {
		ssize_t n = 1;
		while (out < 500 && n > 0) {
			size_t size = sizes[out % 5];
			sent[0] = (uint8_t)out;
			n = p.client.ops->write(&p.client, sent, size, NULL);
			assert_true(n == (ssize_t)size || n == -EAGAIN);
			out += n > 0;
		}
		n = await(&p, &p.server, got, NULL);
		assert_int_equal(n, sizes[in % 5]);
		assert_int_equal(got[0], (uint8_t)in);
		in++;
	}
	assert_int_equal(
	    p.client.ops->write(&p.client, sent, 16385, &p.client_err), -EMSGSIZE);
	expect_sentence(&p.client_err, "too long for DTLS (at most 16384)");
	pair_close(&p);
}

static void
the_end_comes_after_everything_else(void **state)
{
	uint8_t bytes[ROOM] = {0};
	struct pair p;

	NEEDS_SCTP();
	pair_open(&p, "127.0.0.1");
	for (int i = 0; i < 20; i++) {
		assert_int_equal(
		    p.client.ops->write(&p.client, bytes, 1400, NULL), 1400);
	}
	/* Not acknowledged yet, most likely, and surely at some time. */
	finish(&p, &p.client);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(await(&p, &p.server, bytes, NULL), 1400);
	}
	assert_int_equal(await(&p, &p.server, bytes, NULL), 0);
	assert_int_equal(p.server.ops->write(&p.server, "word", 4, NULL), 4);
	finish(&p, &p.server);
	assert_int_equal(await(&p, &p.client, bytes, NULL), 4);
	assert_int_equal(await(&p, &p.client, bytes, NULL), 0);
	pair_close(&p);
}

static void
an_end_without_close_notify_is_a_cut(void **state)
{
	uint8_t bytes[ROOM];
	struct pair p;

	NEEDS_SCTP();
	pair_open(&p, "127.0.0.1");
	p.client.ops->close(&p.client);
	p.client = p.server; /* so that only this one is waited for */
	assert_int_equal(await(&p, &p.server, bytes, &p.server_err), -ECONNABORTED);
	expect_sentence(&p.server_err, "cut off");
	p.client = (struct transport){.scheme = &transport_dtls_sctp,
	    .ops = transport_dtls_sctp.connection,
	    .fd = -1};
	pair_close(&p);
}

static void
strangers_are_refused_with_a_reason_at_both_ends(void **state)
{
	struct pair p;

	NEEDS_SCTP();
	pair_begin(&p, "127.0.0.1", "stranger", "collector");
	assert_int_equal(p.server_rc, -EACCES);
	assert_int_equal(transport_refusal(&p.server), TLS_REFUSED_UNKNOWN_CA);
	assert_int_equal(p.client_rc, -EACCES);
	assert_int_equal(transport_refusal(&p.client), TLS_REFUSED_BY_PEER);
	expect_sentence(&p.client_err, "does not know the CA of our certificate");
	pair_close(&p);
	/* Refused while it waits to send its Finished. */
	pair_begin(&p, "127.0.0.1", NULL, "collector");
	assert_int_equal(transport_refusal(&p.server), TLS_REFUSED_NO_CERTIFICATE);
	assert_int_equal(p.client_rc, -EACCES);
	assert_int_equal(transport_refusal(&p.client), TLS_REFUSED_BY_PEER);
	expect_sentence(&p.client_err, "requires a certificate and we presented none");
	pair_close(&p);
	pair_begin(&p, "127.0.0.1", "exporter", "misnamed");
	assert_int_equal(p.client_rc, -EACCES);
	assert_int_equal(transport_refusal(&p.client), TLS_REFUSED_NAME);
	assert_int_equal(transport_refusal(&p.server), TLS_REFUSED_BY_PEER);
	pair_close(&p);
}

/* After five seconds both ends are left with the key of their session. */
static void
the_key_of_the_handshake_is_given_up_later(void **state)
{
	uint8_t bytes[ROOM];
	struct pair p;

	NEEDS_SCTP();
	pair_open(&p, "127.0.0.1");
	for (int i = 0; i < 7; i++) {
		poll(NULL, 0, 1000);
		assert_int_equal(p.client.ops->write(&p.client, "there", 5, NULL), 5);
		assert_int_equal(await(&p, &p.server, bytes, NULL), 5);
		assert_int_equal(p.server.ops->write(&p.server, "back", 4, NULL), 4);
		assert_int_equal(await(&p, &p.client, bytes, NULL), 4);
	}
	finish(&p, &p.client);
	assert_int_equal(await(&p, &p.server, bytes, NULL), 0);
	pair_close(&p);
}

static void
nobody_there_is_an_error(void **state)
{
	struct tls_context *c;
	struct transport_uri uri;
	struct err e = {0};
	struct transport t;
	int rc;

	NEEDS_SCTP();
	c = context_of("exporter", false);
	uri_of(&uri, "127.0.0.1", 9);
	rc = transport_dial(&t, &uri, c, &e);
	assert_int_equal(rc, 0);
	for (int i = 0; i < 100 && (rc = t.ops->proceed(&t, &e)) == -EAGAIN; i++) {
		struct pollfd f = {.fd = t.fd, .events = POLLIN | POLLOUT};
		poll(&f, 1, 100);
	}
	assert_int_equal(rc, -ECONNREFUSED);
	expect_sentence(&e, "dtls+sctp://127.0.0.1:9");
	t.ops->close(&t);
	tls_context_free(c);
}

#define TESTS                                                                          \
	cmocka_unit_test(                                                              \
	    a_session_opens_over_ipv4_and_ipv6_and_agrees_on_the_protocol),            \
	    cmocka_unit_test(the_handshake_does_without_sending_anything_again),       \
	    cmocka_unit_test(messages_of_every_length_stay_whole_and_in_order),        \
	    cmocka_unit_test(the_end_comes_after_everything_else),                     \
	    cmocka_unit_test(an_end_without_close_notify_is_a_cut),                    \
	    cmocka_unit_test(strangers_are_refused_with_a_reason_at_both_ends),        \
	    cmocka_unit_test(the_key_of_the_handshake_is_given_up_later),              \
	    cmocka_unit_test(nobody_there_is_an_error)

int
main(void)
{
	const struct CMUnitTest tests[] = {TESTS};
	int failed = cmocka_run_group_tests_name("kernel", tests, NULL, NULL);

	choose_udp_port();
	return failed + cmocka_run_group_tests_name("user space", tests, NULL, NULL);
}
