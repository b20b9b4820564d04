/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "collector/frame.h"

static void
test_identity_reads_back_as_written(void **state)
{
	struct session_identity r, s = {.transport = "tls",
				       .peer = "192.0.2.1:5000",
				       .identity = "host.example",
				       .port = 4740};
	char text[SESSION_IDENTITY_TEXT];
	size_t n = session_identity_write(&s, text, sizeof text);

	(void)state;
	assert_int_not_equal(n, 0);
	assert_int_equal(session_identity_read((const uint8_t *)text, n, &r), 0);
	assert_string_equal(r.transport, "tls");
	assert_string_equal(r.peer, "192.0.2.1:5000");
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
	assert_int_not_equal(session_identity_write(&s, text, sizeof text), 0);
}

static void
test_line_break_in_a_certificate_forges_no_key(void **state)
{
	struct session_identity r, s = {.transport = "tls",
				       .peer = "[::1]:1",
				       .identity = "evil\ntransport=udp"};
	char text[SESSION_IDENTITY_TEXT];
	size_t n = session_identity_write(&s, text, sizeof text);

	(void)state;
	assert_int_equal(session_identity_read((const uint8_t *)text, n, &r), 0);
	assert_string_equal(r.transport, "tls");
	assert_string_equal(r.identity, "evil?transport=udp");
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
	    cmocka_unit_test(test_line_break_in_a_certificate_forges_no_key),
	    cmocka_unit_test(test_identity_without_peer_is_refused),
	    cmocka_unit_test(test_unknown_keys_are_skipped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
