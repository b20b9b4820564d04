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

#include "common/clock.h"
#include "common/database.h"

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

struct numbers {
	char text[3][16];
};

static void
numbers_column(const struct database_rows *rows, size_t row, unsigned i,
    struct database_value *out)
{
	struct numbers *n = rows->data;
	switch (i) {
	case 0:
		out->type = DATABASE_INTEGER;
		out->integer = (int64_t)row;
		break;
	case 1:
		out->type = DATABASE_TEXT;
		out->length = (size_t)sprintf(n->text[0], "t%zu", row);
		out->text = n->text[0];
		break;
	case 2:
		out->type = DATABASE_REAL;
		out->real = (double)row / 2;
		break;
	default:
		out->type = DATABASE_NULL;
	}
}

static void
rows_from_memory_are_inserted_in_their_order(void **state)
{
	struct numbers n;
	struct database_rows rows = {
	    .count = 1000, .columns = 4, .column = numbers_column, .data = &n};
	struct database *d = open_memory();
	struct err e = {""};

	(void)state;
	assert_int_equal(database_exec_text(d, "CREATE TABLE t(a, b, c, d)", &e), 0);
	assert_int_equal(database_insert_rows(
			     d, "INSERT INTO t SELECT * FROM flowpair_rows", &rows, &e),
	    0);
	assert_int_equal(
	    one_i64(d, "SELECT count(*) FROM t WHERE a = rowid - 1 AND b = "
		       "'t' || a AND c = a / 2.0 AND d IS NULL"),
	    1000);
	database_close(d);
}

static void
rows_with_other_columns_follow_each_other(void **state)
{
	struct numbers n;
	struct database_rows two = {
	    .count = 2, .columns = 2, .column = numbers_column, .data = &n};
	struct database_rows three = {
	    .count = 3, .columns = 3, .column = numbers_column, .data = &n};
	struct database *d = open_memory();
	struct err e = {""};

	(void)state;
	assert_int_equal(
	    database_exec_text(d, "CREATE TABLE t(a, b); CREATE TABLE u(a, b, c)", &e),
	    0);
	assert_int_equal(database_insert_rows(
			     d, "INSERT INTO t SELECT * FROM flowpair_rows", &two, &e),
	    0);
	assert_int_equal(database_insert_rows(d,
			     "INSERT INTO u SELECT * FROM flowpair_rows", &three, &e),
	    0);
	assert_int_equal(one_i64(d, "SELECT count(*) FROM t"), 2);
	assert_int_equal(one_i64(d, "SELECT count(*) FROM u WHERE c = a / 2.0"), 3);
	database_close(d);
}

/* Values of every kind and of every length that the record format tells apart. */
static void
varied_column(const struct database_rows *rows, size_t row, unsigned i,
    struct database_value *out)
{
	static char texts[4][1024];
	int64_t magnitude = (int64_t)(UINT64_MAX >> 1 >> (row % 64));

	(void)rows;
	switch ((row + i) % 5) {
	case 0:
		out->type = DATABASE_INTEGER;
		out->integer = row % 2 == 0 ? magnitude : -magnitude - 1;
		break;
	case 1:
		out->type = DATABASE_REAL;
		out->real = (double)magnitude / 3;
		break;
	case 2:
		out->type = DATABASE_TEXT;
		out->length = row % 700;
		out->text = memset(texts[i], 'a' + (int)(row % 26), out->length);
		break;
	case 3:
		out->type = DATABASE_INTEGER;
		out->integer = (int64_t)(row % 4);
		break;
	default:
		out->type = DATABASE_NULL;
	}
}

static void
appended_rows_are_the_inserted_rows(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	struct database_rows rows = {
	    .count = 30000, .columns = 4, .column = varied_column};
	struct database *d = NULL;
	struct err e = {""};

	(void)state;
	assert_int_equal(database_open(path_of("d.sqlite"), DATABASE_WRITE, &d, &e), 0);
	assert_int_equal(
	    database_exec_text(d,
		"CREATE TABLE t(a, b, c, d); CREATE TABLE u(x TEXT, d, c, b, a);"
		"BEGIN IMMEDIATE",
		&e),
	    0);
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(
		    database_insert_rows(
			d, "INSERT INTO t SELECT * FROM flowpair_rows", &rows, &e),
		    0);
		if (database_append_rows(d, "u", names, &rows, &e) < 0) {
			fail_msg("%s", e.text);
		}
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
	static const char *const names[] = {"a", "b", "c", "d"};
	struct database_rows rows = {.columns = 4, .column = varied_column};
	struct database *d = open_memory();
	struct err e = {""};
	int64_t sum = 0;

	(void)state;
	assert_int_equal(database_exec_text(d, "CREATE TABLE t(a, b, c, d)", &e), 0);
	for (rows.count = 0; rows.count < 600; rows.count += 7) {
		if (database_append_rows(d, "t", names, &rows, &e) < 0) {
			fail_msg("%s", e.text);
		}
		sum += (int64_t)rows.count;
	}
	assert_int_equal(one_i64(d, "SELECT count(*) FROM t"), sum);
	assert_int_equal(one_i64(d, "SELECT max(rowid) FROM t"), sum);
	database_close(d);
}

static void
a_failed_append_leaves_the_transaction_to_its_owner(void **state)
{
	static const char *const names[] = {"a", "b", "c", "e"};
	struct database_rows rows = {.count = 3, .columns = 4, .column = varied_column};
	struct database *d = open_memory();
	struct err e = {""};

	(void)state;
	assert_int_equal(database_exec_text(d,
			     "CREATE TABLE t(a, b, c, d); BEGIN; INSERT INTO t(a) "
			     "VALUES (1)",
			     &e),
	    0);
	assert_int_equal(database_append_rows(d, "t", names, &rows, &e), -EINVAL);
	assert_int_equal(database_exec_text(d, "ROLLBACK", &e), 0);
	assert_int_equal(one_i64(d, "SELECT count(*) FROM t"), 0);
	database_close(d);
}

static void
rows_merge_by_upsert(void **state)
{
	struct numbers n;
	struct database_rows rows = {
	    .count = 10, .columns = 2, .column = numbers_column, .data = &n};
	const char *sql =
	    "INSERT INTO t SELECT c0 % 5, c0 FROM flowpair_rows WHERE true "
	    "ON CONFLICT(k) DO UPDATE SET v = v + excluded.v";
	struct database *d = open_memory();
	struct err e = {""};

	(void)state;
	assert_int_equal(
	    database_exec_text(d, "CREATE TABLE t(k PRIMARY KEY, v) WITHOUT ROWID", &e),
	    0);
	assert_int_equal(database_insert_rows(d, sql, &rows, &e), 0);
	assert_int_equal(one_i64(d, "SELECT v FROM t WHERE k = 3"), 3 + 8);
	database_close(d);
}

static void
the_rows_table_is_gone_afterwards(void **state)
{
	struct database *d = open_memory();
	struct err e = {""};

	(void)state;
	assert_int_equal(
	    database_exec_text(d, "SELECT * FROM flowpair_rows", &e), -EINVAL);
	database_close(d);
}

static void
a_written_file_is_wal_with_8k_pages_and_group_readable(void **state)
{
	struct database *d = NULL;
	struct err e = {""};
	struct stat st;

	(void)state;
	umask(022);
	assert_int_equal(database_open(path_of("a.sqlite"), DATABASE_WRITE, &d, &e), 0);
	assert_int_equal(database_exec_text(d, "CREATE TABLE t(a)", &e), 0);
	assert_int_equal(one_i64(d, "PRAGMA page_size"), 8192);
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
	assert_int_equal(database_add_address_functions(d, &e), 0);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_from_memory_are_inserted_in_their_order),
	    cmocka_unit_test(rows_with_other_columns_follow_each_other),
	    cmocka_unit_test(appended_rows_are_the_inserted_rows),
	    cmocka_unit_test(appends_of_few_rows_follow_each_other),
	    cmocka_unit_test(a_failed_append_leaves_the_transaction_to_its_owner),
	    cmocka_unit_test(rows_merge_by_upsert),
	    cmocka_unit_test(the_rows_table_is_gone_afterwards),
	    cmocka_unit_test(a_written_file_is_wal_with_8k_pages_and_group_readable),
	    cmocka_unit_test(a_reader_sees_what_is_committed_while_a_writer_is_busy),
	    cmocka_unit_test(a_missing_file_is_named),
	    cmocka_unit_test(a_file_that_is_no_database_is_refused),
	    cmocka_unit_test(a_writer_does_not_follow_a_link),
	    cmocka_unit_test(a_query_over_its_deadline_stops),
	    cmocka_unit_test(address_functions_order_and_match_addresses),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
