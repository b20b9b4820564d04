#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "collector/query/sql.h"

static void
names_are_quoted_and_values_bound(void **state)
{
	const struct sql_value values[] = {
	    {.type = DATABASE_INTEGER, .integer = 5},
	    {.type = DATABASE_REAL, .real = 0.5},
	    {.type = DATABASE_TEXT, .text = "'; DROP TABLE \"a\"\"b\" --"},
	    {.type = DATABASE_NULL},
	};
	struct database *d = NULL;
	struct statement *t = NULL;
	struct sql *s = sql_new();

	(void)state;
	assert_int_equal(database_open("x", DATABASE_MEMORY, &d, NULL), 0);
	assert_int_equal(database_exec_text(d, "CREATE TABLE \"a\"\"b\"(x)", NULL), 0);
	for (unsigned i = 0; i < 12;
	     i++) { /* more values than there is room at first */
		sql_add(s, "%s", i == 0 ? "SELECT " : ", ");
		sql_bind(s, &values[i % 4]);
	}
	sql_add(s, ", (SELECT count(*) FROM ");
	sql_name(s, "a\"b");
	sql_add(s, ")");
	assert_int_equal(sql_prepare(s, d, &t, NULL), 0);
	assert_int_equal(statement_step(t, NULL), 1);
	assert_int_equal(statement_i64(t, 8), 5);
	assert_true(statement_f64(t, 9) == 0.5);
	assert_string_equal(statement_text(t, 10), values[2].text);
	assert_int_equal(statement_type(t, 11), DATABASE_NULL);
	assert_int_equal(statement_i64(t, 12), 0);
	statement_free(t);
	sql_free(s);
	database_close(d);
}

static void
a_statement_without_results_runs_to_its_end(void **state)
{
	const struct sql_value v = {.type = DATABASE_INTEGER, .integer = 7};
	struct database *d = NULL;
	struct statement *t = NULL;
	struct sql *s = sql_new();
	struct err e = {""};

	(void)state;
	assert_int_equal(database_open("x", DATABASE_MEMORY, &d, NULL), 0);
	assert_int_equal(database_exec_text(d, "CREATE TABLE n(x)", NULL), 0);
	sql_add(s, "INSERT INTO n VALUES (");
	sql_bind(s, &v);
	sql_add(s, ")");
	assert_int_equal(sql_run(s, d, NULL), 0);
	sql_free(s);
	s = sql_new();
	sql_add(s, "SELECT x FROM n");
	assert_int_equal(sql_prepare(s, d, &t, NULL), 0);
	assert_int_equal(statement_step(t, NULL), 1);
	assert_int_equal(statement_i64(t, 0), 7);
	statement_free(t);
	sql_add(s, " WHERE");
	assert_true(sql_run(s, d, &e) < 0);
	assert_true(e.text[0] != '\0');
	sql_free(s);
	database_close(d);
}

static void
memory_that_ran_out_is_reported_when_the_statement_is_prepared(void **state)
{
	const struct sql_value v = {.type = DATABASE_NULL};
	struct statement *t = NULL;
	struct err e = {""};

	(void)state;
	sql_add(NULL, "SELECT ");
	sql_name(NULL, "x");
	sql_bind(NULL, &v);
	assert_int_equal(sql_prepare(NULL, NULL, &t, &e), -ENOMEM);
	assert_string_equal(e.text, "no memory to build the query");
	sql_free(NULL);
}

static void
a_number_is_the_first_value_of_an_answer(void **state)
{
	struct database *d = NULL;
	struct sql *s = sql_new();
	int64_t n = 5;

	(void)state;
	assert_int_equal(database_open("x", DATABASE_MEMORY, &d, NULL), 0);
	sql_add(s, "SELECT 7, 8");
	assert_int_equal(sql_number(s, d, &n, NULL), 0);
	assert_int_equal(n, 7);
	s = sql_new();
	sql_add(s, "SELECT 7 WHERE 0");
	assert_int_equal(sql_number(s, d, &n, NULL), 0);
	assert_int_equal(n, 7);
	database_close(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_quoted_and_values_bound),
	    cmocka_unit_test(
		memory_that_ran_out_is_reported_when_the_statement_is_prepared),
	    cmocka_unit_test(a_number_is_the_first_value_of_an_answer),
	    cmocka_unit_test(a_statement_without_results_runs_to_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
