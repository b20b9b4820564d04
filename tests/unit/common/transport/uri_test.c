#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/transport/scheme.h"

static void
expect(
    const char *text, const struct transport_scheme *scheme, const char *host, int port)
{
	struct transport_uri u;
	struct err e = {0};

	if (transport_uri_read(scheme, text, &u, &e) != 0) {
		fail_msg("%s: %s", text, e.text);
	}
	assert_ptr_equal(u.scheme, scheme);
	assert_string_equal(u.host, host);
	assert_int_equal(u.port, port);
	assert_string_equal(u.text, text);
}

static void
expect_complaint(const char *text, const char *part)
{
	const struct transport_scheme *scheme =
	    strncmp(text, "file", 4) == 0 ? &transport_file : &transport_tcp;
	struct transport_uri u = {.port = 7};
	struct err e = {0};

	assert_int_equal(transport_uri_read(scheme, text, &u, &e), -EINVAL);
	if (strstr(e.text, part) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", e.text, part);
	}
	assert_int_equal(u.port, 7);
}

static void
hosts_and_ports_are_taken_apart(void **state)
{
	(void)state;
	expect(
	    "tcp://collector.example:9995", &transport_tcp, "collector.example", 9995);
	expect("tls://192.0.2.1:1", &transport_tls, "192.0.2.1", 1);
	expect("TLS://host:65535", &transport_tls, "host", 65535);
	expect("tcp://*:0", &transport_tcp, "*", 0);
}

static void
ports_default_to_4739_plain_and_4740_secured(void **state)
{
	(void)state;
	expect("tcp://host", &transport_tcp, "host", 4739);
	expect("tls://host", &transport_tls, "host", 4740);
	expect("tls://", &transport_tls, "", 4740);
	expect("tls://[::1]", &transport_tls, "::1", 4740);
}

static void
ipv6_addresses_stand_in_brackets(void **state)
{
	(void)state;
	expect("tls://[2001:db8::1]:4741", &transport_tls, "2001:db8::1", 4741);
	expect("tcp://[fe80::1%lo]:1", &transport_tcp, "fe80::1%lo", 1);
	expect_complaint("tcp://2001:db8::1:4739", "brackets");
	expect_complaint("tcp://[::1", "ends with \"]\"");
	expect_complaint("tcp://[::1]4739", "ends with \"]\"");
	expect_complaint("tcp://[example]:1", "invalid IPv6 address [example]");
}

static void
files_keep_their_path_as_it_is(void **state)
{
	(void)state;
	expect("file:t.ipfix", &transport_file, "t.ipfix", 0);
	expect("file:/a b/c:d", &transport_file, "/a b/c:d", 0);
	expect("file:-", &transport_file, "-", 0);
	expect_complaint("file:", "needs a path");
}

static void
impossible_ports_are_refused(void **state)
{
	(void)state;
	expect_complaint(
	    "tcp://host:65536", "invalid port \"65536\" (expected 1 to 65535)");
	expect_complaint("tcp://host:", "invalid port \"\"");
	expect_complaint("tcp://host:-1", "invalid port \"-1\"");
	expect_complaint("tcp://host:12a", "invalid port \"12a\"");
	expect_complaint("tcp://host:99999999999999999999", "invalid port");
}

static void
what_a_uri_has_beyond_host_and_port_is_refused(void **state)
{
	char text[600];

	(void)state;
	expect_complaint("tcp://host/path", "without a path or user");
	expect_complaint("tcp://me@host:1", "without a path or user");
	expect_complaint("tcp:host", "write tcp://HOST[:PORT]");
	memset(text, 'a', sizeof text);
	memcpy(text, "tcp://", 6);
	text[sizeof text - 1] = '\0';
	expect_complaint(text, "longer than");
	text[300] = '\0';
	expect_complaint(text, "host name is too long");
}

static void
options_of_a_uri_are_those_its_scheme_knows(void **state)
{
	struct transport_uri u = {.scheme = &transport_tcp};
	struct err e = {0};
	const char *value;

	(void)state;
	strcpy(u.options, "streams=16&color=&colors=x");
	assert_int_equal(transport_uri_option(&u, "streams", &value), 2);
	assert_memory_equal(value, "16&", 3);
	assert_int_equal(transport_uri_option(&u, "color", &value), 0);
	assert_int_equal(transport_uri_option(&u, "col", &value), -ENOENT);
	assert_int_equal(
	    transport_uri_read(&transport_tcp, "tcp://h:1?streams=2", &u, &e), -EINVAL);
	assert_non_null(
	    strstr(e.text, "tcp:// does not have the option \"streams=2\""));
}

static void
a_target_has_a_host_and_a_port(void **state)
{
	static const char *const bad[] = {"tcp://:1", "tcp://*:1", "tcp://h:0"};
	struct transport_uri u;
	struct err e = {0};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(transport_uri_read(&transport_tcp, bad[i], &u, &e), 0);
		assert_int_equal(transport_is_everywhere(&u), i < 2);
		assert_int_equal(transport_check_target(&u, &e), -EINVAL);
		assert_non_null(strstr(e.text, "needs a host, and a port"));
	}
	assert_int_equal(transport_uri_read(&transport_tcp, "tcp://h", &u, &e), 0);
	assert_int_equal(transport_check_target(&u, &e), 0);
	assert_int_equal(transport_message_size(&u, 1400), 1400);
	assert_int_equal(transport_message_size(&u, 100000), 65535);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hosts_and_ports_are_taken_apart),
	    cmocka_unit_test(ports_default_to_4739_plain_and_4740_secured),
	    cmocka_unit_test(ipv6_addresses_stand_in_brackets),
	    cmocka_unit_test(files_keep_their_path_as_it_is),
	    cmocka_unit_test(impossible_ports_are_refused),
	    cmocka_unit_test(what_a_uri_has_beyond_host_and_port_is_refused),
	    cmocka_unit_test(options_of_a_uri_are_those_its_scheme_knows),
	    cmocka_unit_test(a_target_has_a_host_and_a_port),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
