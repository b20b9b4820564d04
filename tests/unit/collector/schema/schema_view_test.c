#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/store.h"
#include "tests/unit/collector/protocol/support_set.h"

#define START 1493205077u /* 2017-04-26T11:11:17Z */
#define HEAD                                                                           \
	"table: flows\nfrom: conversation\npartition: day\nstorage: runs\n"            \
	"key: { exporter: exporter, domain: observationDomain, src_ip: "               \
	"sourceAddress, dst_ip: destinationAddress }\n"                                \
	"values: { packets: { sum: forward.packets } }\n"

static char directory[64];

static struct tables *
load(const char *schema, struct err *e)
{
	struct tables_settings s = {.max_keys = 1000};
	struct tables *t = NULL;

	snprintf(directory, sizeof directory, "%s", support_schemas());
	s.schema_directory = directory;
	support_write("tables/flows.yaml", schema);
	return tables_new(&s, support_elements(), &t, e) < 0 ? NULL : t;
}

struct report {
	const char *exporter;
	unsigned domain;
	const char *dst;
	unsigned packets;
};

/* What a table says after these reports came one by one, with a flush after each
 * `every`. */
static const char *
tell(const char *schema, const struct report *reports, const unsigned *order,
    unsigned n, unsigned every, const char *sql)
{
	static const struct source_id source = {"test"};
	static const char file[] = "flows-2017-04-26.sqlite";
	struct template *template;
	struct store *store = NULL;
	struct err e = {""};
	struct tables *t = load(schema, &e);
	struct support_set s;
	static char told[4096];

	if (t == NULL) {
		fail_msg("%s", e.text);
	}
	if (store_open(directory, t, &store, &e) < 0) {
		fail_msg("%s", e.text);
	}
	template = support_template(256,
	    "sourceIPv4Address destinationIPv4Address flowStartMilliseconds "
	    "packetDeltaCount");
	for (unsigned i = 0; i < n; i++) {
		const struct report *r = &reports[order[i]];
		struct origin o = {.exporter = r->exporter,
		    .domain = r->domain,
		    .arrival_ns = START * 1000000000ULL,
		    .position = 100 * (i + 1)};
		s.length = 0;
		support_put_address(&s, "10.0.0.1");
		support_put_address(&s, r->dst);
		support_put(&s, START * 1000ULL, 8);
		support_put(&s, r->packets, 8);
		assert_int_equal(tables_add_set(template, s.bytes, s.length, &o, t), 1);
		if (((i + 1) % every == 0 || i + 1 == n) &&
		    store_flush(store, &source, o.position + 50, i + 1 == n, &e) < 0) {
			fail_msg("%s", e.text);
		}
	}
	snprintf(told, sizeof told, "%s", support_query(directory, file, sql));
	support_templates_free();
	tables_free(t);
	store_close(store);
	support_directory_remove();
	return told;
}

static const struct report reports[] = {
    {"core", 1, "10.0.1.1", 9},
    {"edge", 1, "10.0.1.1", 10},
    {"core", 1, "10.0.1.2", 20},
    {"tap", 1, "10.0.1.3", 30},
    {"mirror", 1, "10.0.1.3", 31},
    {"edge", 2, "10.0.1.1", 5},
    {"core", 1, "10.0.1.1", 1},
    {"edge", 1, "10.0.1.1", 4},
};

static void
the_first_exporter_of_the_order_counts_whatever_comes_first(void **state)
{
	unsigned order[] = {0, 1, 2, 3, 4, 5, 6, 7};

	(void)state;
	for (unsigned turn = 0; turn < 8; turn++) {
		for (unsigned i = 0; i < 8; i++) {
			order[i] = (i * (turn % 2 == 0 ? 1 : 3) + turn) % 8;
		}
		assert_string_equal(
		    tell(HEAD "deduplicate: { prefer: [edge, core] }\n", reports, order,
			8, 1 + turn,
			"SELECT exporter, domain, dst_ip, packets FROM flows_once "
			"ORDER BY dst_ip, exporter, domain"),
		    "edge|1|10.0.1.1|14;edge|2|10.0.1.1|5;core|1|10.0.1.2|20;"
		    "mirror|1|10.0.1.3|31");
	}
}

static void
the_table_itself_keeps_every_report(void **state)
{
	static const unsigned order[] = {0, 1, 2, 3, 4, 5, 6, 7};

	(void)state;
	assert_string_equal(
	    tell(HEAD "deduplicate: { prefer: [edge, core] }\n", reports, order, 8, 3,
		"SELECT count(*), sum(packets) FROM flows"),
	    "6|110");
}

static void
by_says_which_rows_are_one(void **state)
{
	static const unsigned order[] = {0, 1, 2, 3, 4, 5, 6, 7};

	(void)state;
	assert_string_equal(
	    tell(HEAD "deduplicate: { prefer: [core], by: [src_ip] }\n", reports, order,
		8, 8, "SELECT exporter, dst_ip, packets FROM flows_once ORDER BY 2"),
	    "core|10.0.1.1|10;core|10.0.1.2|20");
}

static void
names_of_exporters_are_text_whatever_is_in_them(void **state)
{
	static const struct report odd[] = {
	    {"a'b", 1, "10.0.1.1", 1}, {"a", 1, "10.0.1.1", 2}};
	static const unsigned order[] = {1, 0};

	(void)state;
	assert_string_equal(tell(HEAD "deduplicate: { prefer: [\"a'b\"] }\n", odd,
				order, 2, 1, "SELECT exporter FROM flows_once"),
	    "a'b");
}

static void
complains(const char *schema, const char *place, const char *sentence)
{
	struct err e = {""};

	assert_null(load(schema, &e));
	if (strstr(e.text, place) == NULL || strstr(e.text, sentence) == NULL) {
		fail_msg("%s", e.text);
	}
	support_directory_remove();
}

static void
what_cannot_be_deduplicated_is_refused(void **state)
{
	(void)state;
	complains(
	    HEAD "deduplicate: [edge]\n", "flows.yaml:7:14", "prefer: [EXPORTERS");
	complains(HEAD "deduplicate: { by: [src_ip] }\n",
	    "flows.yaml:7:", "prefer: [EXPORTERS");
	complains(HEAD "deduplicate: { prefer: [a, b, a] }\n", "flows.yaml:7:31",
	    "duplicate exporter 'a'");
	complains(HEAD "deduplicate: { prefer: [a], by: [srcip] }\n", "flows.yaml:7:34",
	    "did you mean 'src_ip'?");
	complains(HEAD "deduplicate: { prefer: [a], by: [exporter] }\n",
	    "flows.yaml:7:34", "must not be in 'by'");
	complains(HEAD "deduplicate: { prefer: [a], by: [] }\n",
	    "flows.yaml:7:", "columns that distinguish flows");
	complains(HEAD "deduplicate: { prefer: [a], bye: [src_ip] }\n",
	    "flows.yaml:7:29", "'by'");
	complains("table: flows\nfrom: conversation\npartition: day\nstorage: runs\n"
		  "key: { a: sourceAddress }\nvalues: { n: { sum: flows } }\n"
		  "deduplicate: { prefer: [a] }\n",
	    "flows.yaml:7:14", "exporter: exporter");
	complains("table: flows\nfrom: conversation\npartition: day\nstorage: append\n"
		  "values: { exporter: exporter, n: flows }\n"
		  "deduplicate: { prefer: [a] }\n",
	    "flows.yaml:6:14", "columns that distinguish flows");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		the_first_exporter_of_the_order_counts_whatever_comes_first),
	    cmocka_unit_test(the_table_itself_keeps_every_report),
	    cmocka_unit_test(by_says_which_rows_are_one),
	    cmocka_unit_test(names_of_exporters_are_text_whatever_is_in_them),
	    cmocka_unit_test(what_cannot_be_deduplicated_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
