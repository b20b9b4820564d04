#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "collector/query/escape.h"

static size_t width;

static char *
escaped(const char *text)
{
	char *out = NULL;
	size_t length;
	FILE *to = open_memstream(&out, &length);

	width = escape_text(to, text);
	fclose(to);
	return out;
}

static char *
json(const char *text)
{
	char *out = NULL;
	size_t length;
	FILE *to = open_memstream(&out, &length);

	escape_json(to, text);
	fclose(to);
	return out;
}

static char *
csv(const char *text)
{
	char *out = NULL;
	size_t length;
	FILE *to = open_memstream(&out, &length);

	escape_csv(to, text);
	fclose(to);
	return out;
}

#define GIVES(expected, f, text)                                                       \
	do {                                                                           \
		char *out = f(text);                                                   \
		assert_string_equal(out, expected);                                    \
		free(out);                                                             \
	} while (0)

static void
utf_8_is_shown_as_it_is_and_counted_in_characters(void **state)
{
	(void)state;
	GIVES("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7", escaped,
	    "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7");
	assert_int_equal(width, 8);
}

static void
control_characters_are_escaped(void **state)
{
	(void)state;
	GIVES("a\\n\\t\\r\\x1b[2J\\x7f\\u{9b}", escaped, "a\n\t\r\x1b[2J\x7f\xc2\x9b");
}

static void
characters_that_turn_the_direction_of_writing_are_escaped(void **state)
{
	(void)state;
	GIVES("\\u{202e}gpj", escaped, "\xe2\x80\xaegpj");
	GIVES("\"\\u202egpj\"", json, "\xe2\x80\xaegpj");
}

static void
bytes_that_are_no_utf_8_are_escaped_one_by_one(void **state)
{
	(void)state;
	GIVES("\\xff\\xc3", escaped, "\xff\xc3");
	GIVES("\\xc0\\xaf", escaped, "\xc0\xaf");          /* overlong */
	GIVES("\\xed\\xa0\\x80", escaped, "\xed\xa0\x80"); /* a surrogate */
	GIVES("\\xf4\\x90\\x80\\x80", escaped, "\xf4\x90\x80\x80");
	GIVES("\"\\ufffdx\"", json, "\xffx");
}

static void
json_escapes_quotes_and_backslashes(void **state)
{
	(void)state;
	GIVES("\"a\\\"b\\\\c\\u000a\"", json, "a\"b\\c\n");
}

static void
csv_quotes_only_where_needed(void **state)
{
	(void)state;
	GIVES("plain text", csv, "plain text");
	GIVES("\"a,b\"", csv, "a,b");
	GIVES("\"say \"\"x\"\"\"", csv, "say \"x\"");
	GIVES("\"two\nlines\"", csv, "two\nlines");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(utf_8_is_shown_as_it_is_and_counted_in_characters),
	    cmocka_unit_test(control_characters_are_escaped),
	    cmocka_unit_test(characters_that_turn_the_direction_of_writing_are_escaped),
	    cmocka_unit_test(bytes_that_are_no_utf_8_are_escaped_one_by_one),
	    cmocka_unit_test(json_escapes_quotes_and_backslashes),
	    cmocka_unit_test(csv_quotes_only_where_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
