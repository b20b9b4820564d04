#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/tables.h"
#include "tests/unit/collector/support_set.h"

#define START 1493205077u /* 2017-04-26T11:11:17Z */
#define FILE_ "flows-2017-04-26.sqlite"
#define ENDS                                                                           \
	"sourceIPv4Address destinationIPv4Address sourceTransportPort "                \
	"destinationTransportPort protocolIdentifier flowStartMilliseconds "           \
	"flowEndMilliseconds packetDeltaCount octetDeltaCount "
#define LOOK                                                                           \
	"SELECT src_ip, src_port, dst_ip, dst_port, flows, fwd_packets, bwd_packets, " \
	"fwd_octets, bwd_octets FROM flows ORDER BY 1, 2, 3, 4"

static const struct source_id source = {"test"};
static const char table_format[] =
    "table: flows\nfrom: conversation\npartition: day\nstorage: runs\n%s\n"
    "key: { exporter: exporter, src_ip: sourceAddress, src_port: sourceTransportPort, "
    "dst_ip: destinationAddress, dst_port: destinationTransportPort }\n"
    "values:\n"
    "  flows: { sum: flows }\n"
    "  start_ns: { minimize: flowStart }\n"
    "  end_ns: { maximize: flowEnd }\n"
    "  millis: { sum: duration_ms }\n"
    "  fwd_packets: { sum: forward.packets }\n"
    "  bwd_packets: { sum: reverse.packets }\n"
    "  fwd_octets: { sum: forward.octets, scaled: true }\n"
    "  bwd_octets: { sum: reverse.octets, scaled: true }\n"
    "  tos: { maximize: ipClassOfService }\n"
    "  reverse_tos: { maximize: reverseIpClassOfService }\n";

struct flow {
	const char *src;
	unsigned sport;
	const char *dst;
	unsigned dport, protocol, start_ms, end_ms, packets, octets;
};

struct world {
	struct tables *tables;
	struct store *store;
	const char *directory;
	uint64_t position;
};

static void
open_world(struct world *w, const char *words)
{
	char command[128], text[2048];
	struct tables_settings s = {.max_keys = 1000};
	struct err e = {""};

	w->directory = support_directory();
	w->position = 0;
	snprintf(command, sizeof command, "cp -r schemas/records '%s'", w->directory);
	assert_int_equal(system(command), 0);
	snprintf(text, sizeof text, table_format, words);
	support_write("tables/flows.yaml", text);
	s.schema_directory = w->directory;
	if (tables_new(&s, support_elements(), &w->tables, &e) < 0 ||
	    store_open(w->directory, w->tables, &w->store, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

static void
put_flow(struct support_set *s, const struct flow *f)
{
	support_put_address(s, f->src);
	support_put_address(s, f->dst);
	support_put(s, f->sport, 2);
	support_put(s, f->dport, 2);
	support_put(s, f->protocol, 1);
	support_put(s, (uint64_t)START * 1000 + f->start_ms, 8);
	support_put(s, (uint64_t)START * 1000 + f->end_ms, 8);
	support_put(s, f->packets, 8);
	support_put(s, f->octets, 8);
}

/* A record of the template ENDS and more, whose fields lie in `more`. */
static void
add(struct world *w, const char *exporter, uint32_t domain, const struct flow *f,
    const char *fields, const struct support_set *more)
{
	struct origin o = {.exporter = exporter,
	    .domain = domain,
	    .arrival_ns = (uint64_t)START * 1000000000,
	    .position = w->position += 100};
	char names[512];
	struct support_set s = {.length = 0};

	snprintf(names, sizeof names, ENDS "%s", fields);
	put_flow(&s, f);
	if (more != NULL) {
		support_put_bytes(&s, more->bytes, more->length);
	}
	assert_int_equal(tables_add_set(support_template(256, names), s.bytes, s.length,
			     &o, w->tables),
	    1);
}

static void
add_flow(struct world *w, const struct flow *f)
{
	add(w, "r", 0, f, "", NULL);
}

static void
flush(struct world *w)
{
	struct err e = {""};

	if (tables_flush(w->tables, w->store, &source, w->position += 100, false, &e) <
	    0) {
		fail_msg("%s", e.text);
	}
	assert_true(tables_are_empty(w->tables));
	support_templates_free();
}

static void
close_world(struct world *w)
{
	tables_free(w->tables);
	store_close(w->store);
	support_directory_remove();
}

static void
expect(struct world *w, const char *sql, const char *rows)
{
	flush(w);
	assert_string_equal(support_query(w->directory, FILE_, sql), rows);
	close_world(w);
}

static const struct flow there = {
    "10.0.0.9", 40000, "10.0.0.1", 443, 6, 1000, 5000, 10, 1000};
static const struct flow back = {
    "10.0.0.1", 443, "10.0.0.9", 40000, 6, 1005, 6000, 7, 9000};

static void
two_directions_are_one_flow_of_who_began_whichever_comes_first(void **state)
{
	struct world w;

	(void)state;
	for (unsigned first = 0; first < 2; first++) {
		open_world(&w, "stitch: 30s");
		add_flow(&w, first == 0 ? &there : &back);
		assert_false(tables_are_empty(w.tables));
		add_flow(&w, first == 0 ? &back : &there);
		expect(&w,
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
	open_world(&w, "");
	add_flow(&w, &there);
	add_flow(&w, &back);
	expect(&w, LOOK,
	    "10.0.0.1|443|10.0.0.9|40000|1|7|0|9000|0;"
	    "10.0.0.9|40000|10.0.0.1|443|1|10|0|1000|0");
}

static void
starts_beyond_the_window_stay_apart(void **state)
{
	struct flow late = back;
	struct world w;

	(void)state;
	for (unsigned beyond = 0; beyond < 2; beyond++) {
		open_world(&w, "stitch: 30s");
		late.start_ms = there.start_ms + 30000 + beyond;
		late.end_ms = late.start_ms;
		add_flow(&w, &there);
		add_flow(&w, &late);
		expect(&w, "SELECT count(*), sum(fwd_packets + bwd_packets) FROM flows",
		    beyond ? "2|17" : "1|17");
	}
}

static void
at_equal_starts_the_lower_port_answers(void **state)
{
	struct flow same = back;
	struct world w;

	(void)state;
	open_world(&w, "stitch: 30s");
	same.start_ms = there.start_ms;
	add_flow(&w, &same);
	add_flow(&w, &there);
	expect(&w, LOOK, "10.0.0.9|40000|10.0.0.1|443|1|10|7|1000|9000");
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
	open_world(&w, "stitch: 30s");
	add_flow(&w, &one);
	add_flow(&w, &two);
	expect(&w, LOOK, "10.0.0.1|123|10.0.0.9|123|1|3|1|4|2");
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
	open_world(&w, "stitch: 30s");
	add_flow(&w, &answers);
	add_flow(&w, &error);
	add_flow(&w, &asks);
	expect(&w, LOOK,
	    "10.0.0.1|0|10.0.0.9|768|1|4|0|86|0;10.0.0.9|0|10.0.0.1|2048|1|1|2|84|85");
}

static void
exporters_and_domains_do_not_mix(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, "stitch: 30s");
	add(&w, "r", 0, &there, "", NULL);
	add(&w, "r", 1, &back, "", NULL);
	add(&w, "s", 0, &back, "", NULL);
	expect(&w, "SELECT count(*), sum(flows) FROM flows", "3|3");
}

static void
of_several_partners_the_one_that_starts_nearest_is_taken(void **state)
{
	struct flow near = back, far = back;
	struct world w;

	(void)state;
	open_world(&w, "stitch: 30s");
	near.start_ms = 2000;
	near.packets = 20;
	far.start_ms = 9000;
	far.packets = 30;
	add_flow(&w, &near);
	add_flow(&w, &far);
	add_flow(&w, &there);
	expect(&w, LOOK,
	    "10.0.0.1|443|10.0.0.9|40000|1|30|0|9000|0;"
	    "10.0.0.9|40000|10.0.0.1|443|1|10|20|1000|9000");
}

static void
biflows_pass_as_they_are(void **state)
{
	struct support_set more = {.length = 0};
	struct world w;

	(void)state;
	open_world(&w, "stitch: 30s");
	support_put(&more, 0, 8);
	add(&w, "r", 0, &there, "reversePacketDeltaCount", &more);
	add(&w, "r", 0, &back, "responderPackets", &more);
	more.length = 0;
	support_put(&more, 1, 1);
	add(&w, "r", 0, &back, "biflowDirection", &more);
	expect(&w, "SELECT count(*), sum(flows) FROM flows", "2|3");
}

static void
elements_of_a_direction_become_their_reverse(void **state)
{
	struct support_set tos = {.length = 0};
	struct world w;

	(void)state;
	open_world(&w, "stitch: 30s");
	support_put(&tos, 16, 1);
	add(&w, "r", 0, &there, "ipClassOfService", &tos);
	tos.bytes[0] = 8;
	add(&w, "r", 0, &back, "ipClassOfService", &tos);
	expect(&w, "SELECT tos, reverse_tos FROM flows", "16|8");
}

static void
each_direction_is_scaled_by_its_own_rate(void **state)
{
	struct support_set rate = {.length = 0};
	struct world w;

	(void)state;
	open_world(&w, "stitch: 30s");
	support_put(&rate, 10, 4);
	add(&w, "r", 0, &there, "samplingInterval", &rate);
	rate.length = 0;
	support_put(&rate, 100, 4);
	add(&w, "r", 0, &back, "samplingInterval", &rate);
	expect(&w, "SELECT fwd_octets, bwd_octets FROM flows", "10000|900000");
}

static void
a_full_pool_writes_what_waits_longest_one_way(void **state)
{
	struct flow f = there;
	struct tables_counts c;
	struct world w;

	(void)state;
	open_world(&w, "stitch: { window: 30s, max_waiting: 2 }");
	for (unsigned i = 0; i < 3; i++) {
		f.sport = there.sport - i;
		add_flow(&w, &f);
	}
	add_flow(&w, &back); /* its partner is gone */
	f = back;
	f.dport = there.sport - 2;
	add_flow(&w, &f);
	flush(&w);
	tables_counts(w.tables, &c);
	assert_int_equal(c.stitched.rows, 5);
	assert_int_equal(c.stitched.pairs, 1);
	assert_int_equal(c.stitched.evicted, 2);
	assert_int_equal(c.stitched.alone, 1);
	expect(&w,
	    "SELECT count(*), sum(flows), sum(fwd_packets + bwd_packets) FROM flows",
	    "4|4|44");
}

static void
nothing_waits_beyond_a_flush(void **state)
{
	struct tables_counts c;
	struct world w;

	(void)state;
	open_world(&w, "stitch: 30s");
	add_flow(&w, &there);
	flush(&w);
	tables_counts(w.tables, &c);
	assert_int_equal(c.stitched.alone, 1);
	add_flow(&w, &back);
	expect(&w, LOOK,
	    "10.0.0.1|443|10.0.0.9|40000|1|7|0|9000|0;"
	    "10.0.0.9|40000|10.0.0.1|443|1|10|0|1000|0");
}

static void
what_waits_needs_room_in_the_tables(void **state)
{
	struct flow f = there;
	struct world w;

	(void)state;
	open_world(&w, "stitch: 30s\nmax_keys: 10");
	for (unsigned i = 0; i < 8; i++) {
		assert_true(tables_have_room(w.tables, 1));
		f.sport = i;
		add_flow(&w, &f);
	}
	assert_true(tables_have_room(w.tables, 2));
	assert_false(tables_have_room(w.tables, 3));
	expect(&w, "SELECT count(*) FROM flows", "8");
}

static void
complains(const char *words, const char *place, const char *sentence)
{
	char text[2048];
	struct tables_settings s = {.max_keys = 1000};
	struct tables *t = NULL;
	struct err e = {""};

	s.schema_directory = support_directory();
	snprintf(text, sizeof text, "cp -r schemas/records '%s'", s.schema_directory);
	assert_int_equal(system(text), 0);
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
	complains(HEAD "from: conversation\nstitch: [30s]\n"
		       "values: { n: { sum: flows } }\n",
	    "flows.yaml:6:9", "{ window: 30s, max_waiting: 100000 }");
	complains(HEAD "from: conversation\nstitch: { window: 30s, max_waiting: 0 }\n"
		       "values: { n: { sum: flows } }\n",
	    "flows.yaml:6:", "at least 1");
	complains(HEAD "from: interface\nstitch: 30s\n"
		       "values: { n: { sum: interface } }\n",
	    "flows.yaml:6:9", "'interface' has none");
	complains(HEAD "from: conversation\nstitch: 30s\n"
		       "values: { n: { sum: forward.packets } }\n",
	    "flows.yaml:7:", "'reverse.packets', which no column of 'flows' takes");
}

static void
explain_says_what_is_stitched(void **state)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	struct world w;

	(void)state;
	open_world(&w, "stitch: 30s");
	tables_explain(w.tables, out);
	fclose(out);
	assert_non_null(strstr(text, "start within 30 s are one record"));
	free(text);
	close_world(&w);
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
	    cmocka_unit_test(nothing_waits_beyond_a_flush),
	    cmocka_unit_test(what_waits_needs_room_in_the_tables),
	    cmocka_unit_test(what_cannot_be_stitched_is_refused),
	    cmocka_unit_test(explain_says_what_is_stitched),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
