#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/protocol/drop.h"
#include "tests/unit/collector/rows/support_rows.h"

/* What a name is refused with, at its place. */
static void
refuses(const char *name, enum schema_side side, const char *sentence)
{
	struct yaml *y = NULL;
	struct err e = {""};

	assert_int_equal(yaml_parse("t.yaml", name, strlen(name), &y, &e), 0);
	assert_int_equal(layout_field(rows.layout, y, yaml_root(y), side, &e), -EINVAL);
	if (strncmp(e.text, "t.yaml:1:1: ", 12) != 0 ||
	    strcmp(e.text + 12, sentence) != 0) {
		fail_msg("%s", e.text);
	}
	yaml_unload(y);
}

static void
names_that_mean_nothing_are_answered_with_the_nearest(void **state)
{
	(void)state;
	rows_open("[sourceAddress]");
	refuses("sourceAdress", SIDE_NONE,
	    "unknown field or element 'sourceAdress'; did you mean 'sourceAddress'?");
	refuses("forward.octet", SIDE_NONE,
	    "unknown field or element 'forward.octet'; did you mean 'forward.octets'?");
	refuses("tcpControlBit", SIDE_NONE,
	    "unknown field or element 'tcpControlBit'; did you mean 'tcpControlBits'?");
	refuses("q", SIDE_NONE, "unknown field or element 'q'");
	refuses("side.octets", SIDE_NONE,
	    "'side.octets' needs an 'emit' that says side: forward or reverse");
}

static void
a_name_is_one_field_however_often_it_is_asked_for(void **state)
{
	struct yaml *y = NULL;
	struct err e = {""};
	int forward;

	(void)state;
	rows_open("[forward.octets, forward.octets]");
	forward = rows_field("octets", "forward");
	assert_int_equal(yaml_parse("t.yaml", "side.octets", 11, &y, &e), 0);
	assert_int_equal(
	    layout_field(rows.layout, y, yaml_root(y), SIDE_FORWARD, &e), forward);
	assert_true(
	    layout_field(rows.layout, y, yaml_root(y), SIDE_REVERSE, &e) != forward);
	yaml_unload(y);
}

static void
ends_and_sides_are_partners_also_when_they_are_scaled(void **state)
{
	(void)state;
	rows_open("[sourceTransportPort, scaled.forward.octets, flowStart]");
	for (unsigned i = 0; i < rows.layout->count; i++) {
		const struct layout_field *f = &rows.layout->fields[i];
		const struct layout_field *p =
		    f->partner < 0 ? NULL : &rows.layout->fields[f->partner];
		assert_true(p == NULL || p->partner == (int)i);
		if (f->source == SOURCE_SCALED) {
			assert_int_equal(p->source, SOURCE_SCALED);
			assert_string_not_equal(p->side, f->side);
		}
	}
	assert_int_equal(
	    rows.layout->fields[rows_field("sourceTransportPort", "")].partner,
	    rows_field("destinationTransportPort", ""));
	assert_int_equal(rows.layout->fields[rows_field("flowStart", "")].partner, -1);
	assert_int_equal(rows.layout->start, rows_field("flowStart", ""));
	assert_true(rows.layout->rate >= 0);
}

/* What a record is refused with when its field x is asked for. */
static void
refuses_record(const char *text, const char *sentence)
{
	struct schema_record *record = NULL;
	struct layout *layout = NULL;
	struct yaml *y = NULL;
	struct err e = {""};
	int rc;

	assert_int_equal(yaml_parse("t.yaml", "x", 1, &y, &e), 0);
	if (schema_record_parse("r.yaml", text, strlen(text), &record, &e) < 0) {
		fail_msg("%s", e.text);
	}
	rc = layout_new(record, support_elements(), &layout, &e);
	rc = rc == 0 ? layout_field(layout, y, yaml_root(y), SIDE_NONE, &e) : rc;
	assert_int_equal(rc, -EINVAL);
	if (strstr(e.text, sentence) == NULL) {
		fail_msg("%s", e.text);
	}
	layout_free(layout);
	schema_record_free(record);
	yaml_unload(y);
}

static void
records_whose_fields_cannot_be_are_refused(void **state)
{
	(void)state;
	refuses_record("record: r\nfields: {x: {from: octetDeltaCounts}}\n",
	    "unknown information element 'octetDeltaCounts'; did you mean "
	    "'octetDeltaCount'?");
	refuses_record("record: r\nfields: {x: {from: qqqqqqqqqqqqq}}\n",
	    "unknown information element 'qqqqqqqqqqqqq'");
	refuses_record("record: r\nfields: {x: {from: [ipTTL, userName]}}\n",
	    "'userName' (text) and 'ipTTL' (integer) cannot feed one field");
	refuses_record("record: r\nfields: {x: {type: address, from: ipTTL}}\n",
	    "'ipTTL' is of kind integer, not address");
	refuses_record("record: r\nfields: {y: {from: ipTTL}}\ncomputed: {x: age}\n",
	    "cannot compute 'age' (expected flows, duration_ms, exporter or "
	    "observationDomain)");
}

static void
only_counters_are_scaled(void **state)
{
	struct yaml *y = NULL;
	struct err e = {""};
	int field;

	(void)state;
	rows_open("[sourceAddress]");
	field = rows_field("sourceAddress", "");
	assert_int_equal(yaml_parse("t.yaml", "sourceAddress", 13, &y, &e), 0);
	assert_int_equal(
	    layout_scaled(rows.layout, y, yaml_root(y), &field, &e), -EINVAL);
	assert_string_equal(e.text,
	    "t.yaml:1:1: 'sourceAddress' is not a counter and cannot be scaled");
	yaml_unload(y);
}

static void
rows_of_exporters_have_a_field_for_every_reason_to_drop(void **state)
{
	struct layout *l = NULL;
	struct err e = {""};

	(void)state;
	assert_int_equal(layout_new(NULL, support_elements(), &l, &e), 0);
	assert_int_equal(layout_finish(l, &e), 0);
	assert_int_equal(l->count, EXPORTER_DROPPED + DROPS);
	assert_string_equal(l->fields[EXPORTER_LOST].name, "lost");
	assert_string_equal(
	    l->fields[EXPORTER_DROPPED + DROP_NO_MEMORY].name, "droppedNoMemory");
	assert_int_equal(l->start, EXPORTER_FIRST_SEEN);
	layout_free(l);
}

static void
a_row_has_room_for_so_many_fields_and_no_more(void **state)
{
	const struct elements *all = support_elements();
	struct layout *l = NULL;
	struct err e = {""};
	int rc = 0;

	(void)state;
	rows_open("[sourceAddress]");
	l = rows.layout;
	for (size_t i = 0; rc >= 0 && i < elements_count(all); i++) {
		const struct yaml_node name = {
		    .kind = YAML_SCALAR, .text = elements_at(all, i)->name};
		rc = elements_at(all, i)->type <= ELEMENT_U64
			 ? layout_field(l, rows.record->yaml, &name, SIDE_NONE, &e)
			 : 0;
	}
	assert_int_equal(rc, -E2BIG);
	assert_non_null(strstr(e.text, "more than 256 different fields"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, rows_close)
	const struct CMUnitTest tests[] = {
	    TEST(names_that_mean_nothing_are_answered_with_the_nearest),
	    TEST(a_name_is_one_field_however_often_it_is_asked_for),
	    TEST(ends_and_sides_are_partners_also_when_they_are_scaled),
	    TEST(records_whose_fields_cannot_be_are_refused),
	    TEST(only_counters_are_scaled),
	    TEST(rows_of_exporters_have_a_field_for_every_reason_to_drop),
	    TEST(a_row_has_room_for_so_many_fields_and_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
