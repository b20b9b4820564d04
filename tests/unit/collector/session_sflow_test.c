/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/collector/support_session.h"
#include "tests/unit/collector/support_set.h"

/* A datagram of agent 10.0.0.1, sub-agent 7. */
static struct support_set
datagram(uint32_t sequence)
{
	struct support_set s = {.length = 0};

	support_put(&s, 5, 4);
	support_put(&s, 1, 4);
	support_put(&s, 0x0a000001, 4);
	support_put(&s, 7, 4);
	support_put(&s, sequence, 4);
	support_put(&s, 1000, 4);
	support_put(&s, 1, 4);
	return s;
}

/* A flow sample of a packet of which only its length is known; it says that it has so
 * many records. */
static void
put_sample(struct support_set *s, uint32_t records)
{
	support_put(s, 1, 4);
	support_put(s, 32 + 8 + 24, 4);
	for (unsigned i = 0; i < 7; i++) {
		support_put(s, 1, 4);
	}
	support_put(s, records, 4);
	support_put(s, 2, 4); /* an Ethernet frame */
	support_put(s, 24, 4);
	support_put(s, 100, 4);
	support_put(s, 0, 8);
	support_put(s, 0, 8);
	support_put(s, 0, 4);
}

static void
send(struct stage *g, const struct support_set *s)
{
	sessions_message(g->sessions, 1, 0, s->bytes, s->length, 77, 4242);
}

static void
a_bad_sample_is_counted_and_those_around_it_are_records(void **state)
{
	struct support_set s = datagram(1);
	struct stage *g = *state;

	put_sample(&s, 1);
	put_sample(&s, 9);
	put_sample(&s, 1);
	put_sample(&s, UINT32_MAX);
	put_sample(&s, 1);
	stage_open(g, 1, "udp", "a:1");
	send(g, &s);
	stage_counts(g);
	assert_int_equal(g->counts.records, 3);
	assert_int_equal(g->records, 3);
	assert_int_equal(g->counts.dropped[SESSION_BAD_SAMPLE], 2);
	assert_int_equal(g->counts.dropped[SESSION_BAD_MESSAGE], 0);
	assert_int_equal(g->counts.last_drop, SESSION_BAD_SAMPLE);
}

static void
a_sample_that_runs_over_the_end_is_one_bad_sample(void **state)
{
	struct support_set s = datagram(1);
	struct stage *g = *state;

	put_sample(&s, 1);
	put_sample(&s, 1);
	s.length -= 4;
	stage_open(g, 1, "udp", "a:1");
	send(g, &s);
	stage_counts(g);
	assert_int_equal(g->counts.records, 1);
	assert_int_equal(g->counts.dropped[SESSION_BAD_SAMPLE], 1);
}

static void
samples_of_counters_are_no_options_records(void **state)
{
	static const uint32_t formats[] = {2, 4, 2, 5};
	struct support_set s = datagram(1);
	struct stage *g = *state;

	for (unsigned i = 0; i < sizeof formats / sizeof *formats; i++) {
		support_put(&s, formats[i], 4);
		support_put(&s, 4, 4);
		support_put(&s, 1, 4);
		put_sample(&s, 1);
	}
	stage_open(g, 1, "udp", "a:1");
	send(g, &s);
	stage_counts(g);
	assert_int_equal(g->counts.records, 4);
	assert_int_equal(g->counts.options, 0);
	assert_int_equal(g->counts.counter_samples, 3);
	assert_int_equal(g->counts.dropped[SESSION_UNKNOWN_SAMPLE], 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_bad_sample_is_counted_and_those_around_it_are_records),
	    CASE(a_sample_that_runs_over_the_end_is_one_bad_sample),
	    CASE(samples_of_counters_are_no_options_records),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
