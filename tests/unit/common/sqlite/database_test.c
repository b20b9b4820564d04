#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/sqlite/database.h"
#include "tests/unit/common/sqlite/support_database.h"

static void
a_written_file_is_wal_with_32k_pages_and_group_readable(void **state)
{
	struct database *d = NULL;
	struct err e = {""};
	struct stat st;

	(void)state;
	umask(022);
	assert_int_equal(
	    database_open(support_path("a.sqlite"), DATABASE_WRITE, &d, &e), 0);
	assert_int_equal(database_exec_text(d, "CREATE TABLE t(a)", &e), 0);
	assert_int_equal(support_database_i64(d, "PRAGMA page_size"), 32768);
	assert_int_equal(support_database_i64(d, "PRAGMA synchronous"), 2);
	assert_int_equal(support_database_i64(
			     d, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"),
	    1);
	assert_int_equal(stat(support_path("a.sqlite"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	database_close(d);
}

static void
a_reader_sees_what_is_committed_while_a_writer_is_busy(void **state)
{
	struct database *w = NULL, *r = NULL;
	struct err e = {""};

	(void)state;
	assert_int_equal(
	    database_open(support_path("b.sqlite"), DATABASE_WRITE, &w, &e), 0);
	assert_int_equal(
	    database_exec_text(w, "CREATE TABLE t(a); INSERT INTO t VALUES (1)", &e),
	    0);
	assert_int_equal(
	    database_exec_text(w, "BEGIN IMMEDIATE; INSERT INTO t VALUES (2)", &e), 0);
	assert_int_equal(
	    database_open(support_path("b.sqlite"), DATABASE_READ, &r, &e), 0);
	assert_int_equal(support_database_i64(r, "SELECT count(*) FROM t"), 1);
	assert_int_equal(
	    database_exec_text(r, "INSERT INTO t VALUES (3)", &e), -EACCES);
	database_close(r);
	database_close(w);
}

static void
a_missing_file_is_named(void **state)
{
	struct database *d = NULL;
	struct err e = {""};

	(void)state;
	assert_int_equal(
	    database_open(support_path("none.sqlite"), DATABASE_READ, &d, &e), -ENOENT);
	assert_non_null(strstr(e.text, "none.sqlite"));
	assert_null(d);
}

static void
a_file_that_is_no_database_is_refused(void **state)
{
	struct database *d = NULL;
	struct err e = {""};
	FILE *f = fopen(support_path("c.sqlite"), "w");

	(void)state;
	for (int i = 0; i < 1000; i++) {
		fputs("this is a text file\n", f);
	}
	fclose(f);
	assert_int_equal(
	    database_open(support_path("c.sqlite"), DATABASE_READ, &d, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "c.sqlite"));
}

static void
a_writer_does_not_follow_a_link(void **state)
{
	struct database *d = NULL;
	struct err e = {""};
	char target[128];

	(void)state;
	strcpy(target, support_path("target"));
	assert_int_equal(symlink(target, support_path("link.sqlite")), 0);
	assert_int_equal(
	    database_open(support_path("link.sqlite"), DATABASE_WRITE, &d, &e), -ELOOP);
}

static void
a_query_over_its_deadline_stops(void **state)
{
	struct database *d = support_database_open();
	struct statement *s = NULL;
	struct err e = {""};

	(void)state;
	database_deadline(d, clock_monotonic_ns());
	assert_int_equal(statement_new(d,
			     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
			     "FROM n) SELECT count(*) FROM n",
			     &s, &e),
	    0);
	assert_int_equal(statement_step(s, &e), -ETIMEDOUT);
	database_deadline(d, 0);
	statement_free(s);
	assert_int_equal(support_database_i64(d, "SELECT 5"), 5);
	database_close(d);
}

static void
address_functions_order_and_match_addresses(void **state)
{
	struct database *d = support_database_open();
	struct err e = {""};

	(void)state;
	assert_int_equal(database_add_functions(d, &e), 0);
	assert_int_equal(support_database_i64(d,
			     "SELECT ip_order('9.0.0.1') < ip_order('10.0.0.1') AND "
			     "ip_order('10.0.0.1') < ip_order('2001:db8::1')"),
	    1);
	assert_int_equal(
	    support_database_i64(d, "SELECT ip_order('nonsense') IS NULL"), 1);
	assert_int_equal(
	    support_database_i64(d, "SELECT ip_in_prefix('10.1.2.3', '10.0.0.0/8')"),
	    1);
	assert_int_equal(
	    support_database_i64(d, "SELECT ip_in_prefix('11.1.2.3', '10.0.0.0/8')"),
	    0);
	assert_int_equal(
	    support_database_i64(d, "SELECT ip_in_prefix('10.1.2.0/24', '10.0.0.0/8')"),
	    1);
	assert_int_equal(
	    support_database_i64(d, "SELECT ip_in_prefix('10.0.0.0/8', '10.0.0.0/24')"),
	    0);
	database_close(d);
}

static void
sums_end_at_the_greatest_and_least_integer(void **state)
{
	static const struct {
		const char *rows;
		int64_t sum;
	} cases[] = {{"(1),(2),(NULL)", 3}, {"(9223372036854775807),(1)", INT64_MAX},
	    {"(-9223372036854775808),(-1)", INT64_MIN},
	    {"(9223372036854775807),(5),(-6)", INT64_MAX - 1},
	    {"(9223372036854775806),(1)", INT64_MAX}};
	struct database *d = support_database_open();
	struct err e = {""};
	char sql[160];

	(void)state;
	assert_int_equal(database_add_functions(d, &e), 0);
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(sql, sizeof sql,
		    "SELECT sum_clipped(column1) FROM (VALUES %s)", cases[i].rows);
		assert_int_equal(support_database_i64(d, sql), cases[i].sum);
	}
	assert_int_equal(
	    support_database_i64(
		d, "SELECT sum_clipped(column1) IS NULL FROM (VALUES (NULL))"),
	    1);
	assert_int_equal(
	    support_database_i64(
		d, "SELECT sum_clipped(column1) = 3.5 FROM (VALUES (1), (2.5))"),
	    1);
	database_close(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_written_file_is_wal_with_32k_pages_and_group_readable),
	    cmocka_unit_test(a_reader_sees_what_is_committed_while_a_writer_is_busy),
	    cmocka_unit_test(a_missing_file_is_named),
	    cmocka_unit_test(a_file_that_is_no_database_is_refused),
	    cmocka_unit_test(a_writer_does_not_follow_a_link),
	    cmocka_unit_test(a_query_over_its_deadline_stops),
	    cmocka_unit_test(address_functions_order_and_match_addresses),
	    cmocka_unit_test(sums_end_at_the_greatest_and_least_integer),
	};
	return cmocka_run_group_tests(
	    tests, support_directory_make, support_directory_end);
}
