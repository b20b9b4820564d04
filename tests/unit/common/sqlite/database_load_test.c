#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/sqlite/database_load.h"
#include "tests/unit/common/sqlite/support_database.h"

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
	struct database *d = support_database_open();
	struct err e = {""};

	(void)state;
	assert_int_equal(database_exec_text(d, "CREATE TABLE t(a, b, c, d)", &e), 0);
	assert_int_equal(
	    load_numbers(d, "INSERT INTO t SELECT * FROM " LOAD_ROWS, 4, 1000), 0);
	assert_int_equal(support_database_i64(d,
			     "SELECT count(*) FROM t WHERE a = rowid - 1 AND b = "
			     "'t' || a AND c = a / 2.0 AND d IS NULL"),
	    1000);
	database_close(d);
}

static void
rows_with_other_columns_follow_each_other(void **state)
{
	struct database *d = support_database_open();
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
	assert_int_equal(support_database_i64(d, "SELECT count(*) FROM t"), 2);
	assert_int_equal(
	    support_database_i64(d, "SELECT count(*) FROM u WHERE c = a / 2.0"), 3);
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
	assert_int_equal(
	    database_open(support_path("d.sqlite"), DATABASE_WRITE, &d, &e), 0);
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
	assert_int_equal(
	    support_database_i64(d, "SELECT count(*) FROM u WHERE x IS NULL"), 60000);
	assert_int_equal(
	    support_database_i64(d,
		"SELECT count(*) FROM t JOIN u ON t.rowid = u.rowid WHERE t.a IS u.a "
		"AND t.b IS u.b AND t.c IS u.c AND t.d IS u.d AND typeof(t.a) = "
		"typeof(u.a) AND typeof(t.b) = typeof(u.b)"),
	    60000);
	assert_int_equal(
	    support_database_i64(
		d, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"),
	    1);
	database_close(d);
}

static void
appends_of_few_rows_follow_each_other(void **state)
{
	struct database *d = support_database_open();
	struct err e = {""};
	int64_t sum = 0;

	(void)state;
	assert_int_equal(database_exec_text(d, "CREATE TABLE t(a, b, c, d)", &e), 0);
	for (unsigned count = 0; count < 600; count += 7) {
		assert_int_equal(append_varied(d, "t", count), 0);
		sum += count;
	}
	assert_int_equal(support_database_i64(d, "SELECT count(*) FROM t"), sum);
	assert_int_equal(support_database_i64(d, "SELECT max(rowid) FROM t"), sum);
	database_close(d);
}

static void
a_failed_append_leaves_the_transaction_to_its_owner(void **state)
{
	struct database *d = support_database_open();
	struct err e = {""};

	(void)state;
	assert_int_equal(database_exec_text(d,
			     "CREATE TABLE t(a, b, c, e); BEGIN; INSERT INTO t(a) "
			     "VALUES (1)",
			     &e),
	    0);
	assert_int_equal(append_varied(d, "t", 3), -EINVAL);
	assert_int_equal(database_exec_text(d, "ROLLBACK", &e), 0);
	assert_int_equal(support_database_i64(d, "SELECT count(*) FROM t"), 0);
	database_close(d);
}

static void
a_row_that_fits_no_page_is_refused(void **state)
{
	static char text[60000];
	struct database *d = support_database_open();
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
	struct database *d = support_database_open();
	struct err e = {""};

	(void)state;
	assert_int_equal(
	    database_exec_text(d, "CREATE TABLE t(k PRIMARY KEY, v) WITHOUT ROWID", &e),
	    0);
	assert_int_equal(load_numbers(d, sql, 2, 10), 0);
	assert_int_equal(support_database_i64(d, "SELECT v FROM t WHERE k = 3"), 3 + 8);
	database_close(d);
}

static void
the_rows_are_gone_afterwards(void **state)
{
	struct database *d = support_database_open();
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
	assert_int_equal(support_database_i64(d, "SELECT count(*) FROM t"), 6);
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
	};

	return cmocka_run_group_tests(
	    tests, support_directory_make, support_directory_end);
}
