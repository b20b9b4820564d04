/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/cursor.h"
#include "common/base/hash.h"
#include "tests/unit/collector/protocol/support_set.h"
#include "tests/unit/collector/session/support_message.h"
#include "tests/unit/collector/session/support_session.h"

/* A datagram of sub-agent 7. */
static struct support_set
datagram_of(const char *agent, uint32_t sequence)
{
	struct support_set s = {.length = 0};

	support_put(&s, 5, 4);
	support_put(&s, strchr(agent, ':') == NULL ? 1 : 2, 4);
	support_put_address(&s, agent);
	support_put(&s, 7, 4);
	support_put(&s, sequence, 4);
	support_put(&s, 1000, 4);
	support_put(&s, 1, 4);
	return s;
}

static struct support_set
datagram(uint32_t sequence)
{
	return datagram_of("10.0.0.1", sequence);
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
	support_message(g->sessions, MESSAGE(1, 0, s->bytes, s->length, 77, 4242));
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
	assert_int_equal(g->counts.dropped[DROP_BAD_SAMPLE], 2);
	assert_int_equal(g->counts.dropped[DROP_BAD_MESSAGE], 0);
	assert_int_equal(g->counts.last_drop, DROP_BAD_SAMPLE);
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
	assert_int_equal(g->counts.dropped[DROP_BAD_SAMPLE], 1);
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
	assert_int_equal(g->counts.dropped[DROP_UNKNOWN_SAMPLE], 1);
}

/* One sample of this agent. */
static void
send_of(struct stage *g, const char *agent, uint32_t sequence)
{
	struct support_set s = datagram_of(agent, sequence);

	put_sample(&s, 1);
	send(g, &s);
}

static void
agents_behind_one_address_number_their_datagrams_each(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "192.0.2.1:6343");
	for (uint32_t i = 0; i < 300; i++) {
		send_of(g, "10.0.0.1", 5 + i);
		send_of(g, "10.0.0.2", 900 + 2 * i); /* every other one is lost */
	}
	sessions_close(g->sessions, 1, 99);
	stage_counts(g);
	assert_int_equal(g->rows, 2);
	assert_int_equal(g->counts.messages, 300);
	assert_int_equal(g->counts.lost, 299);
	assert_string_equal(g->counted_via, "10.0.0.2 via 192.0.2.1");
	assert_int_equal(g->counts.domain, 7);
}

static void
records_are_of_the_agent_and_of_who_sent_them(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "[2001:db8::1]:6343");
	send_of(g, "10.0.0.1", 1);
	assert_string_equal(g->exporter, "10.0.0.1 via 2001:db8::1");
	send_of(g, "2001:db8::2", 1);
	assert_string_equal(g->exporter, "2001:db8::2 via 2001:db8::1");
}

static void
an_agent_that_sends_for_itself_is_its_address(void **state)
{
	static const char *const agents[] = {
	    "192.0.2.1", "0.0.0.0", "127.0.0.1", "::", "::1"};
	struct stage *g = *state;

	for (unsigned i = 0; i < sizeof agents / sizeof *agents; i++) {
		stage_open(g, 1, "udp", "192.0.2.1:6343");
		send_of(g, agents[i], 1);
		assert_string_equal(g->exporter, "192.0.2.1");
		stage_counts(g);
		assert_string_equal(g->counted_via, "");
		sessions_close(g->sessions, 1, 99);
	}
}

static void
an_exporter_with_a_name_keeps_it_and_its_agents_show(void **state)
{
	static const char text[] =
	    "transport=udp\npeer=192.0.2.1:6343\nidentity=\nname=relay\n";
	struct stage *g = *state;

	sessions_open(g->sessions, 1, (const uint8_t *)text, sizeof text - 1, 5);
	send_of(g, "10.0.0.1", 1);
	assert_string_equal(g->exporter, "relay");
	stage_counts(g);
	assert_string_equal(g->counted_exporter, "relay");
	assert_string_equal(g->counted_via, "10.0.0.1 via 192.0.2.1");
}

/* Of sub-agent 0, too, which other versions always have room for. */
static void
agents_are_bounded_as_domains_are(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "192.0.2.1:6343");
	for (unsigned i = 1; i <= 20; i++) {
		char agent[16];
		struct support_set s;
		snprintf(agent, sizeof agent, "10.0.0.%u", i);
		s = datagram_of(agent, 1);
		store_u32(s.bytes + 12, 0);
		put_sample(&s, 1);
		send(g, &s);
	}
	stage_counts(g);
	assert_int_equal(g->rows, 5); /* four, and where the rest is counted */
	assert_int_equal(g->refused_domain, 16);
}

static void
load_again(struct stage *g, const char *path)
{
	struct err e;

	sessions_free(g->sessions);
	g->sessions = stage_sessions(g);
	assert_int_equal(sessions_load(g->sessions, path, &e), 0);
}

static void
a_snapshot_tells_agents_apart(void **state)
{
	char path[] = "/tmp/session_sflow_test_XXXXXX";
	struct stage *g = *state;
	struct err e;

	stage_open(g, 1, "udp", "192.0.2.1:6343");
	send_of(g, "10.0.0.1", 5);
	send_of(g, "2001:db8::2", 900);
	close(mkstemp(path));
	assert_int_equal(sessions_save(g->sessions, path, &e), 0);
	load_again(g, path);
	unlink(path);
	send_of(g, "10.0.0.1", 6);
	send_of(g, "2001:db8::2", 902);
	sessions_close(g->sessions, 1, 99);
	stage_counts(g);
	assert_int_equal(g->rows, 2);
	assert_string_equal(g->counted_via, "2001:db8::2 via 192.0.2.1");
	assert_int_equal(g->counts.lost, 1);
	assert_int_equal(g->records, 4);
}

/* As it was written when agents were not told apart: the same but for its name. */
static void
a_snapshot_of_before_goes_on(void **state)
{
	char path[] = "/tmp/session_sflow_test_XXXXXX";
	struct stage *g = *state;
	uint8_t bytes[4096];
	struct err e;
	ssize_t n;
	int fd;

	stage_open(g, 1, "udp", "192.0.2.1:2055");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	fd = mkstemp(path);
	assert_int_equal(sessions_save(g->sessions, path, &e), 0);
	close(fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	n = read(fd, bytes, sizeof bytes);
	assert_true(n > 16 && (size_t)n < sizeof bytes);
	assert_memory_equal(bytes, "fpstate3", 8);
	bytes[7] = '2';
	store_u64(bytes + n - 8, hash_bytes(bytes, (size_t)n - 8, 0));
	assert_int_equal(pwrite(fd, bytes, (size_t)n, 0), n);
	close(fd);
	load_again(g, path);
	unlink(path);
	SEND(g, 1, 0, 7, 256, 1, 2);
	assert_int_equal(g->records, 1);
}

static void
sflow_needs_no_room_for_templates(void **state)
{
	const struct sessions_settings none = {.max_sessions = 4,
	    .max_domains = 4,
	    .max_templates = 8,
	    .max_fields = 32,
	    .template_bytes = 1,
	    .is_live = true};
	struct stage *g = *state;

	stage_again(g, &none);
	stage_open(g, 1, "udp", "a:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	send_of(g, "10.0.0.1", 1);
	stage_counts(g);
	assert_int_equal(g->counts.records, 1);
	assert_int_equal(g->records, 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_bad_sample_is_counted_and_those_around_it_are_records),
	    CASE(a_sample_that_runs_over_the_end_is_one_bad_sample),
	    CASE(samples_of_counters_are_no_options_records),
	    CASE(agents_behind_one_address_number_their_datagrams_each),
	    CASE(records_are_of_the_agent_and_of_who_sent_them),
	    CASE(an_agent_that_sends_for_itself_is_its_address),
	    CASE(an_exporter_with_a_name_keeps_it_and_its_agents_show),
	    CASE(agents_are_bounded_as_domains_are),
	    CASE(a_snapshot_tells_agents_apart),
	    CASE(a_snapshot_of_before_goes_on),
	    CASE(sflow_needs_no_room_for_templates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
