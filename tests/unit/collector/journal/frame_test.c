/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/journal/frame.h"

static void
test_identity_reads_back_as_written(void **state)
{
	struct session_identity r,
	    s = {.transport = "tls", .identity = "host.example", .port = 4740};
	char text[SESSION_IDENTITY_TEXT];
	size_t n;

	(void)state;
	assert_int_equal(endpoint_parse("192.0.2.1:5000", &s.peer), 0);
	n = session_identity_write(&s, text, sizeof text);
	assert_int_not_equal(n, 0);
	assert_int_equal(session_identity_read((const uint8_t *)text, n, &r), 0);
	assert_string_equal(r.transport, "tls");
	assert_true(endpoint_is_same(&r.peer, &s.peer));
	assert_string_equal(r.peer_name, "");
	assert_string_equal(r.identity, "host.example");
	assert_int_equal(r.port, 4740);
}

static void
test_longest_identity_fits(void **state)
{
	struct session_identity s;
	char text[SESSION_IDENTITY_TEXT];

	(void)state;
	memset(&s, 'x', sizeof s);
	s.delivery = (struct session_delivery){.is_on = true,
	    .first = UINT64_MAX,
	    .start = UINT64_MAX,
	    .preamble = UINT32_MAX,
	    .lost_messages = UINT64_MAX,
	    .lost_records = UINT64_MAX};
	assert_int_not_equal(session_identity_write(&s, text, sizeof text), 0);
}

static void
test_a_spool_reads_back_as_written(void **state)
{
	struct session_identity back, s = {.transport = "tls"};
	char text[SESSION_IDENTITY_TEXT];
	size_t n;

	(void)state;
	s.delivery = (struct session_delivery){.is_on = true,
	    .spool = {0, 1, 0x9f, 0xff},
	    .first = UINT64_MAX,
	    .start = UINT64_MAX,
	    .preamble = UINT32_MAX,
	    .lost_messages = 7,
	    .lost_records = UINT64_MAX - 1};
	n = session_identity_write(&s, text, sizeof text);
	assert_int_equal(session_identity_read((uint8_t *)text, n, &back), 0);
	assert_true(back.delivery.is_on);
	assert_memory_equal(back.delivery.spool, s.delivery.spool, 16);
	assert_int_equal(back.delivery.start, UINT64_MAX);
	assert_int_equal(back.delivery.preamble, UINT32_MAX);
	assert_int_equal(back.delivery.lost_messages, 7);
	assert_int_equal(back.delivery.lost_records, UINT64_MAX - 1);
}

static void
test_what_the_roster_says_is_kept(void **state)
{
	struct session_identity s = {.transport = "tls",
				    .name = "tap",
				    .domains = "1,5-9"},
				back;
	char text[SESSION_IDENTITY_TEXT];
	size_t n;

	(void)state;
	memset(s.identity, 'i', sizeof s.identity - 1);
	memset(s.name + 3, 'n', sizeof s.name - 4);
	n = session_identity_write(&s, text, sizeof text);
	assert_int_equal(session_identity_read((uint8_t *)text, n, &back), 0);
	assert_string_equal(back.name, s.name);
	assert_string_equal(back.domains, "1,5-9");
}

static void
test_a_spool_that_is_no_hex_is_none(void **state)
{
	static const char *const spools[] = {"", "00",
	    "0123456789abcdef0123456789abcdeg",
	    "0123456789abcdef0123456789abcde:", "0123456789ABCDEF0123456789ABCDEF",
	    "0123456789abcdef0123456789abcdef0"};
	struct session_identity back;
	char text[128];

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		int n = snprintf(text, sizeof text,
		    "transport=tls\npeer=a:1\nspool=%s\nstart=-1\npreamble="
		    "4294967296\n",
		    spools[i]);
		assert_int_equal(
		    session_identity_read((uint8_t *)text, (size_t)n, &back), 0);
		assert_false(back.delivery.is_on);
		assert_int_equal(back.delivery.start, 0);
		assert_int_equal(back.delivery.preamble, 0);
	}
}

static void
test_line_break_in_a_certificate_forges_no_key(void **state)
{
	struct session_identity r,
	    s = {.transport = "tls", .identity = "evil\ntransport=udp"};
	char text[SESSION_IDENTITY_TEXT];
	size_t n = session_identity_write(&s, text, sizeof text);

	(void)state;
	assert_int_equal(session_identity_read((const uint8_t *)text, n, &r), 0);
	assert_string_equal(r.transport, "tls");
	assert_string_equal(r.identity, "evil?transport=udp");
}

static void
expect_text_and_peer(const char *text, const char *peer)
{
	struct session_identity s;
	char space[ADDRESS_TEXT], again[SESSION_IDENTITY_TEXT];
	size_t n = strlen(text);

	assert_int_equal(session_identity_read((const uint8_t *)text, n, &s), 0);
	assert_string_equal(session_identity_peer(&s, space), peer);
	assert_int_equal(session_identity_write(&s, again, sizeof again), n);
	assert_memory_equal(again, text, n);
}

static void
test_a_peer_is_its_address_without_the_port(void **state)
{
	(void)state;
	expect_text_and_peer(
	    "transport=tls\npeer=192.0.2.1:5000\nidentity=\n", "192.0.2.1");
	expect_text_and_peer("transport=udp\npeer=192.0.2.1\nidentity=\n", "192.0.2.1");
	expect_text_and_peer(
	    "transport=udp\npeer=[2001:db8::1]:7\nidentity=\n", "2001:db8::1");
	expect_text_and_peer(
	    "transport=udp\npeer=[2001:db8::1]\nidentity=\n", "2001:db8::1");
}

static void
test_a_file_is_called_by_its_whole_name(void **state)
{
	(void)state;
	expect_text_and_peer("transport=file\npeer=day:2026\nidentity=\n", "day:2026");
	expect_text_and_peer(
	    "transport=file\npeer=192.0.2.1:2026\nidentity=\n", "192.0.2.1:2026");
	expect_text_and_peer("transport=file\npeer=[::1]\nidentity=\n", "[::1]");
}

static void
test_a_peer_of_no_address_is_kept_as_it_is(void **state)
{
	(void)state;
	expect_text_and_peer(
	    "transport=tcp\npeer=host:99999\nidentity=\n", "host:99999");
}

static void
test_identity_without_peer_is_refused(void **state)
{
	struct session_identity r;

	(void)state;
	assert_int_equal(
	    session_identity_read((const uint8_t *)"transport=tls\n", 14, &r), -EINVAL);
}

static void
test_unknown_keys_are_skipped(void **state)
{
	static const char text[] = "spool=12\ntransport=tcp\npeer=a\nnonsense";
	struct session_identity r;

	(void)state;
	assert_int_equal(
	    session_identity_read((const uint8_t *)text, sizeof text - 1, &r), 0);
	assert_string_equal(r.identity, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_identity_reads_back_as_written),
	    cmocka_unit_test(test_longest_identity_fits),
	    cmocka_unit_test(test_a_spool_reads_back_as_written),
	    cmocka_unit_test(test_what_the_roster_says_is_kept),
	    cmocka_unit_test(test_a_spool_that_is_no_hex_is_none),
	    cmocka_unit_test(test_line_break_in_a_certificate_forges_no_key),
	    cmocka_unit_test(test_a_peer_is_its_address_without_the_port),
	    cmocka_unit_test(test_a_file_is_called_by_its_whole_name),
	    cmocka_unit_test(test_a_peer_of_no_address_is_kept_as_it_is),
	    cmocka_unit_test(test_identity_without_peer_is_refused),
	    cmocka_unit_test(test_unknown_keys_are_skipped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
