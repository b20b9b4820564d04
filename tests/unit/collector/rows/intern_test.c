#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "collector/rows/intern.h"

static const char *
text_of(struct intern *s, const char *bytes, size_t length)
{
	return intern_text(s, intern_add(s, bytes, length), NULL);
}

static void
equal_texts_have_one_number_and_zero_is_empty(void **state)
{
	struct intern *s = intern_new();
	char text[16];

	(void)state;
	assert_int_equal(intern_add(s, "", 0), 0);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 1; i < 1000; i++) {
			int n = snprintf(text, sizeof text, "text%u", i);
			assert_int_equal(intern_add(s, text, (size_t)n), i);
		}
	}
	assert_string_equal(intern_text(s, 500, NULL), "text500");
	intern_clear(s);
	assert_int_equal(intern_count(s), 1);
	intern_free(s);
}

static void
texts_are_valid_utf8_cut_at_a_nul(void **state)
{
	struct intern *s = intern_new();

	(void)state;
	assert_string_equal(text_of(s, "a\0b", 3), "a");
	assert_string_equal(text_of(s, "gr\xc3\xbc\xc3\x9f", 6), "gr\xc3\xbc\xc3\x9f");
	assert_string_equal(text_of(s, "\xff\xc0\x80", 3), "???");
	assert_string_equal(text_of(s, "\xed\xa0\x80", 3), "???"); /* a surrogate */
	assert_string_equal(text_of(s, "\xf0\x9f\x90\x99", 4), "\xf0\x9f\x90\x99");
	assert_string_equal(text_of(s, "\xf4\x90\x80\x80", 4), "????");
	assert_string_equal(text_of(s, "x\xc3", 2), "x?"); /* cut short */
	intern_free(s);
}

static void
long_texts_are_cut_between_characters(void **state)
{
	struct intern *s = intern_new();
	char text[600];
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof text; i += 2) {
		memcpy(text + i, "\xc3\xbc", 2);
	}
	intern_text(s, intern_add(s, text, sizeof text), &n);
	assert_int_equal(n, INTERN_MAX - 1);
	intern_free(s);
}

static void
texts_of_the_collector_may_be_long(void **state)
{
	struct intern *s = intern_new();
	char text[20000];
	uint32_t cut, whole;
	size_t n = 0;

	(void)state;
	memset(text, 'x', sizeof text);
	cut = intern_add(s, text, 5000);
	whole = intern_add_long(s, text, 5000);
	assert_int_not_equal(cut, whole);
	assert_int_equal(intern_add_long(s, text, 5000), whole);
	intern_text(s, cut, &n);
	assert_int_equal(n, INTERN_MAX);
	assert_memory_equal(intern_text(s, whole, &n), text, 5000);
	assert_int_equal(n, 5000);
	intern_text(s, intern_add_long(s, text, sizeof text), &n);
	assert_int_equal(n, INTERN_LONG_MAX);
	assert_int_equal(intern_add_long(s, "ab", 2), intern_add(s, "ab", 2));
	intern_free(s);
}

static void
ranks_are_the_order_of_bytes(void **state)
{
	struct intern *s = intern_new();
	uint32_t ranks[4];

	(void)state;
	intern_add(s, "c", 1);
	intern_add(s, "a", 1);
	intern_add(s, "b", 1);
	assert_int_equal(intern_ranks(s, ranks), 0);
	assert_int_equal(ranks[0], 0);
	assert_int_equal(ranks[1], 3);
	assert_int_equal(ranks[2], 1);
	assert_int_equal(ranks[3], 2);
	intern_free(s);
}

static void
marked_texts_are_kept_as_if_they_were_new(void **state)
{
	struct intern *s = intern_new();
	uint32_t marks[5] = {0};

	(void)state;
	intern_add(s, "a", 1);
	intern_add(s, "b", 1);
	intern_add(s, "c\xff", 2);
	intern_add(s, "c?", 2);
	marks[2] = marks[3] = marks[4] = 1;
	intern_keep(s, marks);
	assert_int_equal(intern_count(s), 3);
	assert_int_equal(marks[2], 1);
	assert_int_equal(marks[3], 2);
	assert_int_equal(marks[4], 2);
	assert_string_equal(intern_text(s, 0, NULL), "");
	assert_string_equal(intern_text(s, 1, NULL), "b");
	assert_string_equal(intern_text(s, 2, NULL), "c?");
	assert_int_equal(intern_add(s, "b", 1), 1);
	assert_int_equal(intern_add(s, "a", 1), 3);
	intern_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(equal_texts_have_one_number_and_zero_is_empty),
	    cmocka_unit_test(texts_are_valid_utf8_cut_at_a_nul),
	    cmocka_unit_test(long_texts_are_cut_between_characters),
	    cmocka_unit_test(texts_of_the_collector_may_be_long),
	    cmocka_unit_test(ranks_are_the_order_of_bytes),
	    cmocka_unit_test(marked_texts_are_kept_as_if_they_were_new),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
