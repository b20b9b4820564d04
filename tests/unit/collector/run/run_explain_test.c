#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "collector/run/run_explain.h"
#include "tests/unit/collector/protocol/support_set.h"

static char *text;

static int
begin(void **state)
{
	struct tables *t = support_tables(NULL);
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	run_explain_tables(t, out);
	tables_free(t);
	return fclose(out);
}

static int
end(void **state)
{
	(void)state;
	free(text);
	return 0;
}

static void
assert_has(const char *words)
{
	if (strstr(text, words) == NULL) {
		fail_msg("'%s' is not in:\n%s", words, text);
	}
}

static void
fields_show_their_elements_and_partners(void **state)
{
	(void)state;
	assert_has("record conversation: ");
	assert_has("sourceAddress  <- sourceIPv4Address, sourceIPv6Address  <-> "
		   "destinationAddress\n");
	assert_has("exporter  <- name of the exporter\n");
	assert_has(", one-way 0");
}

static void
columns_show_their_role_and_fields(void **state)
{
	(void)state;
	assert_has("table pairs: storage runs, partition day, version ");
	assert_has("  key       address  src_ip  <- sourceAddress\n");
	assert_has("  sum       integer  ");
	assert_has(" or ");
}

static void
tables_show_their_sql_and_what_they_are_made_from(void **state)
{
	(void)state;
	assert_has("CREATE TABLE \"pairs_runs\"");
	assert_has("CREATE VIEW \"services_iso\"");
	assert_has("made from pairs at flush");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields_show_their_elements_and_partners),
	    cmocka_unit_test(columns_show_their_role_and_fields),
	    cmocka_unit_test(tables_show_their_sql_and_what_they_are_made_from),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
