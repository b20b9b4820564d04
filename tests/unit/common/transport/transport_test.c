#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/transport/transport.h"

static void
expect(const char *text, const struct transport_ops *ops, const char *host, int port)
{
	struct transport_uri u;
	struct err e = {0};

	if (transport_parse_uri(text, &u, &e) != 0) {
		fail_msg("%s: %s", text, e.text);
	}
	assert_ptr_equal(u.ops, ops);
	assert_string_equal(u.host, host);
	assert_int_equal(u.port, port);
	assert_string_equal(u.text, text);
}

static void
expect_complaint(const char *text, const char *part)
{
	struct transport_uri u = {.port = 7};
	struct err e = {0};

	assert_int_equal(transport_parse_uri(text, &u, &e), -EINVAL);
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
	expect_complaint("tcp://[example]:1", "no IPv6 address");
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
unknown_schemes_are_told_which_exist(void **state)
{
	(void)state;
	expect_complaint(
	    "htps://x", "udp://HOST[:PORT], dtls+udp://HOST[:PORT] and file:PATH");
	expect_complaint("tlss://x", "did you mean \"tls\"?");
	expect_complaint("collector.example", "names no transport");
	expect_complaint("", "names no transport");
}

static void
impossible_ports_are_refused(void **state)
{
	(void)state;
	expect_complaint("tcp://host:65536", "\"65536\" is no port");
	expect_complaint("tcp://host:", "\"\" is no port");
	expect_complaint("tcp://host:-1", "\"-1\" is no port");
	expect_complaint("tcp://host:12a", "\"12a\" is no port");
	expect_complaint("tcp://host:99999999999999999999", "is no port");
}

static void
what_a_uri_has_beyond_host_and_port_is_refused(void **state)
{
	char text[600];

	(void)state;
	expect_complaint("tcp://host/path", "no path and no user");
	expect_complaint("tcp://me@host:1", "no path and no user");
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
	static const char *const names[] = {"streams", "color", NULL};
	struct transport_ops ops = transport_tcp;
	struct transport_uri u = {.ops = &ops};
	struct err e = {0};
	const char *value;

	(void)state;
	ops.options = names;
	strcpy(u.options, "streams=16&color=&colors=x");
	assert_int_equal(transport_uri_option(&u, "streams", &value), 2);
	assert_memory_equal(value, "16&", 3);
	assert_int_equal(transport_uri_option(&u, "color", &value), 0);
	assert_int_equal(transport_uri_option(&u, "col", &value), -ENOENT);
	assert_int_equal(transport_parse_uri("tcp://h:1?streams=2", &u, &e), -EINVAL);
	assert_non_null(strstr(e.text, "tcp:// knows no option \"streams=2\""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hosts_and_ports_are_taken_apart),
	    cmocka_unit_test(ports_default_to_4739_plain_and_4740_secured),
	    cmocka_unit_test(ipv6_addresses_stand_in_brackets),
	    cmocka_unit_test(files_keep_their_path_as_it_is),
	    cmocka_unit_test(unknown_schemes_are_told_which_exist),
	    cmocka_unit_test(impossible_ports_are_refused),
	    cmocka_unit_test(what_a_uri_has_beyond_host_and_port_is_refused),
	    cmocka_unit_test(options_of_a_uri_are_those_its_scheme_knows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
