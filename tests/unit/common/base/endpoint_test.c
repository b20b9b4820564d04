#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "common/base/endpoint.h"

static void
expect(const char *text, const char *formatted, uint16_t port)
{
	char out[ENDPOINT_TEXT];
	struct endpoint x;

	assert_int_equal(endpoint_parse(text, &x), 0);
	assert_int_equal(x.port, port);
	endpoint_format(&x, out);
	assert_string_equal(out, formatted);
}

static void
address_and_port_are_written_as_they_were_read(void **state)
{
	(void)state;
	expect("192.0.2.1:5000", "192.0.2.1:5000", 5000);
	expect("[2001:db8::1]:65535", "[2001:db8::1]:65535", 65535);
	expect("255.255.255.255:1", "255.255.255.255:1", 1);
}

static void
without_a_port_it_is_the_address_alone(void **state)
{
	(void)state;
	expect("192.0.2.1", "192.0.2.1", 0);
	expect("192.0.2.1:0", "192.0.2.1", 0);
	expect("[2001:db8::1]", "[2001:db8::1]", 0);
	expect("2001:db8::1", "[2001:db8::1]", 0);
}

static void
a_mapped_address_is_ipv4(void **state)
{
	(void)state;
	expect("[::ffff:192.0.2.1]:7", "192.0.2.1:7", 7);
}

static void
other_texts_are_refused_and_leave_the_result_alone(void **state)
{
	static const char *const bad[] = {"", ":", ":1", "day:2026", "router",
	    "router:4739", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:4294967297",
	    "192.0.2.1:-1", "192.0.2.1:+1", "192.0.2.1: 1", "192.0.2.1:1x", "192.0.2:1",
	    "192.0.2.1 :1", "[2001:db8::1", "[2001:db8::1]1",
	    "[2001:db8::1]:", "[2001:db8::1]:x", "[]:1", "[", "[fe80::1%eth0]:1",
	    "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb"};
	struct endpoint x = {.port = 42}, before = x;

	(void)state;
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(endpoint_parse(bad[i], &x), -EINVAL);
		assert_true(endpoint_is_same(&x, &before));
	}
}

static void
the_longest_text_fits(void **state)
{
	static const char text[] = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535";

	(void)state;
	expect(text, text, 65535);
}

static void
it_is_read_from_socket_addresses_of_both_families(void **state)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(7)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(8)};
	struct endpoint x, expected;

	(void)state;
	assert_int_equal(inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr), 1);
	endpoint_from_sockaddr(&v4, &x);
	assert_int_equal(endpoint_parse("192.0.2.1:7", &expected), 0);
	assert_true(endpoint_is_same(&x, &expected));
	assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &v6.sin6_addr), 1);
	endpoint_from_sockaddr(&v6, &x);
	assert_int_equal(endpoint_parse("192.0.2.1:8", &expected), 0);
	assert_true(endpoint_is_same(&x, &expected));
	assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr), 1);
	endpoint_from_sockaddr(&v6, &x);
	assert_int_equal(endpoint_parse("[2001:db8::1]:8", &expected), 0);
	assert_true(endpoint_is_same(&x, &expected));
}

static void
another_family_gives_zeros(void **state)
{
	static const struct endpoint none = {.port = 0};
	struct sockaddr_un here = {.sun_family = AF_UNIX, .sun_path = "/x"};
	struct endpoint x = {.port = 42};

	(void)state;
	endpoint_from_sockaddr(&here, &x);
	assert_true(endpoint_is_same(&x, &none));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(address_and_port_are_written_as_they_were_read),
	    cmocka_unit_test(without_a_port_it_is_the_address_alone),
	    cmocka_unit_test(a_mapped_address_is_ipv4),
	    cmocka_unit_test(other_texts_are_refused_and_leave_the_result_alone),
	    cmocka_unit_test(the_longest_text_fits),
	    cmocka_unit_test(it_is_read_from_socket_addresses_of_both_families),
	    cmocka_unit_test(another_family_gives_zeros),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
