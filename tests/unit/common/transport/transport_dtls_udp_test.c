/* Both ends in one thread, over loopback: sessions through one listening socket, and
 * what it does with datagrams that belong to none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/schemes/schemes.h"
#include "common/tls/tls.h"
#include "common/transport/dtls_socket.h"
#include "tests/unit/common/transport/support_dtls_pair.h"

static void
a_session_opens_by_name_and_by_address(void **state)
{
	static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
	struct pair p;

	(void)state;
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		pair_open_at(&p, "dtls+udp://*:0", hosts[i]);
		assert_string_equal(p.server.identity, "exporter.example");
		assert_string_equal(p.client.identity, "localhost");
		assert_string_equal(p.server.protocol, "");
		pair_close(&p);
	}
}

static void
a_name_with_a_deaf_address_is_reached_at_the_next(void **state)
{
	struct pair p;

	(void)state;
	pair_open_at(&p, "dtls+udp://127.0.0.1:0", "localhost");
	assert_memory_equal(p.client.peer.text, "127.0.0.1:", 10);
	pair_close(&p);
}

static void
the_answer_comes_from_the_address_that_was_asked(void **state)
{
	struct tls_settings s = settings_of("exporter");
	struct err e = {0};
	struct pair p;
	int client_rc, server_rc;

	(void)state;
	memset(&p, 0, sizeof p);
	place_open(&p.place, "dtls+udp://*:0");
	assert_int_equal(tls_context_new(&s, false, &p.context, NULL), 0);
	dial(&p.client, "127.0.0.2", p.place.listener.port, p.context);
	shake(&p.place, &p.client, &p.server, &client_rc, &server_rc, &e);
	/* It came through: the certificate is for 127.0.0.1. */
	assert_int_equal(transport_refusal(&p.client), TLS_REFUSED_NAME);
	pair_close(&p);
}

static void
messages_stay_whole_and_ends_are_told(void **state)
{
	struct pair p;
	char byte[8];

	(void)state;
	pair_open(&p);
	put(&p.client, "one", 3);
	put(&p.client, "second", 6);
	sort(&p.place);
	expect(&p.server, "one");
	expect(&p.server, "second");
	assert_int_equal(
	    p.server.ops->read(&p.server, byte, sizeof byte, NULL), -EAGAIN);
	assert_int_equal(p.client.ops->finish(&p.client, NULL), 0);
	assert_int_equal(p.client.ops->read(&p.client, byte, sizeof byte, NULL), 0);
	sort(&p.place);
	assert_int_equal(p.server.ops->read(&p.server, byte, sizeof byte, NULL), 0);
	pair_close(&p);
}

static void
a_session_is_readable_exactly_while_it_has_something(void **state)
{
	struct pair p;
	struct pollfd f;

	(void)state;
	pair_open(&p);
	f = (struct pollfd){.fd = p.server.fd, .events = POLLIN};
	assert_int_equal(p.server.ops->want(&p.server), POLLIN);
	assert_int_equal(poll(&f, 1, 0), 0);
	put(&p.client, "one", 3);
	put(&p.client, "two", 3);
	sort(&p.place);
	assert_int_equal(poll(&f, 1, 0), 1);
	expect(&p.server, "one");
	assert_int_equal(poll(&f, 1, 0), 1);
	expect(&p.server, "two");
	assert_int_equal(poll(&f, 1, 0), 0);
	pair_close(&p);
}

static void
messages_longer_than_the_path_go_in_fragments(void **state)
{
	static uint8_t sent[16385], got[65536];
	struct err e = {0};
	struct pair p;

	(void)state;
	pair_open(&p);
	put(&p.client, sent, 16384);
	sort(&p.place);
	assert_int_equal(p.server.ops->read(&p.server, got, sizeof got, NULL), 16384);
	assert_int_equal(p.client.ops->write(&p.client, sent, 16385, &e), -EMSGSIZE);
	expect_sentence(&e, "16385 bytes is too long for DTLS");
	pair_close(&p);
}

static void
sessions_of_one_listener_do_not_mix(void **state)
{
	struct transport client, server;
	struct err e = {0};
	struct pair p;
	int client_rc, server_rc;

	(void)state;
	pair_open(&p);
	dial(&client, "[::1]", p.place.listener.port, p.context);
	shake(&p.place, &client, &server, &client_rc, &server_rc, &e);
	assert_int_equal(server_rc, 0);
	for (int i = 0; i < 3; i++) {
		put(&p.client, "of the first", 12);
		put(&client, "of the second", 13);
	}
	sort(&p.place);
	for (int i = 0; i < 3; i++) {
		expect(&server, "of the second");
		expect(&p.server, "of the first");
	}
	client.ops->close(&client);
	server.ops->close(&server);
	pair_close(&p);
}

static void
sessions_outlive_their_listener(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p);
	put(&p.client, "sent before", 11);
	wait_for(p.place.listener.fd, 1000);
	transport_unlisten(&p.place.listener);
	expect(&p.server, "sent before");
	p.server.ops->finish(&p.server, NULL);
	pair_close(&p);
}

static void
nobody_there_is_noticed_at_once(void **state)
{
	struct tls_context *c = context_of("exporter", false);
	struct err e = {0};
	struct transport t;
	struct place p;
	uint16_t port;
	int rc = -EAGAIN;

	(void)state;
	place_open(&p, "dtls+udp://127.0.0.1:0");
	port = p.listener.port;
	place_close(&p);
	dial(&t, "127.0.0.1", port, c);
	for (int i = 0; i < 100 && rc == -EAGAIN; i++) {
		rc = t.ops->proceed(&t, &e);
		wait_for(t.fd, 10);
	}
	assert_int_equal(rc, -ECONNREFUSED);
	expect_sentence(&e, "Connection refused");
	t.ops->close(&t);
	tls_context_free(c);
}

static void
a_restarted_collector_tells_that_the_session_is_lost(void **state)
{
	struct transport_uri uri;
	struct err e = {0};
	char text[64], byte;
	struct pair p;
	uint16_t port;

	(void)state;
	pair_open(&p);
	port = p.place.listener.port;
	p.server.ops->close(&p.server);
	transport_unlisten(&p.place.listener);
	snprintf(text, sizeof text, "dtls+udp://*:%u", port);
	assert_int_equal(schemes_parse_uri(text, &uri, NULL), 0);
	assert_int_equal(transport_listen(&uri, &p.place.listener, NULL), 0);
	put(&p.client, "lost in the restart", 19);
	sort(&p.place);
	wait_for(p.client.fd, 1000);
	assert_int_equal(p.client.ops->read(&p.client, &byte, 1, &e), -ECONNRESET);
	expect_sentence(&e, "does not know this session any more");
	p.server = (struct transport){
	    .scheme = &transport_dtls_udp, .ops = transport_dtls_udp.connection};
	pair_close(&p);
}

/* first: what lies in the client's socket before the alert. */
static void
write_only(const uint8_t *first, size_t length)
{
	struct transport_uri uri;
	struct sockaddr_in at;
	socklen_t size = sizeof at;
	struct err e = {0};
	char text[64];
	struct pair p;
	ssize_t n = 1;
	int i;

	pair_open(&p);
	snprintf(text, sizeof text, "dtls+udp://127.0.0.1:%u", p.place.listener.port);
	p.server.ops->close(&p.server);
	transport_unlisten(&p.place.listener);
	assert_int_equal(schemes_parse_uri(text, &uri, NULL), 0);
	assert_int_equal(transport_listen(&uri, &p.place.listener, NULL), 0);
	assert_int_equal(getsockname(p.client.fd, (struct sockaddr *)&at, &size), 0);
	if (length > 0) {
		assert_int_equal(sendto(p.place.listener.fd, first, length, 0,
				     (struct sockaddr *)&at, size),
		    length);
	}
	for (i = 0; i < 200 && n > 0; i++) {
		n = p.client.ops->write(&p.client, "lost in the restart", 19, &e);
		if (i == 0) {
			sort(&p.place);
			wait_for(p.client.fd, 1000);
		}
	}
	assert_int_equal(n, -ECONNRESET);
	assert_in_range(i, 1, 70);
	expect_sentence(&e, "does not know this session any more");
	p.server = (struct transport){
	    .scheme = &transport_dtls_udp, .ops = transport_dtls_udp.connection};
	pair_close(&p);
}

static void
who_only_writes_learns_it_too(void **state)
{
	(void)state;
	write_only(NULL, 0);
}

static void
even_when_something_else_came_before(void **state)
{
	static const uint8_t stray[50] = {
	    23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 37};

	(void)state;
	write_only(stray, sizeof stray);
}

static void
who_only_writes_learns_that_the_collector_has_ended(void **state)
{
	struct err e = {0};
	ssize_t n = 1;
	struct pair p;

	(void)state;
	pair_open(&p);
	assert_int_equal(p.server.ops->finish(&p.server, NULL), 0);
	wait_for(p.client.fd, 1000);
	for (int i = 0; i < 70 && n > 0; i++) {
		n = p.client.ops->write(&p.client, "to nobody", 9, &e);
	}
	assert_int_equal(n, -ECONNRESET);
	expect_sentence(&e, "the collector closed the connection");
	pair_close(&p);
}

/* A client with a port of its own that comes twice. */
static void
a_new_session_from_the_same_port_supersedes_the_old_one(void **state)
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct transport again, server;
	struct err e = {0};
	socklen_t n = sizeof at;
	struct pair p;
	int client_rc, server_rc, fd;
	char byte;

	(void)state;
	pair_open(&p);
	assert_int_equal(getsockname(p.client.fd, (struct sockaddr *)&at, &n), 0);
	p.client.ops->close(&p.client);
	dial(&again, "127.0.0.1", p.place.listener.port, p.context);
	/* The same connection, from the former's port. */
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	at.sin_port = htons(p.place.listener.port);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_true(dup2(fd, again.fd) >= 0);
	close(fd);
	shake(&p.place, &again, &server, &client_rc, &server_rc, &e);
	if (client_rc != 0 || server_rc != 0) {
		fail_msg("%s", e.text);
	}
	assert_string_equal(server.peer.text, p.server.peer.text);
	assert_int_equal(p.server.ops->read(&p.server, &byte, 1, &e), -ECONNRESET);
	expect_sentence(&e, "another session began");
	put(&again, "new", 3);
	sort(&p.place);
	expect(&server, "new");
	p.client = again;
	server.ops->close(&server);
	pair_close(&p);
}

/* A ClientHello as a client sends it first, by a socket of ours. */
static size_t
client_hello(uint8_t *out, size_t capacity)
{
	struct tls_context *c = context_of("exporter", false);
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof at;
	struct transport t;
	ssize_t n;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	dial(&t, "127.0.0.1", ntohs(at.sin_port), c);
	assert_int_equal(t.ops->proceed(&t, NULL), -EAGAIN);
	n = recv(fd, out, capacity, 0);
	assert_true(n > 50);
	t.ops->close(&t);
	tls_context_free(c);
	close(fd);
	return (size_t)n;
}

static void
a_hello_without_cookie_gets_a_shorter_answer_and_no_session(void **state)
{
	uint8_t hello[2000], answer[2000];
	size_t n = client_hello(hello, sizeof hello);
	struct place p;
	int fd;

	(void)state;
	place_open(&p, "dtls+udp://*:0");
	fd = connected_to(p.listener.port);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(send(fd, hello, n, 0), n);
		sort(&p);
		ssize_t got = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
		assert_in_range(got, 25, n - 1);
		assert_int_equal(answer[13], 3); /* HelloVerifyRequest */
	}
	close(fd);
	place_close(&p);
}

static void
a_cookie_is_worth_nothing_from_another_port(void **state)
{
	uint8_t hello[2000], answer[2000], with_cookie[2000];
	size_t n = client_hello(hello, sizeof hello), at, cookie;
	struct transport none;
	struct place p;
	ssize_t got;
	int fd, other;

	(void)state;
	place_open(&p, "dtls+udp://*:0");
	fd = connected_to(p.listener.port);
	other = connected_to(p.listener.port);
	assert_int_equal(send(fd, hello, n, 0), n);
	sort(&p);
	got = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
	assert_true(got > 28);
	cookie = answer[27]; /* headers 13 + 12, version 2 */
	/* The same hello with the cookie in the place of the empty one: after headers,
	 * version 2, random 32 and an empty session id. */
	at = 13 + 12 + 2 + 32;
	assert_int_equal(hello[at], 0);
	at += 1;
	assert_int_equal(hello[at], 0);
	memcpy(with_cookie, hello, n);
	with_cookie[at] = (uint8_t)cookie;
	memcpy(with_cookie + at + 1, answer + 28, cookie);
	memcpy(with_cookie + at + 1 + cookie, hello + at + 1, n - at - 1);
	n += cookie;
	for (size_t field = 0; field < 3; field++) {
		/* Lengths: of the record, the message, its only fragment. */
		static const size_t places[] = {11, 15, 23};
		static const size_t less[] = {13, 25, 25};
		with_cookie[places[field]] = (uint8_t)((n - less[field]) >> 8);
		with_cookie[places[field] + 1] = (uint8_t)(n - less[field]);
	}
	with_cookie[18] = 1; /* message_seq */
	with_cookie[10] = 1; /* record's sequence number */
	assert_int_equal(send(other, with_cookie, n, 0), n);
	sort(&p);
	assert_int_equal(send(fd, with_cookie, n, 0), n);
	wait_for(p.listener.fd, 1000);
	assert_int_equal(transport_accept(&p.listener, &none, p.context, NULL), 0);
	none.ops->close(&none);
	close(fd);
	close(other);
	place_close(&p);
}

static void
a_client_that_the_listener_does_not_trust_is_refused_with_a_reason(void **state)
{
	struct err e = {0};
	struct pair p;
	int client_rc, server_rc;

	(void)state;
	memset(&p, 0, sizeof p);
	place_open(&p.place, "dtls+udp://*:0");
	p.context = context_of("stranger", false);
	dial(&p.client, "127.0.0.1", p.place.listener.port, p.context);
	shake(&p.place, &p.client, &p.server, &client_rc, &server_rc, &e);
	assert_int_equal(server_rc, -EACCES);
	assert_int_equal(transport_refusal(&p.server), TLS_REFUSED_UNKNOWN_CA);
	assert_int_equal(client_rc, -EACCES);
	assert_int_equal(transport_refusal(&p.client), TLS_REFUSED_BY_PEER);
	pair_close(&p);
}

/* Between the hello without and the one with a cookie. */
static void
a_reload_of_certificates_meanwhile_is_no_obstacle(void **state)
{
	struct err e = {0};
	struct pair p;
	int client_rc, server_rc;

	(void)state;
	memset(&p, 0, sizeof p);
	place_open(&p.place, "dtls+udp://*:0");
	p.context = context_of("exporter", false);
	dial(&p.client, "127.0.0.1", p.place.listener.port, p.context);
	assert_int_equal(p.client.ops->proceed(&p.client, &e), -EAGAIN);
	sort(&p.place);
	tls_context_free(p.place.context);
	p.place.context = context_of("collector", true);
	shake(&p.place, &p.client, &p.server, &client_rc, &server_rc, &e);
	assert_int_equal(client_rc, 0);
	assert_int_equal(server_rc, 0);
	pair_close(&p);
}

static void
messages_are_made_to_fit_into_one_packet_of_the_path(void **state)
{
	struct transport_uri uri;

	(void)state;
	assert_int_equal(schemes_parse_uri("dtls+udp://127.0.0.1", &uri, NULL), 0);
	assert_int_equal(uri.port, 4740);
	assert_int_equal(transport_message_size(&uri, 65535), 1472 - 37);
	assert_int_equal(transport_message_size(&uri, 1000), 1000);
}

/* A collector that is slow hears the end of our handshake twice, and says its own
 * twice. */
static void
a_handshake_that_ends_twice_does_not_spoil_the_end_of_the_session(void **state)
{
	struct transport none;
	struct err e = {0};
	struct pair p;
	char byte[8];
	int rc = -EAGAIN;

	(void)state;
	memset(&p, 0, sizeof p);
	place_open(&p.place, "dtls+udp://*:0");
	p.context = context_of("exporter", false);
	dial(&p.client, "127.0.0.1", p.place.listener.port, p.context);
	for (int i = 0; i < 1000 && rc != 0; i++) {
		(void)p.client.ops->proceed(&p.client, &e);
		wait_for(p.place.listener.fd, 1);
		rc =
		    transport_accept(&p.place.listener, &p.server, p.place.context, &e);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(p.server.ops->proceed(&p.server, &e), -EAGAIN);
	wait_for(p.client.fd, 1000);
	assert_int_equal(p.client.ops->proceed(&p.client, &e), -EAGAIN);
	while (transport_timeout(&p.client) > 0) {
		wait_for(-1, 10);
	}
	assert_int_equal(p.client.ops->proceed(&p.client, &e), -EAGAIN);
	for (int i = 0; i < 1000 && (rc = p.server.ops->proceed(&p.server, &e)) != 0;
	     i++) {
		wait_for(p.place.listener.fd, 1);
		(void)transport_accept(&p.place.listener, &none, p.place.context, NULL);
	}
	assert_int_equal(rc, 0);
	for (int i = 0; i < 10; i++) {
		wait_for(p.place.listener.fd, 1);
		(void)transport_accept(&p.place.listener, &none, p.place.context, NULL);
		assert_int_equal(
		    p.server.ops->read(&p.server, byte, sizeof byte, NULL), -EAGAIN);
	}
	assert_int_equal(p.client.ops->proceed(&p.client, &e), 0);
	assert_int_equal(p.client.ops->finish(&p.client, &e), 0);
	assert_int_equal(p.client.ops->read(&p.client, byte, sizeof byte, &e), 0);
	pair_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_session_opens_by_name_and_by_address),
	    cmocka_unit_test(a_name_with_a_deaf_address_is_reached_at_the_next),
	    cmocka_unit_test(the_answer_comes_from_the_address_that_was_asked),
	    cmocka_unit_test(messages_stay_whole_and_ends_are_told),
	    cmocka_unit_test(a_session_is_readable_exactly_while_it_has_something),
	    cmocka_unit_test(messages_longer_than_the_path_go_in_fragments),
	    cmocka_unit_test(sessions_of_one_listener_do_not_mix),
	    cmocka_unit_test(sessions_outlive_their_listener),
	    cmocka_unit_test(nobody_there_is_noticed_at_once),
	    cmocka_unit_test(a_restarted_collector_tells_that_the_session_is_lost),
	    cmocka_unit_test(who_only_writes_learns_it_too),
	    cmocka_unit_test(even_when_something_else_came_before),
	    cmocka_unit_test(who_only_writes_learns_that_the_collector_has_ended),
	    cmocka_unit_test(a_new_session_from_the_same_port_supersedes_the_old_one),
	    cmocka_unit_test(
		a_hello_without_cookie_gets_a_shorter_answer_and_no_session),
	    cmocka_unit_test(a_cookie_is_worth_nothing_from_another_port),
	    cmocka_unit_test(
		a_client_that_the_listener_does_not_trust_is_refused_with_a_reason),
	    cmocka_unit_test(a_reload_of_certificates_meanwhile_is_no_obstacle),
	    cmocka_unit_test(
		a_handshake_that_ends_twice_does_not_spoil_the_end_of_the_session),
	    cmocka_unit_test(messages_are_made_to_fit_into_one_packet_of_the_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
