#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "collector/query/selection.h"
#include "tests/unit/collector/query/support_store.h"

#define FIRST 17282 /* 2017-04-26 */

/* The values of `dst_port` that a question's clauses give in the first day's file, as
 * text. */
static const char *
ports(const struct store_request *r)
{
	static char text[100];
	struct store_scan s;
	struct statement *t = NULL;
	struct sql *sql = sql_new();
	struct err e = {""};

	text[0] = '\0';
	store_scan_open(&s, r);
	sql_add(sql, "SELECT dst_port FROM ");
	selection_source(s.question, s.scan.missing, "", sql);
	selection_where(s.question, s.scan.file, sql);
	selection_group_by(s.question, sql);
	selection_order(s.question, false, sql);
	selection_limit(s.question->limit, sql);
	if (sql_prepare(sql, s.scan.database, &t, &e) < 0) {
		fail_msg("%s", e.text);
	}
	while (statement_step(t, NULL) > 0) {
		strcat(text, statement_text(t, 0));
		strcat(text, " ");
	}
	statement_free(t);
	sql_free(sql);
	store_scan_close(&s);
	return text;
}

static void
clauses_choose_group_order_and_cut(void **state)
{
	(void)state;
	assert_string_equal(
	    ports(&(struct store_request){.table = "pairs"}), "80 443 80 ");
	assert_string_equal(
	    ports(&(struct store_request){.table = "pairs", .sort = "-src_ip"}),
	    "80 443 80 ");
	assert_string_equal(
	    ports(&(struct store_request){.table = "pairs", .by = "dst_port"}),
	    "80 443 ");
	assert_string_equal(ports(&(struct store_request){.table = "pairs",
				.where = {"octets_lt=80", "dst_port_ne=80"}}),
	    "443 ");
	assert_string_equal(
	    ports(&(struct store_request){.table = "pairs", .limit = 1}), "80 ");
	assert_string_equal(ports(&(struct store_request){.table = "pairs",
				.from = "2017-04-26T01:30:00Z",
				.to = "2017-04-26T01:45:00Z"}),
	    "80 ");
}

static void
a_span_touches_whole_days(void **state)
{
	struct question q = {.from_ns = 0, .to_ns = UINT64_MAX};
	struct catalog_file f = {.day = FIRST};
	struct catalog_days days = selection_days(&q);

	(void)state;
	assert_true(days.first == 0 && days.last == INT64_MAX);
	assert_true(selection_is_inside(&q, &f));
	q.from_ns = 1493164800000000000; /* the day's first moment */
	q.to_ns = q.from_ns + 86400000000000;
	days = selection_days(&q);
	assert_true(days.first == FIRST && days.last == FIRST);
	assert_true(selection_is_inside(&q, &f));
	q.to_ns--;
	assert_false(selection_is_inside(&q, &f));
	f.day = -1;
	assert_false(selection_is_inside(&q, &f));
}

static void
reduced_rows_come_by_key_records_by_all_and_groups_by_their_fields(void **state)
{
	struct store_scan s;

	(void)state;
	store_scan_open(&s, &(struct store_request){.table = "pairs"});
	assert_true(selection_orders_by(s.question, 0));
	assert_false(selection_orders_by(s.question, 6));
	assert_false(selection_is_by(s.question, 0));
	store_scan_close(&s);
	store_scan_open(&s, &(struct store_request){.table = "conversations"});
	assert_true(selection_orders_by(s.question, 3));
	assert_false(selection_orders_by(s.question, 6)); /* computed */
	store_scan_close(&s);
	store_scan_open(
	    &s, &(struct store_request){.table = "pairs", .by = "dst_port"});
	assert_true(selection_orders_by(s.question, 2));
	assert_true(selection_is_by(s.question, 2));
	assert_false(selection_orders_by(s.question, 0));
	store_scan_close(&s);
}

static void
columns_that_a_file_lacks_are_null(void **state)
{
	struct store_scan s;
	struct statement *t = NULL;
	struct sql *sql = sql_new();

	(void)state;
	store_scan_open(&s, &(struct store_request){.table = "late"});
	sql_add(sql, "SELECT packets, octets FROM ");
	selection_source(s.question, s.scan.missing, "", sql);
	assert_int_equal(sql_prepare(sql, s.scan.database, &t, NULL), 0);
	assert_int_equal(statement_step(t, NULL), 1);
	assert_int_equal(statement_i64(t, 0), 7);
	assert_int_equal(statement_type(t, 1), DATABASE_NULL);
	statement_free(t);
	sql_free(sql);
	store_scan_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(clauses_choose_group_order_and_cut),
	    cmocka_unit_test(a_span_touches_whole_days),
	    cmocka_unit_test(
		reduced_rows_come_by_key_records_by_all_and_groups_by_their_fields),
	    cmocka_unit_test(columns_that_a_file_lacks_are_null),
	};

	return cmocka_run_group_tests(tests, store_setup, store_teardown);
}
