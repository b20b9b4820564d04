#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/store/compact.h"
#include "collector/store/store.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/sqlite/database.h"
#include "tests/unit/collector/protocol/support_set.h"

#define DAY      17282 /* 2017-04-26 */
#define DAY_FILE "flows-2017-04-26.sqlite"
#define ALL      "SELECT * FROM flows ORDER BY src, dst"
#define EXTENT   "SELECT first, last FROM flows_extent ORDER BY 1"
#define INDEXES                                                                        \
	"SELECT name FROM sqlite_schema WHERE type = 'index' AND name LIKE 'flows%' "  \
	"ORDER BY 1"

static const struct source_id source = {"a"};

static const char table_flows[] =
    "table: flows\n"
    "from: conversation\n"
    "partition: day\n"
    "storage: runs\n"
    "key: { day: { day: flowStart }, src: sourceAddress, dst: destinationAddress }\n"
    "values:\n"
    "  start_ns: { minimize: flowStart }\n"
    "  packets: { sum: forward.packets }\n"
    "  first_port: { firstWriteWins: sourceTransportPort }\n"
    "  last_port: { lastWriteWins: sourceTransportPort }\n";
static const char table_later[] =
    "table: flows\n"
    "from: conversation\n"
    "partition: day\n"
    "storage: runs\n"
    "key: { day: { day: flowStart }, src: sourceAddress, dst: destinationAddress }\n"
    "values:\n"
    "  start_ns: { minimize: flowStart }\n"
    "  packets: { sum: forward.packets }\n";

struct fixture {
	char schemas[128], data[128];
	struct tables *tables;
	struct store *store;
	struct compact *compact;
	struct template *template;
	uint64_t position;
};

static void
open_all(struct fixture *f, bool touched)
{
	struct tables_settings s = {.schema_directory = f->schemas,
	    .lateness_ns = 2 * NS_PER_DAY,
	    .skew_ns = NS_PER_DAY,
	    .max_keys = 10000};
	struct err e = {""};

	f->template = support_template(256, "sourceIPv4Address destinationIPv4Address "
					    "sourceTransportPort packetDeltaCount "
					    "flowStartSeconds");
	if (tables_new(&s, support_elements(), &f->tables, &e) < 0 ||
	    store_open(f->data, f->tables, &f->store, &e) < 0 ||
	    compact_new(f->store, touched, &f->compact, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

static void
close_all(struct fixture *f)
{
	support_templates_free();
	compact_free(f->compact);
	store_close(f->store);
	tables_free(f->tables);
	f->compact = NULL;
	f->store = NULL;
	f->tables = NULL;
}

static int
set_up(void **state)
{
	static struct fixture f;
	const char *dir = support_schemas();

	f = (struct fixture){.position = 0};
	snprintf(f.schemas, sizeof f.schemas, "%s", dir);
	snprintf(f.data, sizeof f.data, "%s/data", dir);
	support_write("tables/flows.yaml", table_flows);
	*state = &f;
	return 0;
}

static int
tear_down(void **state)
{
	close_all(*state);
	support_directory_remove();
	return 0;
}

static void
add(struct fixture *f, const char *src, const char *dst, unsigned port,
    uint64_t packets, unsigned second)
{
	struct support_set s = {.length = 0};
	struct origin o = {.exporter = "x", .arrival_ns = 1, .position = ++f->position};

	support_put_address(&s, src);
	support_put_address(&s, dst);
	support_put(&s, port, 2);
	support_put(&s, packets, 8);
	support_put(&s, (uint64_t)DAY * 86400 + second, 4);
	assert_int_equal(
	    tables_add_set(f->template, s.bytes, s.length, &o, f->tables), 1);
}

static void
flush(struct fixture *f)
{
	struct err e = {""};

	if (store_flush(f->store, &source, ++f->position, false, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

static int
compact(struct fixture *f, uint64_t now_ns)
{
	struct err e = {""};
	int rc = compact_next(f->compact, now_ns, &e);

	if (rc < 0) {
		fail_msg("%s", e.text);
	}
	return rc;
}

static const char *
ask(const struct fixture *f, const char *sql)
{
	return support_query(f->data, DAY_FILE, sql);
}

/* Two runs that share a key. */
static void
add_two_runs(struct fixture *f)
{
	add(f, "10.0.0.1", "10.9.9.9", 5000, 3, 10);
	add(f, "9.0.0.1", "10.9.9.9", 1, 1, 20);
	flush(f);
	add(f, "10.0.0.1", "10.9.9.9", 80, 4, 5);
	add(f, "100.0.0.1", "10.9.9.9", 2, 2, 20);
	flush(f);
}

static void
runs_become_one_row_per_key_with_indexes(void **state)
{
	struct fixture *f = *state;

	open_all(f, false);
	add_two_runs(f);
	assert_int_equal(compact(f, COMPACT_ALL), 1);
	assert_string_equal(ask(f, EXTENT), "1|3");
	assert_string_equal(
	    ask(f, "SELECT src, packets, substr(flowpair_state_first_port, 33), "
		   "substr(flowpair_state_last_port, 33) FROM flows_runs ORDER BY "
		   "rowid"),
	    "9.0.0.1|1|1|1;10.0.0.1|7|80|5000;100.0.0.1|2|2|2");
	assert_string_equal(ask(f, INDEXES), "flows_by_dst;flows_by_src");
	assert_int_equal(compact(f, COMPACT_ALL), 0);
}

static void
positions_stay_as_they_are(void **state)
{
	struct fixture *f = *state;
	uint64_t complete = 0, pending = 0;
	struct err e = {""};

	open_all(f, false);
	add_two_runs(f);
	compact(f, COMPACT_ALL);
	assert_int_equal(store_progress(f->store, &source, &complete, &pending, &e), 0);
	assert_int_equal(complete, f->position);
	assert_int_equal(pending, f->position);
	assert_string_equal(
	    ask(f, "SELECT source, position FROM flowpair_progress"), "a|6");
}

static void
late_rows_are_a_new_run_and_compacted_again(void **state)
{
	struct fixture *f = *state;

	open_all(f, false);
	add_two_runs(f);
	compact(f, COMPACT_ALL);
	add(f, "10.0.0.1", "10.9.9.9", 7, 100, 1);
	flush(f);
	assert_string_equal(ask(f, EXTENT), "1|3;4|4");
	assert_string_equal(
	    ask(f, "SELECT packets, first_port, last_port FROM flows WHERE src = "
		   "'10.0.0.1'"),
	    "107|7|5000");
	assert_int_equal(compact(f, COMPACT_ALL), 1);
	assert_string_equal(ask(f, EXTENT), "1|3");
	assert_string_equal(
	    ask(f, "SELECT packets, first_port, last_port FROM flows WHERE src = "
		   "'10.0.0.1'"),
	    "107|7|5000");
}

static void
a_day_is_left_alone_until_it_ended_longer_ago_than_lateness(void **state)
{
	struct fixture *f = *state;
	uint64_t end = (DAY + 1) * NS_PER_DAY;

	open_all(f, false);
	add_two_runs(f);
	assert_int_equal(compact(f, end + NS_PER_DAY), 0);
	assert_int_equal(compact(f, end + 2 * NS_PER_DAY), 0);
	assert_int_equal(compact(f, end + 2 * NS_PER_DAY + 1), 0); /* is it quiet? */
	assert_int_equal(compact(f, end + 2 * NS_PER_DAY + 1 + COMPACT_QUIET), 1);
}

static void
a_day_is_left_alone_while_it_is_written_to(void **state)
{
	struct fixture *f = *state;
	uint64_t now = (DAY + 9) * NS_PER_DAY;

	open_all(f, false);
	add_two_runs(f);
	assert_int_equal(compact(f, now), 0);
	add(f, "10.0.0.1", "10.9.9.9", 7, 100, 1);
	flush(f);
	assert_int_equal(compact(f, now + COMPACT_QUIET), 0);
	assert_int_equal(compact(f, now + 2 * COMPACT_QUIET - 1), 0);
	assert_int_equal(compact(f, now + 2 * COMPACT_QUIET), 1);
	assert_int_equal(compact(f, now + 9 * COMPACT_QUIET), 0);
}

static void
only_days_that_were_touched_are_compacted_after_an_import(void **state)
{
	struct fixture *f = *state;

	open_all(f, false);
	add_two_runs(f);
	close_all(f);
	open_all(f, true);
	assert_int_equal(compact(f, COMPACT_ALL), 0);
	add(f, "10.0.0.1", "10.9.9.9", 7, 100, 1);
	flush(f);
	assert_int_equal(compact(f, COMPACT_ALL), 1);
	assert_string_equal(ask(f, EXTENT), "1|3");
}

static void
a_day_with_one_run_or_none_left_is_passed_over(void **state)
{
	struct fixture *f = *state;
	char path[256];

	open_all(f, false);
	add(f, "10.0.0.1", "10.9.9.9", 7, 100, 1);
	flush(f);
	assert_int_equal(compact(f, COMPACT_ALL), 0);
	close_all(f);
	open_all(f, false);
	snprintf(path, sizeof path, "%s/" DAY_FILE, f->data);
	unlink(path);
	assert_int_equal(compact(f, COMPACT_ALL), 0);
}

static void
a_day_with_a_column_that_the_schema_no_longer_has_keeps_its_runs(void **state)
{
	struct fixture *f = *state;

	open_all(f, false);
	add_two_runs(f);
	close_all(f);
	support_write("tables/flows.yaml", table_later);
	open_all(f, false);
	assert_int_equal(compact(f, COMPACT_ALL), 0);
	assert_string_equal(ask(f, EXTENT), "1|2;3|4");
}

static void
a_run_that_is_not_sorted_is_an_error_and_stays(void **state)
{
	struct fixture *f = *state;
	struct database *d = NULL;
	struct err e = {""};
	char path[256];

	open_all(f, false);
	add_two_runs(f);
	close_all(f);
	snprintf(path, sizeof path, "%s/" DAY_FILE, f->data);
	assert_int_equal(database_open(path, DATABASE_WRITE, &d, &e), 0);
	assert_int_equal(
	    database_exec_text(
		d, "UPDATE flows_runs SET src = '200.0.0.1' WHERE rowid = 1", &e),
	    0);
	database_close(d);
	open_all(f, false);
	assert_int_equal(compact_next(f->compact, COMPACT_ALL, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "not sorted"));
	assert_string_equal(ask(f, EXTENT), "1|2;3|4");
	assert_int_equal(compact(f, COMPACT_ALL), 0); /* not tried again */
}

static void
sums_saturate(void **state)
{
	struct fixture *f = *state;

	open_all(f, false);
	for (unsigned i = 0; i < 3; i++) {
		add(f, "10.0.0.1", "10.9.9.9", 7, (uint64_t)INT64_MAX - 5, 1);
		flush(f);
	}
	assert_int_equal(compact(f, COMPACT_ALL), 1);
	assert_string_equal(ask(f, "SELECT packets, typeof(packets) FROM flows"),
	    "9223372036854775807|integer");
}

static void
a_reader_sees_the_runs_until_it_asks_again(void **state)
{
	struct fixture *f = *state;
	struct database *d = NULL;
	struct statement *s = NULL;
	struct err e = {""};
	char path[256];

	open_all(f, false);
	add_two_runs(f);
	snprintf(path, sizeof path, "%s/" DAY_FILE, f->data);
	assert_int_equal(database_open(path, DATABASE_READ, &d, &e), 0);
	assert_int_equal(
	    statement_new(d, "SELECT packets FROM flows_runs ORDER BY rowid", &s, &e),
	    0);
	assert_int_equal(statement_step(s, &e), 1);
	assert_int_equal(compact(f, COMPACT_ALL), 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(statement_step(s, &e), 1);
	}
	assert_int_equal(statement_step(s, &e), 0);
	statement_reset(s);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(statement_step(s, &e), 1);
	}
	assert_int_equal(statement_step(s, &e), 0);
	statement_free(s);
	database_close(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	    TEST(runs_become_one_row_per_key_with_indexes),
	    TEST(positions_stay_as_they_are),
	    TEST(late_rows_are_a_new_run_and_compacted_again),
	    TEST(a_day_is_left_alone_until_it_ended_longer_ago_than_lateness),
	    TEST(a_day_is_left_alone_while_it_is_written_to),
	    TEST(only_days_that_were_touched_are_compacted_after_an_import),
	    TEST(a_day_with_one_run_or_none_left_is_passed_over),
	    TEST(a_day_with_a_column_that_the_schema_no_longer_has_keeps_its_runs),
	    TEST(a_run_that_is_not_sorted_is_an_error_and_stays),
	    TEST(sums_saturate),
	    TEST(a_reader_sees_the_runs_until_it_asks_again),
	};

	log_set_level(LOG_WARNING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
