#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/base/utf8.h"

static size_t
length(const char *text)
{
	return utf8_length((const uint8_t *)text, strlen(text));
}

static void
the_first_and_the_last_of_each_length_are_valid(void **state)
{
	static const struct {
		const char *text;
		size_t length;
		uint32_t point;
	} cases[] = {{"\x01", 1, 1}, {"\x7f", 1, 0x7f}, {"\xc2\x80", 2, 0x80},
	    {"\xdf\xbf", 2, 0x7ff}, {"\xe0\xa0\x80", 3, 0x800},
	    {"\xed\x9f\xbf", 3, 0xd7ff}, {"\xee\x80\x80", 3, 0xe000},
	    {"\xef\xbf\xbf", 3, 0xffff}, {"\xf0\x90\x80\x80", 4, 0x10000},
	    {"\xf1\x80\x80\x80", 4, 0x40000}, {"\xf4\x8f\xbf\xbf", 4, 0x10ffff}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const uint8_t *p = (const uint8_t *)cases[i].text;
		assert_int_equal(length(cases[i].text), cases[i].length);
		assert_int_equal(utf8_point(p, cases[i].length), cases[i].point);
	}
}

static void
what_the_rfc_forbids_is_invalid(void **state)
{
	static const char *const cases[] = {
	    "\x80",             /* begins in the middle */
	    "\xc0\xaf",         /* overlong */
	    "\xc1\xbf",         /* overlong */
	    "\xe0\x9f\xbf",     /* overlong */
	    "\xf0\x8f\xbf\xbf", /* overlong */
	    "\xed\xa0\x80",     /* a surrogate */
	    "\xf4\x90\x80\x80", /* beyond Unicode */
	    "\xf5\x80\x80\x80", /* beyond Unicode */
	    "\xff", "\xc3x",    /* the second byte is another character */
	    "\xe2\x82x",        /* the third */
	    "\xf0\x9f\x98x",    /* the fourth */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(length(cases[i]), 0);
	}
}

static void
a_character_that_is_cut_short_is_invalid_and_not_read_past(void **state)
{
	static const char euro[] = "\xe2\x82\xac";

	(void)state;
	for (size_t n = 1; n < 3; n++) {
		char part[4] = "";
		memcpy(part, euro, n);
		assert_int_equal(utf8_length((const uint8_t *)euro, n), 0);
		assert_int_equal(utf8_length((const uint8_t *)part, UTF8_MAX), 0);
	}
}

static void
text_is_cut_before_a_character_that_does_not_fit(void **state)
{
	(void)state;
	assert_int_equal(utf8_cut("abc", 3), 3);
	assert_int_equal(utf8_cut("abcd", 3), 3);
	assert_int_equal(utf8_cut("ab\xe2\x82\xac", 5), 5);
	assert_int_equal(utf8_cut("ab\xe2\x82\xac", 4), 2);
	assert_int_equal(utf8_cut("ab\xe2\x82\xac", 3), 2);
	assert_int_equal(utf8_cut("\xe2\x82\xac", 2), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_first_and_the_last_of_each_length_are_valid),
	    cmocka_unit_test(what_the_rfc_forbids_is_invalid),
	    cmocka_unit_test(
		a_character_that_is_cut_short_is_invalid_and_not_read_past),
	    cmocka_unit_test(text_is_cut_before_a_character_that_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
