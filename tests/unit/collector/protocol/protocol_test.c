/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/protocol/protocol.h"

static void
each_version_is_known_by_its_header(void **state)
{
	const uint8_t ipfix[16] = {0, 10, 0, 16, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5};
	const uint8_t v9[20] = {0, 9, 0, 1}, v5[24] = {0, 5, 0, 1}, v7[24] = {0, 7};
	const uint8_t sflow[28] = {0, 0, 0, 5, 0, 0, 0, 1};
	const struct protocol *p = NULL;
	struct protocol_header h;

	(void)state;
	assert_int_equal(protocol_read(ipfix, sizeof ipfix, &p, &h), 0);
	assert_ptr_equal(p, &protocol_ipfix);
	assert_int_equal(h.domain, 5);
	assert_int_equal(h.sequence, 4);
	assert_int_equal(h.clock.export_ns, 3000000000ULL);
	assert_false(h.clock.has_uptime);
	assert_int_equal(protocol_read(v9, sizeof v9, &p, &h), 0);
	assert_ptr_equal(p, &protocol_netflow9);
	assert_int_equal(protocol_read(v5, sizeof v5, &p, &h), 0);
	assert_ptr_equal(p, &protocol_netflow5);
	assert_int_equal(protocol_read(sflow, sizeof sflow, &p, &h), 0);
	assert_ptr_equal(p, &protocol_sflow5);
	assert_true(protocol_read(v7, sizeof v7, &p, &h) < 0);
	assert_true(protocol_read(v5, 1, &p, &h) < 0);
}

static void
numbers_are_those_of_the_snapshots_of_before(void **state)
{
	(void)state;
	assert_ptr_equal(protocol_numbered(10), &protocol_ipfix);
	assert_ptr_equal(protocol_numbered(9), &protocol_netflow9);
	assert_ptr_equal(protocol_numbered(5), &protocol_netflow5);
	assert_ptr_equal(protocol_numbered(0x8005), &protocol_sflow5);
	assert_null(protocol_numbered(7));
}

static void
what_follows_an_ipfix_message_is_not_in_it(void **state)
{
	const uint8_t bytes[24] = {0, 10, 0, 20, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5};
	const struct protocol *p;
	struct protocol_header h;

	(void)state;
	assert_int_equal(protocol_read(bytes, sizeof bytes, &p, &h), 0);
	assert_int_equal(cursor_left(&h.body), 4);
	assert_true(protocol_read(bytes, 19, &p, &h) < 0);
}

static void
lengths_are_told_by_version(void **state)
{
	const uint8_t ipfix[] = {0, 10, 0, 99}, v5[] = {0, 5, 0, 2},
		      other[] = {0, 1, 0, 2};

	(void)state;
	assert_int_equal(protocol_length(ipfix, 4), 99);
	assert_int_equal(protocol_length(v5, 4), 24 + 2 * 48);
	assert_int_equal(protocol_length(v5, 3), 0);
	assert_true(protocol_length(other, 4) < 0);
}

static void
only_messages_that_tell_their_length_share_a_frame(void **state)
{
	const uint8_t two[36] = {0, 10, 0, 16, [16] = 0, 10, 0, 20};
	const uint8_t v9[40] = {0, 9, 0, 1, [20] = 0, 10, 0, 20};

	(void)state;
	assert_int_equal(protocol_next(two, sizeof two), 16);
	assert_int_equal(protocol_next(two + 16, 20), 20);
	assert_int_equal(protocol_next(two + 16, 19), 19);
	assert_int_equal(protocol_next(two + 4, 32), 32);
	assert_int_equal(protocol_next(v9, sizeof v9), sizeof v9);
	assert_true(protocol_is_exact(two, 16));
	assert_false(protocol_is_exact(two, sizeof two));
	assert_false(protocol_is_exact(v9, 20));
}

static void
datagrams_of_anybody_are_looked_at_more_closely(void **state)
{
	const uint8_t ipfix[40] = {0, 10, 0, 16, [16] = 0, 10, 0, 99};
	const uint8_t v9[20] = {0, 9, 0, 1}, empty9[20] = {0, 9};
	const uint8_t v5[24] = {0, 5, 0, 1}, empty5[24] = {0, 5};

	(void)state;
	assert_int_equal(protocol_ipfix.in_datagram(ipfix, sizeof ipfix), 16);
	assert_int_equal(protocol_netflow9.in_datagram(v9, 20), 20);
	assert_int_equal(protocol_netflow9.in_datagram(v9, 19), 0);
	assert_int_equal(protocol_netflow9.in_datagram(empty9, 20), 0);
	assert_int_equal(protocol_netflow5.in_datagram(v5, 24), 24);
	assert_int_equal(protocol_netflow5.in_datagram(v5, 23), 0);
	assert_int_equal(protocol_netflow5.in_datagram(empty5, 24), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_version_is_known_by_its_header),
	    cmocka_unit_test(numbers_are_those_of_the_snapshots_of_before),
	    cmocka_unit_test(what_follows_an_ipfix_message_is_not_in_it),
	    cmocka_unit_test(lengths_are_told_by_version),
	    cmocka_unit_test(only_messages_that_tell_their_length_share_a_frame),
	    cmocka_unit_test(datagrams_of_anybody_are_looked_at_more_closely),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
