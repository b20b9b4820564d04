#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "common/ipfix/delivery.h"

static const struct delivery_hello hello = {
    .spool = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    .preamble = 3,
    .first = 0x0102030405060708,
    .next = 0x0102030405060709,
    .lost_messages = 5,
    .lost_records = 500,
};

static void
a_hello_is_read_as_it_was_written(void **state)
{
	uint8_t bytes[DELIVERY_HELLO];
	struct delivery_hello got;

	(void)state;
	delivery_write_hello(&hello, bytes);
	assert_int_equal(delivery_read_hello(bytes, &got), 0);
	assert_memory_equal(got.spool, hello.spool, 16);
	assert_int_equal(got.preamble, 3);
	assert_int_equal(got.first, hello.first);
	assert_int_equal(got.next, hello.next);
	assert_int_equal(got.lost_messages, 5);
	assert_int_equal(got.lost_records, 500);
}

static void
a_hello_that_holds_more_than_it_made_is_refused(void **state)
{
	struct delivery_hello h = hello;
	uint8_t bytes[DELIVERY_HELLO];

	(void)state;
	h.first = h.next + 1;
	delivery_write_hello(&h, bytes);
	assert_int_equal(delivery_read_hello(bytes, &h), -EPROTO);
}

static void
an_ipfix_message_is_no_hello(void **state)
{
	static const uint8_t message[DELIVERY_HELLO] = {0, 10, 0, 64};
	struct delivery_hello h;

	(void)state;
	assert_int_equal(delivery_read_hello(message, &h), -EPROTO);
}

static void
a_word_is_read_as_it_was_written(void **state)
{
	const struct delivery_word w = {DELIVERY_ACKNOWLEDGED, UINT64_MAX - 1};
	uint8_t bytes[DELIVERY_WORD];
	struct delivery_word got;

	(void)state;
	delivery_write_word(&w, bytes);
	assert_int_equal(delivery_read_word(bytes, &got), 0);
	assert_int_equal(got.status, DELIVERY_ACKNOWLEDGED);
	assert_int_equal(got.number, UINT64_MAX - 1);
	bytes[7] = 9;
	assert_int_equal(delivery_read_word(bytes, &got), -EPROTO);
	bytes[7] = DELIVERY_BUSY;
	bytes[0] ^= 1;
	assert_int_equal(delivery_read_word(bytes, &got), -EPROTO);
}

static void
a_connection_starts_at_what_is_wanted_unless_that_is_gone(void **state)
{
	struct delivery_hello h = {.first = 10, .next = 20};

	(void)state;
	assert_int_equal(delivery_start(&h, 15), 15);
	assert_int_equal(delivery_start(&h, 5), 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_hello_is_read_as_it_was_written),
	    cmocka_unit_test(a_hello_that_holds_more_than_it_made_is_refused),
	    cmocka_unit_test(an_ipfix_message_is_no_hello),
	    cmocka_unit_test(a_word_is_read_as_it_was_written),
	    cmocka_unit_test(a_connection_starts_at_what_is_wanted_unless_that_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
