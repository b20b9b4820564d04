/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "collector/protocol/message_view.h"

static struct message_view v;

#define IPFIX(length)                                                                  \
	0, 10, (length) >> 8, (length)&0xff, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5

static void
sets_are_where_they_are_in_the_message(void **state)
{
	const uint8_t bytes[] = {
	    IPFIX(33), 0, 2, 0, 4, 0, 4, 0, 4, 1, 0, 0, 5, 7, 0, 3, 0, 4};
	struct cursor data;

	(void)state;
	message_view_read(bytes, sizeof bytes, &v);
	assert_ptr_equal(v.protocol, &protocol_ipfix);
	assert_int_equal(v.set_count, 3); /* 4 is reserved */
	assert_int_equal(v.sets[0].id, 2);
	assert_int_equal(v.sets[1].id, 256);
	assert_int_equal(v.sets[2].id, 3);
	data = message_view_set(&v, 1);
	assert_int_equal(cursor_left(&data), 1);
	assert_int_equal(*data.at, 7);
	assert_true(v.has_templates);
	assert_false(v.is_broken);
}

static void
sets_before_a_wrong_length_are_there(void **state)
{
	const uint8_t bytes[] = {IPFIX(25), 1, 0, 0, 5, 7, 1, 1, 0, 99};

	(void)state;
	message_view_read(bytes, sizeof bytes, &v);
	assert_int_equal(v.set_count, 1);
	assert_true(v.is_broken);
	assert_false(v.has_templates);
}

static void
zeros_up_to_the_end_are_padding(void **state)
{
	const uint8_t bytes[] = {IPFIX(27), 1, 0, 0, 5, 7, 0, 0, 0, 0, 0, 0};

	(void)state;
	message_view_read(bytes, sizeof bytes, &v);
	assert_int_equal(v.set_count, 1);
	assert_false(v.is_broken);
}

static void
templates_of_netflow_have_the_ids_of_ipfix(void **state)
{
	const uint8_t bytes[] = {0, 9, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0,
	    0, 9, 0, 0, 0, 4, 0, 1, 0, 4, 0, 2, 0, 4, 0, 3, 0, 4, 1, 1, 0, 4};

	(void)state;
	message_view_read(bytes, sizeof bytes, &v);
	assert_ptr_equal(v.protocol, &protocol_netflow9);
	assert_int_equal(v.set_count, 3);
	assert_int_equal(v.sets[0].id, 2);
	assert_int_equal(v.sets[1].id, 3);
	assert_int_equal(v.sets[2].id, 257);
}

static void
records_are_one_set(void **state)
{
	const uint8_t bytes[24 + 2 * 48] = {0, 5, 0, 2};

	(void)state;
	message_view_read(bytes, sizeof bytes, &v);
	assert_int_equal(v.set_count, 1);
	assert_int_equal(v.sets[0].id, protocol_netflow5.record_template);
	assert_int_equal(v.sets[0].at, 24);
	assert_int_equal(v.sets[0].length, 96);
}

static void
the_longest_message_of_empty_sets_fits(void **state)
{
	static uint8_t bytes[MESSAGE_MAX + 1] = {IPFIX(MESSAGE_MAX)};

	(void)state;
	for (size_t at = 16; at + 4 <= MESSAGE_MAX; at += 4) {
		memcpy(bytes + at, "\1\0\0\4", 4);
	}
	message_view_read(bytes, MESSAGE_MAX, &v);
	assert_int_equal(v.set_count, (MESSAGE_MAX - 16) / 4);
	bytes[1] = 9; /* its header has no length */
	message_view_read(bytes, MESSAGE_MAX, &v);
	assert_ptr_equal(v.protocol, &protocol_netflow9);
	message_view_read(bytes, MESSAGE_MAX + 1, &v);
	assert_null(v.protocol);
}

static void
what_is_no_message_has_nothing(void **state)
{
	const uint8_t bytes[] = {0, 10, 0, 99, 1, 2, 3};

	(void)state;
	message_view_read(bytes, sizeof bytes, &v);
	assert_null(v.protocol);
	assert_int_equal(v.set_count, 0);
	assert_int_equal(v.length, sizeof bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sets_are_where_they_are_in_the_message),
	    cmocka_unit_test(sets_before_a_wrong_length_are_there),
	    cmocka_unit_test(zeros_up_to_the_end_are_padding),
	    cmocka_unit_test(templates_of_netflow_have_the_ids_of_ipfix),
	    cmocka_unit_test(records_are_one_set),
	    cmocka_unit_test(the_longest_message_of_empty_sets_fits),
	    cmocka_unit_test(what_is_no_message_has_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
