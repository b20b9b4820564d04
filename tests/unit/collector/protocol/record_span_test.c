/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "collector/protocol/record_span.h"
#include "tests/unit/collector/protocol/support_set.h"

static int
tear_down(void **state)
{
	(void)state;
	support_templates_free();
	return 0;
}

/* sourceTransportPort and a userName, twice, and two bytes of padding. */
static const uint8_t two[] = {0, 80, 2, 'a', 'b', 1, 187, 0, 0, 0};

static void
fields_are_where_they_are(void **state)
{
	const struct template *t =
	    support_template(256, "sourceTransportPort userName:v");
	struct cursor set = cursor_of(two, sizeof two), fields[2];

	(void)state;
	assert_int_equal(record_span_next(t, &set, fields), 1);
	assert_int_equal(record_span_number(t, fields, 7), 80);
	assert_ptr_equal(record_span_field(t, fields, 371)->at, two + 3);
	assert_int_equal(cursor_left(&fields[1]), 2);
	assert_null(record_span_field(t, fields, 8));
	assert_int_equal(record_span_number(t, fields, 8), 0);
	assert_int_equal(record_span_next(t, &set, fields), 1);
	assert_int_equal(record_span_number(t, fields, 7), 443);
	assert_int_equal(record_span_number(t, fields, 371), 0);
	assert_int_equal(record_span_next(t, &set, fields), 0); /* padding */
}

static void
a_number_of_more_than_8_bytes_is_none(void **state)
{
	const struct template *t = support_template(256, "octetDeltaCount:9");
	const uint8_t bytes[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
	struct cursor set = cursor_of(bytes, sizeof bytes), field;

	(void)state;
	assert_int_equal(record_span_next(t, &set, &field), 1);
	assert_int_equal(record_span_number(t, &field, 1), 0);
}

static void
whole_records_are_counted(void **state)
{
	const struct template *t =
	    support_template(256, "sourceTransportPort userName:v");
	const struct template *fixed = support_template(257, "sourceTransportPort");
	bool is_whole = false;

	(void)state;
	assert_int_equal(
	    record_span_count(t, cursor_of(two, sizeof two), &is_whole), 2);
	assert_true(is_whole);
	assert_int_equal(record_span_count(t, cursor_of(two, 4), &is_whole), 0);
	assert_false(is_whole);
	assert_int_equal(record_span_count(fixed, cursor_of(two, 5), &is_whole), 2);
	assert_true(is_whole);
}

static void
a_long_length_takes_three_bytes(void **state)
{
	const struct template *t = support_template(256, "userName:v");
	uint8_t bytes[3 + 300] = {255, 1, 44};
	struct cursor set = cursor_of(bytes, sizeof bytes), field;

	(void)state;
	assert_int_equal(record_span_next(t, &set, &field), 1);
	assert_int_equal(cursor_left(&field), 300);
	set = cursor_of(bytes, sizeof bytes - 1);
	assert_int_equal(record_span_next(t, &set, &field), -EBADMSG);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(fields_are_where_they_are),
	    TEST(a_number_of_more_than_8_bytes_is_none),
	    TEST(whole_records_are_counted),
	    TEST(a_long_length_takes_three_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
