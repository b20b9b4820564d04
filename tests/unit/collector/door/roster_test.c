/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/door/roster.h"

static struct roster *
parse(const char *text)
{
	struct roster *r = NULL;
	struct err e = {0};

	if (roster_parse("peers.yaml", text, strlen(text), &r, &e) < 0) {
		fail_msg("%s", e.text);
	}
	return r;
}

static bool
introduce(const struct roster *r, const char *identity, const char *peer,
    struct session_identity *ret)
{
	*ret = (struct session_identity){.name = "stale", .domains = "stale"};
	snprintf(ret->identity, sizeof ret->identity, "%s", identity);
	assert_int_equal(endpoint_parse(peer, &ret->peer), 0);
	return roster_introduce(r, ret);
}

static void
without_a_roster_everybody_comes_as_they_are(void **state)
{
	struct session_identity who;

	(void)state;
	assert_true(introduce(NULL, "anybody", "192.0.2.1:1", &who));
	assert_string_equal(who.name, "");
	assert_string_equal(who.domains, "");
}

static void
an_identity_has_its_name_and_domains(void **state)
{
	struct roster *r = parse("peers:\n"
				 "  - {identity: tap1.example, name: tap1, "
				 "domains: [1, 5-9]}\n"
				 "  - identity: tap2.example\n");
	struct session_identity who;

	(void)state;
	assert_true(introduce(r, "TAP1.example", "192.0.2.1:1", &who));
	assert_string_equal(who.name, "tap1");
	assert_string_equal(who.domains, "1,5-9");
	assert_true(introduce(r, "tap2.example", "192.0.2.1:1", &who));
	assert_string_equal(who.name, "");
	assert_string_equal(who.domains, "");
	assert_false(introduce(r, "tap3.example", "192.0.2.1:1", &who));
	roster_free(r);
}

static void
a_wildcard_stands_for_one_label_and_an_exact_name_wins(void **state)
{
	struct roster *r = parse("peers:\n"
				 "  - {identity: '*.edge.example', name: edge}\n"
				 "  - {identity: a.edge.example, name: a}\n");
	struct session_identity who;

	(void)state;
	assert_true(introduce(r, "a.edge.example", "192.0.2.1:1", &who));
	assert_string_equal(who.name, "a");
	assert_true(introduce(r, "b.edge.example", "192.0.2.1:1", &who));
	assert_string_equal(who.name, "edge");
	assert_false(introduce(r, "edge.example", "192.0.2.1:1", &who));
	assert_false(introduce(r, "c.b.edge.example", "192.0.2.1:1", &who));
	assert_false(introduce(r, ".edge.example", "192.0.2.1:1", &who));
	assert_false(introduce(r, "*.edge.example", "192.0.2.1:1", &who));
	roster_free(r);
}

static void
the_longest_prefix_of_an_address_wins(void **state)
{
	struct roster *r = parse("peers:\n"
				 "  - {address: 192.0.2.0/24, name: net}\n"
				 "  - {address: 192.0.2.7, name: seven, domains: 3}\n"
				 "  - {address: 2001:db8::/32, name: six}\n");
	struct session_identity who;

	(void)state;
	assert_true(introduce(r, "", "192.0.2.7:4739", &who));
	assert_string_equal(who.name, "seven");
	assert_string_equal(who.domains, "3");
	assert_true(introduce(r, "", "192.0.2.8", &who));
	assert_string_equal(who.name, "net");
	assert_true(introduce(r, "", "[2001:db8::1]:4739", &who));
	assert_string_equal(who.name, "six");
	assert_false(introduce(r, "", "192.0.3.1:4739", &who));
	roster_free(r);
}

/* One prefix of each length, of one address: another that differs first in a bit is in
 * those up to there. */
static void
prefixes_of_every_length_are_found(void **state)
{
	static char text[65536];
	struct session_identity who;
	char address[ADDRESS_TEXT], peer[64], name[16];
	struct address whole, a;
	struct roster *r;
	size_t n;

	(void)state;
	assert_int_equal(
	    address_parse("2001:db8:a5a5:5a5a:1234:8765:9abc:fedd", &whole), 0);
	n = (size_t)snprintf(text, sizeof text, "peers:\n");
	for (unsigned bits = 0; bits <= 128; bits++) {
		a = whole;
		address_mask(&a, 0, bits);
		address_format(&a, address);
		n += (size_t)snprintf(text + n, sizeof text - n,
		    "  - {address: \"%s/%u\", name: p%u}\n", address, bits, bits);
	}
	r = parse(text);
	for (unsigned bit = 0; bit <= 128; bit++) {
		a = whole;
		if (bit < 128) {
			a.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		}
		address_format(&a, address);
		snprintf(peer, sizeof peer, "[%s]:1", address);
		snprintf(name, sizeof name, "p%u", bit);
		assert_true(introduce(r, "", peer, &who));
		assert_string_equal(who.name, name);
	}
	roster_free(r);
}

static void
a_certificate_is_not_judged_by_its_address(void **state)
{
	struct roster *r = parse("peers:\n  - address: 192.0.2.0/24\n");
	struct session_identity who;

	(void)state;
	assert_false(introduce(r, "stranger.example", "192.0.2.7:4739", &who));
	roster_free(r);
}

static void
mistakes_name_their_place_and_what_would_be_right(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
	    {"", "is empty"},
	    {"[]", "under the key 'peers'"},
	    {"peer: []\n", "p:1:1: unknown key 'peer'; did you mean 'peers'?"},
	    {"peers: x\n", "p:1:8: expected a list of peers"},
	    {"peers:\n  - x\n", "p:2:5: expected a peer"},
	    {"peers:\n  - name: x\n", "p:2:5: a peer needs 'identity' or 'address'"},
	    {"peers:\n  - {identity: a, address: 192.0.2.1}\n", "not both"},
	    {"peers:\n  - {identity: a, domain: 1}\n", "did you mean 'domains'?"},
	    {"peers:\n  - identity: a*.example\n", "p:2:15: 'a*.example': a wildcard"},
	    {"peers:\n  - identity: '*'\n", "a wildcard"},
	    {"peers:\n  - identity: '*.*.x'\n", "a wildcard"},
	    {"peers:\n  - identity: ''\n", "expected the name"},
	    {"peers:\n  - address: 192.0.2.1/24\n",
		"p:2:14: '192.0.2.1/24' is not an address"},
	    {"peers:\n  - {identity: a, domains: [9-5]}\n", "not '9-5'"},
	    {"peers:\n  - {identity: a, domains: []}\n", "could send nothing"},
	    {"peers:\n  - {identity: a, name: \"x\\ny\"}\n",
		"control characters are not allowed"},
	    {"peers:\n  - identity: A.x\n  - address: 192.0.2.1\n  - identity: a.x\n",
		"p:4:5: this peer is already listed in line 2"},
	    {"peers:\n  - address: 192.0.2.1\n  - address: 192.0.2.1/32\n",
		"p:3:5: this peer is already listed in line 2"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct roster *r = NULL;
		struct err e = {0};
		assert_true(roster_parse(
				"p", cases[i].text, strlen(cases[i].text), &r, &e) < 0);
		if (strstr(e.text, cases[i].says) == NULL) {
			fail_msg("%s: %s", cases[i].text, e.text);
		}
	}
}

static void
a_file_that_is_not_there_is_said_to_be_missing(void **state)
{
	struct roster *r = NULL;
	struct err e = {0};

	(void)state;
	assert_int_equal(roster_load("/nonexistent/peers.yaml", &r, &e), -ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent/peers.yaml"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_a_roster_everybody_comes_as_they_are),
	    cmocka_unit_test(an_identity_has_its_name_and_domains),
	    cmocka_unit_test(a_wildcard_stands_for_one_label_and_an_exact_name_wins),
	    cmocka_unit_test(the_longest_prefix_of_an_address_wins),
	    cmocka_unit_test(prefixes_of_every_length_are_found),
	    cmocka_unit_test(a_certificate_is_not_judged_by_its_address),
	    cmocka_unit_test(mistakes_name_their_place_and_what_would_be_right),
	    cmocka_unit_test(a_file_that_is_not_there_is_said_to_be_missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
