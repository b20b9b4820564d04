#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "exporter/run/packet_clock.h"
#include "exporter/run/pipeline.h"
#include "tests/unit/exporter/run/support_capture.h"

static void
the_same_time_again_is_not_a_new_packet(void **state)
{
	struct packet_clock c = {0};

	(void)state;
	assert_true(packet_clock_packet(&c, 100, 5));
	assert_false(packet_clock_packet(&c, 100, 6));
	assert_true(packet_clock_packet(&c, 99, 7));
}

static void
ignore(const struct flow_record *r, void *data)
{
	(void)r;
	(void)data;
}

static uint64_t
live(const struct pipeline *p)
{
	struct pipeline_counts c;

	pipeline_counts(p, &c);
	return c.conversations.live;
}

/* Packet time runs on with the monotonic clock, whatever the packets' own time is. */
static void
a_conversation_ends_though_no_packet_comes(void **state)
{
	const struct conversations_settings settings = {.max_conversations = 10,
	    .idle_ns = 15 * NS_PER_SECOND,
	    .active_ns = NS_PER_HOUR};
	const struct capture_settings open = {0};
	char path[] = "/tmp/packet_clock_testXXXXXX";
	struct pipeline *p = pipeline_new(&settings, false, ignore, NULL);
	struct packet_clock c = {0};
	struct capture *capture = NULL;
	uint64_t now_ns = 77 * NS_PER_SECOND;

	(void)state;
	close(mkstemp(path));
	capture_write(path, 5);
	assert_int_equal(capture_open_file(path, &open, &capture, NULL), 0);
	pipeline_set_capture(p, capture);
	assert_int_equal(pipeline_read(p, 10, NULL), 0);
	assert_true(packet_clock_packet(&c, pipeline_time(p), now_ns));
	packet_clock_tick(&c, p, now_ns + 14 * NS_PER_SECOND);
	assert_int_equal(live(p), 1);
	packet_clock_tick(&c, p, now_ns + 18 * NS_PER_SECOND);
	assert_int_equal(live(p), 0);
	capture_close(capture);
	pipeline_free(p);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_same_time_again_is_not_a_new_packet),
	    cmocka_unit_test(a_conversation_ends_though_no_packet_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
