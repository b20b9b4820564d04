/* Structured data from messages to the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/session/session.h"
#include "collector/store/compact.h"
#include "collector/store/store.h"
#include "common/base/clock.h"
#include "common/ipfix/message.h"
#include "tests/unit/collector/protocol/support_set.h"
#include "tests/unit/collector/session/support_message.h"

#define DAY      17282 /* 2017-04-26 */
#define DAY_FILE "seen-2017-04-26.sqlite"
#define LIFE_NS  (30 * NS_PER_MINUTE)

static const struct source_id source = {"a"};

static const char head[] =
    "from: conversation\npartition: day\nstorage: runs\n"
    "key: { src: sourceAddress, dst: destinationAddress }\nvalues:\n"
    "  packets: { sum: forward.packets }\n";
static const char values[] = "  first: { firstWriteWins: basicList }\n"
			     "  last: { lastWriteWins: basicList }\n"
			     "  sub: { lastWriteWins: subTemplateList }\n";

struct fixture {
	char schemas[128], data[128];
	struct tables *tables;
	struct store *store;
	struct sessions *sessions;
	struct session_counts counts;
	uint32_t sequence;
	uint64_t now_ns, position;
};

static int
set_up(void **state)
{
	static struct fixture f;
	const char *dir = support_schemas();

	f = (struct fixture){.now_ns = DAY * NS_PER_DAY + NS_PER_HOUR};
	snprintf(f.schemas, sizeof f.schemas, "%s", dir);
	snprintf(f.data, sizeof f.data, "%s/data", dir);
	*state = &f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	sessions_free(f->sessions);
	store_close(f->store);
	tables_free(f->tables);
	support_templates_free();
	support_directory_remove();
	return 0;
}

/* table: seen, of these columns; a session over `transport`. */
static int
begin(struct fixture *f, const char *columns, const char *transport, struct err *e)
{
	struct tables_settings s = {.schema_directory = f->schemas,
	    .lateness_ns = 2 * NS_PER_DAY,
	    .skew_ns = NS_PER_DAY,
	    .max_keys = 10000};
	struct sessions_settings limits = {.max_sessions = 4,
	    .max_domains = 4,
	    .max_templates = 8,
	    .max_fields = 128,
	    .max_spools = 8,
	    .is_live = true,
	    .template_lifetime_ns = LIFE_NS};
	struct session_identity id = {.peer = {{{[10] = 0xff, 0xff, 192, 0, 2, 1}}, 1}};
	char yaml[4096], text[SESSION_IDENTITY_TEXT];

	snprintf(yaml, sizeof yaml, "table: seen\n%s%s", head, columns);
	support_write("tables/seen.yaml", yaml);
	snprintf(id.transport, sizeof id.transport, "%s", transport);
	if (tables_new(&s, support_elements(), &f->tables, e) < 0) {
		return -1;
	}
	assert_int_equal(store_open(f->data, f->tables, &f->store, e), 0);
	f->sessions =
	    sessions_new(&limits, support_elements(), tables_add_set, f->tables);
	sessions_open(f->sessions, 1, (const uint8_t *)text,
	    session_identity_write(&id, text, sizeof text), f->now_ns);
	return 0;
}

static void
send_set(struct fixture *f, uint16_t set_id, const void *body, size_t length)
{
	struct support_set m = {.length = 0};

	support_put(&m, 10, 2);
	support_put(&m, 16 + 4 + length, 2);
	support_put(&m, f->now_ns / NS_PER_SECOND, 4);
	support_put(&m, f->sequence, 4);
	support_put(&m, 7, 4);
	support_put(&m, set_id, 2);
	support_put(&m, 4 + length, 2);
	support_put_bytes(&m, body, length);
	f->sequence += set_id >= 256;
	f->position += m.length;
	support_message(
	    f->sessions, MESSAGE(1, 0, m.bytes, m.length, f->now_ns, f->position));
}

static void
send_template(struct fixture *f, uint16_t id, const char *fields)
{
	const struct template *t = support_template(id, fields);

	send_set(f, TEMPLATE_SET_ID, t->raw, t->raw_length);
}

/* A record of template 256 with these two lists. */
static void
send_record(struct fixture *f, const char *src, const void *basic, size_t basic_length,
    const void *sub, size_t sub_length)
{
	struct support_set s = {.length = 0};

	support_put_address(&s, src);
	support_put_address(&s, "10.0.0.2");
	support_put(&s, 1, 8);
	support_put(&s, f->now_ns / 1000000, 8);
	support_put(&s, 255, 1);
	support_put(&s, basic_length, 2);
	support_put_bytes(&s, basic, basic_length);
	support_put(&s, 255, 1);
	support_put(&s, sub_length, 2);
	support_put_bytes(&s, sub, sub_length);
	send_set(f, 256, s.bytes, s.length);
}

static void
send_templates(struct fixture *f)
{
	send_template(f, 256,
	    "sourceIPv4Address destinationIPv4Address packetDeltaCount "
	    "flowStartMilliseconds basicList:v subTemplateList:v");
	send_template(f, 300, "sourceTransportPort");
}

static void
take(const struct session_counts *c, void *data)
{
	((struct fixture *)data)->counts = *c;
}

static void
flush(struct fixture *f)
{
	struct err e = {""};

	if (store_flush(f->store, &source, ++f->position, false, &e) < 0) {
		fail_msg("%s", e.text);
	}
	sessions_take_counts(f->sessions, take, f);
}

static void
begin_well(struct fixture *f, const char *columns, const char *transport)
{
	struct err e = {""};

	if (begin(f, columns, transport, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

#define PORTS "\3\0\7\0\2\0\x50" /* basicList of sourceTransportPort: 80 */

static void
lists_are_stored_as_json_by_first_and_last_write(void **state)
{
	struct fixture *f = *state;

	begin_well(f, values, "tcp");
	send_templates(f);
	send_record(f, "10.0.0.1", PORTS, 7, "\3\1\x2c\0\x35", 5);
	f->now_ns += NS_PER_SECOND;
	send_record(f, "10.0.0.1", PORTS "\0\x51", 9, "\4\1\x2c", 3);
	flush(f);
	assert_string_equal(support_query(f->data, DAY_FILE,
				"SELECT packets, first, last, sub FROM seen"),
	    "2|{\"semantic\":\"allOf\",\"element\":\"sourceTransportPort\","
	    "\"values\":[80]}|{\"semantic\":\"allOf\","
	    "\"element\":\"sourceTransportPort\",\"values\":[80,81]}|"
	    "{\"semantic\":\"ordered\",\"template\":300,\"records\":[]}");
	assert_int_equal(f->counts.records, 2);
	assert_int_equal(f->counts.last_drop, DROPS);
}

static void
what_is_wrong_with_lists_is_counted_and_records_are_kept(void **state)
{
	struct fixture *f = *state;

	begin_well(f, values, "tcp");
	send_templates(f);
	send_record(f, "10.0.0.1", PORTS "\0", 8, "\3\3\xe7\0\x35", 5);
	send_record(f, "10.0.0.3", "\3\0\7\0\0\1", 6, "", 0);
	flush(f);
	assert_int_equal(f->counts.records, 2);
	assert_int_equal(f->counts.lost, 0);
	assert_int_equal(f->counts.dropped[DROP_BAD_LIST], 2);
	assert_int_equal(f->counts.dropped[DROP_LIST_TEMPLATE], 1);
	assert_int_equal(f->counts.dropped[DROP_BAD_RECORD], 0);
	assert_string_equal(
	    support_query(f->data, DAY_FILE,
		"SELECT sum(packets), min(json_extract(sub, '$.template')) FROM seen"),
	    "2|999");
}

static void
lists_that_no_table_asks_for_are_not_looked_at(void **state)
{
	struct fixture *f = *state;

	begin_well(f, "", "tcp");
	send_templates(f);
	send_record(f, "10.0.0.1", PORTS "\0", 8, "\3\3\xe7\0\x35", 5);
	flush(f);
	assert_int_equal(f->counts.records, 1);
	assert_int_equal(f->counts.last_drop, DROPS);
}

static void
a_withdrawn_template_is_not_there_any_more(void **state)
{
	struct fixture *f = *state;

	begin_well(f, values, "tcp");
	send_templates(f);
	send_set(f, TEMPLATE_SET_ID, "\1\x2c\0\0", 4);
	send_record(f, "10.0.0.1", "", 0, "\3\1\x2c\0\x35", 5);
	flush(f);
	assert_string_equal(support_query(f->data, DAY_FILE, "SELECT sub FROM seen"),
	    "{\"semantic\":\"allOf\",\"template\":300,\"length\":2}");
	assert_int_equal(f->counts.dropped[DROP_LIST_TEMPLATE], 1);
}

static void
over_udp_a_template_that_was_not_repeated_expires_for_lists_too(void **state)
{
	struct fixture *f = *state;

	begin_well(f, values, "udp");
	send_templates(f);
	f->now_ns += LIFE_NS;
	send_record(f, "10.0.0.1", "", 0, "\3\1\x2c\0\x35", 5);
	f->now_ns += NS_PER_SECOND;
	send_template(f, 256,
	    "sourceIPv4Address destinationIPv4Address packetDeltaCount "
	    "flowStartMilliseconds basicList:v subTemplateList:v");
	send_record(f, "10.0.0.3", "", 0, "\3\1\x2c\0\x35", 5);
	flush(f);
	assert_string_equal(
	    support_query(f->data, DAY_FILE, "SELECT sub FROM seen ORDER BY src"),
	    "{\"semantic\":\"allOf\",\"template\":300,\"records\":["
	    "{\"sourceTransportPort\":53}]};"
	    "{\"semantic\":\"allOf\",\"template\":300,\"length\":2}");
}

static void
a_record_that_waited_for_its_template_is_read_with_those_of_its_lists(void **state)
{
	struct fixture *f = *state;

	begin_well(f, values, "udp");
	send_template(f, 300, "sourceTransportPort");
	send_record(f, "10.0.0.1", PORTS "\0", 8, "\3\1\x2c\0\x35", 5);
	send_templates(f);
	flush(f);
	assert_string_equal(support_query(f->data, DAY_FILE, "SELECT sub FROM seen"),
	    "{\"semantic\":\"allOf\",\"template\":300,\"records\":["
	    "{\"sourceTransportPort\":53}]}");
	assert_int_equal(f->counts.dropped[DROP_BAD_LIST], 1);
}

static void
rows_with_long_lists_fit_their_pages_and_are_compacted(void **state)
{
	/* So many runs that not all rows of one may wait in memory. */
	enum { RUNS = 150, ROWS = 40, NUMBERS = 8000 };
	struct fixture *f = *state;
	static uint8_t list[5 + 2 * NUMBERS];
	struct compact *compact = NULL;
	struct err e = {""};

	memcpy(list, "\3\0\7\0\2", 5);
	begin_well(f, values, "tcp");
	send_templates(f);
	for (unsigned run = 0; run < RUNS; run++) {
		f->now_ns += NS_PER_SECOND;
		for (unsigned i = 0; i < ROWS; i++) {
			char src[32];
			for (unsigned k = 0; k < NUMBERS; k++) {
				list[5 + 2 * k] = (uint8_t)(50 + run);
				list[6 + 2 * k] = (uint8_t)(i + k);
			}
			snprintf(src, sizeof src, "10.0.1.%u", i);
			send_record(f, src, list, sizeof list, "", 0);
		}
		flush(f);
	}
	assert_int_equal(f->counts.dropped[DROP_LONG_LIST], ROWS);
	assert_int_equal(f->counts.dropped[DROP_BAD_LIST], 0);
	assert_int_equal(compact_new(f->store, false, &compact, &e), 0);
	assert_int_equal(compact_next(compact, COMPACT_ALL, &e), 1);
	compact_free(compact);
	assert_string_equal(
	    support_query(f->data, DAY_FILE,
		"SELECT count(*), sum(packets), "
		"min(json_extract(first, '$.values[0]')) / 256, "
		"max(json_extract(last, '$.values[0]')) / 256, "
		"min(json_array_length(first, '$.values') + "
		"json_extract(first, '$.omitted')), min(length(last)) > 10000 "
		"FROM seen"),
	    "40|6000|50|199|8000|1");
	assert_string_equal(
	    support_query(f->data, DAY_FILE, "SELECT count(*) FROM seen_runs"), "40");
}

static void
many_lists_in_a_row_share_its_room(void **state)
{
	struct fixture *f = *state;
	static uint8_t list[5 + 2 * 8000] = "\3\0\7\0\2";
	char columns[4000] = "";

	for (unsigned i = 0; i < 30; i++) {
		snprintf(columns + strlen(columns), sizeof columns - strlen(columns),
		    "  list%u: { %s: basicList }\n", i,
		    i % 2 == 0 ? "firstWriteWins" : "lastWriteWins");
	}
	begin_well(f, columns, "tcp");
	send_templates(f);
	send_record(f, "10.0.0.1", list, sizeof list, "", 0);
	flush(f);
	assert_string_equal(support_query(f->data, DAY_FILE,
				"SELECT length(list0) > 900, length(list0) < 1200, "
				"list0 = list29, json_valid(list0) FROM seen"),
	    "1|1|1|1");
}

static void
a_list_is_no_key(void **state)
{
	struct fixture *f = *state;
	struct err e = {""};
	char yaml[512];

	snprintf(yaml, sizeof yaml,
	    "table: keyed\nfrom: conversation\npartition: none\nstorage: upsert\n"
	    "key: { names: basicList }\nvalues: { n: { sum: flows } }\n");
	support_write("tables/keyed.yaml", yaml);
	assert_int_equal(begin(f, values, "tcp", &e), -1);
	assert_non_null(strstr(e.text, "keyed.yaml:5:"));
	assert_non_null(strstr(e.text, "'basicList' is a list and cannot be a key"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	    T(lists_are_stored_as_json_by_first_and_last_write),
	    T(what_is_wrong_with_lists_is_counted_and_records_are_kept),
	    T(lists_that_no_table_asks_for_are_not_looked_at),
	    T(a_withdrawn_template_is_not_there_any_more),
	    T(over_udp_a_template_that_was_not_repeated_expires_for_lists_too),
	    T(a_record_that_waited_for_its_template_is_read_with_those_of_its_lists),
	    T(rows_with_long_lists_fit_their_pages_and_are_compacted),
	    T(many_lists_in_a_row_share_its_room),
	    T(a_list_is_no_key),
#undef T
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
