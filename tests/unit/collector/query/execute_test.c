#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/query/execute.h"
#include "tests/unit/collector/query/support_store.h"

static void
rows_come_day_by_day_in_address_order_with_runs_put_together(void **state)
{
	(void)state;
	ASK("src_ip,dst_port,packets,octets,mean\r\n"
	    "10.0.0.9,80,5,1000,200\r\n"
	    "10.0.0.10,443,2,50,25\r\n"
	    "2001:db8::1,80,3,70,23.333333333333332\r\n"
	    "10.0.0.9,80,5,11,2.2\r\n"
	    "192.168.0.1,53,1,2000,2000\r\n",
	    .table = "pairs", .columns = "src_ip,dst_port,packets,octets,mean");
}

static void
by_adds_up_across_runs_and_days_and_computes_means_again(void **state)
{
	(void)state;
	ASK("dst_port,packets,octets,mean\r\n"
	    "53,1,2000,2000\r\n"
	    "80,13,1081,83.15384615384616\r\n"
	    "443,2,50,25\r\n",
	    .table = "pairs", .by = "dst_port", .columns = "packets,octets,mean");
}

static void
by_takes_least_and_greatest_times(void **state)
{
	(void)state;
	ASK("src_ip,start_ns,end_ns\r\n"
	    "10.0.0.9,1493164801000000000,1493251201000000000\r\n",
	    .table = "pairs", .by = "src_ip", .columns = "start,end",
	    .where = {"src_ip=10.0.0.9"});
}

static void
top_orders_by_octets_across_days(void **state)
{
	(void)state;
	ASK("src_ip,octets\r\n192.168.0.1,2000\r\n10.0.0.9,1000\r\n", .table = "pairs",
	    .top = 2, .columns = "src_ip,octets");
}

static void
top_of_groups_takes_all_days_before_it_cuts(void **state)
{
	(void)state;
	ASK("src_ip,packets\r\n10.0.0.9,10\r\n", .table = "pairs", .by = "src_ip",
	    .top = 1, .sort = "packets", .columns = "packets");
}

static void
groups_sort_by_a_computed_column_that_is_not_shown(void **state)
{
	(void)state;
	ASK("dst_port,octets\r\n443,50\r\n80,1081\r\n53,2000\r\n", .table = "pairs",
	    .by = "dst_port", .sort = "mean", .columns = "octets");
}

static void
conditions_on_measures_of_a_group_look_at_whole_rows(void **state)
{
	(void)state; /* 100 and 900 are two runs of one row */
	ASK("dst_port,octets\r\n80,1000\r\n", .table = "pairs", .by = "dst_port",
	    .columns = "octets", .where = {"octets_ge=1000", "src_ip=10.0.0.9"});
}

static void
a_prefix_compares_as_a_network(void **state)
{
	(void)state;
	ASK("src_ip\r\n10.0.0.9\r\n10.0.0.10\r\n10.0.0.9\r\n", .table = "pairs",
	    .columns = "src_ip", .where = {"src_ip_prefix=10.0.0.0/28"});
}

static void
addresses_compare_in_address_order(void **state)
{
	(void)state; /* as text 10.0.0.10 is below 10.0.0.9 */
	ASK("src_ip\r\n10.0.0.10\r\n2001:db8::1\r\n192.168.0.1\r\n", .table = "pairs",
	    .columns = "src_ip", .where = {"src_ip_gt=10.0.0.9"});
}

static void
a_mapped_address_finds_the_ipv4_one(void **state)
{
	(void)state;
	ASK("src_ip\r\n10.0.0.10\r\n", .table = "pairs", .columns = "src_ip",
	    .where = {"src_ip_eq=::ffff:10.0.0.10"});
}

static void
in_takes_any_of_several_values(void **state)
{
	(void)state;
	ASK("dst_port\r\n443\r\n53\r\n", .table = "pairs", .columns = "dst_port",
	    .where = {"dst_port_in=443,53"});
}

static void
from_and_to_open_only_their_days(void **state)
{
	(void)state;
	store_run("pairs-2017-04-26.sqlite", "DROP TABLE pairs_runs");
	ASK("octets\r\n11\r\n2000\r\n", .table = "pairs", .columns = "octets",
	    .from = "2017-04-27", .to = "2017-04-27");
}

static void
a_span_within_a_day_shows_rows_that_reach_into_it(void **state)
{
	(void)state;
	ASK("src_ip,dst_port\r\n10.0.0.9,80\r\n10.0.0.10,443\r\n", .table = "pairs",
	    .columns = "src_ip,dst_port", .from = "2017-04-26T00:30:00Z",
	    .to = "2017-04-26T01:30:00Z");
}

static void
records_are_chosen_by_their_start_and_come_by_time(void **state)
{
	(void)state;
	ASK("start_ns,note\r\n1493164801000000000,a\r\n"
	    "1493168400000000000,\"b,\"\"c\"\"\"\r\n",
	    .table = "conversations", .columns = "start_ns,note",
	    .to = "2017-04-26T02:00:00Z");
}

static void
groups_of_records_count_them_and_add_their_counters(void **state)
{
	(void)state;
	ASK("src_ip,records,fwd_packets,fwd_payload_max,fwd_payload_mean\r\n"
	    "10.0.0.1,2,10,25,3\r\n10.0.0.2,1,1,10,10\r\n",
	    .table = "conversations", .by = "src_ip",
	    .columns = "records,fwd_packets,fwd_payload_max,fwd_payload_mean");
}

static void
a_mean_over_gaps_of_a_group_divides_by_all_its_gaps(void **state)
{
	(void)state; /* 30 over (2 - 1) + (8 - 1) gaps; one packet has none */
	ASK("src_ip,gap_mean\r\n10.0.0.1,3.75\r\n10.0.0.2,\r\n",
	    .table = "conversations", .by = "src_ip", .columns = "gap_mean");
}

static void
a_sum_that_is_too_great_is_the_greatest_integer(void **state)
{
	(void)state;
	store_run("pairs-2017-04-26.sqlite",
	    "INSERT INTO pairs_runs "
	    "VALUES('10.0.0.1','10.0.0.2',80,1493164801000000000,"
	    "1493164801000000000,9223372036854775807,9223372036854775807);");
	ASK("dst_port,packets,octets\r\n"
	    "53,1,2000\r\n"
	    "80,9223372036854775807,9223372036854775807\r\n"
	    "443,2,50\r\n",
	    .table = "pairs", .by = "dst_port", .columns = "packets,octets");
}

static void
a_daily_table_is_chosen_by_day_and_nulls_stay_empty(void **state)
{
	(void)state;
	ASK("date,service_ip,service_port,packets,bytes\r\n"
	    "2017-04-26,50.31.185.0/24,80,4,674\r\n"
	    "2017-04-26,2001:db8::/64,443,1,\r\n",
	    .table = "services", .to = "2017-04-26T12:00:00Z");
}

static void
a_network_column_equals_each_address_inside(void **state)
{
	(void)state;
	ASK("service_ip\r\n50.31.185.0/24\r\n", .table = "services",
	    .columns = "service_ip", .where = {"service_ip=50.31.185.39"});
	ASK("service_ip\r\n50.31.185.0/24\r\n", .table = "services",
	    .columns = "service_ip", .where = {"service_ip=50.31.185.0/24"});
	ASK("service_ip\r\n2001:db8::/64\r\n", .table = "services",
	    .columns = "service_ip", .where = {"service_ip_prefix=2001:db8::/32"});
}

static void
a_row_without_a_value_differs_from_every_value(void **state)
{
	(void)state;
	ASK("service_port\r\n443\r\n53\r\n", .table = "services",
	    .columns = "service_port", .where = {"bytes_ne=674"});
}

static void
a_declared_view_is_asked_like_a_table(void **state)
{
	(void)state;
	ASK("service_ip,bytes\r\n50.31.185,674\r\n", .table = "net_services",
	    .columns = "service_ip,bytes", .where = {"service_ip=50.31.185"});
	ASK("service_port,bytes\r\n80,674\r\n", .table = "net_services",
	    .by = "service_port", .columns = "bytes", .top = 1);
}

static void
a_column_that_an_older_file_lacks_is_empty(void **state)
{
	(void)state;
	ASK("src_ip,packets,octets\r\n10.0.0.1,7,\r\n", .table = "late");
	ASK("src_ip,packets,octets\r\n10.0.0.1,7,\r\n", .table = "late",
	    .by = "src_ip");
}

static void
limit_holds_across_days(void **state)
{
	(void)state;
	ASK("octets\r\n1000\r\n50\r\n70\r\n11\r\n", .table = "pairs",
	    .columns = "octets", .limit = 4);
}

static void
sort_goes_up_and_with_a_minus_sign_down(void **state)
{
	(void)state;
	ASK("octets\r\n11\r\n50\r\n70\r\n1000\r\n2000\r\n", .table = "pairs",
	    .columns = "octets", .sort = "octets");
	ASK("octets\r\n2000\r\n1000\r\n70\r\n50\r\n11\r\n", .table = "pairs",
	    .columns = "octets", .sort = "-octets");
}

static void
text_in_a_condition_never_becomes_sql(void **state)
{
	(void)state;
	ASK("note\r\n", .table = "conversations", .columns = "note",
	    .where = {"note=' OR 1=1 --"});
	ASK("table late has no column \"src_ip\" OR 1 --\"; it has src_ip, packets, "
	    "octets",
	    .table = "late", .where = {"src_ip\" OR 1 --=1"});
}

static void
an_unknown_table_column_or_operator_names_the_nearest(void **state)
{
	(void)state;
	ASK("the store has no table \"pair\"; the nearest is \"pairs\"",
	    .table = "pair");
	ASK("table pairs has no column \"scr_ip\"; the nearest is \"src_ip\"",
	    .table = "pairs", .where = {"scr_ip_prefix=10.0.0.0/8"});
	ASK("table pairs has no column \"dst_prot\"; the nearest is \"dst_port\"",
	    .table = "pairs", .columns = "dst_prot");
	ASK("unknown operator \"perfix\" in src_ip_perfix; did you mean \"prefix\"? "
	    "(operators: eq ne lt le gt ge in prefix like)",
	    .table = "pairs", .where = {"src_ip_perfix=10.0.0.0/8"});
}

static void
a_column_without_a_value_for_groups_is_refused(void **state)
{
	(void)state;
	ASK("--columns dst_ip: rows grouped by --by have no single dst_ip; add it "
	    "to "
	    "--by",
	    .table = "pairs", .by = "src_ip", .columns = "dst_ip");
}

static void
a_span_that_is_empty_is_refused(void **state)
{
	(void)state;
	ASK("--from 2017-04-28 is not before --to 2017-04-26, so no time lies between",
	    .table = "pairs", .from = "2017-04-28", .to = "2017-04-26");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, store_setup, store_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(rows_come_day_by_day_in_address_order_with_runs_put_together),
	    TEST(by_adds_up_across_runs_and_days_and_computes_means_again),
	    TEST(by_takes_least_and_greatest_times),
	    TEST(top_orders_by_octets_across_days),
	    TEST(top_of_groups_takes_all_days_before_it_cuts),
	    TEST(groups_sort_by_a_computed_column_that_is_not_shown),
	    TEST(conditions_on_measures_of_a_group_look_at_whole_rows),
	    TEST(a_prefix_compares_as_a_network),
	    TEST(addresses_compare_in_address_order),
	    TEST(a_mapped_address_finds_the_ipv4_one),
	    TEST(in_takes_any_of_several_values),
	    TEST(from_and_to_open_only_their_days),
	    TEST(a_span_within_a_day_shows_rows_that_reach_into_it),
	    TEST(records_are_chosen_by_their_start_and_come_by_time),
	    TEST(groups_of_records_count_them_and_add_their_counters),
	    TEST(a_mean_over_gaps_of_a_group_divides_by_all_its_gaps),
	    TEST(a_sum_that_is_too_great_is_the_greatest_integer),
	    TEST(a_daily_table_is_chosen_by_day_and_nulls_stay_empty),
	    TEST(a_network_column_equals_each_address_inside),
	    TEST(a_row_without_a_value_differs_from_every_value),
	    TEST(a_declared_view_is_asked_like_a_table),
	    TEST(a_column_that_an_older_file_lacks_is_empty),
	    TEST(limit_holds_across_days),
	    TEST(sort_goes_up_and_with_a_minus_sign_down),
	    TEST(text_in_a_condition_never_becomes_sql),
	    TEST(an_unknown_table_column_or_operator_names_the_nearest),
	    TEST(a_column_without_a_value_for_groups_is_refused),
	    TEST(a_span_that_is_empty_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
