#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/protocol/reader.h"
#include "collector/store/store.h"
#include "tests/unit/collector/protocol/support_set.h"

#define NTP_OFFSET 2208988800u
#define START      1493205077u /* 2017-04-26T11:11:17Z */

static const struct source_id source = {"test"};
static const char trace_fields[] =
    "sourceIPv4Address destinationIPv4Address sourceTransportPort "
    "destinationTransportPort protocolIdentifier flowStartMilliseconds "
    "flowEndMilliseconds packetDeltaCount dataByteCount reversePacketDeltaCount "
    "reverseDataByteCount";

static struct origin
origin_at(uint64_t position)
{
	return (struct origin){.exporter = "test",
	    .domain = 0,
	    .arrival_ns = (uint64_t)START * 1000000000,
	    .position = position};
}

struct row {
	const char *src;
	unsigned sport;
	const char *dst;
	unsigned dport;
	unsigned protocol, millis, fwd_packets, bwd_packets, fwd_bytes, bwd_bytes;
	unsigned days_later;
};

static void
put_row(struct support_set *s, const struct row *r)
{
	uint64_t start = ((uint64_t)START + 86400 * r->days_later) * 1000;
	support_put_address(s, r->src);
	support_put_address(s, r->dst);
	support_put(s, r->sport, 2);
	support_put(s, r->dport, 2);
	support_put(s, r->protocol, 1);
	support_put(s, start, 8);
	support_put(s, start + r->millis, 8);
	support_put(s, r->fwd_packets, 8);
	support_put(s, r->fwd_bytes, 8);
	support_put(s, r->bwd_packets, 8);
	support_put(s, r->bwd_bytes, 8);
}

static const struct row seed[] = {
    {"172.19.1.46", 52422, "10.200.7.7", 3128, 6, 45523, 22, 55, 132, 110414, 0},
    {"10.200.7.7", 3128, "172.19.1.46", 52422, 6, 1, 2, 0, 12, 0, 0},
    {"50.31.185.39", 80, "10.200.7.217", 38848, 6, 1, 3, 0, 674, 0, 0},
    {"50.31.185.39", 80, "10.200.7.217", 38848, 6, 217, 1, 3, 0, 0, 0},
    {"192.168.72.43", 55961, "10.200.7.7", 3128, 6, 78068, 5, 0, 1076, 0, 0},
    {"10.200.7.6", 3128, "172.19.1.56", 50004, 6, 105069, 136, 0, 313554, 0, 0},
    {"192.168.72.43", 55963, "10.200.7.7", 3128, 6, 104443, 5, 0, 1076, 0, 0},
    {"192.168.10.47", 51848, "10.200.7.6", 3128, 6, 11002, 3, 12, 232, 3664, 0},
};

/* Adds rows through one template, flushing to a new store after each `flush_every`. */
static const char *
store_rows(const struct row *rows, unsigned n, unsigned flush_every)
{
	const char *dir = support_directory();
	struct tables *t = support_tables(NULL);
	struct template *template = support_template(256, trace_fields);
	struct support_set s;
	struct store *store = NULL;
	struct err e = {""};

	if (store_open(dir, t, &store, &e) < 0) {
		fail_msg("%s", e.text);
	}
	for (unsigned i = 0; i < n; i++) {
		struct origin o = origin_at(100 * (i + 1));
		s.length = 0;
		put_row(&s, &rows[i]);
		assert_int_equal(tables_add_set(template, s.bytes, s.length, &o, t), 1);
		if ((i + 1) % flush_every == 0 || i + 1 == n) {
			if (store_flush(
				store, &source, o.position + 100, i + 1 == n, &e) < 0) {
				fail_msg("%s", e.text);
			}
			assert_true(tables_are_empty(t));
		}
	}
	support_templates_free();
	tables_free(t);
	store_close(store);
	return dir;
}

static void
the_seed_rows_give_the_expected_pairs_in_any_split(void **state)
{
	(void)state;
	for (unsigned every = 1; every <= 8; every++) {
		const char *dir = store_rows(seed, 8, every);
		assert_string_equal(
		    support_query(dir, "pairs-2017-04-26.sqlite",
			"SELECT src_ip, src_port, dst_ip, dst_port, protocol, millis, "
			"flows, fwd_packets, fwd_payload_octets, bwd_packets, "
			"bwd_payload_octets FROM pairs ORDER BY src_ip, src_port"),
		    "10.200.7.6|3128|172.19.1.56|50004|6|105069|1|136|313554|0|0;"
		    "10.200.7.7|3128|172.19.1.46|52422|6|1|1|2|12|0|0;"
		    "172.19.1.46|52422|10.200.7.7|3128|6|45523|1|22|132|55|110414;"
		    "192.168.10.47|51848|10.200.7.6|3128|6|11002|1|3|232|12|3664;"
		    "192.168.72.43|55961|10.200.7.7|3128|6|78068|1|5|1076|0|0;"
		    "192.168.72.43|55963|10.200.7.7|3128|6|104443|1|5|1076|0|0;"
		    "50.31.185.39|80|10.200.7.217|38848|6|218|2|4|674|3|0");
		assert_string_equal(
		    support_query(dir, "flowpair.sqlite",
			"SELECT date, exporter, service_ip, service_port, "
			"protocol, packets, bytes, flows FROM services"),
		    "2017-04-26|test|50.31.185.0/24|80|6|4|674|2");
		assert_string_equal(
		    support_query(dir, "flowpair.sqlite", "SELECT * FROM net_services"),
		    "2017-04-26|50.31.185|80|4|674");
		support_directory_remove();
	}
}

static void
records_that_no_table_is_made_of_are_counted(void **state)
{
	struct tables *t = support_tables(NULL);
	struct template *whole = support_template(256, trace_fields);
	struct template *half =
	    support_template(257, "sourceIPv4Address packetDeltaCount");
	struct origin o = origin_at(0);
	struct support_set s = {.length = 0};
	struct tables_counts c;

	(void)state;
	put_row(&s, &seed[0]);
	assert_int_equal(tables_add_set(whole, s.bytes, s.length, &o, t), 1);
	s.length = 0;
	for (unsigned i = 0; i < 3; i++) {
		support_put_address(&s, "10.0.0.1");
		support_put(&s, 7, 8);
	}
	assert_int_equal(tables_add_set(half, s.bytes, s.length, &o, t), 3);
	tables_counts(t, &c);
	assert_int_equal(c.records, 4);
	assert_int_equal(c.unused, 3);
	support_templates_free();
	tables_free(t);
}

static void
service_edge_cases_are_as_documented(void **state)
{
	static const struct row rows[] = {
	    {"10.0.0.1", 50000, "10.0.1.1", 443, 6, 1, 1, 2, 10, 20, 0},
	    {"10.0.2.1", 53, "10.0.3.1", 123, 17, 1, 3, 4, 30, 40, 0},
	    {"10.0.4.1", 1023, "10.0.5.1", 1024, 6, 1, 5, 6, 50, 60, 0},
	    {"10.0.6.1", 0, "10.0.7.1", 0, 1, 1, 7, 8, 70, 80, 0},
	    {"10.0.2.2", 53, "10.0.3.1", 5000, 6, 1, 1, 1, 1, 1, 0},
	    {"10.0.0.1", 50000, "10.0.1.1", 443, 6, 1, 1, 2, 10, 20, 1},
	};
	const char *dir = store_rows(rows, 6, 6);

	(void)state;
	assert_string_equal(
	    support_query(dir, "flowpair.sqlite",
		"SELECT date, service_ip, service_port, protocol, packets, bytes "
		"FROM services ORDER BY 1, 2, 3, 4"),
	    "2017-04-26|10.0.1.0/24|443|6|2|20;2017-04-26|10.0.2.0/24|53|6|1|1;"
	    "2017-04-26|10.0.2.0/24|53|17|3|30;2017-04-26|10.0.3.0/24|123|17|4|40;"
	    "2017-04-26|10.0.4.0/24|1023|6|5|50;2017-04-27|10.0.1.0/24|443|6|2|20");
	support_directory_remove();
}

static void
conversations_keep_every_record_with_means(void **state)
{
	const char *dir = store_rows(seed, 8, 3);

	(void)state;
	assert_string_equal(
	    support_query(dir, "conversations-2017-04-26.sqlite",
		"SELECT count(*), sum(fwd_packets), sum(fwd_payload_octets), "
		"sum(bwd_payload_octets) FROM conversations"),
	    "8|177|316756|114078");
	assert_string_equal(
	    support_query(dir, "conversations-2017-04-26.sqlite",
		"SELECT start, fwd_payload_mean, fwd_payload_stddev, fwd_octets FROM "
		"conversations_iso WHERE src_port = 52422"),
	    "2017-04-26T11:11:17Z|6.0|NULL|NULL");
	support_directory_remove();
}

/* Each template is compiled to a plan, and peers may define any number. */
static bool
has_plans(struct template *t)
{
	return reader_of(t)->plans != NULL;
}

static void
plans_take_no_more_memory_than_they_may(void **state)
{
	struct tables *t = support_tables(NULL);
	struct template *templates[2], *other;
	struct support_set s = {.length = 0};
	struct origin o = origin_at(0);
	size_t one = 0, two = 0;

	(void)state;
	put_row(&s, &seed[0]);
	other = support_template(300, "packetDeltaCount");
	for (unsigned i = 0; i < 2; i++) {
		templates[i] = support_template((uint16_t)(256 + i), trace_fields);
		tables_add_set(templates[i], s.bytes, s.length, &o, t);
		two = tables_plan_bytes(t);
		one = i == 0 ? two : one;
	}
	assert_true(two > one);
	tables_free(t);
	assert_false(has_plans(templates[0]));

	t = support_tables_within(NULL, two);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(
		    tables_add_set(templates[i % 2], s.bytes, s.length, &o, t), 1);
		assert_int_equal(tables_plan_bytes(t), i == 0 ? one : two);
	}
	/* The one not used for longest goes. */
	tables_add_set(templates[0], s.bytes, s.length, &o, t);
	tables_add_set(other, s.bytes, 8, &o, t);
	assert_true(has_plans(templates[0]));
	assert_false(has_plans(templates[1]));
	assert_true(tables_plan_bytes(t) <= two);
	assert_int_equal(tables_add_set(templates[1], s.bytes, s.length, &o, t), 1);
	support_templates_free();
	assert_int_equal(tables_plan_bytes(t), 0);
	tables_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_seed_rows_give_the_expected_pairs_in_any_split),
	    cmocka_unit_test(records_that_no_table_is_made_of_are_counted),
	    cmocka_unit_test(service_edge_cases_are_as_documented),
	    cmocka_unit_test(conversations_keep_every_record_with_means),
	    cmocka_unit_test(plans_take_no_more_memory_than_they_may),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
