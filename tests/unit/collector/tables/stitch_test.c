#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/run/run_explain.h"
#include "collector/tables/tables.h"
#include "tests/unit/collector/tables/support_stitch.h"

static void
two_directions_are_one_flow_of_who_began_whichever_comes_first(void **state)
{
	struct world w;

	(void)state;
	for (unsigned first = 0; first < 2; first++) {
		world_open(&w, "stitch: 30s");
		world_add_flow(&w, first == 0 ? &flow_there : &flow_back);
		assert_false(tables_are_empty(w.tables));
		world_add_flow(&w, first == 0 ? &flow_back : &flow_there);
		world_expect(&w,
		    "SELECT src_ip, src_port, dst_ip, dst_port, flows, fwd_packets, "
		    "bwd_packets, fwd_octets, bwd_octets, start_ns % 1000000000000, "
		    "end_ns - start_ns, millis FROM flows",
		    "10.0.0.9|40000|10.0.0.1|443|1|10|7|1000|9000|78000000000|"
		    "5000000000|5000");
	}
}

static void
without_the_word_nothing_is_stitched(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, "");
	world_add_flow(&w, &flow_there);
	world_add_flow(&w, &flow_back);
	world_expect(&w, WORLD_LOOK,
	    "10.0.0.1|443|10.0.0.9|40000|1|7|0|9000|0;"
	    "10.0.0.9|40000|10.0.0.1|443|1|10|0|1000|0");
}

static void
starts_beyond_the_window_stay_apart(void **state)
{
	struct flow late = flow_back;
	struct world w;

	(void)state;
	for (unsigned beyond = 0; beyond < 2; beyond++) {
		world_open(&w, "stitch: 30s");
		late.start_ms = flow_there.start_ms + 30000 + beyond;
		late.end_ms = late.start_ms;
		world_add_flow(&w, &flow_there);
		world_add_flow(&w, &late);
		world_expect(&w,
		    "SELECT count(*), sum(fwd_packets + bwd_packets) FROM flows",
		    beyond ? "2|17" : "1|17");
	}
}

static void
at_equal_starts_the_lower_port_answers(void **state)
{
	struct flow same = flow_back;
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	same.start_ms = flow_there.start_ms;
	world_add_flow(&w, &same);
	world_add_flow(&w, &flow_there);
	world_expect(&w, WORLD_LOOK, "10.0.0.9|40000|10.0.0.1|443|1|10|7|1000|9000");
}

static void
at_equal_starts_and_ports_the_lower_address_began(void **state)
{
	static const struct flow one = {
	    "10.0.0.9", 123, "10.0.0.1", 123, 17, 0, 9, 1, 2};
	static const struct flow two = {
	    "10.0.0.1", 123, "10.0.0.9", 123, 17, 0, 9, 3, 4};
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	world_add_flow(&w, &one);
	world_add_flow(&w, &two);
	world_expect(&w, WORLD_LOOK, "10.0.0.1|123|10.0.0.9|123|1|3|1|4|2");
}

static void
a_ping_and_its_answer_are_one_flow_of_who_asked(void **state)
{
	static const struct flow asks = {
	    "10.0.0.9", 0, "10.0.0.1", 8 << 8, 1, 50, 60, 1, 84};
	static const struct flow answers = {
	    "10.0.0.1", 0, "10.0.0.9", 0, 1, 40, 60, 2, 85};
	static const struct flow error = {
	    "10.0.0.1", 0, "10.0.0.9", 3 << 8, 1, 40, 60, 4, 86};
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	world_add_flow(&w, &answers);
	world_add_flow(&w, &error);
	world_add_flow(&w, &asks);
	world_expect(&w, WORLD_LOOK,
	    "10.0.0.1|0|10.0.0.9|768|1|4|0|86|0;10.0.0.9|0|10.0.0.1|2048|1|1|2|84|85");
}

static void
exporters_and_domains_do_not_mix(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	world_add(&w, "r", 0, &flow_there, "", NULL);
	world_add(&w, "r", 1, &flow_back, "", NULL);
	world_add(&w, "s", 0, &flow_back, "", NULL);
	world_expect(&w, "SELECT count(*), sum(flows) FROM flows", "3|3");
}

static void
of_several_partners_the_one_that_starts_nearest_is_taken(void **state)
{
	struct flow near = flow_back, far = flow_back;
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	near.start_ms = 2000;
	near.packets = 20;
	far.start_ms = 9000;
	far.packets = 30;
	world_add_flow(&w, &near);
	world_add_flow(&w, &far);
	world_add_flow(&w, &flow_there);
	world_expect(&w, WORLD_LOOK,
	    "10.0.0.1|443|10.0.0.9|40000|1|30|0|9000|0;"
	    "10.0.0.9|40000|10.0.0.1|443|1|10|20|1000|9000");
}

static void
biflows_pass_as_they_are(void **state)
{
	struct support_set more = {.length = 0};
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	support_put(&more, 0, 8);
	world_add(&w, "r", 0, &flow_there, "reversePacketDeltaCount", &more);
	world_add(&w, "r", 0, &flow_back, "responderPackets", &more);
	more.length = 0;
	support_put(&more, 1, 1);
	world_add(&w, "r", 0, &flow_back, "biflowDirection", &more);
	world_expect(&w, "SELECT count(*), sum(flows) FROM flows", "2|3");
}

static void
elements_of_a_direction_become_their_reverse(void **state)
{
	struct support_set tos = {.length = 0};
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	support_put(&tos, 16, 1);
	world_add(&w, "r", 0, &flow_there, "ipClassOfService", &tos);
	tos.bytes[0] = 8;
	world_add(&w, "r", 0, &flow_back, "ipClassOfService", &tos);
	world_expect(&w, "SELECT tos, reverse_tos FROM flows", "16|8");
}

static void
each_direction_is_scaled_by_its_own_rate(void **state)
{
	struct support_set rate = {.length = 0};
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	support_put(&rate, 10, 4);
	world_add(&w, "r", 0, &flow_there, "samplingInterval", &rate);
	rate.length = 0;
	support_put(&rate, 100, 4);
	world_add(&w, "r", 0, &flow_back, "samplingInterval", &rate);
	world_expect(&w, "SELECT fwd_octets, bwd_octets FROM flows", "10000|900000");
}

static void
a_full_pool_writes_what_waits_longest_one_way(void **state)
{
	struct flow f = flow_there;
	struct tables_counts c;
	struct world w;

	(void)state;
	world_open(&w, "stitch: { window: 30s, max_waiting: 2 }");
	for (unsigned i = 0; i < 3; i++) {
		f.sport = flow_there.sport - i;
		world_add_flow(&w, &f);
	}
	world_add_flow(&w, &flow_back); /* its partner is gone */
	f = flow_back;
	f.dport = flow_there.sport - 2;
	world_add_flow(&w, &f);
	world_end(&w);
	tables_counts(w.tables, &c);
	assert_int_equal(c.stitched.rows, 5);
	assert_int_equal(c.stitched.pairs, 1);
	assert_int_equal(c.stitched.evicted, 2);
	assert_int_equal(c.stitched.alone, 1);
	world_expect(&w,
	    "SELECT count(*), sum(flows), sum(fwd_packets + bwd_packets) FROM flows",
	    "4|4|44");
}

static void
what_waits_has_room_in_the_tables_beside_their_keys(void **state)
{
	struct flow f = flow_there;
	struct world w;

	(void)state;
	world_open(&w, "stitch: { window: 30s, max_waiting: 8 }\nmax_keys: 10");
	for (unsigned i = 0; i < 8; i++) {
		f.sport = i;
		world_add_flow(&w, &f);
	}
	world_add_flow(&w, &flow_back); /* one goes into the table */
	assert_true(tables_have_room(w.tables, 9));
	assert_false(tables_have_room(w.tables, 10));
	world_flush(&w);
	assert_false(tables_are_empty(w.tables));
	assert_true(tables_have_room(w.tables, 10));
	world_expect(&w, "SELECT count(*) FROM flows", "9");
}

static void
directions_that_come_in_different_flushes_are_one_flow(void **state)
{
	struct tables_counts c;
	struct world w;

	(void)state;
	for (unsigned first = 0; first < 2; first++) {
		world_open(&w, "stitch: 30s");
		world_pass(&w, 0);
		world_add_flow(&w, first == 0 ? &flow_there : &flow_back);
		world_flush(&w);
		world_pass(&w, 10);
		world_flush(&w);
		world_pass(&w, 20);
		world_add_flow(&w, first == 0 ? &flow_back : &flow_there);
		assert_true(tables_have_room(w.tables, 1));
		world_flush(&w);
		assert_true(tables_are_empty(w.tables));
		tables_counts(w.tables, &c);
		assert_int_equal(c.stitched.pairs, 1);
		assert_int_equal(c.stitched.alone + c.stitched.waiting, 0);
		world_expect(
		    &w, WORLD_LOOK, "10.0.0.9|40000|10.0.0.1|443|1|10|7|1000|9000");
	}
}

static void
nothing_waits_for_longer_than_the_window(void **state)
{
	struct world w;

	(void)state;
	for (unsigned beyond = 0; beyond < 2; beyond++) {
		world_open(&w, "stitch: 30s");
		world_pass(&w, 0);
		world_add_flow(&w, &flow_there);
		world_flush(&w);
		world_pass(&w, 30 + beyond);
		world_add_flow(&w, &flow_back);
		world_expect(&w,
		    "SELECT count(*), sum(fwd_packets + bwd_packets) FROM flows",
		    beyond ? "2|17" : "1|17");
	}
}

static void
a_clock_that_is_set_back_makes_nothing_wait_longer(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	world_pass(&w, 1000);
	world_add_flow(&w, &flow_there);
	world_pass(&w, 980);
	assert_false(tables_are_empty(w.tables));
	world_pass(&w, 900);
	world_flush(&w);
	assert_true(tables_are_empty(w.tables));
	world_expect(&w, "SELECT count(*) FROM flows", "1");
}

static void
texts_of_what_waits_outlive_a_flush(void **state)
{
	struct support_set name = {.length = 0};
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	world_add(&w, "other", 7, &flow_there, "", NULL);
	support_put(&name, 4, 1);
	support_put_bytes(&name, "eth0", 4);
	world_add(&w, "router", 7, &flow_there, "interfaceName:v", &name);
	world_flush(&w);
	world_add(&w, "third", 7, &flow_there, "", NULL);
	world_add(&w, "router", 7, &flow_back, "", NULL);
	world_expect(&w, "SELECT exporter, name, bwd_packets FROM flows ORDER BY 1",
	    "other|NULL|0;router|eth0|7;third|NULL|0");
}

static void
complains(const char *words, const char *place, const char *sentence)
{
	struct tables_settings s = {.max_keys = 1000};
	struct tables *t = NULL;
	struct err e = {""};

	s.schema_directory = support_schemas();
	support_write("tables/flows.yaml", words);
	assert_true(tables_new(&s, support_elements(), &t, &e) < 0);
	if (strstr(e.text, place) == NULL || strstr(e.text, sentence) == NULL) {
		fail_msg("%s", e.text);
	}
	support_directory_remove();
}

static void
what_cannot_be_stitched_is_refused(void **state)
{
#define HEAD "table: flows\npartition: day\nstorage: runs\nkey: { a: exporter }\n"
	(void)state;
	complains(HEAD "from: conversation\nstitch: soon\n"
		       "values: { n: { sum: flows } }\n",
	    "flows.yaml:6:9", "expected a duration");
	complains(HEAD "from: conversation\nstitch: 999999999d\n"
		       "values: { n: { sum: flows } }\n",
	    "flows.yaml:6:9", "at most 100000d");
	complains(HEAD "from: conversation\nstitch: [30s]\n"
		       "values: { n: { sum: flows } }\n",
	    "flows.yaml:6:9", "{ window: 30s, max_waiting: 100000 }");
	complains(HEAD "from: conversation\nstitch: { window: 30s, max_waiting: 0 }\n"
		       "values: { n: { sum: flows } }\n",
	    "flows.yaml:6:", "at least 1");
	complains(HEAD "from: interface\nstitch: 30s\n"
		       "values: { n: { sum: interface } }\n",
	    "flows.yaml:6:9", "which 'interface' does not have");
	complains(HEAD "from: conversation\nstitch: 30s\n"
		       "values: { n: { sum: forward.packets } }\n",
	    "flows.yaml:7:", "'reverse.packets', but 'flows' has no column for it");
}

static void
explain_says_what_is_stitched(void **state)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	run_explain_tables(w.tables, out);
	fclose(out);
	assert_non_null(strstr(text, "start within 30 s become one record"));
	free(text);
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		two_directions_are_one_flow_of_who_began_whichever_comes_first),
	    cmocka_unit_test(without_the_word_nothing_is_stitched),
	    cmocka_unit_test(starts_beyond_the_window_stay_apart),
	    cmocka_unit_test(at_equal_starts_the_lower_port_answers),
	    cmocka_unit_test(at_equal_starts_and_ports_the_lower_address_began),
	    cmocka_unit_test(a_ping_and_its_answer_are_one_flow_of_who_asked),
	    cmocka_unit_test(exporters_and_domains_do_not_mix),
	    cmocka_unit_test(of_several_partners_the_one_that_starts_nearest_is_taken),
	    cmocka_unit_test(biflows_pass_as_they_are),
	    cmocka_unit_test(elements_of_a_direction_become_their_reverse),
	    cmocka_unit_test(each_direction_is_scaled_by_its_own_rate),
	    cmocka_unit_test(a_full_pool_writes_what_waits_longest_one_way),
	    cmocka_unit_test(what_waits_has_room_in_the_tables_beside_their_keys),
	    cmocka_unit_test(directions_that_come_in_different_flushes_are_one_flow),
	    cmocka_unit_test(nothing_waits_for_longer_than_the_window),
	    cmocka_unit_test(a_clock_that_is_set_back_makes_nothing_wait_longer),
	    cmocka_unit_test(texts_of_what_waits_outlive_a_flush),
	    cmocka_unit_test(what_cannot_be_stitched_is_refused),
	    cmocka_unit_test(explain_says_what_is_stitched),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
