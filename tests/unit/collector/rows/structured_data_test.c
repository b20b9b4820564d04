#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rows/structured_data.h"
#include "tests/unit/collector/protocol/support_set.h"

#define ALL_OF 3

static struct templates *known;
static struct structured_data_counts counts;
static uint64_t oldest_ns;

static int
set_up(void **state)
{
	(void)state;
	known = templates_new(64, 4096);
	counts = (struct structured_data_counts){0};
	oldest_ns = 0;
	return known == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	(void)state;
	templates_free(known);
	support_templates_free();
	return 0;
}

/* A template that lists may refer to, seen at 1000 ns. */
static void
define(uint16_t id, const char *fields)
{
	const struct template *t = support_template(id, fields);
	struct template_counts c = {0};

	templates_set_time(known, 1000);
	templates_read_set(known, support_elements(), TEMPLATE_SET_ID,
	    cursor_of(t->raw, t->raw_length), true, &c);
	assert_int_equal(c.added + c.redefined, 1);
}

/* The text of these bytes in memory of exactly their size. */
static const char *
text_in(enum element_type type, const void *bytes, size_t length, size_t capacity)
{
	static char text[20000];
	struct structured_data s = {.elements = support_elements(),
	    .templates = known,
	    .oldest_ns = oldest_ns,
	    .counts = counts};
	uint8_t *exact = malloc(length > 0 ? length : 1);
	struct json_text out = {.out = malloc(capacity), .capacity = capacity};
	struct cursor list;

	memcpy(exact, bytes, length);
	list = cursor_of(exact, length);
	structured_data_write(&s, type, &list, 1, &out);
	assert_true(out.used <= capacity);
	memcpy(text, out.out, out.used);
	text[out.used] = '\0';
	counts = s.counts;
	free(exact);
	free(out.out);
	return text;
}

static const char *
text_of(enum element_type type, const struct support_set *s)
{
	return text_in(type, s->bytes, s->length, 16383);
}

/* The JSON of a list in this much memory; ' stands for ". */
static void
expect_in(enum element_type type, const struct support_set *s, size_t capacity,
    const char *json)
{
	char expected[4096], *quote = strcpy(expected, json);

	while ((quote = strchr(quote, '\'')) != NULL) {
		*quote = '"';
	}
	assert_string_equal(text_in(type, s->bytes, s->length, capacity), expected);
}

static void
expect(enum element_type type, const struct support_set *s, const char *json)
{
	expect_in(type, s, 16383, json);
}

/* The header of a basicList of IANA's element. */
static struct support_set
basic_list(uint8_t semantic, uint16_t id, uint16_t length)
{
	struct support_set s = {.length = 0};

	support_put(&s, semantic, 1);
	SUPPORT_PUT(&s, 2, id, length);
	return s;
}

/* A basicList of n ports: first, first + 1, ... */
static struct support_set
ports(unsigned first, unsigned n)
{
	struct support_set s = basic_list(ALL_OF, 7, 2);

	for (unsigned i = 0; i < n; i++) {
		support_put(&s, first + i, 2);
	}
	return s;
}

static struct support_set
sub_template_list(uint16_t id)
{
	struct support_set s = {.length = 0};

	support_put(&s, ALL_OF, 1);
	support_put(&s, id, 2);
	return s;
}

static void
put_text(struct support_set *s, const char *text)
{
	support_put(s, strlen(text), 1);
	support_put_bytes(s, text, strlen(text));
}

/* As a field of variable length whose length takes three bytes. */
static void
put_list(struct support_set *s, const struct support_set *list)
{
	support_put(s, 255, 1);
	support_put(s, list->length, 2);
	support_put_bytes(s, list->bytes, list->length);
}

static void
a_basic_list_is_its_semantic_its_element_and_its_values(void **state)
{
	struct support_set s = basic_list(ALL_OF, 7, 2);

	(void)state;
	SUPPORT_PUT(&s, 2, 80, 443);
	expect(ELEMENT_BASIC_LIST, &s,
	    "{'semantic':'allOf','element':'sourceTransportPort','values':[80,443]}");
	assert_int_equal(counts.malformed + counts.no_template + counts.cut, 0);
}

static void
values_of_a_basic_list_may_have_lengths_of_their_own(void **state)
{
	struct support_set s = basic_list(4, 96, ELEMENT_VARIABLE);

	(void)state;
	put_text(&s, "dns");
	put_text(&s, "");
	support_put(&s, 255, 1);
	support_put(&s, 4, 2);
	support_put_bytes(&s, "http", 4);
	expect(ELEMENT_BASIC_LIST, &s,
	    "{'semantic':'ordered','element':'applicationName','values':['dns','',"
	    "'http']}");
}

static void
semantics_are_words_where_the_registry_has_one(void **state)
{
	static const struct {
		uint8_t semantic;
		const char *text;
	} cases[] = {{0, "\"noneOf\""}, {1, "\"exactlyOneOf\""}, {2, "\"oneOrMoreOf\""},
	    {3, "\"allOf\""}, {4, "\"ordered\""}, {255, "\"undefined\""}, {5, "5"},
	    {254, "254"}};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct support_set s = basic_list(cases[i].semantic, 4, 1);
		char json[128];
		snprintf(json, sizeof json,
		    "{'semantic':%s,'element':'protocolIdentifier','values':[]}",
		    cases[i].text);
		expect(ELEMENT_BASIC_LIST, &s, json);
	}
}

static void
elements_that_no_registry_knows_are_numbers_and_octets(void **state)
{
	struct support_set s = basic_list(ALL_OF, 0x8000 | 77, 2);

	(void)state;
	support_put(&s, 4242, 4);
	support_put(&s, 0xbeef, 2);
	expect(ELEMENT_BASIC_LIST, &s,
	    "{'semantic':'allOf','element':'4242:77','values':['beef']}");
}

static void
a_sub_template_list_has_records_of_variable_length_too(void **state)
{
	struct support_set s = sub_template_list(301);

	(void)state;
	define(301, "applicationName:v paddingOctets:1 sourceTransportPort");
	put_text(&s, "one");
	support_put(&s, 0, 1);
	support_put(&s, 1, 2);
	put_text(&s, "two");
	support_put(&s, 0, 1);
	support_put(&s, 2, 2);
	expect(ELEMENT_SUB_TEMPLATE_LIST, &s,
	    "{'semantic':'allOf','template':301,'records':[{'applicationName':'one',"
	    "'sourceTransportPort':1},{'applicationName':'two','sourceTransportPort':"
	    "2}]}");
}

static void
a_multi_list_has_parts_whose_length_counts_their_header(void **state)
{
	struct support_set s = {.length = 0};

	(void)state;
	define(300, "protocolIdentifier");
	define(301, "sourceTransportPort");
	support_put(&s, 1, 1);
	SUPPORT_PUT(&s, 2, 300, 6);
	SUPPORT_PUT(&s, 1, 6, 17);
	SUPPORT_PUT(&s, 2, 301, 6, 443, 301, 4);
	expect(ELEMENT_SUB_TEMPLATE_MULTI_LIST, &s,
	    "{'semantic':'exactlyOneOf','templates':[{'template':300,'records':[{"
	    "'protocolIdentifier':6},{'protocolIdentifier':17}]},{'template':301,"
	    "'records':[{'sourceTransportPort':443}]},{'template':301,'records':[]}]}");
}

static void
lists_of_one_element_have_names_that_differ(void **state)
{
	struct support_set s = sub_template_list(300);
	struct support_set a = basic_list(ALL_OF, 4, 1), b = ports(80, 1);

	(void)state;
	define(300, "basicList:v protocolIdentifier basicList:v basicList:v");
	support_put(&a, 6, 1);
	put_list(&s, &a);
	support_put(&s, 17, 1);
	put_list(&s, &b);
	support_put(&s, 0, 1);
	expect(ELEMENT_SUB_TEMPLATE_LIST, &s,
	    "{'semantic':'allOf','template':300,'records':[{'basicList':{'semantic':"
	    "'allOf','element':'protocolIdentifier','values':[6]},'protocolIdentifier':"
	    "17,'basicList#2':{'semantic':'allOf','element':'sourceTransportPort',"
	    "'values':[80]},'basicList#3':{}}]}");
}

static void
a_template_that_is_not_there_leaves_its_number_and_the_length(void **state)
{
	struct support_set s = sub_template_list(999);

	(void)state;
	support_put(&s, 0, 8);
	expect(ELEMENT_SUB_TEMPLATE_LIST, &s,
	    "{'semantic':'allOf','template':999,'length':8}");
	assert_int_equal(counts.no_template, 1);
	assert_int_equal(counts.malformed, 0);
}

static void
a_part_without_template_leaves_the_others_readable(void **state)
{
	struct support_set s = {.length = 0};

	(void)state;
	define(300, "protocolIdentifier");
	support_put(&s, 255, 1);
	SUPPORT_PUT(&s, 2, 999, 7);
	support_put(&s, 1, 3);
	SUPPORT_PUT(&s, 2, 300, 5);
	support_put(&s, 6, 1);
	expect(ELEMENT_SUB_TEMPLATE_MULTI_LIST, &s,
	    "{'semantic':'undefined','templates':[{'template':999,'length':3},{"
	    "'template':300,'records':[{'protocolIdentifier':6}]}]}");
	assert_int_equal(counts.no_template, 1);
}

static void
an_empty_list_needs_no_template(void **state)
{
	struct support_set s = sub_template_list(999);

	(void)state;
	expect(ELEMENT_SUB_TEMPLATE_LIST, &s,
	    "{'semantic':'allOf','template':999,'records':[]}");
	assert_string_equal(text_in(ELEMENT_SUB_TEMPLATE_LIST, "", 0, 200), "{}");
	assert_int_equal(counts.no_template + counts.malformed, 0);
}

static void
a_template_that_has_expired_is_not_there(void **state)
{
	struct support_set s = sub_template_list(300);

	(void)state;
	define(300, "protocolIdentifier");
	support_put(&s, 6, 1);
	oldest_ns = 1001;
	expect(ELEMENT_SUB_TEMPLATE_LIST, &s,
	    "{'semantic':'allOf','template':300,'length':1}");
	oldest_ns = 1000;
	expect(ELEMENT_SUB_TEMPLATE_LIST, &s,
	    "{'semantic':'allOf','template':300,'records':[{'protocolIdentifier':6}]}");
}

static void
a_template_that_was_redefined_is_read_as_it_is_now(void **state)
{
	struct support_set s = sub_template_list(300);

	(void)state;
	define(300, "protocolIdentifier protocolIdentifier");
	support_put(&s, 0x0611, 2);
	expect(ELEMENT_SUB_TEMPLATE_LIST, &s,
	    "{'semantic':'allOf','template':300,'records':[{'protocolIdentifier':6,"
	    "'protocolIdentifier#2':17}]}");
	define(300, "sourceTransportPort");
	expect(ELEMENT_SUB_TEMPLATE_LIST, &s,
	    "{'semantic':'allOf','template':300,'records':[{'sourceTransportPort':"
	    "1553}]}");
}

static void
zeros_shorter_than_a_record_are_padding(void **state)
{
	struct support_set s = sub_template_list(300);

	(void)state;
	define(300, "octetDeltaCount");
	support_put(&s, 5, 8);
	support_put(&s, 0, 3);
	expect(ELEMENT_SUB_TEMPLATE_LIST, &s,
	    "{'semantic':'allOf','template':300,'records':[{'octetDeltaCount':5}]}");
	assert_int_equal(counts.malformed, 0);
}

static void
what_is_malformed_is_said_and_counted(void **state)
{
	static const struct {
		enum element_type type;
		const char *bytes;
		size_t length;
		const char *wrong;
	} cases[] = {
	    {ELEMENT_BASIC_LIST, "\3\0\4\0", 4, "its header is cut short"},
	    {ELEMENT_BASIC_LIST, "\3\x80\4\0\1\0\0\1", 8, "its header is cut short"},
	    {ELEMENT_BASIC_LIST, "\3\0\4\0\0\6", 6, "its values have no length"},
	    {ELEMENT_BASIC_LIST, "\3\0\7\0\2\0\x50\1", 8, "a value runs over its end"},
	    {ELEMENT_BASIC_LIST, "\3\0\x60\xff\xff\2a", 7, "a value runs over its end"},
	    {ELEMENT_BASIC_LIST, "\3\0\x60\xff\xff\xff\0", 7,
		"a value runs over its end"},
	    {ELEMENT_SUB_TEMPLATE_LIST, "\3\1", 2, "its header is cut short"},
	    {ELEMENT_SUB_TEMPLATE_LIST, "\3\1\x2c\0\1\2", 6,
		"its last record is cut short"},
	    {ELEMENT_SUB_TEMPLATE_LIST, "\3\1\x2d\2ab\5\2", 8,
		"a value runs over its end"},
	    {ELEMENT_SUB_TEMPLATE_MULTI_LIST, "\3\1\x2c\0", 4,
		"its last part is cut short"},
	    {ELEMENT_SUB_TEMPLATE_MULTI_LIST, "\3\1\x2c\0\3", 5,
		"a part is shorter than its header"},
	    {ELEMENT_SUB_TEMPLATE_MULTI_LIST, "\3\1\x2c\0\6\1", 6,
		"a part runs over its end"},
	    {ELEMENT_SUB_TEMPLATE_MULTI_LIST, "\3\1\x2c\0\5\1", 6,
		"its last record is cut short"},
	};

	(void)state;
	define(300, "sourceTransportPort");
	define(301, "applicationName:v");
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		char expected[160];
		snprintf(expected, sizeof expected,
		    "{\"malformed\":\"%s\",\"length\":%zu}", cases[i].wrong,
		    cases[i].length);
		assert_string_equal(text_in(cases[i].type, cases[i].bytes,
					cases[i].length, STRUCTURED_DATA_LEAST),
		    expected);
		assert_int_equal(counts.malformed, i + 1);
	}
}

static void
a_malformed_list_spoils_nothing_around_it(void **state)
{
	struct support_set s = sub_template_list(300);
	struct support_set bad = ports(80, 1), good = ports(443, 1);

	(void)state;
	define(300, "basicList:v protocolIdentifier");
	support_put(&bad, 1, 1);
	put_list(&s, &bad);
	support_put(&s, 6, 1);
	put_list(&s, &good);
	support_put(&s, 17, 1);
	expect(ELEMENT_SUB_TEMPLATE_LIST, &s,
	    "{'semantic':'allOf','template':300,'records':[{'basicList':{'malformed':"
	    "'a value runs over its end','length':8},'protocolIdentifier':6},{"
	    "'basicList':{'semantic':'allOf','element':'sourceTransportPort','values':["
	    "443]},'protocolIdentifier':17}]}");
	assert_int_equal(counts.malformed, 1);
}

/* A basicList of one basicList, and so on. */
static struct support_set
nested(unsigned depth)
{
	struct support_set s = basic_list(ALL_OF, 4, 1);

	for (unsigned i = 1; i < depth; i++) {
		struct support_set outer = basic_list(ALL_OF, 291, ELEMENT_VARIABLE);
		put_list(&outer, &s);
		s = outer;
	}
	return s;
}

static void
lists_nest_eight_deep_and_no_more(void **state)
{
	struct support_set s = nested(8);

	(void)state;
	assert_null(strstr(text_of(ELEMENT_BASIC_LIST, &s), "malformed"));
	assert_int_equal(counts.malformed, 0);
	s = nested(9);
	assert_non_null(strstr(text_of(ELEMENT_BASIC_LIST, &s),
	    "{\"malformed\":\"lists nest more than 8 deep\",\"length\":5}"));
	assert_int_equal(counts.malformed, 1);
}

static void
a_template_of_itself_ends_where_lists_may_nest_no_deeper(void **state)
{
	struct support_set s = sub_template_list(300);

	(void)state;
	define(300, "subTemplateList:v");
	for (unsigned i = 0; i < 300; i++) {
		struct support_set outer = sub_template_list(300);
		put_list(&outer, &s);
		s = outer;
	}
	assert_non_null(strstr(text_of(ELEMENT_SUB_TEMPLATE_LIST, &s), "deep"));
	assert_int_equal(counts.malformed, 1);
}

static void
what_has_no_room_is_counted_and_the_text_stays_whole(void **state)
{
	struct support_set s = ports(10000, 1000);

	(void)state;
	expect_in(ELEMENT_BASIC_LIST, &s, 160,
	    "{'semantic':'allOf','element':'sourceTransportPort','values':[10000,10001,"
	    "10002,10003,10004,10005,10006,10007,10008,10009,10010,10011],'omitted':"
	    "988}");
	assert_int_equal(counts.cut, 1);
}

static void
lists_in_a_list_without_room_end_whole_too(void **state)
{
	struct support_set s = sub_template_list(300);

	(void)state;
	define(300, "basicList:v");
	for (unsigned i = 0; i < 3; i++) {
		struct support_set inner = ports(10000, 100);
		put_list(&s, &inner);
	}
	expect_in(ELEMENT_SUB_TEMPLATE_LIST, &s, 220,
	    "{'semantic':'allOf','template':300,'records':[{'basicList':{'semantic':"
	    "'allOf','element':'sourceTransportPort','values':[10000,10001,10002,10003,"
	    "10004,10005,10006,10007],'omitted':92}}],'omitted':2}");
	assert_int_equal(counts.cut, 1);
	assert_int_equal(counts.malformed, 0);
}

static void
what_is_left_out_is_checked_all_the_same(void **state)
{
	struct support_set s = ports(0, 1000);

	(void)state;
	support_put(&s, 1, 1);
	expect_in(ELEMENT_BASIC_LIST, &s, 160,
	    "{'malformed':'a value runs over its end','length':2006}");
	assert_int_equal(counts.malformed, 1);
	assert_int_equal(counts.cut, 0);
}

static void
long_strings_end_in_an_ellipsis(void **state)
{
	struct support_set s = basic_list(ALL_OF, 96, ELEMENT_VARIABLE);

	(void)state;
	support_put(&s, 255, 1);
	support_put(&s, 5000, 2);
	memset(s.bytes + s.length, 'x', 5000);
	s.length += 5000;
	assert_non_null(strstr(text_of(ELEMENT_BASIC_LIST, &s), "xxx\xe2\x80\xa6\"]}"));
	assert_int_equal(counts.cut, 1);
}

static void
fields_without_length_cannot_make_a_short_list_long(void **state)
{
	struct support_set s = sub_template_list(300);
	struct support_set t = {.length = 0};
	struct template_counts c = {0};

	(void)state;
	SUPPORT_PUT(&t, 2, 300, 33, 4, 1);
	for (unsigned i = 0; i < 32; i++) {
		SUPPORT_PUT(&t, 2, 1, 0);
	}
	templates_read_set(known, support_elements(), TEMPLATE_SET_ID,
	    cursor_of(t.bytes, t.length), true, &c);
	assert_int_equal(c.added, 1);
	support_put_bytes(&s, "\6\7\10\11\12\13\14\15\16\17", 10);
	expect(ELEMENT_SUB_TEMPLATE_LIST, &s,
	    "{'malformed':'more fields than bytes','length':13}");
}

static void
several_lists_are_an_array_and_none_is_lost_to_the_first(void **state)
{
	struct structured_data s = {.elements = support_elements()};
	struct support_set a = basic_list(ALL_OF, 4, 1), b = basic_list(1, 4, 1);
	struct cursor lists[3];
	char out[400];
	struct json_text text = {.out = out, .capacity = sizeof out - 1};

	(void)state;
	support_put(&a, 6, 1);
	support_put(&b, 17, 1);
	lists[0] = cursor_of(a.bytes, a.length);
	lists[1] = cursor_of(b.bytes, b.length);
	lists[2] = cursor_of(b.bytes, 3);
	structured_data_write(&s, ELEMENT_BASIC_LIST, lists, 3, &text);
	out[text.used] = '\0';
	assert_string_equal(out,
	    "[{\"semantic\":\"allOf\",\"element\":\"protocolIdentifier\",\"values\":[6]"
	    "},{\"semantic\":\"exactlyOneOf\",\"element\":\"protocolIdentifier\","
	    "\"values\":[17]},{\"malformed\":\"its header is cut short\",\"length\":3}]");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	    T(a_basic_list_is_its_semantic_its_element_and_its_values),
	    T(values_of_a_basic_list_may_have_lengths_of_their_own),
	    T(semantics_are_words_where_the_registry_has_one),
	    T(elements_that_no_registry_knows_are_numbers_and_octets),
	    T(a_sub_template_list_has_records_of_variable_length_too),
	    T(a_multi_list_has_parts_whose_length_counts_their_header),
	    T(lists_of_one_element_have_names_that_differ),
	    T(a_template_that_is_not_there_leaves_its_number_and_the_length),
	    T(a_part_without_template_leaves_the_others_readable),
	    T(an_empty_list_needs_no_template),
	    T(a_template_that_has_expired_is_not_there),
	    T(a_template_that_was_redefined_is_read_as_it_is_now),
	    T(zeros_shorter_than_a_record_are_padding),
	    T(what_is_malformed_is_said_and_counted),
	    T(a_malformed_list_spoils_nothing_around_it),
	    T(lists_nest_eight_deep_and_no_more),
	    T(a_template_of_itself_ends_where_lists_may_nest_no_deeper),
	    T(what_has_no_room_is_counted_and_the_text_stays_whole),
	    T(lists_in_a_list_without_room_end_whole_too),
	    T(what_is_left_out_is_checked_all_the_same),
	    T(long_strings_end_in_an_ellipsis),
	    T(fields_without_length_cannot_make_a_short_list_long),
	    T(several_lists_are_an_array_and_none_is_lost_to_the_first),
#undef T
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
