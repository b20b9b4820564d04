#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/schemes/schemes.h"

static struct transport_listener
listen_at(const char *text)
{
	struct transport_listener place = {0};
	struct transport_uri uri;
	struct err e = {0};

	assert_int_equal(schemes_parse_uri(text, &uri, &e), 0);
	if (transport_listen(&uri, &place, &e) < 0) {
		fail_msg("%s", e.text);
	}
	return place;
}

/* Dials and goes on until it is open or has failed. */
static int
dial(struct transport *t, const char *host, uint16_t port, struct err *e)
{
	struct transport_uri uri;
	char text[128];
	int rc;

	snprintf(text, sizeof text, "tcp://%s:%u", host, port);
	assert_int_equal(schemes_parse_uri(text, &uri, e), 0);
	rc = transport_dial(t, &uri, NULL, e);
	while (rc == 0 && (rc = t->ops->proceed(t, e)) == -EAGAIN) {
		struct pollfd p = {.fd = t->fd, .events = POLLOUT};
		assert_int_equal(t->ops->want(t), EPOLLOUT);
		poll(&p, 1, 5000);
		rc = 0;
		if (t->is_open) {
			break;
		}
	}
	return rc;
}

static void
accept_one(struct transport_listener *place, struct transport *t)
{
	struct pollfd p = {.fd = place->fd, .events = POLLIN};

	*t = (struct transport){0};
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(transport_accept(place, t, NULL, NULL), 0);
}

static void
one_socket_serves_ipv4_and_ipv6_and_names_peers_plainly(void **state)
{
	struct transport ours, theirs;
	struct err e = {0};
	struct transport_listener place = listen_at("tcp://*:0");

	(void)state;
	assert_int_equal(dial(&ours, "127.0.0.1", place.port, &e), 0);
	accept_one(&place, &theirs);
	assert_memory_equal(theirs.peer.text, "127.0.0.1:", 10);
	ours.ops->close(&ours);
	theirs.ops->close(&theirs);
	assert_int_equal(dial(&ours, "[::1]", place.port, &e), 0);
	accept_one(&place, &theirs);
	assert_memory_equal(theirs.peer.text, "[::1]:", 6);
	ours.ops->close(&ours);
	theirs.ops->close(&theirs);
	transport_unlisten(&place);
}

static void
a_name_with_several_addresses_is_tried_through(void **state)
{
	struct transport ours, theirs;
	struct err e = {0};
	struct transport_listener place =
	    listen_at("tcp://127.0.0.1:0"); /* localhost is ::1 first */

	(void)state;
	assert_int_equal(dial(&ours, "localhost", place.port, &e), 0);
	accept_one(&place, &theirs);
	assert_true(ours.is_open);
	ours.ops->close(&ours);
	theirs.ops->close(&theirs);
	transport_unlisten(&place);
}

static void
bytes_then_an_orderly_end_then_the_other_direction(void **state)
{
	struct transport ours, theirs;
	struct err e = {0};
	char bytes[16];
	struct transport_listener place = listen_at("tcp://*:0");
	struct pollfd p;

	(void)state;
	assert_int_equal(dial(&ours, "127.0.0.1", place.port, &e), 0);
	accept_one(&place, &theirs);
	assert_int_equal(theirs.ops->read(&theirs, bytes, sizeof bytes, &e), -EAGAIN);
	assert_int_equal(ours.ops->write(&ours, "hello", 5, &e), 5);
	assert_int_equal(ours.ops->finish(&ours, &e), 0);
	p = (struct pollfd){.fd = theirs.fd, .events = POLLIN};
	poll(&p, 1, 5000);
	assert_int_equal(theirs.ops->read(&theirs, bytes, sizeof bytes, &e), 5);
	poll(&p, 1, 5000);
	assert_int_equal(theirs.ops->read(&theirs, bytes, sizeof bytes, &e), 0);
	assert_int_equal(theirs.ops->write(&theirs, "bye", 3, &e), 3);
	p.fd = ours.fd;
	poll(&p, 1, 5000);
	assert_int_equal(ours.ops->read(&ours, bytes, sizeof bytes, &e), 3);
	ours.ops->close(&ours);
	theirs.ops->close(&theirs);
	transport_unlisten(&place);
}

/* What -EAGAIN waits for: a peer that does not read leaves no room. */
static void
a_full_connection_wants_room_and_then_no_more(void **state)
{
	static char bytes[1 << 16];
	struct transport ours, theirs;
	struct err e = {0};
	struct transport_listener place = listen_at("tcp://*:0");
	struct pollfd p;
	ssize_t n;

	(void)state;
	assert_int_equal(dial(&ours, "127.0.0.1", place.port, &e), 0);
	accept_one(&place, &theirs);
	assert_int_equal(ours.ops->want(&ours), EPOLLIN);
	while ((n = ours.ops->write(&ours, bytes, sizeof bytes, &e)) > 0) {
	}
	assert_int_equal(n, -EAGAIN);
	assert_int_equal(ours.ops->want(&ours), EPOLLOUT);
	p = (struct pollfd){.fd = ours.fd, .events = POLLOUT};
	assert_int_equal(poll(&p, 1, 0), 0);
	do {
		while (theirs.ops->read(&theirs, bytes, sizeof bytes, &e) > 0) {
		}
	} while (poll(&p, 1, 10) == 0);
	assert_true(ours.ops->write(&ours, bytes, 1, &e) == 1);
	assert_int_equal(ours.ops->want(&ours), EPOLLIN);
	ours.ops->close(&ours);
	theirs.ops->close(&theirs);
	transport_unlisten(&place);
}

static void
nobody_listening_is_told_with_place_and_cause(void **state)
{
	struct transport_listener place = listen_at("tcp://127.0.0.1:0");
	struct transport t;
	uint16_t port = place.port;
	struct err e = {0};

	(void)state;
	transport_unlisten(&place);
	assert_int_equal(dial(&t, "127.0.0.1", port, &e), -ECONNREFUSED);
	assert_non_null(strstr(e.text, "cannot connect to tcp://127.0.0.1:"));
	assert_non_null(strstr(e.text, "Connection refused"));
	t.ops->close(&t);
}

static bool
has_met_itself(const struct transport *t)
{
	struct sockaddr_in ours = {0}, theirs = {0};
	socklen_t n = sizeof ours, m = sizeof theirs;

	return getsockname(t->fd, (struct sockaddr *)&ours, &n) == 0 &&
	       getpeername(t->fd, (struct sockaddr *)&theirs, &m) == 0 &&
	       memcmp(&ours, &theirs, sizeof ours) == 0;
}

/* The kernel may give our end the very port it dials (simultaneous open).  It walks
 * through the even ports for those who connect, so an even one is met sooner or later.
 */
static void
a_dial_that_meets_itself_is_no_connection(void **state)
{
	struct transport_listener place = listen_at("tcp://127.0.0.1:0");
	struct transport_uri uri;
	struct err e = {0};
	unsigned met = 0;
	char text[64];

	(void)state;
	snprintf(text, sizeof text, "tcp://127.0.0.1:%u", place.port & ~1U);
	transport_unlisten(&place);
	assert_int_equal(schemes_parse_uri(text, &uri, &e), 0);
	for (unsigned i = 0; i < 40000; i++) {
		struct transport t;
		if (transport_dial(&t, &uri, NULL, &e) == 0) {
			met += t.ops->proceed(&t, &e) == 0 && has_met_itself(&t);
			t.ops->close(&t);
		}
	}
	assert_int_equal(met, 0);
}

static void
a_peer_that_resets_is_an_error_on_both_ways_and_no_signal(void **state)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	struct transport ours, theirs;
	struct err e = {0};
	char byte;
	struct transport_listener place = listen_at("tcp://*:0");
	struct pollfd p;

	(void)state;
	assert_int_equal(dial(&ours, "127.0.0.1", place.port, &e), 0);
	accept_one(&place, &theirs);
	setsockopt(theirs.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	theirs.ops->close(&theirs);
	p = (struct pollfd){.fd = ours.fd, .events = POLLIN};
	poll(&p, 1, 5000);
	assert_int_equal(ours.ops->read(&ours, &byte, 1, &e), -ECONNRESET);
	assert_non_null(strstr(e.text, "the connection with 127.0.0.1:"));
	assert_int_equal(ours.ops->write(&ours, "x", 1, &e), -EPIPE);
	ours.ops->close(&ours);
	transport_unlisten(&place);
}

static int
option_of(const struct transport *t, int option)
{
	int value = -1;
	socklen_t n = sizeof value;

	assert_int_equal(getsockopt(t->fd, IPPROTO_TCP, option, &value, &n), 0);
	return value;
}

static void
an_end_that_is_gone_without_a_word_is_found_out_on_both_sides(void **state)
{
	struct transport ours, theirs;
	struct err e = {0};
	struct transport_listener place = listen_at("tcp://*:0");

	(void)state;
	assert_int_equal(dial(&ours, "127.0.0.1", place.port, &e), 0);
	accept_one(&place, &theirs);
	assert_int_equal(option_of(&ours, TCP_KEEPIDLE), 60);
	assert_int_equal(option_of(&theirs, TCP_KEEPIDLE), 60);
	assert_int_equal(option_of(&theirs, TCP_USER_TIMEOUT), 60000);
	assert_int_equal(transport_check_path(&ours, &e), 0);
	ours.ops->close(&ours);
	theirs.ops->close(&theirs);
	transport_unlisten(&place);
}

static void
places_that_cannot_be_dialled_are_told(void **state)
{
	struct transport_uri uri;
	struct transport t;
	struct err e = {0};

	(void)state;
	schemes_parse_uri("tcp://*:1", &uri, &e);
	assert_int_equal(transport_dial(&t, &uri, NULL, &e), -EINVAL);
	assert_non_null(strstr(e.text, "needs a host, and a port that is not 0"));
	schemes_parse_uri("tcp://name.invalid:1", &uri, &e);
	assert_int_equal(transport_dial(&t, &uri, NULL, &e), -EHOSTUNREACH);
	assert_non_null(
	    strstr(e.text, "cannot find the address of tcp://name.invalid"));
}

static void
a_taken_port_is_told(void **state)
{
	struct transport_listener second;
	struct transport_uri uri;
	struct err e = {0};
	char text[64];
	struct transport_listener place = listen_at("tcp://*:0");

	(void)state;
	snprintf(text, sizeof text, "tcp://*:%u", place.port);
	schemes_parse_uri(text, &uri, &e);
	assert_int_equal(transport_listen(&uri, &second, &e), -EADDRINUSE);
	assert_non_null(strstr(e.text, "Address already in use"));
	transport_unlisten(&place);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_socket_serves_ipv4_and_ipv6_and_names_peers_plainly),
	    cmocka_unit_test(a_name_with_several_addresses_is_tried_through),
	    cmocka_unit_test(bytes_then_an_orderly_end_then_the_other_direction),
	    cmocka_unit_test(a_full_connection_wants_room_and_then_no_more),
	    cmocka_unit_test(nobody_listening_is_told_with_place_and_cause),
	    cmocka_unit_test(a_dial_that_meets_itself_is_no_connection),
	    cmocka_unit_test(a_peer_that_resets_is_an_error_on_both_ways_and_no_signal),
	    cmocka_unit_test(
		an_end_that_is_gone_without_a_word_is_found_out_on_both_sides),
	    cmocka_unit_test(places_that_cannot_be_dialled_are_told),
	    cmocka_unit_test(a_taken_port_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
