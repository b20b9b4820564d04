/* Batches from real sockets on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector/door/udp_batch.h"

struct sockets {
	int ours, theirs; /* theirs is connected to ours */
	struct endpoint from;
};

static int
bound_socket(int family, struct sockaddr_storage *ret, socklen_t *ret_n)
{
	struct sockaddr_in v4 = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {
	    .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (family == AF_INET) {
		assert_int_equal(bind(fd, (struct sockaddr *)&v4, sizeof v4), 0);
	} else {
		assert_int_equal(bind(fd, (struct sockaddr *)&v6, sizeof v6), 0);
	}
	*ret_n = sizeof *ret;
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret, ret_n), 0);
	return fd;
}

static struct sockets
open_sockets(int family)
{
	struct sockaddr_storage at;
	struct sockets s;
	socklen_t n;

	s.theirs = bound_socket(family, &at, &n);
	endpoint_from_sockaddr(&at, &s.from);
	s.ours = bound_socket(family, &at, &n);
	assert_int_equal(connect(s.theirs, (struct sockaddr *)&at, n), 0);
	return s;
}

static void
close_sockets(const struct sockets *s)
{
	close(s->ours);
	close(s->theirs);
}

static void
send_filled(const struct sockets *s, size_t n, int value)
{
	static uint8_t bytes[65536];

	memset(bytes, value, n);
	if (n > 0) {
		bytes[n - 1] = (uint8_t)(value + 1);
	}
	assert_int_equal(send(s->theirs, bytes, n, 0), (ssize_t)n);
}

static void
expect_filled(const struct udp_batch *b, unsigned i, size_t n, int value)
{
	static uint8_t bytes[65536];
	const uint8_t *head;

	assert_int_equal(udp_batch_length(b, i, &head), n);
	udp_batch_copy(b, i, bytes);
	for (size_t k = 0; k < n; k++) {
		int expected = k + 1 < n ? value : value + 1;
		if (bytes[k] != expected ||
		    (k < UDP_BATCH_HEAD && head[k] != expected)) {
			fail_msg("byte %zu of %zu: %d", k, n, bytes[k]);
		}
	}
}

static void
without_datagrams_there_is_no_batch(void **state)
{
	struct sockets s = open_sockets(AF_INET);
	struct udp_batch *b = udp_batch_new();

	(void)state;
	assert_non_null(b);
	assert_int_equal(udp_batch_receive(b, s.ours), -EAGAIN);
	udp_batch_free(b);
	close_sockets(&s);
}

static void
datagrams_of_every_length_come_whole(void **state)
{
	static const size_t lengths[] = {
	    0, 1, UDP_BATCH_HEAD - 1, UDP_BATCH_HEAD, UDP_BATCH_HEAD + 1, 9000, 65507};
	struct sockets s = open_sockets(AF_INET);
	struct udp_batch *b = udp_batch_new();

	(void)state;
	assert_non_null(b);
	for (unsigned i = 0; i < 7; i++) {
		send_filled(&s, lengths[i], (int)(10 * i));
	}
	assert_int_equal(udp_batch_receive(b, s.ours), 7);
	for (unsigned i = 0; i < 7; i++) {
		expect_filled(b, i, lengths[i], (int)(10 * i));
	}
	udp_batch_free(b);
	close_sockets(&s);
}

static void
a_batch_has_a_limit_and_the_rest_is_the_next_one(void **state)
{
	struct sockets s = open_sockets(AF_INET);
	struct udp_batch *b = udp_batch_new();

	(void)state;
	assert_non_null(b);
	for (unsigned i = 0; i < UDP_BATCH + 3; i++) {
		send_filled(&s, 100, (int)i);
	}
	assert_int_equal(udp_batch_receive(b, s.ours), UDP_BATCH);
	expect_filled(b, UDP_BATCH - 1, 100, UDP_BATCH - 1);
	assert_int_equal(udp_batch_receive(b, s.ours), 3);
	expect_filled(b, 0, 100, UDP_BATCH);
	assert_int_equal(udp_batch_receive(b, s.ours), -EAGAIN);
	udp_batch_free(b);
	close_sockets(&s);
}

static void
expect_source(int family)
{
	struct sockets s = open_sockets(family);
	struct udp_batch *b = udp_batch_new();
	struct endpoint from;

	assert_non_null(b);
	send_filled(&s, 16, 1);
	assert_int_equal(udp_batch_receive(b, s.ours), 1);
	udp_batch_source(b, 0, &from);
	assert_true(endpoint_is_same(&from, &s.from));
	assert_int_equal(address_is_ipv4(&from.address), family == AF_INET);
	udp_batch_free(b);
	close_sockets(&s);
}

static void
senders_of_both_families_are_known(void **state)
{
	(void)state;
	expect_source(AF_INET);
	expect_source(AF_INET6);
	expect_source(AF_INET);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_datagrams_there_is_no_batch),
	    cmocka_unit_test(datagrams_of_every_length_come_whole),
	    cmocka_unit_test(a_batch_has_a_limit_and_the_rest_is_the_next_one),
	    cmocka_unit_test(senders_of_both_families_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
