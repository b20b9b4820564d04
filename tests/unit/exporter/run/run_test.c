/* Whole runs of the exporter from files to files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporter/run/run.h"
#include "tests/unit/exporter/run/support_capture.h"

#define TRACE                                                                          \
	"Source.IP,Source.Port,Destination.IP,Destination.Port,Protocol,Timestamp,"    \
	"Flow.Duration,Total.Fwd.Packets,Total.Backward.Packets,"                      \
	"Total.Length.of.Fwd.Packets,Total.Length.of.Bwd.Packets\n"                    \
	"10.0.0.1,1,10.0.0.2,53,17,26/04/201711:11:17,1,2,1,12,6\n"                    \
	"10.0.0.1,2,10.0.0.2,53,17,26/04/201711:11:18,1,2,1,12,6\n"                    \
	"10.0.0.1,x,10.0.0.2,53,17,26/04/201711:11:19,1,2,1,12,6\n"

static char directory[] = "/tmp/run_testXXXXXX";
static char schemas[PATH_MAX + 16];
static struct options options;
static struct err err;

static int
make_directory(void **state)
{
	char top[PATH_MAX];

	(void)state;
	assert_non_null(getcwd(top, sizeof top));
	snprintf(schemas, sizeof schemas, "%s/schemas", top);
	return mkdtemp(directory) == NULL || chdir(directory) < 0;
}

static int
remove_directory(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", directory);
	return system(command);
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static long
size_of(const char *path)
{
	struct stat s;

	return stat(path, &s) < 0 ? -1 : (long)s.st_size;
}

/* Opens a run; NULL: refused.  Words end with NULL. */
static struct run *
begin(const char **words)
{
	struct run *r = NULL;

	err.text[0] = '\0';
	if (options_parse((char **)words, &options, &err) != 0) {
		fail_msg("%s", err.text);
	}
	return run_new(&options, &r, &err) < 0 ? NULL : r;
}
#define BEGIN(...)                                                                     \
	begin((const char *[]){                                                        \
	    "flowpair-exporter", "--schemas", schemas, __VA_ARGS__, NULL})

static void
end(struct run *r)
{
	run_free(r);
	options_free(&options);
}

static void
every_packet_is_in_a_record_or_named_as_dropped(void **state)
{
	struct summary s;
	struct run *r;

	(void)state;
	capture_write("a.pcap", 100);
	r = BEGIN("-r", "a.pcap", "--to", "file:a.ipfix", "--metrics-file", "a.prom");
	assert_non_null(r);
	assert_int_equal(run_input(r), 0);
	assert_int_equal(run_finish(r, &err), 0);
	run_summary(r, &s);
	assert_int_equal(s.packets_read, 100);
	assert_int_equal(s.dropped[PACKET_NOT_IP], 10);
	assert_int_equal(s.conversations.packets, 90);
	assert_int_equal(s.records, 1);
	assert_int_equal(s.captures[0].counts.received, 100);
	assert_int_equal(s.deliveries[0].counts.records, 1);
	assert_int_equal(s.deliveries[0].counts.dropped_messages, 0);
	assert_true(size_of("a.ipfix") > 0);
	assert_true(size_of("a.prom") > 0);
	end(r);
}

static void
two_collectors_get_the_same(void **state)
{
	struct summary s;
	struct run *r;

	(void)state;
	capture_write("a.pcap", 50);
	r = BEGIN("-r", "a.pcap", "--delivery", "duplicate", "--to", "file:1.ipfix",
	    "--to", "file:2.ipfix");
	assert_non_null(r);
	assert_int_equal(run_input(r), 0);
	assert_int_equal(run_finish(r, &err), 0);
	run_summary(r, &s);
	assert_int_equal(s.delivery_count, 2);
	assert_string_equal(s.deliveries[1].to, "file:2.ipfix");
	assert_int_equal(s.deliveries[0].counts.records, 1);
	assert_int_equal(s.deliveries[1].counts.records, 1);
	assert_true(size_of("1.ipfix") > 0);
	assert_int_equal(size_of("1.ipfix"), size_of("2.ipfix"));
	end(r);
}

static void
a_count_ends_the_input_within_a_file(void **state)
{
	struct summary s;
	struct run *r;

	(void)state;
	capture_write("a.pcap", 100);
	r = BEGIN("-r", "a.pcap", "-r", "a.pcap", "--count", "125", "--to", "file:c");
	assert_non_null(r);
	assert_int_equal(run_input(r), 0);
	run_summary(r, &s);
	assert_int_equal(s.packets_read, 125);
	end(r);
}

static void
a_missing_file_is_refused_before_anything_is_read(void **state)
{
	(void)state;
	capture_write("a.pcap", 10);
	assert_null(BEGIN("-r", "a.pcap", "-r", "missing", "--to", "file:m"));
	assert_string_equal(err.text, "missing: No such file or directory");
	options_free(&options);
}

static void
a_file_that_is_not_a_capture_fails_the_run_but_not_the_next_file(void **state)
{
	struct summary s;
	struct run *r;

	(void)state;
	capture_write("a.pcap", 10);
	write_file("text", "this is not a capture, but long enough for a header\n");
	r = BEGIN("-r", "a.pcap", "-r", "text", "-r", "a.pcap", "--to", "file:t");
	assert_non_null(r);
	assert_true(run_input(r) < 0);
	run_summary(r, &s);
	assert_int_equal(s.packets_read, 20);
	end(r);
}

static void
rows_of_a_trace_become_records(void **state)
{
	struct summary s;
	struct run *r;

	(void)state;
	write_file("trace.csv", TRACE);
	r = BEGIN("--trace-csv", "trace.csv", "--to", "file:trace.ipfix");
	assert_non_null(r);
	assert_int_equal(run_input(r), 0);
	assert_int_equal(run_finish(r, &err), 0);
	run_summary(r, &s);
	assert_true(s.is_trace);
	assert_int_equal(s.trace.rows, 2);
	assert_int_equal(s.trace.bad[TRACE_BAD_PORT], 1);
	assert_int_equal(s.records, 2);
	assert_int_equal(s.deliveries[0].counts.records, 2);
	end(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_packet_is_in_a_record_or_named_as_dropped),
	    cmocka_unit_test(two_collectors_get_the_same),
	    cmocka_unit_test(a_count_ends_the_input_within_a_file),
	    cmocka_unit_test(a_missing_file_is_refused_before_anything_is_read),
	    cmocka_unit_test(
		a_file_that_is_not_a_capture_fails_the_run_but_not_the_next_file),
	    cmocka_unit_test(rows_of_a_trace_become_records),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
