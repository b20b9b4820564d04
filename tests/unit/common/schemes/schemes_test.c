#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/schemes/schemes.h"
#include "common/sctp/sctp.h"

static void
a_uri_finds_the_row_of_its_scheme(void **state)
{
	static const struct {
		const char *text;
		const struct transport_scheme *scheme;
	} list[] = {
	    {"tcp://h", &transport_tcp},
	    {"TLS://h", &transport_tls},
	    {"sctp://h", &transport_sctp},
	    {"dtls+sctp://h", &transport_dtls_sctp},
	    {"udp://h", &transport_udp},
	    {"dtls+udp://h", &transport_dtls_udp},
	    {"file:x", &transport_file},
	};
	struct transport_uri u;
	struct err e = {0};

	(void)state;
	for (unsigned i = 0; i < sizeof list / sizeof *list; i++) {
		assert_int_equal(schemes_parse_uri(list[i].text, &u, &e), 0);
		assert_ptr_equal(u.scheme, list[i].scheme);
		assert_string_equal(u.text, list[i].text);
	}
}

static void
every_row_says_who_moves_its_bytes(void **state)
{
	static const char *const texts[] = {
	    "tcp:", "tls:", "sctp:", "dtls+sctp:", "udp:", "dtls+udp:", "file:"};
	struct transport_uri u;
	char text[32];

	(void)state;
	for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
		strcpy(text, texts[i]);
		strcat(text, i < 6 ? "//h" : "x");
		assert_int_equal(schemes_parse_uri(text, &u, NULL), 0);
		assert_non_null(u.scheme->dialer->dial);
		assert_non_null(u.scheme->connection->write);
		assert_non_null(u.scheme->connection->close);
		assert_int_equal(
		    u.scheme->is_secure, u.scheme->connection->recheck != NULL);
	}
}

static void
expect_complaint(const char *text, const char *part)
{
	struct transport_uri u = {.port = 7};
	struct err e = {0};

	assert_int_equal(schemes_parse_uri(text, &u, &e), -EINVAL);
	if (strstr(e.text, part) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", e.text, part);
	}
	assert_int_equal(u.port, 7);
}

static void
unknown_schemes_are_told_which_exist(void **state)
{
	(void)state;
	expect_complaint(
	    "htps://x", "unknown transport \"htps\" (expected tcp://HOST[:4739], ");
	expect_complaint("htps://x", "dtls+udp://HOST[:4740] or file:PATH)");
	expect_complaint("tlss://x", "\"tlss\", did you mean \"tls\"? (expected");
	expect_complaint("collector.example", "no transport given");
	expect_complaint("", "no transport given");
}

static void
nobody_listens_at_a_file(void **state)
{
	(void)state;
	assert_string_equal(schemes_text(false),
	    "tcp://HOST[:4739], tls://HOST[:4740], sctp://HOST[:4739], "
	    "dtls+sctp://HOST[:4740], udp://HOST[:4739], dtls+udp://HOST[:4740] or "
	    "file:PATH");
	assert_string_equal(schemes_text(true),
	    "tcp://HOST[:4739], tls://HOST[:4740], sctp://HOST[:4739], "
	    "dtls+sctp://HOST[:4740], udp://HOST[:4739] or dtls+udp://HOST[:4740]");
}

static void
one_secure_uri_makes_a_list_secure(void **state)
{
	static const char *const uris[] = {"tcp://h", "nonsense", "tls://h"};

	(void)state;
	assert_false(schemes_any_secure(uris, 2));
	assert_true(schemes_any_secure(uris, 3));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_uri_finds_the_row_of_its_scheme),
	    cmocka_unit_test(every_row_says_who_moves_its_bytes),
	    cmocka_unit_test(unknown_schemes_are_told_which_exist),
	    cmocka_unit_test(nobody_listens_at_a_file),
	    cmocka_unit_test(one_secure_uri_makes_a_list_secure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
