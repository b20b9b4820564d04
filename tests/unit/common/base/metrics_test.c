/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/metrics.h"

struct counted {
	uint64_t accepted;
	uint64_t refused[3];
	uint64_t ended[1];
};

static const char *
reason(unsigned i)
{
	static const char *const names[] = {NULL, "old", "new"};

	return names[i];
}

static const char *
end(unsigned i)
{
	return i == 0 ? "idle" : NULL;
}

static const struct metrics_row rows[] = {
    {"accepted", "x_accepted_total", "Those accepted.", METRICS_COUNTER,
	offsetof(struct counted, accepted), 0, NULL, NULL},
    {"refused", "x_refused_total", "Those refused.", METRICS_COUNTER,
	offsetof(struct counted, refused), 3, "reason", reason},
    {"refused", "x_refused_total", NULL, METRICS_COUNTER,
	offsetof(struct counted, ended), 1, "reason", end},
    {NULL, "x_again", "A metric only.", METRICS_GAUGE,
	offsetof(struct counted, accepted), 0, NULL, NULL},
    {"again", NULL, NULL, METRICS_GAUGE, offsetof(struct counted, accepted), 0, NULL,
	NULL},
};

static const struct counted counted = {7, {1, 2, UINT64_MAX}, {4}};

static char directory[64], path[128];

static void
read_back(char out[static 4096])
{
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	n = fread(out, 1, 4095, f);
	out[n] = '\0';
	fclose(f);
}

static void
rows_of_one_name_are_one_family(void **state)
{
	char text[4096];
	struct metrics *m;

	(void)state;
	assert_int_equal(metrics_open(path, &m, NULL), 0);
	metrics_add_rows(m, rows, 5, &counted);
	assert_int_equal(metrics_close(m, NULL), 0);
	read_back(text);
	assert_string_equal(text, "# HELP x_accepted_total Those accepted.\n"
				  "# TYPE x_accepted_total counter\n"
				  "x_accepted_total 7\n"
				  "# HELP x_refused_total Those refused.\n"
				  "# TYPE x_refused_total counter\n"
				  "x_refused_total{reason=\"old\"} 2\n"
				  "x_refused_total{reason=\"new\"} "
				  "18446744073709551615\n"
				  "x_refused_total{reason=\"idle\"} 4\n"
				  "# HELP x_again A metric only.\n"
				  "# TYPE x_again gauge\n"
				  "x_again 7\n");
}

static void
text_is_escaped_and_what_is_no_utf8_replaced(void **state)
{
	char text[4096];
	struct metrics *m;

	(void)state;
	assert_int_equal(metrics_open(path, &m, NULL), 0);
	metrics_family(m, "x", METRICS_GAUGE, "a\\b\nc \"d\"");
	metrics_add(m, "l", "a\\b\nc\"d\xc3\xa4\xff\xe2\x82", 1);
	metrics_add_seconds(m, 1500000000);
	assert_int_equal(metrics_close(m, NULL), 0);
	read_back(text);
	assert_string_equal(text,
	    "# HELP x a\\\\b\\nc \"d\"\n# TYPE x gauge\n"
	    "x{l=\"a\\\\b\\nc\\\"d\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd"
	    "\xef\xbf\xbd\"} 1\nx 1.500000000\n");
}

static void
the_file_is_there_whole_or_as_it_was(void **state)
{
	char text[4096], temporary[160];
	struct metrics *m;

	(void)state;
	assert_int_equal(metrics_open(path, &m, NULL), 0);
	metrics_family(m, "x", METRICS_GAUGE, "first");
	assert_int_equal(metrics_close(m, NULL), 0);
	assert_int_equal(metrics_open(path, &m, NULL), 0);
	metrics_family(m, "x", METRICS_GAUGE, "second");
	read_back(text);
	assert_non_null(strstr(text, "first"));
	assert_int_equal(metrics_close(m, NULL), 0);
	read_back(text);
	assert_non_null(strstr(text, "second"));
	snprintf(temporary, sizeof temporary, "%s.new", path);
	assert_int_equal(access(temporary, F_OK), -1);
}

static void
a_directory_that_is_not_there_is_said(void **state)
{
	struct err e;
	struct metrics *m;

	(void)state;
	assert_int_equal(metrics_open("/nonexistent/x.prom", &m, &e), -ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent/x.prom"));
}

static void
a_summary_has_rows_of_one_key_as_one_object(void **state)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	(void)state;
	metrics_print_json(f, rows, 5, &counted);
	fclose(f);
	assert_string_equal(text, "\"accepted\": 7, \"refused\": {\"old\": 2, \"new\": "
				  "18446744073709551615, \"idle\": 4}, \"again\": 7");
	free(text);
}

static int
make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/flowpair-metrics-XXXXXX");
	if (mkdtemp(directory) == NULL) {
		return -1;
	}
	snprintf(path, sizeof path, "%s/x.prom", directory);
	return 0;
}

static int
remove_directory(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_of_one_name_are_one_family),
	    cmocka_unit_test(text_is_escaped_and_what_is_no_utf8_replaced),
	    cmocka_unit_test(the_file_is_there_whole_or_as_it_was),
	    cmocka_unit_test(a_directory_that_is_not_there_is_said),
	    cmocka_unit_test(a_summary_has_rows_of_one_key_as_one_object),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
