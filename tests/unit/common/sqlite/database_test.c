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
#include "common/sqlite/database_load.h"

static char directory[64];

static const char *
path_of(const char *name)
{
	static char path[128];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

static int
make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/database_test.XXXXXX");
	return mkdtemp(directory) == NULL ? -1 : 0;
}

static int
remove_directory(void **state)
{
	char command[128];
	(void)state;
	snprintf(command, sizeof command, "rm -rf '%s'", directory);
	return system(command);
}

static struct database *
open_memory(void)
{
	struct database *d = NULL;
	struct err e;
	assert_int_equal(database_open("memory", DATABASE_MEMORY, &d, &e), 0);
	return d;
}

static int64_t
one_i64(struct database *d, const char *sql)
{
	struct statement *s = NULL;
	struct err e = {""};
	int64_t v;

	assert_int_equal(statement_new(d, sql, &s, &e), 0);
	assert_int_equal(statement_step(s, &e), 1);
	v = statement_i64(s, 0);
	statement_free(s);
	return v;
}

/* Rows of (number, text, real, NULL), of which the first columns are taken. */
static int
load_numbers(struct database *d, const char *sql, unsigned columns, unsigned count)
{
	struct database_load *l = NULL;
	struct err e = {""};
	char text[16];
	int rc = database_load_sql(d, sql, columns, &l, &e);

	for (unsigned row = 0; rc == 0 && row < count; row++) {
		struct database_record *r = database_load_record(l);
		record_integer(r, row);
		if (columns > 1) {
			record_text(r, text, (size_t)sprintf(text, "t%u", row));
		}
		if (columns > 2) {
			record_real(r, (double)row / 2);
		}
		if (columns > 3) {
			record_null(r);
		}
		rc = database_load_row(l, &e);
	}
	if (rc == 0) {
		rc = database_load_finish(l, &e);
	}
	database_load_free(l);
	return rc;
}

static void
rows_from_memory_are_inserted_in_their_order(void **state)
{
	struct database *d = open_memory();
	struct err e = {""};

	(void)state;
	assert_int_equal(database_exec_text(d, "CREATE TABLE t(a, b, c, d)", &e), 0);
	assert_int_equal(
	    load_numbers(d, "INSERT INTO t SELECT * FROM " LOAD_ROWS, 4, 1000), 0);
	assert_int_equal(
	    one_i64(d, "SELECT count(*) FROM t WHERE a = rowid - 1 AND b = "
		       "'t' || a AND c = a / 2.0 AND d IS NULL"),
	    1000);
	database_close(d);
}

static void
rows_with_other_columns_follow_each_other(void **state)
{
	struct database *d = open_memory();
	struct err e = {""};

	(void)state;
	assert_int_equal(
	    database_exec_text(
		d, "CREATE TABLE t(a, b); CREATE TABLE u(a, b, c); BEGIN", &e),
	    0);
	assert_int_equal(
	    load_numbers(d, "INSERT INTO t SELECT * FROM " LOAD_ROWS, 2, 2), 0);
	assert_int_equal(
	    load_numbers(d, "INSERT INTO u SELECT * FROM " LOAD_ROWS, 3, 3), 0);
	assert_int_equal(database_exec_text(d, "COMMIT", &e), 0);
	assert_int_equal(one_i64(d, "SELECT count(*) FROM t"), 2);
	assert_int_equal(one_i64(d, "SELECT count(*) FROM u WHERE c = a / 2.0"), 3);
	database_close(d);
}

/* Values of every kind and of every length that the record format tells apart, by
 * SQLite's own hand (s) or by ours (r). */
static void
put_varied(
    unsigned row, unsigned column, struct statement *s, struct database_record *r)
{
	int64_t magnitude = (int64_t)(UINT64_MAX >> 1 >> (row % 64));
	int64_t number = row % 2 == 0 ? magnitude : -magnitude - 1;
	char text[1024] = "";

	switch ((row + column) % 5) {
	case 0:
	case 3:
		number = (row + column) % 5 == 3 ? row % 4 : number;
		if (s != NULL) {
			statement_bind_i64(s, (int)column + 1, number);
		} else {
			record_integer(r, number);
		}
		break;
	case 1:
		if (s != NULL) {
			statement_bind_f64(s, (int)column + 1, (double)magnitude / 3);
		} else {
			record_real(r, (double)magnitude / 3);
		}
		break;
	case 2:
		memset(text, 'a' + (int)(row % 26), row % 700);
		if (s != NULL) {
			statement_bind_text(s, (int)column + 1, text);
		} else {
			record_text(r, text, row % 700);
		}
		break;
	default:
		if (s != NULL) {
			statement_bind_null(s, (int)column + 1);
		} else {
			record_null(r);
		}
	}
}

static const char *const varied_names[] = {"a", "b", "c", "d"};

static int
append_varied(struct database *d, const char *table, unsigned count)
{
	struct database_load *l = NULL;
	struct err e = {""};
	const struct database_columns c = {table, varied_names, 4};
	int rc = database_load_append(d, &c, &l, &e);

	for (unsigned row = 0; rc == 0 && row < count; row++) {
		struct database_record *r = database_load_record(l);
		for (unsigned i = 0; i < database_load_columns(l); i++) {
			int from = database_load_order(l, i);
			if (from < 0) {
				record_null(r);
			} else {
				put_varied(row, (unsigned)from, NULL, r);
			}
		}
		rc = database_load_row(l, &e);
	}
	if (rc == 0) {
		rc = database_load_finish(l, &e);
	}
	database_load_free(l);
	return rc;
}

static void
appended_rows_are_the_inserted_rows(void **state)
{
	struct database *d = NULL;
	struct statement *s = NULL;
	struct err e = {""};

	(void)state;
	assert_int_equal(database_open(path_of("d.sqlite"), DATABASE_WRITE, &d, &e), 0);
	assert_int_equal(
	    database_exec_text(d,
		"CREATE TABLE t(a, b, c, d); CREATE TABLE u(x TEXT, d, c, b, a);"
		"BEGIN IMMEDIATE",
		&e),
	    0);
	assert_int_equal(
	    statement_new(d, "INSERT INTO t VALUES (?, ?, ?, ?)", &s, &e), 0);
	for (unsigned row = 0; row < 60000; row++) {
		for (unsigned i = 0; i < 4; i++) {
			put_varied(row % 30000, i, s, NULL);
		}
		assert_int_equal(statement_step(s, &e), 0);
		statement_reset(s);
	}
	statement_free(s);
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(append_varied(d, "u", 30000), 0);
	}
	assert_int_equal(database_exec_text(d, "COMMIT", &e), 0);
	assert_int_equal(one_i64(d, "SELECT count(*) FROM u WHERE x IS NULL"), 60000);
	assert_int_equal(
	    one_i64(d,
		"SELECT count(*) FROM t JOIN u ON t.rowid = u.rowid WHERE t.a IS u.a "
		"AND t.b IS u.b AND t.c IS u.c AND t.d IS u.d AND typeof(t.a) = "
		"typeof(u.a) AND typeof(t.b) = typeof(u.b)"),
	    60000);
	assert_int_equal(
	    one_i64(d, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
	database_close(d);
}

static void
appends_of_few_rows_follow_each_other(void **state)
{
	struct database *d = open_memory();
	struct err e = {""};
	int64_t sum = 0;

	(void)state;
	assert_int_equal(database_exec_text(d, "CREATE TABLE t(a, b, c, d)", &e), 0);
	for (unsigned count = 0; count < 600; count += 7) {
		assert_int_equal(append_varied(d, "t", count), 0);
		sum += count;
	}
	assert_int_equal(one_i64(d, "SELECT count(*) FROM t"), sum);
	assert_int_equal(one_i64(d, "SELECT max(rowid) FROM t"), sum);
	database_close(d);
}

static void
a_failed_append_leaves_the_transaction_to_its_owner(void **state)
{
	struct database *d = open_memory();
	struct err e = {""};

	(void)state;
	assert_int_equal(database_exec_text(d,
			     "CREATE TABLE t(a, b, c, e); BEGIN; INSERT INTO t(a) "
			     "VALUES (1)",
			     &e),
	    0);
	assert_int_equal(append_varied(d, "t", 3), -EINVAL);
	assert_int_equal(database_exec_text(d, "ROLLBACK", &e), 0);
	assert_int_equal(one_i64(d, "SELECT count(*) FROM t"), 0);
	database_close(d);
}

static void
a_row_that_fits_no_page_is_refused(void **state)
{
	static char text[60000];
	struct database *d = open_memory();
	struct database_load *l = NULL;
	struct err e = {""};

	(void)state;
	memset(text, 'x', sizeof text);
	assert_int_equal(database_load_sql(d, "SELECT 1", 3, &l, &e), 0);
	for (size_t length = 11000; length <= 50000; length += 39000) {
		struct database_record *r = database_load_record(l);
		for (unsigned i = 0; i < 3; i++) {
			record_text(r, text, length);
		}
		assert_int_equal(database_load_row(l, &e), -E2BIG);
	}
	database_load_free(l);
	database_close(d);
}

static void
rows_merge_by_upsert(void **state)
{
	const char *sql =
	    "INSERT INTO t SELECT c0 % 5, c0 FROM " LOAD_ROWS " WHERE true "
	    "ON CONFLICT(k) DO UPDATE SET v = v + excluded.v";
	struct database *d = open_memory();
	struct err e = {""};

	(void)state;
	assert_int_equal(
	    database_exec_text(d, "CREATE TABLE t(k PRIMARY KEY, v) WITHOUT ROWID", &e),
	    0);
	assert_int_equal(load_numbers(d, sql, 2, 10), 0);
	assert_int_equal(one_i64(d, "SELECT v FROM t WHERE k = 3"), 3 + 8);
	database_close(d);
}

static void
the_rows_are_gone_afterwards(void **state)
{
	struct database *d = open_memory();
	struct err e = {""};

	(void)state;
	assert_int_equal(database_exec_text(d, "CREATE TABLE t(a)", &e), 0);
	assert_int_equal(
	    load_numbers(d, "INSERT INTO t SELECT * FROM " LOAD_ROWS, 1, 5), 0);
	assert_int_equal(
	    database_exec_text(d, "SELECT * FROM " LOAD_ROWS, &e), -EINVAL);
	assert_int_equal(database_exec_text(d,
			     "BEGIN IMMEDIATE; INSERT INTO t VALUES (1); COMMIT", &e),
	    0);
	assert_int_equal(one_i64(d, "SELECT count(*) FROM t"), 6);
	database_close(d);
}

static void
a_written_file_is_wal_with_32k_pages_and_group_readable(void **state)
{
	struct database *d = NULL;
	struct err e = {""};
	struct stat st;

	(void)state;
	umask(022);
	assert_int_equal(database_open(path_of("a.sqlite"), DATABASE_WRITE, &d, &e), 0);
	assert_int_equal(database_exec_text(d, "CREATE TABLE t(a)", &e), 0);
	assert_int_equal(one_i64(d, "PRAGMA page_size"), 32768);
	assert_int_equal(one_i64(d, "PRAGMA synchronous"), 2);
	assert_int_equal(
	    one_i64(d, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
	assert_int_equal(stat(path_of("a.sqlite"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	database_close(d);
}

static void
a_reader_sees_what_is_committed_while_a_writer_is_busy(void **state)
{
	struct database *w = NULL, *r = NULL;
	struct err e = {""};

	(void)state;
	assert_int_equal(database_open(path_of("b.sqlite"), DATABASE_WRITE, &w, &e), 0);
	assert_int_equal(
	    database_exec_text(w, "CREATE TABLE t(a); INSERT INTO t VALUES (1)", &e),
	    0);
	assert_int_equal(
	    database_exec_text(w, "BEGIN IMMEDIATE; INSERT INTO t VALUES (2)", &e), 0);
	assert_int_equal(database_open(path_of("b.sqlite"), DATABASE_READ, &r, &e), 0);
	assert_int_equal(one_i64(r, "SELECT count(*) FROM t"), 1);
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
	    database_open(path_of("none.sqlite"), DATABASE_READ, &d, &e), -ENOENT);
	assert_non_null(strstr(e.text, "none.sqlite"));
	assert_null(d);
}

static void
a_file_that_is_no_database_is_refused(void **state)
{
	struct database *d = NULL;
	struct err e = {""};
	FILE *f = fopen(path_of("c.sqlite"), "w");

	(void)state;
	for (int i = 0; i < 1000; i++) {
		fputs("this is a text file\n", f);
	}
	fclose(f);
	assert_int_equal(
	    database_open(path_of("c.sqlite"), DATABASE_READ, &d, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "c.sqlite"));
}

static void
a_writer_does_not_follow_a_link(void **state)
{
	struct database *d = NULL;
	struct err e = {""};
	char target[128];

	(void)state;
	strcpy(target, path_of("target"));
	assert_int_equal(symlink(target, path_of("link.sqlite")), 0);
	assert_int_equal(
	    database_open(path_of("link.sqlite"), DATABASE_WRITE, &d, &e), -ELOOP);
}

static void
a_query_over_its_deadline_stops(void **state)
{
	struct database *d = open_memory();
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
	assert_int_equal(one_i64(d, "SELECT 5"), 5);
	database_close(d);
}

static void
address_functions_order_and_match_addresses(void **state)
{
	struct database *d = open_memory();
	struct err e = {""};

	(void)state;
	assert_int_equal(database_add_functions(d, &e), 0);
	assert_int_equal(
	    one_i64(d, "SELECT ip_order('9.0.0.1') < ip_order('10.0.0.1') AND "
		       "ip_order('10.0.0.1') < ip_order('2001:db8::1')"),
	    1);
	assert_int_equal(one_i64(d, "SELECT ip_order('nonsense') IS NULL"), 1);
	assert_int_equal(
	    one_i64(d, "SELECT ip_in_prefix('10.1.2.3', '10.0.0.0/8')"), 1);
	assert_int_equal(
	    one_i64(d, "SELECT ip_in_prefix('11.1.2.3', '10.0.0.0/8')"), 0);
	assert_int_equal(
	    one_i64(d, "SELECT ip_in_prefix('10.1.2.0/24', '10.0.0.0/8')"), 1);
	assert_int_equal(
	    one_i64(d, "SELECT ip_in_prefix('10.0.0.0/8', '10.0.0.0/24')"), 0);
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
	struct database *d = open_memory();
	struct err e = {""};
	char sql[160];

	(void)state;
	assert_int_equal(database_add_functions(d, &e), 0);
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(sql, sizeof sql,
		    "SELECT sum_clipped(column1) FROM (VALUES %s)", cases[i].rows);
		assert_int_equal(one_i64(d, sql), cases[i].sum);
	}
	assert_int_equal(
	    one_i64(d, "SELECT sum_clipped(column1) IS NULL FROM (VALUES (NULL))"), 1);
	assert_int_equal(
	    one_i64(d, "SELECT sum_clipped(column1) = 3.5 FROM (VALUES (1), (2.5))"),
	    1);
	database_close(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_from_memory_are_inserted_in_their_order),
	    cmocka_unit_test(rows_with_other_columns_follow_each_other),
	    cmocka_unit_test(appended_rows_are_the_inserted_rows),
	    cmocka_unit_test(appends_of_few_rows_follow_each_other),
	    cmocka_unit_test(a_failed_append_leaves_the_transaction_to_its_owner),
	    cmocka_unit_test(a_row_that_fits_no_page_is_refused),
	    cmocka_unit_test(rows_merge_by_upsert),
	    cmocka_unit_test(the_rows_are_gone_afterwards),
	    cmocka_unit_test(a_written_file_is_wal_with_32k_pages_and_group_readable),
	    cmocka_unit_test(a_reader_sees_what_is_committed_while_a_writer_is_busy),
	    cmocka_unit_test(a_missing_file_is_named),
	    cmocka_unit_test(a_file_that_is_no_database_is_refused),
	    cmocka_unit_test(a_writer_does_not_follow_a_link),
	    cmocka_unit_test(a_query_over_its_deadline_stops),
	    cmocka_unit_test(address_functions_order_and_match_addresses),
	    cmocka_unit_test(sums_end_at_the_greatest_and_least_integer),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
