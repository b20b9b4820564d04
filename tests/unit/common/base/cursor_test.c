#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/cursor.h"

static const uint8_t bytes[] = {
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0xff};

static void
numbers_are_read_big_endian_one_after_the_other(void **state)
{
	struct cursor c = cursor_of(bytes, sizeof bytes);

	(void)state;
	assert_int_equal(cursor_u8(&c), 1);
	assert_int_equal(cursor_u16(&c), 0x0203);
	assert_int_equal(cursor_u32(&c), 0x04050607);
	assert_int_equal(cursor_u64(&c), 0x08090a0b0c0d0e0f);
	assert_int_equal(cursor_left(&c), 1);
	assert_int_equal(cursor_u8(&c), 0xff);
	assert_int_equal(cursor_left(&c), 0);
	assert_false(c.failed);
}

static void
a_read_past_the_end_is_zero_and_fails_for_good(void **state)
{
	struct cursor c = cursor_of(bytes, 7);

	(void)state;
	assert_int_equal(cursor_u64(&c), 0);
	assert_true(c.failed);
	assert_int_equal(cursor_left(&c), 0);
	assert_int_equal(cursor_u8(&c), 0); /* though there were 7 bytes */
	assert_null(cursor_take(&c, 1));
	assert_true(c.failed);
}

static void
a_length_that_no_memory_has_is_past_the_end(void **state)
{
	struct cursor c = cursor_of(bytes, sizeof bytes);

	(void)state;
	(void)cursor_u8(&c);
	assert_null(cursor_take(&c, SIZE_MAX));
	assert_true(c.failed);
}

static void
what_is_taken_lies_where_it_was(void **state)
{
	struct cursor c = cursor_of(bytes, sizeof bytes);

	(void)state;
	assert_ptr_equal(cursor_take(&c, 3), bytes);
	assert_ptr_equal(cursor_take(&c, 0), bytes + 3);
	assert_ptr_equal(cursor_take(&c, sizeof bytes - 3), bytes + 3);
	assert_false(c.failed);
}

static void
a_part_ends_where_it_was_cut_whatever_follows(void **state)
{
	struct cursor c = cursor_of(bytes, sizeof bytes), part = cursor_sub(&c, 2);

	(void)state;
	assert_int_equal(cursor_u16(&part), 0x0102);
	assert_int_equal(cursor_u8(&part), 0);
	assert_true(part.failed);
	assert_false(c.failed);
	assert_int_equal(cursor_u8(&c), 3);
}

static void
a_part_beyond_the_end_fails_with_the_whole(void **state)
{
	struct cursor c = cursor_of(bytes, 2), part = cursor_sub(&c, 3);

	(void)state;
	assert_true(part.failed && c.failed);
	assert_int_equal(cursor_left(&part), 0);
	assert_int_equal(cursor_u32(&part), 0);
}

static void
numbers_of_every_length_are_loaded(void **state)
{
	uint64_t expected = 0;

	(void)state;
	for (size_t n = 1; n <= 8; n++) {
		expected = expected << 8 | n;
		assert_int_equal(load_uint(bytes, n), expected);
	}
}

static void
what_is_stored_is_loaded_again(void **state)
{
	uint8_t to[8];

	(void)state;
	store_u16(to, 0xfedc);
	assert_int_equal(to[0], 0xfe);
	assert_int_equal(load_u16(to), 0xfedc);
	store_u32(to, 0xfedcba98);
	assert_int_equal(load_u32(to), 0xfedcba98);
	store_u64(to, 0xfedcba9876543210);
	assert_int_equal(load_u64(to), 0xfedcba9876543210);
}

static void
zeros_are_known_and_nothing_is_zero(void **state)
{
	static const uint8_t zeros[3], last[] = {0, 0, 1};

	(void)state;
	assert_true(cursor_is_zero(cursor_of(zeros, sizeof zeros)));
	assert_true(cursor_is_zero(cursor_of(last, 2)));
	assert_true(cursor_is_zero(cursor_of(zeros, 0)));
	assert_false(cursor_is_zero(cursor_of(last, sizeof last)));
}

static void
what_is_written_is_read_again(void **state)
{
	uint8_t to[23];
	struct write_cursor out = write_cursor_of(to, sizeof to);
	struct cursor in = cursor_of(to, sizeof to);

	(void)state;
	memset(to, 0xee, sizeof to);
	cursor_put_u8(&out, 1);
	cursor_put_u16(&out, 0x0203);
	cursor_put_u32(&out, 0x04050607);
	cursor_put_u64(&out, 0x08090a0b0c0d0e0f);
	cursor_put_text(&out, "text");
	cursor_put_bytes(&out, bytes, 2);
	assert_int_equal(cursor_written(&out), 21);
	cursor_put_zeros(&out, 2);
	assert_false(out.failed);
	assert_int_equal(cursor_u8(&in), 1);
	assert_int_equal(cursor_u16(&in), 0x0203);
	assert_int_equal(cursor_u32(&in), 0x04050607);
	assert_int_equal(cursor_u64(&in), 0x08090a0b0c0d0e0f);
	assert_memory_equal(cursor_take(&in, 4), "text", 4);
	assert_memory_equal(cursor_take(&in, 2), bytes, 2);
	assert_int_equal(cursor_u16(&in), 0);
}

static void
a_write_past_the_end_fails_for_good_and_touches_nothing(void **state)
{
	uint8_t to[8] = {0};
	struct write_cursor out = write_cursor_of(to, 4);

	(void)state;
	cursor_put_u16(&out, 0xffff);
	cursor_put_u32(&out, 0xffffffff);
	assert_true(out.failed);
	cursor_put_u8(&out, 0xff); /* though there was room for it */
	assert_null(cursor_put_space(&out, 1));
	assert_int_equal(cursor_written(&out), 2);
	assert_int_equal(load_u64(to), 0xffff000000000000);
}

static void
signed_and_real_numbers_load_from_few_bytes(void **state)
{
	static const uint8_t minus_two[] = {0xff, 0xff, 0xfe}, half[] = {0x3f, 0, 0, 0},
			     quarter[] = {0xbf, 0xd0, 0, 0, 0, 0, 0, 0},
			     infinite[] = {0x7f, 0x80, 0, 0};
	double v = -0.25;
	int64_t bits;

	(void)state;
	assert_int_equal(load_int(minus_two, 3), -2);
	assert_int_equal(load_int(minus_two + 2, 1), -2);
	assert_true(load_real(half, 4) == 0.5);
	assert_true(load_real(quarter, 8) == v);
	memcpy(&bits, &v, sizeof bits);
	assert_int_equal(load_real_bits(quarter, 8), bits);
	assert_int_equal(load_real_bits(infinite, 4), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_are_read_big_endian_one_after_the_other),
	    cmocka_unit_test(a_read_past_the_end_is_zero_and_fails_for_good),
	    cmocka_unit_test(a_length_that_no_memory_has_is_past_the_end),
	    cmocka_unit_test(what_is_taken_lies_where_it_was),
	    cmocka_unit_test(a_part_ends_where_it_was_cut_whatever_follows),
	    cmocka_unit_test(a_part_beyond_the_end_fails_with_the_whole),
	    cmocka_unit_test(numbers_of_every_length_are_loaded),
	    cmocka_unit_test(what_is_stored_is_loaded_again),
	    cmocka_unit_test(zeros_are_known_and_nothing_is_zero),
	    cmocka_unit_test(what_is_written_is_read_again),
	    cmocka_unit_test(a_write_past_the_end_fails_for_good_and_touches_nothing),
	    cmocka_unit_test(signed_and_real_numbers_load_from_few_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
