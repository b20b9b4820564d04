#include "tests/unit/common/sqlite/support_database.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct database *
support_database_open(void)
{
	struct database *d = NULL;
	struct err e;
	assert_int_equal(database_open("memory", DATABASE_MEMORY, &d, &e), 0);
	return d;
}

int64_t
support_database_i64(struct database *d, const char *sql)
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
