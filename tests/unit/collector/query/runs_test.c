#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "collector/query/runs.h"
#include "tests/unit/collector/query/support_store.h"

#define KEYS 60
#define RUNS 3

/* Table flat: one day in RUNS runs of the same KEYS keys, each in the order of the key;
 * every seventh key is great in one run only. */
static int
setup(void **state)
{
	char *rows = NULL;
	size_t length;
	FILE *f = open_memstream(&rows, &length);

	store_setup(state);
	store_run("flowpair.sqlite",
	    "INSERT INTO flowpair_tables VALUES('flat','runs','day',1,0);"
	    "INSERT INTO flowpair_columns VALUES('flat',0,'src_ip','address','key',NULL),"
	    "('flat',1,'port','integer','key',NULL),"
	    "('flat',2,'octets','integer','sum',NULL);");
	fputs("CREATE TABLE flat_runs(src_ip, port, octets);"
	      "CREATE TABLE flat_extent(first, last);"
	      "CREATE VIEW flat AS SELECT src_ip, port, sum(octets) AS octets FROM "
	      "flat_runs GROUP BY 1, 2; BEGIN;",
	    f);
	for (unsigned r = 0; r < RUNS; r++) {
		for (unsigned k = 0; k < KEYS; k++) {
			fprintf(f, "INSERT INTO flat_runs VALUES('10.0.0.%u',%u,%u);",
			    k + 10, k % 2 == 0 ? 53u : 80u,
			    k % 7 == r ? 1000 + k : (k * 31 + r * 17) % 100);
		}
		fprintf(f, "INSERT INTO flat_extent VALUES(%u,%u);", r * KEYS + 1,
		    (r + 1) * KEYS);
	}
	fputs("COMMIT", f);
	fclose(f);
	store_run("flat-2017-04-26.sqlite", rows);
	free(rows);
	return 0;
}

/* Ends a text behind so many lines. */
static char *
first_lines(char *text, unsigned n)
{
	char *at = text;

	for (; n > 0 && (at = strstr(at, "\r\n")) != NULL; n--) {
		at += 2;
	}
	assert_non_null(at);
	*at = '\0';
	return text;
}

/* What is asked gives the first lines of the same question without a limit. */
static void
agrees_with_all(const struct store_request *some, unsigned lines)
{
	struct store_request all = *some;
	char *wanted, *got = store_ask(some);

	all.top = all.limit = 0;
	wanted = first_lines(store_ask(&all), lines + 1);
	assert_string_equal(got, wanted);
	free(wanted);
	free(got);
}

static void
the_top_of_several_runs_is_that_of_whole_rows(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 20; n += 6) {
		agrees_with_all(
		    &(struct store_request){
			.table = "flat", .sort = "-octets", .top = n},
		    n);
	}
	agrees_with_all(
	    &(struct store_request){
		.table = "flat", .where = {"port=80"}, .sort = "-octets", .limit = 5},
	    5);
}

static void
the_first_of_several_runs_are_those_of_whole_rows(void **state)
{
	(void)state;
	agrees_with_all(&(struct store_request){.table = "flat", .limit = 7}, 7);
	agrees_with_all(&(struct store_request){.table = "flat",
			    .where = {"port=53", "src_ip_ge=10.0.0.30"},
			    .limit = 7},
	    7);
}

static int64_t
bound_of(const struct store_request *r)
{
	struct store_scan s;
	int64_t bound = -1;

	store_scan_open(&s, r);
	assert_int_equal(runs_bound(s.question, &s.scan, &bound, NULL), 0);
	store_scan_close(&s);
	return bound;
}

static unsigned
first_of(const struct store_request *r)
{
	struct store_scan s;
	struct runs runs;

	store_scan_open(&s, r);
	assert_int_equal(runs_first(s.question, &s.scan, &runs, NULL), 0);
	store_scan_close(&s);
	return runs.count;
}

static void
a_bound_leaves_out_what_cannot_be_in_the_top(void **state)
{
	const struct store_request top = {
	    .table = "flat", .sort = "-octets", .limit = 3};
	const struct store_request first = {.table = "flat", .limit = 3};

	(void)state;
	/* The 9th greatest of any run is above 1000; a third of it has to be in one. */
	assert_in_range(bound_of(&top), 334, 353);
	assert_int_equal(first_of(&first), RUNS);
}

static void
other_questions_have_no_bound(void **state)
{
	static const struct store_request others[] = {
	    {.table = "flat", .sort = "octets", .limit = 3},
	    {.table = "flat", .sort = "-octets"},
	    {.table = "flat", .sort = "-port", .limit = 3},
	    {.table = "flat", .where = {"octets_gt=5"}, .sort = "-octets", .limit = 3},
	    {.table = "flat", .by = "port", .sort = "-octets", .limit = 3},
	    {.table = "flat",
		.from = "2017-04-26T12:00:00Z",
		.sort = "-octets",
		.limit = 3},
	    {.table = "pairs", .sort = "-octets", .limit = 1},
	    {.table = "services", .sort = "-bytes", .limit = 1},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
		assert_int_equal(bound_of(&others[i]), 0);
		assert_int_equal(first_of(&others[i]), 0);
	}
}

static void
keys_without_a_value_are_put_together_with_all_rows(void **state)
{
	const struct store_request top = {
	    .table = "flat", .sort = "-octets", .limit = 3};
	const struct store_request first = {.table = "flat", .limit = 3};

	(void)state;
	store_run("flat-2017-04-26.sqlite",
	    "UPDATE flat_runs SET port = NULL WHERE src_ip IN ('10.0.0.10', '10.0.0.17');");
	assert_int_equal(bound_of(&top), 0);
	assert_int_equal(first_of(&first), 0);
	agrees_with_all(&top, 3);
	agrees_with_all(&first, 3);
}

static enum runs_use
use_of(const struct store_request *r, bool needs_rows)
{
	struct store_scan s;
	enum runs_use use = RUNS_NONE;

	store_scan_open(&s, r);
	assert_int_equal(runs_find(s.question, &s.scan, needs_rows, &use, NULL), 0);
	store_scan_close(&s);
	return use;
}

static void
runs_are_read_where_parts_of_rows_will_do(void **state)
{
	const struct store_request by = {.table = "flat", .by = "port"};
	const struct store_request plain = {.table = "flat"};

	(void)state;
	assert_int_equal(use_of(&by, false), RUNS_ANY);
	assert_int_equal(use_of(&by, true), RUNS_NONE);
	assert_int_equal(use_of(&plain, false), RUNS_NONE);
	assert_int_equal(
	    use_of(&(struct store_request){.table = "services", .by = "date"}, false),
	    RUNS_NONE);
	store_run("flat-2017-04-26.sqlite", "DELETE FROM flat_extent WHERE first > 1;"
					    "DELETE FROM flat_runs WHERE rowid > 60;");
	assert_int_equal(use_of(&plain, false), RUNS_ONE);
	agrees_with_all(&(struct store_request){.table = "flat", .limit = 7}, 7);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, store_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_top_of_several_runs_is_that_of_whole_rows),
	    TEST(the_first_of_several_runs_are_those_of_whole_rows),
	    TEST(a_bound_leaves_out_what_cannot_be_in_the_top),
	    TEST(other_questions_have_no_bound),
	    TEST(keys_without_a_value_are_put_together_with_all_rows),
	    TEST(runs_are_read_where_parts_of_rows_will_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
