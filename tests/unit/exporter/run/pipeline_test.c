#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "exporter/run/pipeline.h"
#include "tests/unit/exporter/run/support_capture.h"

static char path[] = "/tmp/pipeline_test.XXXXXX";
static uint64_t records, packets;

static void
take(const struct flow_record *r, void *data)
{
	(void)data;
	records++;
	packets += r->side[0].packets + r->side[1].packets;
}

static struct pipeline *
begin(void)
{
	struct conversations_settings s = {
	    .max_conversations = 100,
	    .idle_ns = 15 * NS_PER_SECOND,
	    .active_ns = 30 * NS_PER_SECOND,
	};
	struct pipeline *p = pipeline_new(&s, false, take, NULL);
	assert_non_null(p);
	records = packets = 0;
	return p;
}

static struct capture *
open_capture(void)
{
	struct capture_settings s = {0};
	struct capture *c = NULL;
	struct err e;
	assert_int_equal(capture_open_file(path, &s, &c, &e), 0);
	return c;
}

static void
packets_read_are_in_records_or_dropped(void **unused)
{
	struct pipeline_counts counts;
	struct pipeline *p = begin();
	struct capture *c;
	struct err e;
	(void)unused;
	capture_write(path, 1000);
	c = open_capture();
	pipeline_set_capture(p, c);
	assert_int_equal(pipeline_read(p, 5000, &e), 0);
	pipeline_flush(p);
	pipeline_counts(p, &counts);
	assert_int_equal(counts.read, 1000);
	assert_int_equal(counts.dropped[PACKET_NOT_IP], 100);
	assert_int_equal(packets, 900);
	assert_int_equal(records, 4); /* three segments of 30 s and the rest */
	pipeline_free(p);
	capture_close(c);
}

static void
reading_stops_at_the_number_asked_for(void **unused)
{
	struct pipeline_counts counts;
	struct pipeline *p = begin();
	struct capture *c;
	struct err e;
	(void)unused;
	capture_write(path, 100);
	c = open_capture();
	pipeline_set_capture(p, c);
	assert_int_equal(pipeline_read(p, 7, &e), 1);
	pipeline_counts(p, &counts);
	assert_int_equal(counts.read, 7);
	assert_int_equal(counts.conversations.packets, 7);
	assert_true(
	    pipeline_time(p) == 1700000000 * NS_PER_SECOND + 6 * NS_PER_SECOND / 10);
	pipeline_free(p);
	capture_close(c);
}

static void
time_may_pass_without_packets(void **unused)
{
	struct pipeline *p = begin();
	struct capture *c;
	struct err e;
	(void)unused;
	capture_write(path, 5);
	c = open_capture();
	pipeline_set_capture(p, c);
	assert_int_equal(pipeline_read(p, 10, &e), 0);
	assert_int_equal(records, 0);
	pipeline_tick(p, pipeline_time(p) + 17 * NS_PER_SECOND);
	assert_int_equal(records, 1);
	pipeline_free(p);
	capture_close(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(packets_read_are_in_records_or_dropped),
	    cmocka_unit_test(reading_stops_at_the_number_asked_for),
	    cmocka_unit_test(time_may_pass_without_packets),
	};
	int fd = mkstemp(path), rc;

	if (fd < 0) {
		return 1;
	}
	(void)close(fd);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(path);
	return rc;
}
