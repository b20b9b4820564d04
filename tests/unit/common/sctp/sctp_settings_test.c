#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "common/schemes/schemes.h"
#include "common/sctp/sctp_stack.h"

static int
settings_of(const char *text, struct sctp_settings *ret, struct err *e)
{
	struct transport_uri uri;

	assert_int_equal(schemes_parse_uri(text, &uri, e), 0);
	return sctp_settings_read(&uri, ret, e);
}

static void
refuses(const char *text, const char *what)
{
	struct sctp_settings s;
	struct err e = {0};

	assert_int_equal(settings_of(text, &s, &e), -EINVAL);
	if (strstr(e.text, what) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", e.text, what);
	}
}

static void
a_plain_uri_means_full_reliability_and_a_heartbeat(void **state)
{
	struct sctp_settings s;
	struct err e = {0};

	(void)state;
	assert_int_equal(settings_of("sctp://collector.example", &s, &e), 0);
	assert_ptr_equal(s.stack, &sctp_kernel);
	assert_int_equal(s.reliability, SCTP_FULL);
	assert_int_equal(s.heartbeat_ms, 15000);
	assert_int_equal(s.udp_port, 9899);
}

static void
options_are_read(void **state)
{
	struct sctp_settings s;
	struct err e = {0};

	(void)state;
	assert_int_equal(
	    settings_of("sctp://192.0.2.1:5000?streams=8&reliability=attempts:"
			"0&heartbeat=5&udp-port=99",
		&s, &e),
	    0);
	assert_int_equal(s.streams, 8);
	assert_int_equal(s.reliability, SCTP_ATTEMPTS);
	assert_int_equal(s.limit, 0);
	assert_int_equal(s.heartbeat_ms, 5000);
	assert_int_equal(s.udp_port, 99);
	assert_int_equal(
	    settings_of("sctp://h?reliability=timed:1500&streams=2", &s, &e), 0);
	assert_int_equal(s.reliability, SCTP_TIMED);
	assert_int_equal(s.limit, 1500);
}

static void
further_addresses_of_the_place_have_its_port_and_ours_have_none(void **state)
{
	struct sctp_settings s;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct err e = {0};

	(void)state;
	assert_int_equal(
	    settings_of("sctp://h:4800?addresses=192.0.2.1,2001:db8::1&local="
			"192.0.2.9",
		&s, &e),
	    0);
	assert_int_equal(s.addresses, 2);
	memcpy(&v4, &s.address[0], sizeof v4);
	memcpy(&v6, &s.address[1], sizeof v6);
	assert_int_equal(v4.sin_family, AF_INET);
	assert_int_equal(ntohs(v4.sin_port), 4800);
	assert_int_equal(v6.sin6_family, AF_INET6);
	assert_int_equal(ntohs(v6.sin6_port), 4800);
	assert_int_equal(s.locals, 1);
	memcpy(&v4, &s.local[0], sizeof v4);
	assert_int_equal(v4.sin_port, 0);
}

static void
what_is_wrong_is_said_with_what_would_be_right(void **state)
{
	(void)state;
	refuses("sctp://h?streams=0", "invalid streams=0 (expected 1 to 64)");
	refuses("sctp://h?streams=65", "(expected 1 to 64");
	refuses("sctp://h?streams=4x", "streams=4x");
	refuses("sctp://h?heartbeat=never", "(expected 1 to 3600");
	refuses("sctp://h?udp-port=65536", "(expected 1 to 65535");
	refuses("sctp://h?streams=2&reliability=partly", "timed:MILLISECONDS");
	refuses("sctp://h?streams=2&reliability=timed:", "timed:MILLISECONDS");
	refuses("sctp://h?streams=1&reliability=timed:100", "needs streams=2 or more");
	refuses("sctp://h?addresses=example.org", "invalid address \"example.org\"");
	refuses("sctp://h?addresses=192.0.2.1,", "invalid address \"\"");
	refuses("sctp://h?local=::1,::1,::1,::1,::1,::1,::1,::1,::1", "at most 8");
	refuses("sctp://h?encapsulation=tcp", "(expected udp or none)");
}

static void
encapsulation_is_the_user_space_stacks_where_there_is_one(void **state)
{
	static const struct sctp_stack user;
	struct transport_uri uri;
	struct sctp_settings s;
	struct err e = {0};

	(void)state;
	assert_int_equal(schemes_parse_uri("sctp://h?encapsulation=udp", &uri, &e), 0);
	sctp_stack_set_user(NULL);
	assert_int_equal(sctp_settings_read(&uri, &s, &e), -EINVAL);
	assert_non_null(strstr(e.text, "libusrsctp-dev"));
	sctp_stack_set_user(&user);
	assert_int_equal(sctp_settings_read(&uri, &s, &e), 0);
	assert_ptr_equal(s.stack, &user);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_plain_uri_means_full_reliability_and_a_heartbeat),
	    cmocka_unit_test(options_are_read),
	    cmocka_unit_test(
		further_addresses_of_the_place_have_its_port_and_ours_have_none),
	    cmocka_unit_test(encapsulation_is_the_user_space_stacks_where_there_is_one),
	    cmocka_unit_test(what_is_wrong_is_said_with_what_would_be_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
