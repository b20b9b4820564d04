#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/store/store.h"
#include "common/base/clock.h"
#include "common/sqlite/database.h"
#include "tests/unit/collector/protocol/support_set.h"

#define DAY_ONE 17282 /* 2017-04-26 */

static const struct source_id source = {"a"}, other = {"b"};

static const char table_flows[] =
    "table: flows\n"
    "from: conversation\n"
    "partition: day\n"
    "storage: runs\n"
    "key: { src: sourceAddress }\n"
    "values:\n"
    "  packets: { sum: forward.packets }\n"
    "  first_port: { firstWriteWins: sourceTransportPort }\n"
    "  last_port: { lastWriteWins: sourceTransportPort }\n";
static const char table_hosts[] =
    "table: hosts\n"
    "from: conversation\n"
    "partition: none\n"
    "storage: upsert\n"
    "key: { src: sourceAddress }\n"
    "values:\n"
    "  packets: { sum: forward.packets }\n"
    "  start_ns: { minimize: flowStart }\n"
    "  last_port: { lastWriteWins: sourceTransportPort }\n";

/* Tables and store of one directory: schemas lie beside the data. */
struct fixture {
	char schemas[128], data[128];
	struct tables *tables;
	struct store *store;
	struct template *template;
};

static int
open_store(struct fixture *f, struct err *e)
{
	struct tables_settings s = {.schema_directory = f->schemas,
	    .lateness_ns = 2 * NS_PER_DAY,
	    .skew_ns = NS_PER_DAY,
	    .max_keys = 1000};
	int rc = tables_new(&s, support_elements(), &f->tables, e);

	f->template = support_template(256, "sourceIPv4Address destinationIPv4Address "
					    "sourceTransportPort packetDeltaCount "
					    "flowStartSeconds");
	return rc < 0 ? rc : store_open(f->data, f->tables, &f->store, e);
}

static void
close_store(struct fixture *f)
{
	support_templates_free();
	tables_free(f->tables);
	store_close(f->store);
	f->tables = NULL;
	f->store = NULL;
}

static void
open_well(struct fixture *f)
{
	struct err e = {""};

	if (open_store(f, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

static int
set_up(void **state)
{
	static struct fixture f;
	const char *dir = support_schemas();

	f = (struct fixture){.tables = NULL};
	snprintf(f.schemas, sizeof f.schemas, "%s", dir);
	snprintf(f.data, sizeof f.data, "%s/data", dir);
	support_write("tables/flows.yaml", table_flows);
	support_write("tables/hosts.yaml", table_hosts);
	*state = &f;
	return 0;
}

static int
tear_down(void **state)
{
	close_store(*state);
	support_directory_remove();
	return 0;
}

static void
add(struct fixture *f, uint64_t position, const char *src, unsigned port,
    unsigned packets, unsigned day)
{
	struct support_set s = {.length = 0};
	struct origin o = {.exporter = "x", .arrival_ns = 1, .position = position};

	support_put_address(&s, src);
	support_put_address(&s, "10.9.9.9");
	support_put(&s, port, 2);
	support_put(&s, packets, 8);
	support_put(&s, (uint64_t)day * 86400 + position, 4);
	assert_int_equal(
	    tables_add_set(f->template, s.bytes, s.length, &o, f->tables), 1);
}

static void
flush(struct fixture *f, const struct source_id *id, uint64_t position)
{
	struct err e = {""};

	if (store_flush(f->store, id, position, false, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

static void
check_progress(
    struct fixture *f, const struct source_id *id, uint64_t complete, uint64_t pending)
{
	uint64_t c = 99, p = 99;
	struct err e = {""};

	if (store_progress(f->store, id, &c, &p, &e) < 0) {
		fail_msg("%s", e.text);
	}
	assert_int_equal(c, complete);
	assert_int_equal(p, pending);
}

static void
copy_file(struct fixture *f, const char *from, const char *to)
{
	char command[512];

	snprintf(
	    command, sizeof command, "cp '%s/%s' '%s/%s'", f->data, from, f->data, to);
	assert_int_equal(system(command), 0);
}

static void
remove_file(struct fixture *f, const char *file)
{
	char command[512];

	snprintf(command, sizeof command, "rm -f '%s/%s' '%s/%s-wal' '%s/%s-shm'",
	    f->data, file, f->data, file, f->data, file);
	assert_int_equal(system(command), 0);
}

static void
runs_of_a_day_are_read_as_one_row_per_key(void **state)
{
	struct fixture *f = *state;

	open_well(f);
	add(f, 1, "10.0.0.1", 5000, 3, DAY_ONE);
	add(f, 2, "10.0.0.2", 1, 1, DAY_ONE);
	flush(f, &source, 10);
	add(f, 11, "10.0.0.1", 80, 4, DAY_ONE);
	flush(f, &source, 20);
	assert_string_equal(
	    support_query(f->data, "flows-2017-04-26.sqlite",
		"SELECT src, packets, first_port, last_port FROM flows ORDER BY 1"),
	    "10.0.0.1|7|5000|80;10.0.0.2|1|1|1");
	assert_string_equal(support_query(f->data, "flows-2017-04-26.sqlite",
				"SELECT first, last FROM flows_extent"),
	    "1|2;3|3");
}

static void
upserts_merge_with_what_is_stored(void **state)
{
	struct fixture *f = *state;

	open_well(f);
	add(f, 11, "10.0.0.1", 5000, 3, DAY_ONE);
	flush(f, &source, 20);
	add(f, 1, "10.0.0.1", 80, 4, DAY_ONE);
	flush(f, &source, 30);
	assert_string_equal(support_query(f->data, "flowpair.sqlite",
				"SELECT src, packets, start_ns, last_port FROM hosts"),
	    "10.0.0.1|7|1493164801000000000|5000");
	assert_string_equal(
	    support_query(f->data, "flowpair.sqlite", "SELECT * FROM hosts_iso"),
	    "10.0.0.1|7|2017-04-26T00:00:01Z|5000");
}

static void
progress_is_kept_for_each_source(void **state)
{
	struct fixture *f = *state;
	struct err e = {""};

	open_well(f);
	check_progress(f, &source, 0, 0);
	add(f, 1, "10.0.0.1", 1, 1, DAY_ONE);
	flush(f, &source, 10);
	flush(f, &other, 77);
	close_store(f);
	open_well(f);
	check_progress(f, &source, 10, 10);
	check_progress(f, &other, 77, 77);
	assert_false(store_is_finished(f->store, &source));
	assert_int_equal(store_flush(f->store, &source, 10, true, &e), 0);
	assert_true(store_is_finished(f->store, &source));
	assert_false(store_is_finished(f->store, &other));
}

/* A crash between the day files and the main file: the day file is from after the
 * flush, the main file from before. */
static void
crash_in_mid_flush(struct fixture *f)
{
	open_well(f);
	add(f, 1, "10.0.0.1", 1, 1, DAY_ONE);
	flush(f, &source, 10);
	close_store(f);
	copy_file(f, "flowpair.sqlite", "before");
	open_well(f);
	add(f, 11, "10.0.0.1", 1, 2, DAY_ONE);
	flush(f, &source, 20);
	close_store(f);
	copy_file(f, "before", "flowpair.sqlite");
}

static void
after_a_crash_in_mid_flush_day_files_that_have_it_are_skipped(void **state)
{
	struct fixture *f = *state;

	crash_in_mid_flush(f);
	open_well(f);
	check_progress(f, &source, 10, 20);
	add(f, 11, "10.0.0.1", 1, 2, DAY_ONE);
	flush(f, &source, 20);
	check_progress(f, &source, 20, 20);
	assert_string_equal(support_query(f->data, "flows-2017-04-26.sqlite",
				"SELECT packets FROM flows"),
	    "3");
	assert_string_equal(
	    support_query(f->data, "flowpair.sqlite", "SELECT packets FROM hosts"),
	    "3");
}

static void
a_day_file_behind_the_catalog_is_refused_with_the_repair(void **state)
{
	struct fixture *f = *state;
	uint64_t complete, pending;
	struct err e = {""};

	open_well(f);
	add(f, 1, "10.0.0.1", 1, 1, DAY_ONE);
	flush(f, &source, 10);
	close_store(f);
	copy_file(f, "flows-2017-04-26.sqlite", "before");
	open_well(f);
	add(f, 11, "10.0.0.1", 1, 2, DAY_ONE);
	flush(f, &source, 20);
	close_store(f);
	copy_file(f, "before", "flows-2017-04-26.sqlite");
	open_well(f);
	assert_int_equal(
	    store_progress(f->store, &source, &complete, &pending, &e), -ESTALE);
	assert_non_null(strstr(e.text, "flows-2017-04-26.sqlite"));
	assert_non_null(strstr(e.text, "older than the catalog"));
}

static void
a_main_file_behind_several_flushes_is_refused(void **state)
{
	struct fixture *f = *state;
	uint64_t complete, pending;
	struct err e = {""};

	crash_in_mid_flush(f);
	copy_file(f, "flowpair.sqlite", "before");
	open_well(f);
	add(f, 11, "10.0.0.1", 1, 2, DAY_ONE);
	flush(f, &source, 20);
	add(f, 21, "10.0.0.1", 1, 2, DAY_ONE + 1);
	flush(f, &source, 30);
	close_store(f);
	copy_file(f, "before", "flowpair.sqlite");
	open_well(f);
	assert_int_equal(
	    store_progress(f->store, &source, &complete, &pending, &e), -ESTALE);
	assert_non_null(strstr(e.text, "flowpair.sqlite"));
}

static void
a_removed_day_file_is_forgotten(void **state)
{
	struct fixture *f = *state;

	open_well(f);
	add(f, 1, "10.0.0.1", 1, 1, DAY_ONE);
	flush(f, &source, 10);
	close_store(f);
	remove_file(f, "flows-2017-04-26.sqlite");
	open_well(f);
	check_progress(f, &source, 10, 10);
	assert_string_equal(support_query(f->data, "flowpair.sqlite",
				"SELECT count(*) FROM flowpair_partitions"),
	    "0");
}

static void
a_store_has_one_writer(void **state)
{
	struct fixture *f = *state;
	struct store *second = NULL;
	struct err e = {""};

	open_well(f);
	assert_int_equal(store_open(f->data, f->tables, &second, &e), -EBUSY);
	assert_non_null(strstr(e.text, "another collector"));
}

static void
kinds_of_store_that_are_not_there_are_named(void **state)
{
	struct fixture *f = *state;
	struct store *second = NULL;
	struct err e = {""};

	open_well(f);
	assert_int_equal(store_open("clickhouse:x", f->tables, &second, &e), -EINVAL);
	assert_non_null(strstr(e.text, "sqlite:DIR"));
}

static void
the_directory_is_for_owner_and_group(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	umask(022);
	open_well(f);
	assert_int_equal(stat(f->data, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
}

static void
a_new_column_is_added_online(void **state)
{
	struct fixture *f = *state;
	char text[512];

	open_well(f);
	add(f, 1, "10.0.0.1", 1, 1, DAY_ONE);
	flush(f, &source, 10);
	close_store(f);
	snprintf(
	    text, sizeof text, "%s  ends_ns: { maximize: flowStart }\n", table_flows);
	support_write("tables/flows.yaml", text);
	snprintf(text, sizeof text,
	    "%s  first_port: { firstWriteWins: "
	    "sourceTransportPort }\n",
	    table_hosts);
	support_write("tables/hosts.yaml", text);
	open_well(f);
	add(f, 11, "10.0.0.1", 7, 2, DAY_ONE);
	add(f, 12, "10.0.0.2", 8, 2, DAY_ONE);
	flush(f, &source, 20);
	assert_string_equal(support_query(f->data, "flows-2017-04-26.sqlite",
				"SELECT src, packets, ends_ns FROM flows ORDER BY src"),
	    "10.0.0.1|3|1493164811000000000;10.0.0.2|2|1493164812000000000");
	assert_string_equal(support_query(f->data, "flowpair.sqlite",
				"SELECT src, packets, first_port FROM hosts"),
	    "10.0.0.1|3|7;10.0.0.2|2|8");
}

static void
a_changed_key_is_refused_and_says_version(void **state)
{
	struct fixture *f = *state;
	struct err e = {""};

	open_well(f);
	close_store(f);
	support_write("tables/hosts.yaml",
	    "table: hosts\nfrom: conversation\npartition: none\nstorage: upsert\n"
	    "key: { src: sourceAddress, port: sourceTransportPort }\n"
	    "values:\n  packets: { sum: forward.packets }\n");
	assert_int_equal(open_store(f, &e), -EINVAL);
	assert_non_null(strstr(e.text, "'port'"));
	assert_non_null(strstr(e.text, "version: 2"));
}

static void
a_changed_reduction_is_refused(void **state)
{
	struct fixture *f = *state;
	struct err e = {""};

	open_well(f);
	close_store(f);
	support_write("tables/flows.yaml",
	    "table: flows\nfrom: conversation\npartition: day\nstorage: runs\n"
	    "key: { src: sourceAddress }\n"
	    "values:\n  packets: { maximize: forward.packets }\n");
	assert_int_equal(open_store(f, &e), -EINVAL);
	assert_non_null(strstr(e.text, "'packets'"));
}

static void
a_new_version_begins_anew_and_keeps_the_old(void **state)
{
	struct fixture *f = *state;

	open_well(f);
	add(f, 1, "10.0.0.1", 1, 1, DAY_ONE);
	flush(f, &source, 10);
	close_store(f);
	support_write("tables/hosts.yaml",
	    "table: hosts\nversion: 2\nfrom: conversation\npartition: none\n"
	    "storage: upsert\nkey: { port: sourceTransportPort }\n"
	    "values:\n  packets: { sum: forward.packets }\n");
	support_write("tables/flows.yaml",
	    "table: flows\nversion: 2\nfrom: conversation\npartition: day\n"
	    "storage: runs\nkey: { port: sourceTransportPort }\n"
	    "values:\n  packets: { sum: forward.packets }\n");
	open_well(f);
	add(f, 11, "10.0.0.1", 7, 2, DAY_ONE);
	flush(f, &source, 20);
	check_progress(f, &source, 20, 20);
	assert_string_equal(
	    support_query(f->data, "flowpair.sqlite",
		"SELECT port, packets FROM hosts UNION ALL SELECT src, packets FROM "
		"hosts_v1"),
	    "7|2;10.0.0.1|1");
	assert_string_equal(support_query(f->data, "flows.v2-2017-04-26.sqlite",
				"SELECT port, packets FROM flows"),
	    "7|2");
}

static void
a_full_disk_keeps_memory_and_a_retry_writes_once(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit, low;
	struct err e = {""};
	char src[32];

	open_well(f);
	for (unsigned i = 0; i < 900; i++) {
		snprintf(src, sizeof src, "10.0.%u.%u", i / 200, i % 200);
		add(f, i, src, 1, 1, DAY_ONE + i / 450);
	}
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	low = limit;
	/* Room for the first day's file, not for the second's and the main file's. */
	for (rlim_t size = 4096; size < 800000; size += 32768) {
		int rc;
		low.rlim_cur = size;
		setrlimit(RLIMIT_FSIZE, &low);
		rc = store_flush(f->store, &source, 1000, false, &e);
		setrlimit(RLIMIT_FSIZE, &limit);
		if (rc == 0) {
			break;
		}
		assert_true(rc == -ENOSPC || rc == -EIO);
		assert_non_null(strstr(e.text, ".sqlite"));
		assert_false(tables_are_empty(f->tables));
	}
	flush(f, &source, 1000);
	assert_string_equal(support_query(f->data, "flowpair.sqlite",
				"SELECT count(*), sum(packets) FROM hosts"),
	    "900|900");
	assert_string_equal(support_query(f->data, "flows-2017-04-26.sqlite",
				"SELECT count(*), sum(packets) FROM flows"),
	    "450|450");
	assert_string_equal(support_query(f->data, "flows-2017-04-27.sqlite",
				"SELECT count(*), sum(packets) FROM flows"),
	    "450|450");
}

static void
sums_over_many_runs_saturate_in_the_view(void **state)
{
	struct fixture *f = *state;
	struct support_set s = {.length = 0};
	struct origin o = {.exporter = "x", .arrival_ns = 1, .position = 1};

	open_well(f);
	support_put_address(&s, "10.0.0.1");
	support_put_address(&s, "10.9.9.9");
	support_put(&s, 1, 2);
	support_put(&s, UINT64_MAX, 8);
	support_put(&s, (uint64_t)DAY_ONE * 86400, 4);
	for (unsigned i = 1; i < 4; i++) {
		o.position = i;
		assert_int_equal(
		    tables_add_set(f->template, s.bytes, s.length, &o, f->tables), 1);
		flush(f, &source, 10 * i);
	}
	assert_string_equal(support_query(f->data, "flows-2017-04-26.sqlite",
				"SELECT packets, typeof(packets) FROM flows"),
	    "9223372036854775807|integer");
	assert_string_equal(support_query(f->data, "flowpair.sqlite",
				"SELECT packets, typeof(packets) FROM hosts"),
	    "9223372036854775807|integer");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(runs_of_a_day_are_read_as_one_row_per_key),
	    TEST(upserts_merge_with_what_is_stored),
	    TEST(progress_is_kept_for_each_source),
	    TEST(after_a_crash_in_mid_flush_day_files_that_have_it_are_skipped),
	    TEST(a_day_file_behind_the_catalog_is_refused_with_the_repair),
	    TEST(a_main_file_behind_several_flushes_is_refused),
	    TEST(a_removed_day_file_is_forgotten),
	    TEST(a_store_has_one_writer),
	    TEST(kinds_of_store_that_are_not_there_are_named),
	    TEST(the_directory_is_for_owner_and_group),
	    TEST(a_new_column_is_added_online),
	    TEST(a_changed_key_is_refused_and_says_version),
	    TEST(a_changed_reduction_is_refused),
	    TEST(a_new_version_begins_anew_and_keeps_the_old),
	    TEST(a_full_disk_keeps_memory_and_a_retry_writes_once),
	    TEST(sums_over_many_runs_saturate_in_the_view),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
