#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/tables/tables.h"
#include "common/base/clock.h"
#include "tests/unit/collector/protocol/support_set.h"

#define HEAD_DAY    "table: t\nfrom: conversation\npartition: day\nstorage: runs\n"
#define HEAD_APPEND "table: t\nfrom: conversation\npartition: day\nstorage: append\n"
#define KEY         "key: { src: sourceAddress }\n"
#define VALUES      "values: { packets: { sum: forward.packets } }\n"

/* The sentence about a schema that is wrong; "" when it is taken. */
static const char *
complaint(const char *text)
{
	static struct err e;
	const char *dir = support_schemas();
	struct tables_settings s = {.schema_directory = dir, .max_keys = 100};
	struct tables *t = NULL;

	e.text[0] = '\0';
	support_write("tables/t.yaml", text);
	if (tables_new(&s, support_elements(), &t, &e) == 0) {
		e.text[0] = '\0';
		tables_free(t);
	}
	support_directory_remove();
	return e.text;
}

static void
check(const char *text, const char *place, const char *words)
{
	const char *said = complaint(text);

	if (strstr(said, place) == NULL || strstr(said, words) == NULL) {
		fail_msg("'%s' lacks '%s' or '%s'", said, place, words);
	}
}

static void
a_plain_table_is_taken(void **state)
{
	(void)state;
	assert_string_equal(complaint(HEAD_DAY KEY VALUES), "");
}

static void
any_element_may_be_a_column(void **state)
{
	(void)state;
	assert_string_equal(
	    complaint(HEAD_DAY "key: { vlan: vlanId }\n"
			       "values: { mac: { lastWriteWins: sourceMacAddress } "
			       ", hops: { maximize: reverseMaximumTTL } }\n"),
	    "");
}

static void
unknown_keys_name_the_nearest(void **state)
{
	(void)state;
	check(HEAD_DAY KEY "valeus: {}\n", "t.yaml:6:1", "values");
	check(HEAD_DAY KEY VALUES "vesion: 2\n", "t.yaml:7:1", "version");
}

static void
unknown_fields_name_the_nearest(void **state)
{
	(void)state;
	check(HEAD_DAY "key: { src: sourceAddres }\n" VALUES, "t.yaml:5:13",
	    "'sourceAddress'");
	check(HEAD_DAY KEY "values: { p: { sum: forward.packet } }\n", "t.yaml:6:21",
	    "'forward.packets'");
	check(HEAD_DAY KEY "values: { p: { sum: flowz } }\n", "t.yaml:6:21", "'flows'");
	check(HEAD_DAY KEY "values: { p: { sum: ingresInterface } }\n", "t.yaml:6:21",
	    "'ingressInterface'");
}

static void
unknown_strategies_name_the_nearest(void **state)
{
	(void)state;
	check(HEAD_DAY KEY "values: { p: { maximise: forward.packets } }\n",
	    "t.yaml:6:16", "'maximize'");
	check(HEAD_DAY KEY "values: { p: forward.packets }\n", "t.yaml:6:14",
	    "no strategy for 'p'");
	check(HEAD_APPEND "values: { p: { sum: forward.packets } }\n", "t.yaml:5:14",
	    "storage append does not reduce");
}

static void
unknown_records_name_the_nearest(void **state)
{
	(void)state;
	check(
	    "table: t\nfrom: conversations\npartition: day\nstorage: runs\n" KEY VALUES,
	    "t.yaml:2:7", "'conversation'");
}

static void
words_that_resemble_none_get_all_there_are(void **state)
{
	(void)state;
	check(
	    "table: t\nfrom: conversation\npartition: hour\nstorage: runs\n" KEY VALUES,
	    "t.yaml:3:12", "unknown partition 'hour' (expected none or day)");
}

static void
storage_and_partition_belong_together(void **state)
{
	(void)state;
	check("table: t\nfrom: conversation\npartition: day\nstorage: upsert\n" KEY
		  VALUES,
	    "t.yaml:4:10", "partition none");
	check(
	    "table: t\nfrom: conversation\npartition: dya\nstorage: runs\n" KEY VALUES,
	    "t.yaml:3:12", "'day'");
}

static void
append_has_no_key_and_others_need_one(void **state)
{
	(void)state;
	check(HEAD_APPEND KEY VALUES, "t.yaml:5", "no key");
	check(HEAD_DAY VALUES, "t.yaml:1:1", "'key' is missing");
}

static void
a_table_without_values_is_refused(void **state)
{
	(void)state;
	check(HEAD_APPEND "values: { }\n", "t.yaml:5:9", "at least one column");
}

static void
kinds_that_do_not_reduce_are_refused(void **state)
{
	(void)state;
	check(HEAD_DAY KEY "values: { p: { sum: sourceAddress } }\n", "t.yaml:6:21",
	    "cannot be reduced by sum");
	check(HEAD_DAY "key: { d: { day: forward.packets } }\n" VALUES, "t.yaml:5:18",
	    "'day' needs a time");
	check(HEAD_DAY "key: { d: { prefix: flowStart } }\n" VALUES, "t.yaml:5:21",
	    "'prefix' needs an address");
}

static void
side_needs_an_emit_with_a_side(void **state)
{
	(void)state;
	check(HEAD_DAY KEY "values: { p: { sum: side.packets } }\n", "t.yaml:6:21",
	    "side: forward or reverse");
	assert_string_equal(
	    complaint(HEAD_DAY KEY "emit: [{ as: { side: reverse } }]\n"
				   "values: { p: { sum: side.packets } }\n"),
	    "");
}

static void
computed_columns_name_columns_of_the_table(void **state)
{
	(void)state;
	check(HEAD_DAY KEY
	    "values:\n  packets: { sum: forward.packets }\n  m: { mean: { "
	    "sum: packet, count: packets } }\n",
	    "t.yaml:8:21", "'packets'");
}

static void
operands_are_checked_for_their_field(void **state)
{
	(void)state;
	check(HEAD_DAY KEY VALUES "where: { protocolIdentifier: tpc }\n", "t.yaml:7:30",
	    "'tcp'");
	check(HEAD_DAY KEY VALUES "where: { sourceAddress: { prefix: 10.0.0.1/8 } }\n",
	    "t.yaml:7:35", "10.0.0.0/8");
	check(HEAD_DAY KEY VALUES "where: { sourceTransportPort: { belov: 5 } }\n",
	    "t.yaml:7:33", "'below'");
	check(HEAD_DAY KEY VALUES "where: { sourceTransportPort: { between: [5] } }\n",
	    "t.yaml:7", "[LOW, HIGH]");
	check(HEAD_DAY KEY VALUES "where: { sourceTransportPort: http }\n",
	    "t.yaml:7:31", "invalid number 'http'");
}

static void
operands_that_the_field_cannot_have_are_refused(void **state)
{
	(void)state;
	check(HEAD_DAY KEY VALUES "where: { flowStart: { below: 2300-01-01 } }\n",
	    "t.yaml:7:30", "2300-01-01 is too late");
	check(HEAD_DAY KEY VALUES "where: { sourceTransportPort: 010 }\n",
	    "t.yaml:7:31", "ambiguous number '010'");
	check(HEAD_DAY KEY VALUES
	    "where: { sourceTransportPort: { in: [80, 70000] } }\n",
	    "t.yaml:7:42", "70000 is out of range (expected 0 to 65535)");
	check(HEAD_DAY KEY VALUES "where: { protocolIdentifier: 256 }\n", "t.yaml:7:30",
	    "256 is out of range (expected 0 to 255)");
	check(HEAD_DAY KEY VALUES
	    "where: { interarrivalMicrosecondSumOfSquares: { above: nan } }\n",
	    "t.yaml:7:56", "invalid number 'nan'");
}

static void
names_are_sql_names_and_not_reserved(void **state)
{
	(void)state;
	check(
	    "table: T\nfrom: conversation\npartition: day\nstorage: runs\n" KEY VALUES,
	    "t.yaml:1:8", "letter");
	check(HEAD_DAY "key: { flowpair_x: sourceAddress }\n" VALUES, "t.yaml:5:8",
	    "reserved");
	check(HEAD_DAY "key: { packets: sourceAddress }\n" VALUES, "t.yaml:6:11",
	    "duplicate column");
}

static void
wrong_names_of_tables_name_the_nearest(void **state)
{
	static const char *const names[] = {"pairz"};
	struct tables_settings s = {.schema_directory = "schemas",
	    .names = names,
	    .name_count = 1,
	    .max_keys = 9};
	struct tables *t = NULL;
	struct err e = {""};

	(void)state;
	assert_int_equal(tables_new(&s, support_elements(), &t, &e), -EINVAL);
	assert_non_null(strstr(e.text, "'pairs'"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_plain_table_is_taken),
	    cmocka_unit_test(any_element_may_be_a_column),
	    cmocka_unit_test(unknown_keys_name_the_nearest),
	    cmocka_unit_test(unknown_fields_name_the_nearest),
	    cmocka_unit_test(unknown_strategies_name_the_nearest),
	    cmocka_unit_test(unknown_records_name_the_nearest),
	    cmocka_unit_test(words_that_resemble_none_get_all_there_are),
	    cmocka_unit_test(storage_and_partition_belong_together),
	    cmocka_unit_test(append_has_no_key_and_others_need_one),
	    cmocka_unit_test(a_table_without_values_is_refused),
	    cmocka_unit_test(kinds_that_do_not_reduce_are_refused),
	    cmocka_unit_test(side_needs_an_emit_with_a_side),
	    cmocka_unit_test(computed_columns_name_columns_of_the_table),
	    cmocka_unit_test(operands_are_checked_for_their_field),
	    cmocka_unit_test(operands_that_the_field_cannot_have_are_refused),
	    cmocka_unit_test(names_are_sql_names_and_not_reserved),
	    cmocka_unit_test(wrong_names_of_tables_name_the_nearest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
