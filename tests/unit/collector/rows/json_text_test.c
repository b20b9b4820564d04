#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "collector/rows/json_text.h"

static char text[JSON_TEXT_STRING + 100];

static struct json_text
begun(size_t capacity)
{
	memset(text, 0, sizeof text);
	return (struct json_text){.out = text, .capacity = capacity};
}

static void
strings_are_escaped_and_always_utf8(void **state)
{
	static const char bytes[] =
	    "a\"b\\c\n\x7f\xc3\xbc\xff\xed\xa0\x80\xf0\x9f\x98\x80z\xc3";
	struct json_text t = begun(sizeof text - 1);

	(void)state;
	json_string(&t, bytes, sizeof bytes - 1);
	assert_string_equal(text, "\"a\\\"b\\\\c\\u000a\\u007f\xc3\xbc\\ufffd\\ufffd"
				  "\\ufffd\\ufffd\xf0\x9f\x98\x80z\\ufffd\"");
	assert_false(t.is_cut);
}

static void
long_strings_and_octets_end_in_an_ellipsis(void **state)
{
	uint8_t bytes[JSON_TEXT_STRING + 1];
	struct json_text t = begun(sizeof text - 1);

	(void)state;
	memset(bytes, 'x', sizeof bytes);
	json_string(&t, bytes, sizeof bytes);
	assert_true(t.is_cut);
	assert_int_equal(t.used, 1 + JSON_TEXT_STRING + 3 + 1);
	assert_string_equal(text + t.used - 4, "\xe2\x80\xa6\"");
	t = begun(sizeof text - 1);
	json_octets(&t, bytes, sizeof bytes);
	assert_true(t.is_cut);
	assert_int_equal(t.used, 1 + JSON_TEXT_STRING + 3 + 1);
}

static void
numbers_are_exact(void **state)
{
	struct json_text t = begun(sizeof text - 1);

	(void)state;
	json_unsigned(&t, UINT64_MAX);
	json_raw(&t, " ");
	json_signed(&t, INT64_MIN);
	json_raw(&t, " ");
	json_signed(&t, 0);
	json_raw(&t, " ");
	json_real(&t, 0.1);
	json_raw(&t, " ");
	json_real(&t, INFINITY);
	assert_string_equal(
	    text, "18446744073709551615 -9223372036854775808 0 0.1 null");
}

static void
what_does_not_fit_is_not_written_and_the_reserve_is_kept(void **state)
{
	struct json_text t = begun(10);

	(void)state;
	t.reserved = 2;
	json_raw(&t, "12345678");
	assert_false(t.is_full);
	json_raw(&t, "9");
	assert_true(t.is_full);
	json_raw(&t, "");
	assert_int_equal(t.used, 8);
	t.is_full = false;
	t.reserved = 0;
	json_raw(&t, "]}");
	assert_string_equal(text, "12345678]}");
	assert_false(t.is_full);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(strings_are_escaped_and_always_utf8),
	    cmocka_unit_test(long_strings_and_octets_end_in_an_ellipsis),
	    cmocka_unit_test(numbers_are_exact),
	    cmocka_unit_test(what_does_not_fit_is_not_written_and_the_reserve_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
