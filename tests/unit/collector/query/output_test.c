#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/query/output.h"

static const struct output_column columns[] = {
    {"name", "name", COLUMN_TEXT},
    {"start_ns", "start", COLUMN_TIME_NS},
    {"octets", "octets", COLUMN_INTEGER},
    {"mean", "mean", COLUMN_REAL},
};

static const struct sql_value rows[][4] = {
    {{.type = DATABASE_TEXT, .text = "a\x1b[31m,\"b\""},
	{.type = DATABASE_INTEGER, .integer = 1493205077000000000},
	{.type = DATABASE_INTEGER, .integer = 1234567},
	{.type = DATABASE_REAL, .real = 0.1}},
    {{.type = DATABASE_NULL}, {.type = DATABASE_NULL},
	{.type = DATABASE_INTEGER, .integer = -1},
	{.type = DATABASE_REAL, .real = 2.0 / 3}},
};

static char *
show(const struct output_settings *s, unsigned count)
{
	char *text = NULL;
	size_t length;
	FILE *to = open_memstream(&text, &length);
	struct output *o = output_new(s, columns, 4, to);

	assert_non_null(o);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(output_row(o, rows[i % 2]), 0);
	}
	assert_int_equal(output_end(o), 0);
	assert_int_equal(output_rows(o), count);
	output_free(o);
	fclose(to);
	return text;
}

#define SHOWS(expected, count, ...)                                                    \
	do {                                                                           \
		struct output_settings settings = {__VA_ARGS__};                       \
		char *text = show(&settings, count);                                   \
		assert_string_equal(text, expected);                                   \
		free(text);                                                            \
	} while (0)

static void
a_table_is_aligned_and_escapes_control_characters(void **state)
{
	(void)state;
	SHOWS("name           start                  octets   mean\n"
	      "a\\x1b[31m,\"b\"  2017-04-26T11:11:17Z  1234567  0.100\n"
	      "-              -                          -1  0.667\n",
	    2, .format = OUTPUT_TABLE, .keep = -1);
}

static void
csv_quotes_and_keeps_values_as_stored(void **state)
{
	(void)state;
	SHOWS("name,start_ns,octets,mean\r\n"
	      "\"a\x1b[31m,\"\"b\"\"\",1493205077000000000,1234567,0.1\r\n"
	      ",,-1,0.6666666666666666\r\n",
	    2, .format = OUTPUT_CSV, .keep = -1);
}

static void
csv_on_a_terminal_escapes_control_characters(void **state)
{
	(void)state;
	SHOWS("name,start,octets,mean\r\n"
	      "\"a\\x1b[31m,\"\"b\"\"\",2017-04-26T11:11:17Z,1234567,0.1\r\n",
	    1, .format = OUTPUT_CSV, .keep = -1, .is_iso = true, .is_terminal = true);
}

static void
json_is_an_array_with_one_object_per_line(void **state)
{
	(void)state;
	SHOWS(
	    "[\n{\"name\":\"a\\u001b[31m,\\\"b\\\"\",\"start_ns\":1493205077000000000,"
	    "\"octets\":1234567,\"mean\":0.1},\n"
	    "{\"name\":null,\"start_ns\":null,\"octets\":-1,"
	    "\"mean\":0.6666666666666666}\n]\n",
	    2, .format = OUTPUT_JSON, .keep = -1);
}

static void
no_rows_are_a_header_or_an_empty_array(void **state)
{
	(void)state;
	SHOWS("[]\n", 0, .format = OUTPUT_JSON, .keep = -1);
	SHOWS("name,start_ns,octets,mean\r\n", 0, .format = OUTPUT_CSV, .keep = -1);
	SHOWS("name  start  octets  mean\n", 0, .format = OUTPUT_TABLE, .keep = -1);
}

static void
a_narrow_terminal_keeps_the_column_that_orders(void **state)
{
	(void)state;
	SHOWS("name            octets\n"
	      "a\\x1b[31m,\"b\"  1234567\n",
	    1, .format = OUTPUT_TABLE, .width = 40, .keep = 2);
}

static void
many_rows_all_come_out(void **state)
{
	struct output_settings s = {.keep = -1, .format = OUTPUT_TABLE};
	char *text = show(&s, 2001);
	unsigned lines = 0;

	(void)state;
	for (char *p = text; *p != '\0'; p++) {
		lines += *p == '\n';
	}
	assert_int_equal(lines, 2002);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_table_is_aligned_and_escapes_control_characters),
	    cmocka_unit_test(csv_quotes_and_keeps_values_as_stored),
	    cmocka_unit_test(csv_on_a_terminal_escapes_control_characters),
	    cmocka_unit_test(json_is_an_array_with_one_object_per_line),
	    cmocka_unit_test(no_rows_are_a_header_or_an_empty_array),
	    cmocka_unit_test(a_narrow_terminal_keeps_the_column_that_orders),
	    cmocka_unit_test(many_rows_all_come_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
