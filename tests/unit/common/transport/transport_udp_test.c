#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
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

static struct transport
dial(const char *host, uint16_t port)
{
	struct transport_uri uri;
	struct transport t = {0};
	struct err e = {0};
	char text[128];

	snprintf(text, sizeof text, "udp://%s:%u", host, port);
	assert_int_equal(schemes_parse_uri(text, &uri, &e), 0);
	if (transport_dial(&t, &uri, NULL, &e) < 0) {
		fail_msg("%s", e.text);
	}
	assert_int_equal(t.ops->proceed(&t, &e), 0);
	assert_true(t.is_open);
	return t;
}

static ssize_t
receive(const struct transport_listener *place, void *bytes, size_t n)
{
	struct pollfd p = {.fd = place->fd, .events = POLLIN};

	assert_int_equal(poll(&p, 1, 5000), 1);
	return recv(place->fd, bytes, n, MSG_TRUNC);
}

/* A port of this host where nobody listens. */
static uint16_t
closed_port(void)
{
	struct transport_listener place = listen_at("udp://127.0.0.1:0");
	uint16_t port = place.port;

	transport_unlisten(&place);
	return port;
}

static void
a_message_is_one_datagram(void **state)
{
	static const char message[1400] = "message";
	struct transport_listener place = listen_at("udp://*:0");
	const char *const hosts[] = {"127.0.0.1", "[::1]"};
	char bytes[2048];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct transport t = dial(hosts[i], place.port);
		assert_int_equal(
		    t.ops->write(&t, message, sizeof message, NULL), sizeof message);
		assert_int_equal(t.ops->write(&t, message, 100, NULL), 100);
		assert_int_equal(receive(&place, bytes, sizeof bytes), sizeof message);
		assert_int_equal(receive(&place, bytes, sizeof bytes), 100);
		t.ops->close(&t);
	}
	transport_unlisten(&place);
}

static void
a_port_that_nobody_listens_at_ends_nothing_and_is_counted(void **state)
{
	struct transport t = dial("127.0.0.1", closed_port());
	struct pollfd p = {.fd = t.fd, .events = POLLIN};
	char bytes[64];

	(void)state;
	assert_int_equal(t.ops->write(&t, "one", 3, NULL), 3);
	assert_int_equal(poll(&p, 1, 5000), 1); /* ICMP has come */
	assert_int_equal(t.ops->read(&t, bytes, sizeof bytes, NULL), -EAGAIN);
	assert_int_equal(t.refusals, 1);
	assert_int_equal(t.ops->write(&t, "two", 3, NULL), 3);
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(t.ops->write(&t, "three", 5, NULL), 5);
	assert_int_equal(t.refusals, 2);
	t.ops->close(&t);
}

static void
what_comes_after_a_refusal_arrives(void **state)
{
	uint16_t port = closed_port();
	struct transport t = dial("127.0.0.1", port);
	struct pollfd p = {.fd = t.fd, .events = POLLIN};
	struct transport_listener place;
	char text[64], bytes[64];

	(void)state;
	assert_int_equal(t.ops->write(&t, "one", 3, NULL), 3);
	assert_int_equal(poll(&p, 1, 5000), 1);
	snprintf(text, sizeof text, "udp://127.0.0.1:%u", port);
	place = listen_at(text);
	assert_int_equal(t.ops->write(&t, "two", 3, NULL), 3);
	assert_int_equal(receive(&place, bytes, sizeof bytes), 3);
	assert_memory_equal(bytes, "two", 3);
	t.ops->close(&t);
	transport_unlisten(&place);
}

/* The resolver's, but for one host with two addresses. */
int
getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
    struct addrinfo **ret)
{
	int (*real)(const char *, const char *, const struct addrinfo *,
	    struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
	int rc;

	if (host == NULL || strcmp(host, "two.example") != 0) {
		return real(host, port, hints, ret);
	}
	rc = real("::1", port, hints, ret);
	return rc != 0 ? rc : real("127.0.0.1", port, hints, &(*ret)->ai_next);
}

static void
a_refusal_at_one_of_several_addresses_ends_it_and_the_next_turn_is_another(void **state)
{
	struct transport_listener place = listen_at("udp://127.0.0.1:0");
	struct transport t = {0};
	struct transport_uri uri;
	struct pollfd p = {.events = POLLIN};
	char text[64], bytes[64];

	(void)state;
	snprintf(text, sizeof text, "udp://two.example:%u", place.port);
	assert_int_equal(schemes_parse_uri(text, &uri, NULL), 0);
	for (uri.turn = 0; uri.turn < 4; uri.turn++) {
		assert_int_equal(transport_dial(&t, &uri, NULL, NULL), 0);
		assert_int_equal(t.addresses, 2);
		assert_int_equal(t.ops->write(&t, "one", 3, NULL), 3);
		p.fd = t.fd;
		if (uri.turn % 2 == 1) {
			assert_int_equal(receive(&place, bytes, sizeof bytes), 3);
			assert_int_equal(
			    t.ops->read(&t, bytes, sizeof bytes, NULL), -EAGAIN);
		} else {
			assert_int_equal(poll(&p, 1, 5000), 1);
			assert_int_equal(
			    uri.turn == 0 ? t.ops->read(&t, bytes, sizeof bytes, NULL)
					  : t.ops->write(&t, "two", 3, NULL),
			    -ECONNREFUSED);
			assert_int_equal(t.refusals, 1);
		}
		t.ops->close(&t);
	}
	transport_unlisten(&place);
}

static void
after_the_end_there_is_nothing_to_wait_for(void **state)
{
	struct transport_listener place = listen_at("udp://127.0.0.1:0");
	struct transport t = dial("127.0.0.1", place.port);
	char bytes[64];

	(void)state;
	assert_int_equal(t.ops->read(&t, bytes, sizeof bytes, NULL), -EAGAIN);
	assert_int_equal(t.ops->finish(&t, NULL), 0);
	assert_int_equal(t.ops->read(&t, bytes, sizeof bytes, NULL), 0);
	t.ops->close(&t);
	transport_unlisten(&place);
}

static void
a_message_longer_than_a_datagram_can_be_is_not_sent(void **state)
{
	static const uint8_t message[65508];
	struct transport_listener place = listen_at("udp://127.0.0.1:0");
	struct transport t = dial("127.0.0.1", place.port);
	struct err e = {0};

	(void)state;
	assert_int_equal(t.ops->write(&t, message, sizeof message, &e), -EMSGSIZE);
	assert_int_equal(e.text[0] != '\0', 1);
	t.ops->close(&t);
	transport_unlisten(&place);
}

static uint32_t
size_for(const char *text, uint32_t most)
{
	struct transport_uri uri;

	assert_int_equal(schemes_parse_uri(text, &uri, NULL), 0);
	return transport_message_size(&uri, most);
}

static void
messages_fit_the_path_and_are_no_longer_than_asked(void **state)
{
	(void)state;
	/* The loopback device takes 64 KiB, an Ethernet on the way would not. */
	assert_int_equal(size_for("udp://127.0.0.1:9", 16384), 1472);
	assert_int_equal(size_for("udp://[::1]:9", 16384), 1472);
	assert_int_equal(size_for("udp://127.0.0.1:9", 1000), 1000);
	assert_int_equal(size_for("udp://nowhere.invalid:9", 16384), 1232);
	assert_int_equal(size_for("tcp://127.0.0.1:9", 16384), 16384);
}

static void
a_port_that_is_taken_is_told(void **state)
{
	struct transport_listener place = listen_at("udp://127.0.0.1:0"), second;
	struct transport_uri uri;
	struct err e = {0};
	char text[64];

	(void)state;
	snprintf(text, sizeof text, "udp://127.0.0.1:%u", place.port);
	assert_int_equal(schemes_parse_uri(text, &uri, &e), 0);
	assert_int_equal(transport_listen(&uri, &second, &e), -EADDRINUSE);
	assert_non_null(strstr(e.text, text));
	transport_unlisten(&place);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_message_is_one_datagram),
	    cmocka_unit_test(a_port_that_nobody_listens_at_ends_nothing_and_is_counted),
	    cmocka_unit_test(what_comes_after_a_refusal_arrives),
	    cmocka_unit_test(
		a_refusal_at_one_of_several_addresses_ends_it_and_the_next_turn_is_another),
	    cmocka_unit_test(after_the_end_there_is_nothing_to_wait_for),
	    cmocka_unit_test(a_message_longer_than_a_datagram_can_be_is_not_sent),
	    cmocka_unit_test(messages_fit_the_path_and_are_no_longer_than_asked),
	    cmocka_unit_test(a_port_that_is_taken_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
