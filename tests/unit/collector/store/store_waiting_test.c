#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/sqlite/database.h"
#include "tests/unit/collector/tables/support_stitch.h"

#define PAIR    "10.0.0.9|40000|10.0.0.1|443|1|10|7|1000|9000"
#define WAITING "SELECT tables, window_ns, waiting FROM flowpair_waiting"
#define TOTALS                                                                         \
	"SELECT count(*), sum(flows), sum(fwd_packets + bwd_packets), "                \
	"sum(fwd_octets + bwd_octets) FROM flows"

static void
restart(struct world *w, const char *words)
{
	struct err e = {""};

	if (world_restart(w, words, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

static void
what_waits_is_there_after_a_crash(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	world_add_flow(&w, &flow_there);
	world_flush(&w);
	assert_string_equal(
	    world_ask_main(&w, WAITING), "conversation: flows|30000000000|1");
	restart(&w, "stitch: 30s");
	assert_false(tables_are_empty(w.tables));
	world_add_flow(&w, &flow_back);
	world_end(&w);
	assert_string_equal(
	    world_ask_main(&w, WAITING), "conversation: flows|30000000000|0");
	world_expect(&w, WORLD_LOOK, PAIR);
}

static void
what_came_after_the_flush_does_not_wait_after_a_crash(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	world_add_flow(&w, &flow_there);
	world_flush(&w);
	world_add_flow(&w, &flow_back);
	restart(&w, "stitch: 30s");
	assert_int_equal(w.complete, 200);
	world_add_flow(&w, &flow_back); /* from the journal */
	world_expect(&w, WORLD_LOOK, PAIR);
}

/* As many as several chunks have, with texts. */
static void
many_rows_come_back_as_they_were(void **state)
{
	struct flow f = flow_there;
	struct support_set name;
	struct world w;
	char first[256];

	(void)state;
	world_open(&w, "stitch: 30s");
	for (unsigned i = 0; i < 4000; i++) {
		char text[8];
		name.length = 0;
		f.sport = 10000 + i;
		f.packets = i;
		snprintf(text, sizeof text, "if%u", i % 100);
		support_put(&name, strlen(text), 1);
		support_put_bytes(&name, text, strlen(text));
		world_add(&w, i % 3 ? "r" : "s", i % 2, &f, "interfaceName:v", &name);
	}
	world_flush(&w);
	assert_true(
	    atoi(world_ask_main(&w, "SELECT count(*) FROM flowpair_waiting")) > 2);
	restart(&w, "stitch: 30s");
	world_flush(&w);
	restart(&w, "stitch: 30s");
	world_end(&w);
	snprintf(first, sizeof first, "%s",
	    world_ask(&w,
		"SELECT count(*), sum(packets), sum(port * packets % 1009), "
		"sum(name = 'if' || ((port - 10000) % 100)) FROM (SELECT fwd_packets "
		"AS packets, src_port AS port, name FROM flows WHERE exporter = "
		"CASE (src_port - 10000) % 3 WHEN 0 THEN 's' ELSE 'r' END)"));
	assert_memory_equal(first, "4000|7998000|", 13);
	assert_string_equal(strrchr(first, '|'), "|4000");
	world_close(&w);
}

/* Structured data becomes a text that is longer than others. */
static void
a_long_text_comes_back_whole(void **state)
{
	static const char length[] =
	    "SELECT length(list) || substr(list, -12) FROM flows";
	struct support_set list = {.length = 0};
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	support_put(&list, 5 + 100 * 2, 1);
	support_put(&list, 3, 1);
	support_put(&list, 7, 2); /* sourceTransportPort */
	support_put(&list, 2, 2);
	for (unsigned i = 0; i < 100; i++) {
		support_put(&list, 10000 + i, 2);
	}
	world_add(&w, "r", 0, &flow_there, "basicList:v", &list);
	world_flush(&w);
	world_flush(&w);
	restart(&w, "stitch: 30s");
	world_flush(&w);
	world_end(&w);
	assert_string_equal(world_ask(&w, length), "6630098,10099]}");
	world_expect(&w, TOTALS, "1|1|10|1000");
}

static void
copy(const struct world *w, const char *from, const char *to)
{
	char command[512];

	snprintf(command, sizeof command, "cp '%s/%s' '%s/%s'", w->directory, from,
	    w->directory, to);
	assert_int_equal(system(command), 0);
}

/* A crash between the day's transaction and the main file's: the main file is that of
 * before. */
static int
crash_in_mid_flush(struct world *w, const char *before, const char *words,
    const char *after, struct err *e)
{
	struct flow f = flow_there;

	world_open(w, before);
	world_add_flow(w, &flow_there);
	f.sport = 1;
	world_add_flow(w, &f);
	world_flush(w);
	restart(w, words);
	copy(w, "flowpair.sqlite", "before");
	f.sport = 2;
	world_add_flow(w, &flow_back);
	world_add_flow(w, &f);
	world_flush(w);
	tables_free(w->tables);
	store_close(w->store);
	copy(w, "before", "flowpair.sqlite");
	w->tables = NULL;
	w->store = NULL;
	return world_restart(w, after, e);
}

static void
a_flush_that_a_crash_cut_short_is_made_again_as_it_was(void **state)
{
	static const char words[] = "stitch: 30s", other[] = "stitch: 20s";
	struct err e = {""};
	struct world w;

	(void)state;
	/* The window was another one until the start before, or not. */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(
		    crash_in_mid_flush(&w, i == 0 ? words : other, words, words, &e),
		    0);
		struct flow f = flow_there;
		assert_true(w.pending > w.complete);
		f.sport = 2;
		w.position = w.complete;
		world_add_flow(&w, &flow_back);
		world_add_flow(&w, &f);
		world_flush(&w);
		assert_int_equal(w.position, w.pending);
		assert_string_equal(world_ask(&w, WORLD_LOOK), PAIR);
		assert_string_equal(
		    world_ask_main(&w, "SELECT waiting FROM flowpair_waiting"), "2");
		world_expect(&w, TOTALS, "3|3|37|12000");
	}
}

static void
a_flush_that_was_cut_short_is_not_made_with_another_window(void **state)
{
	static const char words[] = "stitch: 30s";
	struct err e = {""};
	struct world w;

	(void)state;
	assert_int_equal(
	    crash_in_mid_flush(&w, words, words, "stitch: 20s", &e), -EINVAL);
	assert_non_null(strstr(e.text, "put it back, start and stop"));
	assert_int_equal(world_restart(&w, words, &e), 0);
	world_close(&w);
}

static void
another_window_takes_what_waits(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	world_add_flow(&w, &flow_there);
	world_flush(&w);
	restart(&w, "stitch: { window: 1min, max_waiting: 1 }");
	world_add_flow(&w, &flow_back);
	world_expect(&w, WORLD_LOOK, PAIR);
}

static void
without_the_word_what_waits_is_not_forgotten(void **state)
{
	struct err e = {""};
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	world_add_flow(&w, &flow_there);
	world_flush(&w);
	assert_int_equal(world_restart(&w, "", &e), -EINVAL);
	assert_non_null(strstr(e.text, "1 one-way flows of an interrupted run"));
	assert_non_null(strstr(e.text, "(conversation: flows)"));
	restart(&w, "stitch: 30s");
	world_end(&w);
	restart(&w, ""); /* after a proper stop it may go */
	world_expect(&w, TOTALS, "1|1|10|1000");
}

static void
rows_may_have_other_fields_after_a_crash(void **state)
{
	struct support_set name = {.length = 0};
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	support_put(&name, 4, 1);
	support_put_bytes(&name, "eth0", 4);
	world_add(&w, "r", 0, &flow_there, "interfaceName:v", &name);
	world_flush(&w);
	support_write("tables/before.yaml",
	    "table: before\nfrom: conversation\npartition: day\nstorage: runs\n"
	    "key: { vlan: vlanId, hops: ipTTL }\n"
	    "values: { class: { maximize: ipClassOfService } }\n");
	restart(&w, "stitch: 30s");
	world_add_flow(&w, &flow_back);
	world_end(&w);
	assert_string_equal(world_ask(&w, "SELECT name FROM flows"), "eth0");
	world_expect(&w, WORLD_LOOK, PAIR);
}

static void
another_source_does_not_get_what_waits(void **state)
{
	static const struct source_id other = {"other"};
	struct err e = {""};
	struct world w;

	(void)state;
	world_open(&w, "stitch: 30s");
	world_add_flow(&w, &flow_there);
	world_flush(&w);
	assert_int_equal(store_resume(w.store, &other, false, &e), 0);
	assert_true(tables_are_empty(w.tables));
	world_add_flow(&w, &flow_back);
	tables_release(w.tables);
	assert_int_equal(store_flush(w.store, &other, w.position += 100, true, &e), 0);
	restart(&w, "stitch: 30s");
	world_expect(&w, TOTALS, "2|2|17|10000");
}

static void
damage_is_told(void **state)
{
	struct database *d = NULL;
	struct err e = {""};
	struct world w;
	char path[256];

	(void)state;
	world_open(&w, "stitch: 30s");
	world_add_flow(&w, &flow_there);
	world_flush(&w);
	snprintf(path, sizeof path, "%s/flowpair.sqlite", w.directory);
	assert_int_equal(database_open(path, DATABASE_WRITE, &d, &e), 0);
	assert_int_equal(database_exec_text(d,
			     "UPDATE flowpair_waiting SET rows = substr(rows, 1, "
			     "length(rows) - 1)",
			     &e),
	    0);
	database_close(d);
	assert_int_equal(world_restart(&w, "stitch: 30s", &e), -EBADMSG);
	assert_non_null(strstr(e.text, "flowpair_waiting is damaged"));
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_waits_is_there_after_a_crash),
	    cmocka_unit_test(what_came_after_the_flush_does_not_wait_after_a_crash),
	    cmocka_unit_test(many_rows_come_back_as_they_were),
	    cmocka_unit_test(a_long_text_comes_back_whole),
	    cmocka_unit_test(a_flush_that_a_crash_cut_short_is_made_again_as_it_was),
	    cmocka_unit_test(
		a_flush_that_was_cut_short_is_not_made_with_another_window),
	    cmocka_unit_test(another_window_takes_what_waits),
	    cmocka_unit_test(without_the_word_what_waits_is_not_forgotten),
	    cmocka_unit_test(rows_may_have_other_fields_after_a_crash),
	    cmocka_unit_test(another_source_does_not_get_what_waits),
	    cmocka_unit_test(damage_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
