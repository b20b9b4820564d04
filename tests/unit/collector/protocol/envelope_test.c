/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/protocol/envelope.h"

static void
each_version_is_known_by_its_header(void **state)
{
	const uint8_t ipfix[16] = {0, 10, 0, 16, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5};
	const uint8_t v9[20] = {0, 9, 0, 1}, v5[24] = {0, 5, 0, 1}, v7[24] = {0, 7};
	struct envelope e;

	(void)state;
	assert_int_equal(envelope_read(ipfix, sizeof ipfix, &e), 0);
	assert_int_equal(e.version, 10);
	assert_int_equal(e.domain, 5);
	assert_int_equal(e.sequence, 4);
	assert_int_equal(e.clock.export_ns, 3000000000ULL);
	assert_false(e.clock.has_uptime);
	assert_int_equal(envelope_read(v9, sizeof v9, &e), 0);
	assert_int_equal(e.version, 9);
	assert_int_equal(envelope_read(v5, sizeof v5, &e), 0);
	assert_int_equal(e.version, 5);
	assert_false(envelope_is(v7, sizeof v7));
	assert_false(envelope_is(v5, 1));
}

static void
what_follows_an_ipfix_message_is_not_in_it(void **state)
{
	const uint8_t bytes[24] = {0, 10, 0, 20, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5};
	struct envelope e;

	(void)state;
	assert_int_equal(envelope_read(bytes, sizeof bytes, &e), 0);
	assert_int_equal(cursor_left(&e.body), 4);
	assert_true(envelope_read(bytes, 19, &e) < 0);
}

static void
lengths_are_told_by_version(void **state)
{
	const uint8_t ipfix[] = {0, 10, 0, 99}, v5[] = {0, 5, 0, 2},
		      other[] = {0, 1, 0, 2};

	(void)state;
	assert_int_equal(envelope_length(ipfix, 4), 99);
	assert_int_equal(envelope_length(v5, 4), 24 + 2 * 48);
	assert_int_equal(envelope_length(v5, 3), 0);
	assert_true(envelope_length(other, 4) < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_version_is_known_by_its_header),
	    cmocka_unit_test(what_follows_an_ipfix_message_is_not_in_it),
	    cmocka_unit_test(lengths_are_told_by_version),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
