#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/transport/scheme.h"
#include "common/transport/socket.h"

static void
a_peer_has_an_address_and_a_text(void **state)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(51234)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(1)};
	struct sockaddr_storage at = {0};
	struct transport_peer peer;

	(void)state;
	inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr);
	memcpy(&at, &v4, sizeof v4);
	transport_peer_set(&peer, &at);
	assert_string_equal(peer.text, "192.0.2.1:51234");
	assert_int_equal(peer.at.port, 51234);
	assert_int_equal(transport_port(&at), 51234);
	inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr);
	memcpy(&at, &v6, sizeof v6);
	transport_peer_set(&peer, &at);
	assert_string_equal(peer.text, "[2001:db8::1]:1");
	inet_pton(AF_INET6, "::ffff:192.0.2.1", &v6.sin6_addr);
	memcpy(&at, &v6, sizeof v6);
	transport_peer_set(&peer, &at);
	assert_string_equal(peer.text, "192.0.2.1:1");
}

static void
only_the_listeners_own_errors_are_told(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(transport_accept_failed(-ECONNABORTED, &e), -EAGAIN);
	assert_int_equal(transport_accept_failed(-EPROTO, &e), -EAGAIN);
	assert_string_equal(e.text, "");
	assert_int_equal(transport_accept_failed(-EMFILE, &e), -EMFILE);
	assert_string_equal(e.text, "cannot accept connections: Too many open files");
}

static void
an_unknown_host_is_named(void **state)
{
	struct transport_uri uri = {
	    .host = "name.invalid", .port = 1, .text = "tcp://name.invalid:1"};
	struct addrinfo *list = NULL;
	struct err e = {0};

	(void)state;
	assert_int_equal(
	    transport_find_host(&uri, SOCK_STREAM, &list, &e), -EHOSTUNREACH);
	assert_null(list);
	assert_non_null(
	    strstr(e.text, "cannot find the address of tcp://name.invalid:1: "));
}

static void
a_connection_wants_room_only_after_a_write_found_none(void **state)
{
	struct transport t = {.fd = -1};

	(void)state;
	assert_int_equal(transport_want_socket(&t), EPOLLOUT); /* connecting */
	t.is_open = true;
	assert_int_equal(transport_want_socket(&t), EPOLLIN);
	t.write_waits = true;
	assert_int_equal(transport_want_socket(&t), EPOLLOUT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_peer_has_an_address_and_a_text),
	    cmocka_unit_test(only_the_listeners_own_errors_are_told),
	    cmocka_unit_test(an_unknown_host_is_named),
	    cmocka_unit_test(a_connection_wants_room_only_after_a_write_found_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
