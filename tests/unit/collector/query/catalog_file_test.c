#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/collector/query/support_store.h"

#define FIRST 17282 /* 2017-04-26 */

/* Days of the files, oldest first: "17282 17283 ". */
static const char *
days_of(const char *table, bool is_view, struct catalog_days days)
{
	static char text[200];
	const struct table t = {.name = table, .by_day = true, .is_view = is_view};
	struct catalog_files files;
	struct err e = {""};

	text[0] = '\0';
	if (catalog_files(store_folder(), &t, days, &files, &e) < 0) {
		fail_msg("%s", e.text);
	}
	for (unsigned i = 0; i < files.count; i++) {
		sprintf(text + strlen(text), "%d ", (int)files.items[i].day);
	}
	catalog_files_free(&files);
	return text;
}

static void
days_of_a_table_come_oldest_first(void **state)
{
	(void)state;
	store_run("pairs-2016-02-29.sqlite", "SELECT 1");
	store_run("pairs-2016-02-30.sqlite", "SELECT 1"); /* no such day */
	store_run("more-pairs-2017-04-26.sqlite", "SELECT 1");
	assert_string_equal(
	    days_of("pairs", false, CATALOG_EVERY_DAY), "16860 17282 17283 ");
	assert_string_equal(
	    days_of("pairs", false, (struct catalog_days){FIRST, FIRST}), "17282 ");
	assert_string_equal(days_of("pair", false, CATALOG_EVERY_DAY), "");
}

static void
a_view_lies_in_the_files_of_any_table(void **state)
{
	(void)state;
	assert_string_equal(
	    days_of("view", true, (struct catalog_days){FIRST + 1, FIRST + 9}),
	    "17283 ");
}

static void
a_table_without_days_lies_in_the_main_file(void **state)
{
	const struct table t = {.name = "services"};
	struct catalog_files files;

	(void)state;
	assert_int_equal(
	    catalog_files(store_folder(), &t, CATALOG_EVERY_DAY, &files, NULL), 0);
	assert_int_equal(files.count, 1);
	assert_int_equal(files.items[0].day, -1);
	assert_non_null(strstr(files.items[0].path, "/flowpair.sqlite"));
	catalog_files_free(&files);
}

static void
a_folder_that_is_gone_is_named(void **state)
{
	const struct table t = {.name = "pairs", .by_day = true};
	struct catalog_files files;
	struct err e = {""};

	(void)state;
	assert_true(
	    catalog_files("/nonexistent", &t, CATALOG_EVERY_DAY, &files, &e) < 0);
	assert_string_equal(e.text, "/nonexistent: No such file or directory");
}

static void
a_file_tells_which_columns_it_was_written_without(void **state)
{
	const struct store_request late = {.table = "late"};
	struct store_scan s;

	(void)state;
	store_scan_open(&s, &late);
	assert_false(s.scan.missing[0]);
	assert_false(s.scan.missing[1]);
	assert_true(s.scan.missing[2]);
	store_scan_close(&s);
}

static void
a_file_without_the_table_or_that_is_gone_holds_nothing(void **state)
{
	const struct table t = {.name = "pairs", .by_day = true};
	struct catalog_file f = {
	    .path = (char *)"/nonexistent/pairs-2017-04-26.sqlite"};
	struct catalog_scan scan;
	char path[200];

	(void)state;
	assert_int_equal(catalog_file_open(&f, &t, 0, &scan, NULL), 0);
	snprintf(path, sizeof path, "%s/flowpair.sqlite", store_folder());
	f.path = path;
	assert_int_equal(catalog_file_open(&f, &t, 0, &scan, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(days_of_a_table_come_oldest_first),
	    cmocka_unit_test(a_view_lies_in_the_files_of_any_table),
	    cmocka_unit_test(a_table_without_days_lies_in_the_main_file),
	    cmocka_unit_test(a_folder_that_is_gone_is_named),
	    cmocka_unit_test(a_file_tells_which_columns_it_was_written_without),
	    cmocka_unit_test(a_file_without_the_table_or_that_is_gone_holds_nothing),
	};

	return cmocka_run_group_tests(tests, store_setup, store_teardown);
}
