#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "collector/rows/structured_value.h"
#include "tests/unit/collector/protocol/support_set.h"

struct value {
	const char *element; /* NULL: unknown */
	const char *bytes;
	size_t length;
	const char *json;
};
#define VALUE(element, bytes, json)                                                    \
	{                                                                              \
		element, bytes, sizeof bytes - 1, json                                 \
	}

static void
expect(const struct value *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct element *element =
		    v[i].element == NULL
			? NULL
			: elements_find_name(support_elements(), v[i].element);
		char text[200] = "";
		struct json_text out = {.out = text, .capacity = sizeof text - 1};
		assert_true(v[i].element == NULL || element != NULL);
		structured_value_write(
		    &out, element, cursor_of((const uint8_t *)v[i].bytes, v[i].length));
		assert_string_equal(text, v[i].json);
	}
}

static void
each_type_has_the_form_that_the_tables_show(void **state)
{
	static const struct value values[] = {
	    VALUE("sourceIPv4Address", "\xc0\0\2\1", "\"192.0.2.1\""),
	    VALUE("sourceIPv6Address", "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1",
		"\"2001:db8::1\""),
	    VALUE("sourceMacAddress", "\xa\xb\xc\xd\xe\xf", "\"0a:0b:0c:0d:0e:0f\""),
	    VALUE("flowStartSeconds", "\x59\x00\x80\x55", "\"2017-04-26T11:11:17Z\""),
	    VALUE("flowStartMilliseconds", "\0\0\1\x5b\xa9\xf5\x4c\x83",
		"\"2017-04-26T11:11:17.123Z\""),
	    VALUE("flowStartNanoseconds", "\xdc\xaa\xfe\xd5\x80\0\0\0",
		"\"2017-04-26T11:11:17.500Z\""),
	    VALUE("samplingProbability", "\x3f\xe0\0\0\0\0\0\0", "0.5"),
	    VALUE("samplingProbability", "\x3f\0\0\0", "0.5"),
	    VALUE("absoluteError", "\x7f\xc0\0\0", "null"),
	    VALUE("dataRecordsReliability", "\1", "true"),
	    VALUE("dataRecordsReliability", "\2", "false"),
	    VALUE("dataRecordsReliability", "\7", "7"),
	    VALUE("octetDeltaCount", "\xff\xff\xff\xff\xff\xff\xff\xff",
		"18446744073709551615"),
	    VALUE("octetDeltaCount", "\1\2\3", "66051"),
	    VALUE("mibObjectValueInteger", "\xff\xff\xff\xfe", "-2"),
	    VALUE("userName", "ada\0\0", "\"ada\""),
	    VALUE("userName", "", "\"\""),
	    VALUE("mplsTopLabelStackSection", "\1\xa2\xff", "\"01a2ff\""),
	    VALUE(NULL, "\xbe\xef", "\"beef\""),
	};

	(void)state;
	expect(values, sizeof values / sizeof values[0]);
}

static void
values_of_a_length_that_their_type_has_not_are_octets(void **state)
{
	static const struct value values[] = {
	    VALUE("sourceIPv4Address", "\1\2\3", "\"010203\""),
	    VALUE("flowStartMilliseconds", "\4\5", "\"0405\""),
	    VALUE("octetDeltaCount", "\6\7\0\0\0\0\0\0\0", "\"060700000000000000\""),
	    VALUE("samplingProbability", "\x9\x9", "\"0909\""),
	    VALUE("sourceMacAddress", "\1", "\"01\""),
	    VALUE("protocolIdentifier", "", "null"),
	};

	(void)state;
	expect(values, sizeof values / sizeof values[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_type_has_the_form_that_the_tables_show),
	    cmocka_unit_test(values_of_a_length_that_their_type_has_not_are_octets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
