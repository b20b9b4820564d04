#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/unit/collector/query/support_store.h"

/* The columns that are shown, by name. */
static void
shows(const struct store_request *r, const char *expected)
{
	struct store_scan s;
	char text[200] = "";

	store_scan_open(&s, r);
	for (unsigned i = 0; i < s.question->column_count; i++) {
		strcat(text, i > 0 ? "," : "");
		strcat(text, s.question->table->columns[s.question->columns[i]].name);
	}
	assert_string_equal(text, expected);
	store_scan_close(&s);
}

static void
complains(const struct store_request *r, const char *sentence)
{
	assert_string_equal(store_complaint(r), sentence);
}

static void
columns_are_shown_once_in_the_order_asked(void **state)
{
	(void)state;
	shows(&(struct store_request){.table = "pairs",
		  .columns = "octets, start,octets"},
	    "octets,start_ns");
	shows(&(struct store_request){.table = "late"}, "src_ip,packets,octets");
	shows(
	    &(struct store_request){
		.table = "pairs", .by = "dst_port", .columns = "octets"},
	    "dst_port,octets");
	shows(&(struct store_request){.table = "late", .by = "src_ip"},
	    "src_ip,packets,octets");
	shows(&(struct store_request){.table = "conversations", .by = "src_ip"},
	    "src_ip,start_ns,fwd_packets,fwd_payload_octets,fwd_payload_max,"
	    "fwd_payload_mean,gap_mean,records");
}

static void
top_orders_by_octets_then_bytes_then_packets(void **state)
{
	static const struct {
		struct store_request request;
		const char *column;
	} cases[] = {
	    {{.table = "pairs", .top = 3}, "octets"},
	    {{.table = "services", .top = 3}, "bytes"},
	    {{.table = "conversations", .top = 3}, "fwd_payload_octets"},
	    {{.table = "pairs", .top = 3, .sort = "packets"}, "packets"},
	};
	struct store_scan s;

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		store_scan_open(&s, &cases[i].request);
		assert_string_equal(
		    s.question->table->columns[s.question->sort].name, cases[i].column);
		assert_true(s.question->is_descending);
		assert_int_equal(s.question->limit, 3);
		store_scan_close(&s);
	}
}

static void
limits_and_signs_are_understood(void **state)
{
	struct store_scan s;

	(void)state;
	store_scan_open(
	    &s, &(struct store_request){
		    .table = "pairs", .top = 5, .limit = 2, .sort = "+octets"});
	assert_int_equal(s.question->limit, 2);
	assert_false(s.question->is_descending);
	store_scan_close(&s);
	store_scan_open(&s, &(struct store_request){.table = "pairs"});
	assert_true(s.question->limit == UINT64_MAX && s.question->sort == -1);
	store_scan_close(&s);
}

static void
a_day_that_to_names_is_included(void **state)
{
	struct store_scan s;

	(void)state;
	store_scan_open(
	    &s, &(struct store_request){
		    .table = "pairs", .from = "2017-04-26", .to = "2017-04-26"});
	assert_int_equal(s.question->to_ns - s.question->from_ns, 86400000000000);
	store_scan_close(&s);
	store_scan_open(&s,
	    &(struct store_request){.table = "pairs", .to = "2017-04-26T00:00:00Z"});
	assert_int_equal(s.question->to_ns, 1493164800000000000);
	assert_int_equal(s.question->from_ns, 0);
	store_scan_close(&s);
}

static void
what_cannot_be_asked_is_explained(void **state)
{
	(void)state;
	complains(&(struct store_request){.table = "pairs", .by = "mean"},
	    "--by mean: the column is computed from others; group by one that is "
	    "stored");
	complains(&(struct store_request){.table = "pairs", .columns = ","},
	    "\",\" names no column of pairs");
	complains(
	    &(struct store_request){.table = "conversations", .columns = "records"},
	    "--columns records: the column counts the rows of a group; give --by too");
	complains(
	    &(struct store_request){
		.table = "conversations", .by = "src_ip", .sort = "note"},
	    "--sort note: rows grouped by --by have no single note; add it to "
	    "--by");
	complains(
	    &(struct store_request){.table = "late", .columns = "nothing_like_it"},
	    "table late has no column \"nothing_like_it\"; it has src_ip, packets, "
	    "octets");
	complains(
	    &(struct store_request){
		.table = "pairs", .from = "2017-04-27", .to = "2017-04-26"},
	    "--from 2017-04-27 is not before --to 2017-04-26, so no time lies between");
	complains(&(struct store_request){.table = "pairs", .where = {"octets_gt=x"}},
	    "invalid number 'x' (expected a whole number such as 443)");
}

static void
a_table_without_times_or_measures_says_so(void **state)
{
	(void)state;
	store_run("flowpair.sqlite",
	    "INSERT INTO flowpair_tables VALUES('names','upsert','none',1,0);"
	    "INSERT INTO flowpair_columns VALUES('names',0,'name','text','key',NULL);"
	    "CREATE TABLE names(name)");
	complains(&(struct store_request){.table = "names", .from = "2017-04-26"},
	    "table names has no times, so --from and --to do not apply");
	complains(&(struct store_request){.table = "names", .top = 5},
	    "table names has no measure that --top could order by; name a column with "
	    "--sort");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(columns_are_shown_once_in_the_order_asked),
	    cmocka_unit_test(top_orders_by_octets_then_bytes_then_packets),
	    cmocka_unit_test(limits_and_signs_are_understood),
	    cmocka_unit_test(a_day_that_to_names_is_included),
	    cmocka_unit_test(what_cannot_be_asked_is_explained),
	    cmocka_unit_test(a_table_without_times_or_measures_says_so),
	};

	return cmocka_run_group_tests(tests, store_setup, store_teardown);
}
