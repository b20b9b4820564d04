#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/query/listing.h"
#include "tests/unit/collector/query/support_store.h"

static void
every_table_and_view_is_listed_with_days_and_stored_rows(void **state)
{
	struct output_settings s = {.format = OUTPUT_CSV, .keep = -1};
	const char *folder = store_make();
	struct catalog *c = NULL;
	struct output *o;
	char *text = NULL;
	size_t length;
	FILE *to = open_memstream(&text, &length);
	struct err e;

	(void)state;
	assert_int_equal(catalog_open(folder, &c, &e), 0);
	o = output_new(&s, listing_columns, LISTING_COLUMNS, to);
	assert_non_null(o);
	assert_int_equal(listing_write(c, 0, o, &e), 0);
	assert_int_equal(output_end(o), 0);
	assert_string_equal(text, "table,kind,days,first_day,last_day,rows\r\n"
				  "conversations,table,1,2017-04-26,2017-04-26,3\r\n"
				  "late,table,1,2017-04-26,2017-04-26,1\r\n"
				  "net_services,view,,,,\r\n"
				  "pairs,table,2,2017-04-26,2017-04-27,6\r\n"
				  "services,table,,,,3\r\n");
	output_free(o);
	catalog_close(c);
	fclose(to);
	free(text);
	store_remove();
}

static void
a_folder_without_a_store_is_named(void **state)
{
	struct catalog *c = NULL;
	struct err e;

	(void)state;
	assert_true(catalog_open("/nonexistent", &c, &e) < 0);
	assert_string_equal(e.text,
	    "/nonexistent: there is no flowpair store here (flowpair.sqlite is "
	    "missing); "
	    "name the directory that flowpair-collector --store names");
}

/* In a process of its own: it is nobody afterwards, whom no bit of the mode helps. */
static void
who_may_not_read_a_store_is_told_who_may(void **state)
{
	const char *folder = store_make();
	int status = -1;
	pid_t child;

	(void)state;
	assert_int_equal(chmod(folder, 0), 0);
	child = fork();
	if (child == 0) {
		struct catalog *c = NULL;
		struct err e = {0};
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0) {
			_exit(2);
		}
		_exit(catalog_open(folder, &c, &e) == -EACCES &&
			      strstr(e.text, "its owner and group may") != NULL
			  ? 0
			  : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(chmod(folder, 0700), 0);
	store_remove();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_table_and_view_is_listed_with_days_and_stored_rows),
	    cmocka_unit_test(a_folder_without_a_store_is_named),
	    cmocka_unit_test(who_may_not_read_a_store_is_told_who_may),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
