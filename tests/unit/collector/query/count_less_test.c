#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/query/count_less.h"

static struct column columns[] = {
    {.name = "packets", .group = GROUP_SUM},
    {.name = "octets", .group = GROUP_SUM},
    {.name = "start_ns", .group = GROUP_MINIMIZE},
};
static const struct table table = {.name = "t", .columns = columns, .count = 3};
static const char expression[] =
    "CASE WHEN (\"packets\" - 1) > 0 THEN \"octets\" / (\"packets\" - 1) + "
    "(\"octets\" - 20) + (\"start_ns\" - 1) + (\"octets\" - x) END";

static void
counts_less_a_number_are_found_once_each(void **state)
{
	struct count_less_list list = {.count = 0};

	(void)state;
	count_less_find(&table, expression, &list);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.items[0].column, 0);
	assert_int_equal(list.items[0].number, 1);
	assert_int_equal(list.items[1].column, 1);
	assert_int_equal(list.items[1].number, 20);
}

/* One value of a question that has the table's columns. */
static int64_t
value_of(struct sql *s)
{
	struct database *d = NULL;
	struct statement *t = NULL;
	int64_t v;

	assert_int_equal(database_open("x", DATABASE_MEMORY, &d, NULL), 0);
	assert_int_equal(database_add_functions(d, NULL), 0);
	assert_int_equal(
	    database_exec_text(d,
		"CREATE TABLE t(packets, \"packets - 1\"); INSERT INTO t VALUES (1, "
		"10), (5, 20), (0, 30)",
		NULL),
	    0);
	sql_add(s, " FROM t");
	assert_int_equal(sql_prepare(s, d, &t, NULL), 0);
	assert_int_equal(statement_step(t, NULL), 1);
	v = statement_i64(t, 0);
	statement_free(t);
	database_close(d);
	sql_free(s);
	return v;
}

static void
rows_of_fewer_count_nothing_and_parts_are_added(void **state)
{
	const struct count_less less = {.column = 0, .number = 1};
	struct sql *s = sql_new();

	(void)state;
	sql_add(s, "SELECT ");
	count_less_sum(&table, &less, true, s);
	assert_int_equal(value_of(s), 4);
	s = sql_new();
	sql_add(s, "SELECT ");
	count_less_sum(&table, &less, false, s);
	assert_int_equal(value_of(s), 60);
}

static void
an_expression_uses_the_columns_that_hold_them(void **state)
{
	struct count_less_list list = {.count = 0};
	struct sql *s = sql_new();

	(void)state;
	count_less_find(&table, "(\"packets\" - 1) * 2", &list);
	sql_add(s, "SELECT ");
	count_less_expression(&table, "(\"packets\" - 1) * 2", &list, s);
	assert_int_equal(value_of(s), 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(counts_less_a_number_are_found_once_each),
	    cmocka_unit_test(rows_of_fewer_count_nothing_and_parts_are_added),
	    cmocka_unit_test(an_expression_uses_the_columns_that_hold_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
