#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/ipfix/message.h"

static struct message m;

static int
make_message(void **state)
{
	(void)state;
	assert_int_equal(message_init(&m, 100), 0);
	message_begin(&m, 7, 1000);
	return 0;
}

static int
free_message(void **state)
{
	(void)state;
	message_done(&m);
	return 0;
}

static void
put(uint16_t set_id, size_t n, bool is_record)
{
	uint8_t *p = message_reserve(&m, set_id, n);
	assert_non_null(p);
	memset(p, 0xaa, n);
	message_commit(&m, n, is_record);
}

static void
the_header_says_version_length_time_and_domain(void **state)
{
	(void)state;
	put(256, 4, true);
	assert_int_equal(message_end(&m), 24);
	message_set_sequence(m.bytes, 99);
	const uint8_t expected[] = {0, 10, 0, 24, 0, 0, 3, 0xe8, 0, 0, 0, 99, 0, 0, 0,
	    7, 1, 0, 0, 8, 0xaa, 0xaa, 0xaa, 0xaa};
	assert_memory_equal(m.bytes, expected, sizeof expected);
}

static void
records_of_one_template_share_a_set(void **state)
{
	(void)state;
	put(256, 4, true);
	put(256, 4, true);
	put(257, 2, true);
	assert_int_equal(message_end(&m), 16 + 4 + 8 + 4 + 2);
	assert_int_equal(load_u16(m.bytes + 18), 12);
	assert_int_equal(load_u16(m.bytes + 30), 6);
}

static void
only_records_are_counted(void **state)
{
	(void)state;
	put(2, 8, false);
	put(256, 4, true);
	put(256, 4, true);
	assert_int_equal(m.records, 2);
}

static void
a_message_without_sets_has_no_length(void **state)
{
	(void)state;
	assert_int_equal(message_end(&m), 0);
	message_begin(&m, 7, 1000);
	assert_non_null(message_reserve(&m, 256, 10));
	assert_int_equal(message_end(&m), 0);
}

static void
a_reservation_that_is_not_used_leaves_nothing(void **state)
{
	(void)state;
	put(256, 4, true);
	assert_non_null(message_reserve(&m, 257, 10));
	assert_non_null(message_reserve(&m, 258, 10));
	assert_int_equal(message_end(&m), 24);
}

static void
a_message_takes_exactly_its_capacity(void **state)
{
	(void)state;
	put(256, 80, true);
	assert_null(message_reserve(&m, 256, 1));
	assert_null(message_reserve(&m, 257, 1));
	assert_int_equal(message_end(&m), 100);
}

static void
a_record_that_does_not_fit_leaves_the_message_as_it_is(void **state)
{
	(void)state;
	put(256, 70, true);
	assert_null(message_reserve(&m, 256, 11));
	put(256, 10, true);
	assert_int_equal(message_end(&m), 100);
	assert_int_equal(load_u16(m.bytes + 18), 84);
}

static void
a_new_message_begins_empty(void **state)
{
	(void)state;
	put(256, 4, true);
	message_end(&m);
	message_begin(&m, 7, 1001);
	assert_int_equal(m.records, 0);
	assert_int_equal(message_end(&m), 0);
}

static void
the_length_is_known_from_four_bytes(void **state)
{
	(void)state;
	const uint8_t bytes[] = {0, 10, 0x12, 0x34};
	for (size_t n = 0; n < 4; n++) {
		assert_int_equal(message_length(bytes, n), 0);
	}
	assert_int_equal(message_length(bytes, 4), 0x1234);
}

static void
another_version_or_a_length_below_the_header_is_no_message(void **state)
{
	(void)state;
	const uint8_t version[] = {0, 9, 0, 100};
	const uint8_t length[] = {0, 10, 0, 15};
	assert_int_equal(message_length(version, 4), -EPROTO);
	assert_int_equal(message_length(length, 4), -EPROTO);
}

static void
the_header_is_read_back(void **state)
{
	(void)state;
	put(256, 4, true);
	size_t n = message_end(&m);
	message_set_sequence(m.bytes, 5);
	struct cursor c = cursor_of(m.bytes, n);
	struct message_header h;
	assert_int_equal(message_read_header(&c, &h), 0);
	assert_int_equal(h.version, 10);
	assert_int_equal(h.length, n);
	assert_int_equal(h.export_time, 1000);
	assert_int_equal(h.sequence, 5);
	assert_int_equal(h.domain, 7);
	assert_int_equal(cursor_left(&c), 8);
}

static void
a_header_longer_than_its_bytes_is_refused(void **state)
{
	(void)state;
	put(256, 4, true);
	size_t n = message_end(&m);
	struct message_header h;
	for (size_t i = 0; i < n; i++) {
		struct cursor c = cursor_of(m.bytes, i);
		assert_int_equal(message_read_header(&c, &h), -EPROTO);
	}
}

static void
sets_come_one_after_the_other(void **state)
{
	(void)state;
	const uint8_t body[] = {1, 0, 0, 6, 1, 2, 1, 1, 0, 4, 1, 2, 0, 5, 9};
	struct cursor c = cursor_of(body, sizeof body);
	struct cursor set;
	uint16_t id;
	assert_int_equal(message_next_set(&c, &id, &set), 1);
	assert_int_equal(id, 256);
	assert_int_equal(cursor_left(&set), 2);
	assert_int_equal(message_next_set(&c, &id, &set), 1);
	assert_int_equal(id, 257);
	assert_int_equal(cursor_left(&set), 0);
	assert_int_equal(message_next_set(&c, &id, &set), 1);
	assert_int_equal(id, 258);
	assert_int_equal(cursor_u8(&set), 9);
	assert_int_equal(message_next_set(&c, &id, &set), 0);
}

static void
a_set_beyond_the_message_ends_it(void **state)
{
	(void)state;
	const uint8_t beyond[] = {1, 0, 0, 7, 1, 2};
	const uint8_t below[] = {1, 0, 0, 3, 1, 2};
	const uint8_t cut[] = {1, 0, 0};
	const struct cursor bodies[] = {cursor_of(beyond, sizeof beyond),
	    cursor_of(below, sizeof below), cursor_of(cut, sizeof cut)};
	for (size_t i = 0; i < 3; i++) {
		struct cursor c = bodies[i];
		struct cursor set;
		uint16_t id;
		assert_int_equal(message_next_set(&c, &id, &set), -EPROTO);
		assert_int_equal(message_next_set(&c, &id, &set), 0);
	}
}

#define test(f) cmocka_unit_test_setup_teardown(f, make_message, free_message)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    test(the_header_says_version_length_time_and_domain),
	    test(records_of_one_template_share_a_set),
	    test(only_records_are_counted),
	    test(a_message_without_sets_has_no_length),
	    test(a_reservation_that_is_not_used_leaves_nothing),
	    test(a_message_takes_exactly_its_capacity),
	    test(a_record_that_does_not_fit_leaves_the_message_as_it_is),
	    test(a_new_message_begins_empty),
	    test(the_length_is_known_from_four_bytes),
	    test(another_version_or_a_length_below_the_header_is_no_message),
	    test(the_header_is_read_back),
	    test(a_header_longer_than_its_bytes_is_refused),
	    test(sets_come_one_after_the_other),
	    test(a_set_beyond_the_message_ends_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
