#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "common/base/clock.h"
#include "exporter/trace/trace_csv.h"

#define HEADER                                                                         \
	"Source.IP,Source.Port,Destination.IP,Destination.Port,Protocol,Timestamp,"    \
	"Flow.Duration,Total.Fwd.Packets,Total.Backward.Packets,"                      \
	"Total.Length.of.Fwd.Packets,Total.Length.of.Bwd.Packets\n"
#define ROW                                                                            \
	"172.19.1.46,52422,10.200.7.7,3128,6,26/04/"                                   \
	"201711:11:17,45523,22,55,132,110414\n"
#define ONE_WAY "10.200.7.7,3128,172.19.1.46,52422,6,26/04/201711:11:17,1,2,0,12,0\n"

static char path[64];
static struct trace *trace;
static struct flow_record record;
static struct err err;

static int
open_bytes(const void *bytes, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
	return trace_open(path, NS_PER_MS, &trace, &err);
}

static void
open_text(const char *text)
{
	assert_int_equal(open_bytes(text, strlen(text)), 0);
}

static void
assert_refused(const char *text, const char *why)
{
	assert_true(open_bytes(text, strlen(text)) < 0);
	assert_non_null(strstr(err.text, why));
}

static int
next(void)
{
	return trace_next(trace, &record, &err);
}

/* A file of the header and this row, which is bad for one reason. */
static void
assert_bad(const char *row, enum trace_bad b)
{
	char text[1024];
	struct trace_counts c;

	snprintf(text, sizeof text, "%s%s%s%s%s\n", HEADER, ROW, ONE_WAY, row, row);
	open_text(text);
	assert_int_equal(next(), 1);
	assert_int_equal(next(), 1);
	assert_int_equal(next(), 0);
	trace_counts(trace, &c);
	assert_int_equal(c.rows, 2);
	assert_int_equal(c.bad[b], 2);
	assert_int_equal(c.bad_line[b], 4);
	trace_close(trace);
	trace = NULL;
}

static int
set_up(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/trace_csv_test.XXXXXX");
	fd = mkstemp(path);
	close(fd);
	trace = NULL;
	return fd < 0;
}

static int
tear_down(void **state)
{
	(void)state;
	trace_close(trace);
	unlink(path);
	return 0;
}

static void
a_row_gives_all_its_values(void **state)
{
	struct address a;

	(void)state;
	open_text(HEADER ROW);
	assert_int_equal(next(), 1);
	address_from_ipv4(&a, (uint8_t[]){172, 19, 1, 46});
	assert_memory_equal(&record.source, &a, sizeof a);
	address_from_ipv4(&a, (uint8_t[]){10, 200, 7, 7});
	assert_memory_equal(&record.destination, &a, sizeof a);
	assert_int_equal(record.source_port, 52422);
	assert_int_equal(record.destination_port, 3128);
	assert_int_equal(record.protocol, 6);
	assert_int_equal(record.start_ns, 1493205077 * NS_PER_SECOND);
	assert_int_equal(
	    record.end_ns, 1493205077 * NS_PER_SECOND + 45523ULL * NS_PER_MS);
	assert_int_equal(record.side[0].packets, 22);
	assert_int_equal(record.side[1].packets, 55);
	assert_int_equal(record.side[0].payload_octets, 132);
	assert_int_equal(record.side[1].payload_octets, 110414);
	assert_int_equal(record.side[0].octets, 0);
	assert_true(record.is_trace);
	assert_true(record.has_reverse);
	assert_int_equal(record.biflow_direction, 1);
	assert_int_equal(next(), 0);
	assert_int_equal(next(), 0);
}

static void
nothing_backward_is_no_reverse_side(void **state)
{
	(void)state;
	open_text(HEADER ONE_WAY);
	assert_int_equal(next(), 1);
	assert_false(record.has_reverse);
}

static void
columns_may_stand_in_any_order_among_others(void **state)
{
	(void)state;
	open_text("Total.Length.of.Bwd.Packets,Flow.ID,Source.IP,Source.Port,"
		  "Destination.Port,Destination.IP,Timestamp,Protocol,Label,"
		  "Total.Backward.Packets,Total.Fwd.Packets,"
		  "Total.Length.of.Fwd.Packets,Flow.Duration\r\n"
		  "9,\"a, b\",10.0.0.1,1,2,2001:db8::2,26/04/2017 11:11:17,17,x,6,5,8,"
		  "3\r\n");
	assert_int_equal(next(), 1);
	assert_int_equal(record.source_port, 1);
	assert_int_equal(record.destination_port, 2);
	assert_int_equal(record.protocol, 17);
	assert_int_equal(record.side[0].packets, 5);
	assert_int_equal(record.side[1].packets, 6);
	assert_int_equal(record.side[0].payload_octets, 8);
	assert_int_equal(record.side[1].payload_octets, 9);
}

static void
column_names_match_whatever_parts_their_words(void **state)
{
	(void)state;
	open_text(
	    "\xef\xbb\xbf Source IP,source_port,\"Destination.IP\",Destination Port,"
	    "Protocol,Timestamp,Flow Duration,Total Fwd Packets,"
	    "Total Backward Packets,Total Length of Fwd Packets,"
	    "Total Length of Bwd Packets\n" ROW);
	assert_int_equal(next(), 1);
}

static void
a_missing_column_is_named_with_what_may_be_meant(void **state)
{
	(void)state;
	assert_refused("Source.IP,Source.Prt,Destination.IP,Destination.Port,Protocol,"
		       "Timestamp,Flow.Duration,Total.Fwd.Packets,"
		       "Total.Backward.Packets,Total.Length.of.Fwd.Packets,"
		       "Total.Length.of.Bwd.Packets\n" ROW,
	    "no column \"Source.Port\"; is \"Source.Prt\" a misspelling");
	assert_refused(
	    ROW, "no column \"Source.IP\"; a flow trace starts with a header");
}

static void
a_column_that_stands_twice_is_refused(void **state)
{
	(void)state;
	assert_refused("Source.IP,Source IP," HEADER, "\"Source.IP\" twice");
}

static void
a_file_without_a_header_is_refused(void **state)
{
	(void)state;
	assert_refused("", ": empty; expected");
	assert_refused("\"Source.IP\n", "unclosed quote");
	assert_true(trace_open("/nonexistent.csv", 1, &trace, &err) < 0);
	assert_non_null(strstr(err.text, "/nonexistent.csv"));
}

static void
bad_rows_are_counted_by_reason(void **state)
{
	(void)state;
	assert_bad(
	    "10.0.0,1,10.0.0.2,2,6,26/04/201711:11:17,1,1,1,1,1\n", TRACE_BAD_ADDRESS);
	assert_bad("10.0.0.1,65536,10.0.0.2,2,6,26/04/201711:11:17,1,1,1,1,1\n",
	    TRACE_BAD_PORT);
	assert_bad(
	    "10.0.0.1,1,10.0.0.2,,6,26/04/201711:11:17,1,1,1,1,1\n", TRACE_BAD_PORT);
	assert_bad("10.0.0.1,1,10.0.0.2,2,256,26/04/201711:11:17,1,1,1,1,1\n",
	    TRACE_BAD_PROTOCOL);
	assert_bad("10.0.0.1,1,10.0.0.2,2,6,Invalid date,1,1,1,1,1\n", TRACE_BAD_TIME);
	assert_bad("10.0.0.1,1,10.0.0.2,2,6,26/04/201711:11:17,-1,1,1,1,1\n",
	    TRACE_BAD_NUMBER);
	assert_bad("10.0.0.1,1,10.0.0.2,2,6,26/04/201711:11:17,1,1e3,1,1,1\n",
	    TRACE_BAD_NUMBER);
	assert_bad(
	    "10.0.0.1,1,10.0.0.2,2,6,26/04/201711:11:17,1,1,1,1\n", TRACE_BAD_COLUMNS);
	assert_bad("10.0.0.1,1,10.0.0.2,2,6,26/04/201711:11:17,1,1,1,1,1,1\n",
	    TRACE_BAD_COLUMNS);
	assert_bad("\"10.0.0.1,1,10.0.0.2,2,6,26/04/201711:11:17,1,1,1,1,1\n",
	    TRACE_BAD_COLUMNS);
}

static void
a_duration_beyond_time_is_a_bad_number(void **state)
{
	(void)state;
	assert_bad(
	    "10.0.0.1,1,10.0.0.2,2,6,26/04/201711:11:17,18446744073709551615,1,1,1,1\n",
	    TRACE_BAD_NUMBER);
	assert_bad("10.0.0.1,1,10.0.0.2,2,6,26/04/201711:11:17,9000000000000,1,1,1,1\n",
	    TRACE_BAD_NUMBER);
}

static void
a_counter_that_is_not_there_is_zero(void **state)
{
	(void)state;
	open_text(HEADER "10.0.0.1,1,10.0.0.2,2,6,26/04/201711:11:17,,,3,,4\n");
	assert_int_equal(next(), 1);
	assert_int_equal(record.side[0].packets, 0);
	assert_int_equal(record.side[0].payload_octets, 0);
	assert_int_equal(record.side[1].packets, 3);
	assert_int_equal(record.end_ns, record.start_ns);
}

static void
all_protocols_are_taken(void **state)
{
	(void)state;
	open_text(HEADER "10.0.0.1,0,10.0.0.2,0,1,26/04/201711:11:17,1,1,1,1,1\n"
			 "10.0.0.1,0,10.0.0.2,0,255,26/04/201711:11:17,1,1,1,1,1\n");
	assert_int_equal(next(), 1);
	assert_int_equal(record.protocol, 1);
	assert_int_equal(next(), 1);
	assert_int_equal(record.protocol, 255);
}

static void
empty_lines_are_no_rows(void **state)
{
	struct trace_counts c;

	(void)state;
	open_text(HEADER "\n\r\n  \n" ROW "\n");
	assert_int_equal(next(), 1);
	assert_int_equal(next(), 0);
	trace_counts(trace, &c);
	assert_int_equal(c.rows, 1);
	for (int i = 0; i < TRACE_BADS; i++) {
		assert_int_equal(c.bad[i], 0);
	}
}

static void
the_last_line_needs_no_line_feed(void **state)
{
	char text[] = HEADER ROW;

	(void)state;
	text[sizeof text - 2] = '\0';
	open_text(text);
	assert_int_equal(next(), 1);
	assert_int_equal(record.side[1].payload_octets, 110414);
	assert_int_equal(next(), 0);
}

static void
a_line_too_long_is_stepped_over(void **state)
{
	static char text[2000000];
	struct trace_counts c;
	size_t n;

	(void)state;
	n = (size_t)sprintf(text, "%s", HEADER);
	memset(text + n, 'x', 1500000);
	sprintf(text + n + 1500000, "\n%s", ROW);
	open_text(text);
	assert_int_equal(next(), 1);
	assert_int_equal(record.source_port, 52422);
	assert_int_equal(next(), 0);
	trace_counts(trace, &c);
	assert_int_equal(c.bad[TRACE_BAD_TOO_LONG], 1);
	assert_int_equal(c.bad_line[TRACE_BAD_TOO_LONG], 2);
}

static void
one_open_quote_does_not_swallow_the_file(void **state)
{
	(void)state;
	open_text(HEADER "\"10.0.0.1,1\n" ROW);
	assert_int_equal(next(), 1);
	assert_int_equal(record.source_port, 52422);
}

static void
compressed_traces_are_read_as_plain_ones(void **state)
{
	gzFile z = gzopen(path, "wb");
	unsigned n = 0;

	(void)state;
	assert_non_null(z);
	gzputs(z, HEADER);
	for (int i = 0; i < 20000; i++) {
		gzputs(z, i % 2 ? ROW : ONE_WAY);
	}
	gzclose(z);
	assert_int_equal(trace_open(path, NS_PER_MS, &trace, &err), 0);
	while (next() > 0) {
		assert_int_equal(record.source_port, n % 2 ? 52422 : 3128);
		n++;
	}
	assert_int_equal(n, 20000);
}

static void
damaged_compression_keeps_what_came_before(void **state)
{
	static char bytes[65536];
	gzFile z = gzopen(path, "wb");
	unsigned n = 0;
	size_t length;
	FILE *f;
	int rc;

	(void)state;
	gzputs(z, HEADER);
	for (int i = 0; i < 20000; i++) {
		gzputs(z, ROW);
	}
	gzclose(z);
	f = fopen(path, "r");
	length = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	assert_int_equal(open_bytes(bytes, length - 100), 0);
	while ((rc = next()) > 0) {
		n++;
	}
	assert_true(rc < 0);
	assert_true(n > 10000);
	assert_non_null(strstr(err.text, "after line"));
}

static void
every_reason_has_a_name(void **state)
{
	(void)state;
	for (int i = 0; i < TRACE_BADS; i++) {
		assert_string_not_equal(trace_bad_name(i), "unknown");
	}
	assert_string_equal(trace_bad_name(TRACE_BADS), "unknown");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(a_row_gives_all_its_values),
	    TEST(nothing_backward_is_no_reverse_side),
	    TEST(columns_may_stand_in_any_order_among_others),
	    TEST(column_names_match_whatever_parts_their_words),
	    TEST(a_missing_column_is_named_with_what_may_be_meant),
	    TEST(a_column_that_stands_twice_is_refused),
	    TEST(a_file_without_a_header_is_refused),
	    TEST(bad_rows_are_counted_by_reason),
	    TEST(a_duration_beyond_time_is_a_bad_number),
	    TEST(a_counter_that_is_not_there_is_zero),
	    TEST(all_protocols_are_taken),
	    TEST(empty_lines_are_no_rows),
	    TEST(the_last_line_needs_no_line_feed),
	    TEST(a_line_too_long_is_stepped_over),
	    TEST(one_open_quote_does_not_swallow_the_file),
	    TEST(compressed_traces_are_read_as_plain_ones),
	    TEST(damaged_compression_keeps_what_came_before),
	    TEST(every_reason_has_a_name),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}
