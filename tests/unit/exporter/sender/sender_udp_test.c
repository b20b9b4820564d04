/* The export thread against a datagram socket on loopback, at a host with two
 * addresses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/base/log.h"
#include "common/schemes/schemes.h"
#include "exporter/sender/sender.h"

#define MESSAGES 100u
#define LENGTH   64u

static uint8_t preamble_bytes[40] = {0, 10, 0, 40};

/* The resolver's, but for one host: ::1 first, then 127.0.0.1. */
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

static struct transport_listener
listen_at(const char *host, uint16_t port)
{
	struct transport_listener place = {0};
	struct transport_uri uri;
	struct err e = {0};
	char text[64];

	snprintf(text, sizeof text, "udp://%s:%u", host, port);
	assert_int_equal(schemes_parse_uri(text, &uri, &e), 0);
	if (transport_listen(&uri, &place, &e) < 0) {
		fail_msg("%s", e.text);
	}
	return place;
}

static struct sender *
start(uint16_t port)
{
	struct export_preamble preamble = {
	    .bytes = preamble_bytes,
	    .length = sizeof preamble_bytes,
	};
	char text[64];
	const char *uri = text;
	struct sender_settings settings = {
	    .uris = &uri,
	    .uri_count = 1,
	    .queue_bytes = 1 << 20,
	    .may_wait = true,
	    .retry_min_ns = 10 * NS_PER_MS,
	    .retry_max_ns = 50 * NS_PER_MS,
	    .give_up_ns = NS_PER_MINUTE,
	};
	struct sender *s = NULL;
	struct err e = {0};

	snprintf(text, sizeof text, "udp://two.example:%u", port);
	if (sender_new(&settings, &preamble, &s, &e) < 0 || sender_start(s, &e) < 0) {
		fail_msg("%s", e.text);
	}
	return s;
}

static void
push(struct sender *s)
{
	uint8_t message[LENGTH] = {0, 10, 0, LENGTH};

	for (uint32_t i = 0; i < MESSAGES; i++) {
		store_u32(message + LENGTH - 4, i);
		sender_push(s, message, sizeof message, 1, 1);
	}
}

static size_t
receive(const struct transport_listener *place, uint8_t bytes[static 2048])
{
	struct pollfd p = {.fd = place->fd, .events = POLLIN};
	ssize_t n;

	assert_int_equal(poll(&p, 1, 30000), 1);
	n = recv(place->fd, bytes, 2048, 0);
	assert_true(n > 0);
	return (size_t)n;
}

/* The preamble (again for each attempt), then every message, numbered from 0. */
static void
expect_everything(const struct transport_listener *place)
{
	uint8_t bytes[2048];
	size_t n = receive(place, bytes);

	assert_int_equal(n, sizeof preamble_bytes);
	while (n == sizeof preamble_bytes) {
		n = receive(place, bytes);
	}
	for (uint32_t i = 0; i < MESSAGES; i++) {
		assert_int_equal(n, LENGTH);
		assert_int_equal(load_u32(bytes + 8), i);
		assert_int_equal(load_u32(bytes + LENGTH - 4), i);
		n = i + 1 < MESSAGES ? receive(place, bytes) : 0;
	}
}

static void
an_address_that_refuses_is_left_for_the_next_and_no_message_is_lost(void **state)
{
	struct transport_listener place = listen_at("127.0.0.1", 0);
	struct sender *s = start(place.port);
	struct sender_counts counts;

	(void)state;
	push(s);
	expect_everything(&place);
	assert_int_equal(sender_finish(s, NULL), 0);
	sender_counts(s, &counts);
	assert_int_equal(counts.messages, MESSAGES);
	assert_int_equal(counts.connects, 1);
	assert_true(counts.refusals > 0);
	assert_int_equal(counts.failures, 0);
	sender_free(s);
	transport_unlisten(&place);
}

static void
while_every_address_refuses_messages_wait_for_a_collector(void **state)
{
	struct transport_listener place = listen_at("127.0.0.1", 0);
	uint16_t port = place.port;
	struct sender_counts counts = {0};
	struct sender *s;

	(void)state;
	transport_unlisten(&place);
	s = start(port);
	push(s);
	while (counts.failures < 2) {
		poll(NULL, 0, 5);
		sender_counts(s, &counts);
	}
	assert_int_equal(counts.messages, 0);
	assert_non_null(strstr(counts.last_error, "all 2 addresses of"));
	place = listen_at("127.0.0.1", port);
	expect_everything(&place);
	assert_int_equal(sender_finish(s, NULL), 0);
	sender_counts(s, &counts);
	assert_int_equal(counts.messages, MESSAGES);
	sender_free(s);
	transport_unlisten(&place);
}

static void
a_collector_that_moves_to_the_other_address_is_followed(void **state)
{
	struct transport_listener place = listen_at("127.0.0.1", 0), other;
	uint16_t port = place.port;
	struct sender *s = start(port);
	uint8_t bytes[2048];

	(void)state;
	assert_int_equal(receive(&place, bytes), sizeof preamble_bytes);
	push(s);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		assert_int_equal(receive(&place, bytes), LENGTH);
	}
	transport_unlisten(&place);
	other = listen_at("[::1]", port);
	push(s); /* the first of these find nobody */
	while (receive(&other, bytes) == sizeof preamble_bytes) {
		assert_memory_equal(bytes + 8, preamble_bytes + 8, 32);
	}
	assert_int_equal(load_u32(bytes + 8), 0); /* numbers start again */
	assert_int_equal(sender_finish(s, NULL), 0);
	sender_free(s);
	transport_unlisten(&other);
}

static int
be_quiet(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		an_address_that_refuses_is_left_for_the_next_and_no_message_is_lost),
	    cmocka_unit_test(while_every_address_refuses_messages_wait_for_a_collector),
	    cmocka_unit_test(a_collector_that_moves_to_the_other_address_is_followed),
	};

	return cmocka_run_group_tests(tests, be_quiet, NULL);
}
