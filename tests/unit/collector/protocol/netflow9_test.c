/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "collector/protocol/protocol.h"
#include "common/ipfix/template.h"

#define SECOND 1000000000ULL

/* 4 records, uptime 1000 ms, 2 s after 1970, message 7 of source 9. */
#define HEADER 0, 9, 0, 4, 0, 0, 3, 0xe8, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 9

static uint8_t out[PROTOCOL_REWRITE_MAX];
static unsigned bad;

#define REWRITE(flowset, ...)                                                          \
	protocol_netflow9.rewrite(flowset,                                             \
	    cursor_of(                                                                 \
		(const uint8_t[]){__VA_ARGS__}, sizeof(const uint8_t[]){__VA_ARGS__}), \
	    out, &bad)

#define assert_body(c, ...)                                                            \
	do {                                                                           \
		const uint8_t wanted[] = {__VA_ARGS__};                                \
		struct cursor got = (c);                                               \
		assert_int_equal(cursor_left(&got), sizeof wanted);                    \
		assert_memory_equal(got.at, wanted, sizeof wanted);                    \
	} while (0)

static void
the_header_has_the_exporters_clocks(void **state)
{
	const uint8_t message[] = {HEADER, 1, 0, 0, 4};
	struct protocol_header h;

	(void)state;
	assert_int_equal(protocol_netflow9.read_header(message, sizeof message, &h), 0);
	assert_int_equal(h.domain, 9);
	assert_int_equal(h.sequence, 7);
	assert_true(h.clock.has_uptime);
	assert_int_equal(h.clock.uptime_ms, 1000);
	assert_int_equal(h.clock.export_ns, 2 * SECOND);
	assert_int_equal(cursor_left(&h.body), 4);
}

static void
a_header_cut_short_is_no_message(void **state)
{
	const uint8_t message[] = {HEADER};
	struct protocol_header h;

	(void)state;
	for (size_t n = 0; n < sizeof message; n++) {
		assert_true(protocol_netflow9.read_header(message, n, &h) < 0);
	}
}

static void
templates_stay_as_they_are(void **state)
{
	(void)state;
	assert_body(
	    REWRITE(0, 1, 0, 0, 2, 0, 1, 0, 8, 0, 8, 0, 4, 1, 1, 0, 1, 0, 2, 0, 4), 1,
	    0, 0, 2, 0, 1, 0, 8, 0, 8, 0, 4, 1, 1, 0, 1, 0, 2, 0, 4);
}

static void
types_with_the_high_bit_are_ciscos(void **state)
{
	(void)state;
	/* 33002 is element 234 of enterprise 9 */
	assert_body(REWRITE(0, 1, 0, 0, 2, 0x80, 0xea, 0, 2, 0, 8, 0, 4), 1, 0, 0, 2,
	    0x80, 0xea, 0, 2, 0, 0, 0, 9, 0, 8, 0, 4);
}

static void
lengths_of_options_become_counts(void **state)
{
	(void)state;
	/* scope Interface, then samplingInterval and samplingAlgorithm */
	assert_body(
	    REWRITE(1, 1, 0, 0, 4, 0, 8, 0, 2, 0, 4, 0, 34, 0, 4, 0, 35, 0, 1, 0, 0), 1,
	    0, 0, 3, 0, 1, 0, 10, 0, 4, 0, 34, 0, 4, 0, 35, 0, 1);
}

static void
scopes_are_elements_and_options_are_not_scopes(void **state)
{
	(void)state;
	/* scopes 1, 3, 4, 5 and 200; option 1 */
	assert_body(REWRITE(1, 1, 0, 0, 20, 0, 4, 0, 1, 0, 4, 0, 3, 0, 4, 0, 4, 0, 4, 0,
			5, 0, 4, 0, 200, 0, 4, 0, 1, 0, 4),
	    1, 0, 0, 6, 0, 5, 0, 144, 0, 4, 0, 141, 0, 4, 0, 143, 0, 4, 0, 145, 0, 4, 0,
	    200, 0, 4, 0, 1, 0, 4);
}

static void
a_template_cut_short_stays_short(void **state)
{
	(void)state;
	assert_body(REWRITE(0, 1, 0, 0, 3, 0, 1, 0, 8, 0, 2), 1, 0, 0, 3, 0, 1, 0, 8);
}

static void
lengths_of_options_that_are_no_whole_fields_are_bad(void **state)
{
#define GOOD 1, 0, 0, 4, 0, 4, 0, 2, 0, 4, 0, 34, 0, 4
	(void)state;
	for (uint8_t more = 0; more < 16; more++) {
		const uint8_t scopes = 4 + more / 4, options = 4 + more % 4;
		uint8_t body[14 + 6 + 14 + 14] = {GOOD, 1, 1, 0, scopes, 0, options};
		const uint8_t good[14] = {GOOD},
			      wanted[14] = {1, 0, 0, 2, 0, 1, 0, 10, 0, 4, 0, 34, 0, 4};
		size_t n = 14 + 6 + scopes + options;
		struct cursor c;
		memcpy(body + n, good, 14);
		c = protocol_netflow9.rewrite(1, cursor_of(body, n + 14), out, &bad);
		assert_int_equal(bad, more > 0);
		assert_int_equal(cursor_left(&c), more > 0 ? 28 : 42);
		assert_memory_equal(c.at, wanted, 14);
		assert_memory_equal(c.end - 14, wanted, 14);
	}
}

static void
the_longest_set_fits(void **state)
{
	static uint8_t body[65531];
	struct cursor c;

	(void)state;
	memset(body, 0xff, sizeof body);
	c = protocol_netflow9.rewrite(0, cursor_of(body, sizeof body), out, &bad);
	assert_true(cursor_left(&c) <= PROTOCOL_REWRITE_MAX);
	memset(body, 0x80, 4);
	c = protocol_netflow9.rewrite(1, cursor_of(body, sizeof body), out, &bad);
	assert_true(cursor_left(&c) <= PROTOCOL_REWRITE_MAX);
}

static void
a_message_ends_where_the_next_one_begins(void **state)
{
	const uint8_t two[] = {HEADER, 1, 0, 0, 8, 1, 2, 3, 4, HEADER, 1, 0, 0, 4};

	(void)state;
	assert_int_equal(protocol_length(two, sizeof two), 28);
	assert_int_equal(protocol_length(two + 28, 24), 24);
	assert_int_equal(protocol_length(two, 3), 0);
}

static void
a_message_whose_sets_make_no_sense_takes_the_rest(void **state)
{
	const uint8_t message[] = {HEADER, 1, 0, 0, 2, 0, 9, 0, 1, 1, 2, 3};

	(void)state;
	assert_int_equal(protocol_length(message, sizeof message), sizeof message);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_header_has_the_exporters_clocks),
	    cmocka_unit_test(a_header_cut_short_is_no_message),
	    cmocka_unit_test(templates_stay_as_they_are),
	    cmocka_unit_test(types_with_the_high_bit_are_ciscos),
	    cmocka_unit_test(lengths_of_options_become_counts),
	    cmocka_unit_test(scopes_are_elements_and_options_are_not_scopes),
	    cmocka_unit_test(a_template_cut_short_stays_short),
	    cmocka_unit_test(lengths_of_options_that_are_no_whole_fields_are_bad),
	    cmocka_unit_test(the_longest_set_fits),
	    cmocka_unit_test(a_message_ends_where_the_next_one_begins),
	    cmocka_unit_test(a_message_whose_sets_make_no_sense_takes_the_rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
