#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tests/unit/collector/query/support_store.h"

static struct catalog *
opened(void)
{
	static const struct store_request any = {.table = "pairs"};
	struct store_scan s;

	store_scan_open(&s, &any);
	catalog_file_close(&s.scan);
	catalog_files_free(&s.files);
	question_free(s.question);
	return s.catalog;
}

static const struct table *
table_of(const struct catalog *c, const char *name)
{
	const struct table *t = NULL;
	struct err e = {""};

	if (catalog_find(c, name, &t, &e) < 0) {
		fail_msg("%s", e.text);
	}
	return t;
}

static void
tables_are_known_by_name_with_their_storage(void **state)
{
	struct catalog *c = opened();
	const struct table *t = table_of(c, "pairs");

	(void)state;
	assert_int_equal(catalog_count(c), 5);
	assert_string_equal(catalog_at(c, 0)->name, "conversations");
	assert_true(t->storage == TABLE_RUNS && t->by_day && !t->is_view);
	t = table_of(c, "net_services");
	assert_true(t->storage == TABLE_UPSERT && !t->by_day && t->is_view);
	catalog_close(c);
}

static void
columns_mean_what_the_store_says(void **state)
{
	static const enum column_group groups[] = {GROUP_NONE, GROUP_NONE, GROUP_NONE,
	    GROUP_MINIMIZE, GROUP_MAXIMIZE, GROUP_SUM, GROUP_SUM, GROUP_COMPUTED};
	struct catalog *c = opened();
	const struct table *t = table_of(c, "pairs");

	(void)state;
	assert_int_equal(t->count, 8);
	for (unsigned i = 0; i < t->count; i++) {
		assert_int_equal(t->columns[i].group, groups[i]);
	}
	assert_string_equal(t->columns[3].name, "start_ns");
	assert_string_equal(t->columns[3].shown, "start");
	assert_int_equal(t->columns[3].kind, COLUMN_TIME_NS);
	catalog_close(c);
}

static void
columns_of_single_records_mean_what_their_names_say(void **state)
{
	struct catalog *c = opened();
	const struct table *t = table_of(c, "conversations");

	(void)state; /* the main file knows none of them: the newest day's does */
	assert_int_equal(t->columns[table_column(t, "start")].group, GROUP_MINIMIZE);
	assert_int_equal(t->columns[table_column(t, "fwd_packets")].group, GROUP_SUM);
	assert_int_equal(
	    t->columns[table_column(t, "fwd_payload_max")].group, GROUP_MAXIMIZE);
	assert_int_equal(t->columns[table_column(t, "note")].group, GROUP_NONE);
	assert_int_equal(t->columns[table_column(t, "records")].group, GROUP_COUNT);
	catalog_close(c);
}

static void
columns_of_a_view_mean_what_they_mean_elsewhere(void **state)
{
	struct catalog *c = opened();
	const struct table *t = table_of(c, "net_services");

	(void)state;
	assert_int_equal(t->count, 5);
	assert_int_equal(t->columns[table_column(t, "date")].kind, COLUMN_DATE);
	assert_int_equal(t->columns[table_column(t, "service_ip")].kind, COLUMN_TEXT);
	assert_int_equal(t->columns[table_column(t, "bytes")].group, GROUP_SUM);
	catalog_close(c);
}

static void
an_unknown_name_is_answered_with_the_nearest(void **state)
{
	struct catalog *c = opened();
	const struct table *t = table_of(c, "late");
	struct err e = {""};

	(void)state;
	assert_int_equal(catalog_find(c, "nothing_like_it", &t, &e), -EINVAL);
	assert_non_null(strstr(e.text, "without a table"));
	assert_int_equal(table_require(t, "octts", &e), -EINVAL);
	assert_non_null(strstr(e.text, "the nearest is \"octets\""));
	assert_int_equal(table_require(t, "q", &e), -EINVAL);
	assert_non_null(strstr(e.text, "it has src_ip, packets, octets"));
	assert_int_equal(table_column(t, "octets"), 2);
	assert_int_equal(table_column(t, "q"), -1);
	catalog_close(c);
}

static void
names_and_meanings_outlive_a_detached_store(void **state)
{
	struct catalog *c = opened();

	(void)state;
	catalog_detach(c);
	catalog_detach(c);
	catalog_detach(NULL);
	assert_int_equal(table_column(table_of(c, "pairs"), "octets"), 6);
	catalog_close(c);
	catalog_close(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tables_are_known_by_name_with_their_storage),
	    cmocka_unit_test(columns_mean_what_the_store_says),
	    cmocka_unit_test(columns_of_single_records_mean_what_their_names_say),
	    cmocka_unit_test(columns_of_a_view_mean_what_they_mean_elsewhere),
	    cmocka_unit_test(an_unknown_name_is_answered_with_the_nearest),
	    cmocka_unit_test(names_and_meanings_outlive_a_detached_store),
	};

	return cmocka_run_group_tests(tests, store_setup, store_teardown);
}
