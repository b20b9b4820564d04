#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config/datadir.h"

static void
a_given_directory_is_taken_when_it_holds_schemas(void **unused)
{
	char directory[] = "/tmp/share_test.XXXXXX", path[64], found[PATH_MAX];
	struct err e;
	FILE *f;
	(void)unused;
	assert_non_null(mkdtemp(directory));
	assert_true(datadir_find(directory, found, &e) < 0);
	assert_non_null(strstr(e.text, directory));
	(void)snprintf(path, sizeof path, "%s/elements.xml", directory);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(datadir_find(directory, found, &e), 0);
	assert_string_equal(found, directory);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
}

static void
what_is_not_found_is_said_to_be_missing(void **unused)
{
	char found[PATH_MAX] = "untouched";
	struct err e;
	(void)unused;
	assert_true(datadir_find("/nonexistent", found, &e) < 0);
	assert_string_equal(found, "untouched");
	assert_non_null(strstr(e.text, "--schemas"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_given_directory_is_taken_when_it_holds_schemas),
	    cmocka_unit_test(what_is_not_found_is_said_to_be_missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
