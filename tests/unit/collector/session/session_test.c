/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/session/session.h"
#include "common/ipfix/message.h"
#include "tests/unit/collector/session/support_message.h"
#include "tests/unit/collector/session/support_session.h"

static const struct template *seen;
static int
see_template(const struct template *t, const uint8_t *bytes, size_t length,
    const struct origin *o, void *data)
{
	(void)bytes;
	(void)length;
	(void)o;
	(void)data;
	seen = t;
	return 1;
}

static void
test_data_sets_with_a_template_come_out(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tls", "192.0.2.1:5000");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 256, 1, 2, 3, 4, 5, 6);
	assert_int_equal(g->records, 3);
	assert_string_equal(g->exporter, "192.0.2.1");
	assert_int_equal(g->position, 4242);
	stage_counts(g);
	assert_int_equal(g->rows, 1);
	assert_int_equal(g->counts.messages, 2);
	assert_int_equal(g->counts.records, 3);
	assert_int_equal(g->counts.templates, 1);
	assert_int_equal(g->counts.domain, 7);
	assert_int_equal(g->counts.first_ns, 77);
	assert_string_equal(g->counted_exporter, "192.0.2.1");
	stage_counts(g);
	assert_int_equal(g->rows, 0);
}

static void
test_ipv6_peers_are_named_without_port_and_files_as_they_are(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "[2001:db8::1]:4739");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 256, 1, 2);
	assert_string_equal(g->exporter, "2001:db8::1");
	stage_open(g, 2, "file", "a:b.ipfix");
	SEND(g, 2, 0, 7, 2, PORTS(256));
	SEND(g, 2, 0, 7, 256, 1, 2);
	assert_string_equal(g->exporter, "a:b.ipfix");
}

static void
test_the_rosters_name_and_domains_hold_for_what_the_session_sends(void **state)
{
	static const char text[] = "transport=tls\npeer=192.0.2.1:5000\n"
				   "identity=tap.example\nname=tap\ndomains=7-8\n";
	struct stage *g = *state;

	sessions_open(g->sessions, 1, (const uint8_t *)text, sizeof text - 1, 1);
	SEND(g, 1, 0, 9, 2, PORTS(256));
	SEND(g, 1, 0, 9, 256, 1, 2);
	assert_int_equal(g->sets, 0);
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_FORBIDDEN_DOMAIN], 2);
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 256, 1, 2);
	assert_int_equal(g->sets, 1);
	assert_string_equal(g->exporter, "tap");
}

static void
test_domains_that_are_unreadable_permit_none(void **state)
{
	static const char text[] = "transport=tls\npeer=192.0.2.1:5000\ndomains=7-\n";
	struct stage *g = *state;

	sessions_open(g->sessions, 1, (const uint8_t *)text, sizeof text - 1, 1);
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 256, 1, 2);
	assert_int_equal(g->sets, 0);
}

static void
test_templates_belong_to_their_session_and_domain(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	stage_open(g, 2, "tcp", "b:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 8, 256, 1, 2);
	SEND(g, 2, 0, 7, 256, 1, 2);
	assert_int_equal(g->sets, 0);
	SEND(g, 1, 0, 7, 256, 1, 2);
	assert_int_equal(g->sets, 1);
}

static void
test_a_set_without_template_is_counted_and_not_taken_for_loss(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 0, 7, 300, 1, 2);
	SEND(g, 1, 9, 7, 2, PORTS(300));
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_NO_TEMPLATE], 1);
	assert_int_equal(g->counts.lost, 0);
}

static void
test_lost_counts_data_and_options_records(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	/* scope: observationDomainId; exportedMessageTotalCount as 2 bytes */
	SEND(g, 1, 0, 7, 3, 257, 2, 1, 149, 4, 41, 2);
	SEND(g, 1, 0, 7, 256, 1, 2, 3, 4);
	SEND(g, 1, 2, 7, 257, 0, 7, 1, 0, 7, 2);
	SEND(g, 1, 10, 7, 256, 1, 2);
	stage_counts(g);
	assert_int_equal(g->counts.options, 2);
	assert_int_equal(g->counts.records, 3);
	assert_int_equal(g->counts.lost, 6);
}

static void
test_padding_shorter_than_a_record_is_no_record(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 0, 7, 3, 257, 2, 1, 149, 4, 41, 2);
	SEND(g, 1, 0, 7, 257, 0, 7, 1, 0, 0);
	stage_counts(g);
	assert_int_equal(g->counts.options, 1);
}

static void
test_an_options_record_that_runs_over_is_a_bad_record(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	/* interfaceName, variable length; "ab", then a length of 200 */
	SEND(g, 1, 0, 7, 3, 257, 2, 1, 10, 1, 82, 65535);
	SEND(g, 1, 0, 7, 257, 0x0102, 0x6162, 0x01c8, 0x6161);
	stage_counts(g);
	assert_int_equal(g->counts.options, 1);
	assert_int_equal(g->counts.dropped[DROP_BAD_RECORD], 1);
}

static void
test_a_bad_record_in_the_tables_keeps_those_before_it(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	g->answer = -1;
	SEND(g, 1, 0, 7, 256, 1, 2, 3, 4);
	stage_counts(g);
	assert_int_equal(g->counts.records, 2);
	assert_int_equal(g->counts.dropped[DROP_BAD_RECORD], 1);
}

static void
test_a_set_longer_than_its_message_is_a_bad_message(void **state)
{
	struct stage *g = *state;
	uint8_t bytes[64];
	size_t n;

	stage_open(g, 1, "tcp", "a:1");
	n = stage_build(bytes, 0, 7, 256, (uint16_t[]){1, 2}, 2);
	store_u16(bytes + 18, 60);
	support_message(g->sessions, MESSAGE(1, 0, bytes, n, 1, 0));
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_BAD_MESSAGE], 1);
}

static void
test_messages_of_a_session_that_never_opened_are_counted(void **state)
{
	struct stage *g = *state;

	SEND(g, 99, 0, 7, 2, PORTS(256));
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_UNKNOWN_SESSION], 1);
	assert_string_equal(g->counts.identity->transport, "unknown");
}

static void
test_domains_are_bounded(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	for (uint32_t domain = 1; domain < 8; domain++) {
		SEND(g, 1, 0, domain, 2, PORTS(256));
	}
	sessions_take_counts(g->sessions, stage_take_counts, g);
	assert_int_equal(g->rows, 5); /* four, and domain 0 for the rest */
	assert_int_equal(g->refused_domain, 3);
}

static void
test_one_session_cannot_keep_anothers_domains_out(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	for (uint32_t domain = 1; domain < 8; domain++) {
		SEND(g, 1, 0, domain, 2, PORTS(256));
	}
	stage_open(g, 2, "tcp", "b:1");
	SEND(g, 2, 0, 9, 2, PORTS(256));
	SEND(g, 2, 0, 9, 256, 1, 2);
	assert_int_equal(g->sets, 1);
}

static void
test_one_session_cannot_keep_anothers_templates_out(void **state)
{
	struct stage *g = *state;
	struct sessions_settings s = {.max_sessions = 4,
	    .max_domains = 40,
	    .max_templates = 8,
	    .max_fields = 32,
	    .template_bytes = 4096};

	sessions_free(g->sessions);
	g->sessions = sessions_new(&s, g->elements, see_template, NULL);
	stage_open(g, 1, "tcp", "a:1");
	for (uint32_t i = 0; i < 80; i++) {
		SEND(g, 1, 0, 1 + i / 8, 2, PORTS(256 + i));
	}
	stage_counts(g);
	assert_true(g->counts.dropped[DROP_REFUSED_TEMPLATE] > 0);
	stage_open(g, 2, "tcp", "b:1");
	seen = NULL;
	SEND(g, 2, 0, 9, 2, PORTS(256));
	SEND(g, 2, 0, 9, 256, 1, 2);
	assert_non_null(seen);
}

static void
test_domains_are_found_in_whatever_order_they_came(void **state)
{
	static const uint32_t order[] = {4000000000, 3, 0, 70};
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	for (unsigned i = 0; i < 4; i++) {
		SEND(g, 1, 0, order[i], 2, PORTS(256 + i));
	}
	for (unsigned i = 0; i < 4; i++) {
		SEND(g, 1, 0, order[i], 256 + i, 1, 2);
		assert_int_equal(g->sets, i + 1);
	}
	sessions_take_counts(g->sessions, stage_take_counts, g);
	assert_int_equal(g->rows, 4);
}

static void
test_sessions_are_bounded_and_the_idle_one_goes(void **state)
{
	struct stage *g = *state;

	for (uint32_t i = 1; i <= 4; i++) {
		stage_open(g, i, "udp", "a:1");
		SEND(g, i, 0, 1, 2, PORTS(256));
	}
	SEND(g, 1, 0, 1, 256, 1, 2);
	stage_open(g, 5, "udp", "b:1");
	SEND(g, 2, 0, 1, 256, 1, 2);
	assert_int_equal(g->sets, 1);
	SEND(g, 1, 1, 1, 256, 1, 2);
	assert_int_equal(g->sets, 2);
}

static void
test_counters_of_a_closed_session_can_still_be_taken(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "a:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 256, 1, 2);
	SEND(g, 1, 5, 7, 256, 1, 2);
	sessions_close(g->sessions, 1, 88);
	stage_counts(g);
	assert_int_equal(g->rows, 1);
	assert_int_equal(g->counts.records, 2);
	assert_int_equal(g->counts.lost, 4);
}

static void
test_loss_that_shows_at_the_close_has_a_time(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "a:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 256, 1, 2);
	SEND(g, 1, 5, 7, 256, 1, 2);
	stage_counts(g);
	assert_int_equal(g->counts.lost, 0);
	sessions_close(g->sessions, 1, 88);
	stage_counts(g);
	assert_int_equal(g->counts.lost, 4);
	assert_int_equal(g->counts.first_ns, 88);
}

static void
test_before_counting_only_templates_and_numbers_are_learned(void **state)
{
	struct stage *g = *state;

	sessions_set_counting(g->sessions, false);
	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 256, 1, 2, 3, 4);
	assert_int_equal(g->sets, 0);
	stage_counts(g);
	assert_int_equal(g->rows, 0);
	sessions_set_counting(g->sessions, true);
	SEND(g, 1, 3, 7, 256, 1, 2);
	stage_counts(g);
	assert_int_equal(g->counts.records, 1);
	assert_int_equal(g->counts.lost, 1);
}

static void
test_most_records_is_an_upper_bound(void **state)
{
	struct stage *g = *state;
	uint8_t bytes[64];
	size_t n;

	stage_open(g, 1, "tcp", "a:1");
	n = stage_build(bytes, 0, 7, 256, (uint16_t[]){1, 2, 3, 4}, 4);
	assert_int_equal(support_most_records(g->sessions, 1, bytes, n), 0);
	SEND(g, 1, 0, 7, 2, PORTS(256));
	assert_int_equal(support_most_records(g->sessions, 1, bytes, n), 2);
}

static void
test_a_snapshot_goes_on_where_it_was(void **state)
{
	struct stage *g = *state;
	char path[] = "/tmp/session_test_XXXXXX";
	struct err e = {""};

	close(mkstemp(path));
	stage_open(g, 1, "udp", "192.0.2.1:9");
	stage_open(g, 2, "tcp", "192.0.2.2:9");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	SEND(g, 1, 0, 7, 256, 1, 2);
	SEND(g, 1, 3, 7, 256, 1, 2); /* a gap of 2 stays open */
	stage_teach(g, 2, "colourOfPacket");
	assert_int_equal(sessions_save(g->sessions, path, &e), 0);
	sessions_free(g->sessions);
	elements_free(g->elements);
	g->elements = elements_new(ELEMENT_PEN_OWN);
	g->sessions = stage_sessions(g);
	if (sessions_load(g->sessions, path, &e) < 0) {
		fail_msg("%s", e.text);
	}
	assert_non_null(elements_find(g->elements, 9999, 12));
	g->records = 0;
	SEND(g, 1, 10, 7, 256, 1, 2);
	assert_int_equal(g->records, 1);
	assert_string_equal(g->exporter, "192.0.2.1");
	sessions_close(g->sessions, 1, 99);
	stage_counts(g);
	assert_int_equal(g->counts.lost, 2 + 6);
	unlink(path);
}

static void
send_on(struct stage *g, uint16_t stream, uint32_t sequence)
{
	uint8_t bytes[64];
	size_t n = stage_build(bytes, sequence, 7, 256, (uint16_t[]){1, 2}, 2);

	support_message(g->sessions, MESSAGE(1, stream, bytes, n, 77, 4242));
}

static void
test_each_stream_has_sequence_numbers_of_its_own(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "sctp", "192.0.2.1:9");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	for (uint32_t i = 0; i < 4; i++) {
		send_on(g, 1, i);
		send_on(g, 9, 100 + 2 * i); /* one of two is missing */
		send_on(g, 2, i);
	}
	sessions_close(g->sessions, 1, 99);
	stage_counts(g);
	assert_int_equal(g->counts.lost, 3);
	assert_int_equal(g->counts.reordered, 0);
}

static void
test_a_snapshot_holds_every_stream(void **state)
{
	struct stage *g = *state;
	char path[] = "/tmp/session_test_XXXXXX";
	struct err e = {""};

	close(mkstemp(path));
	stage_open(g, 1, "sctp", "192.0.2.1:9");
	SEND(g, 1, 0, 7, 2, PORTS(256));
	send_on(g, 3, 10);
	send_on(g, 65535, 20);
	assert_int_equal(sessions_save(g->sessions, path, &e), 0);
	sessions_free(g->sessions);
	g->sessions = stage_sessions(g);
	if (sessions_load(g->sessions, path, &e) < 0) {
		fail_msg("%s", e.text);
	}
	send_on(g, 3, 13);
	send_on(g, 65535, 21);
	sessions_close(g->sessions, 1, 99);
	stage_counts(g);
	assert_int_equal(g->counts.lost, 2);
	unlink(path);
}

static void
test_a_damaged_snapshot_is_an_error_and_an_empty_one_is_nothing(void **state)
{
	struct stage *g = *state;
	char path[] = "/tmp/session_test_XXXXXX";
	struct err e = {""};
	FILE *f;

	close(mkstemp(path));
	assert_int_equal(sessions_load(g->sessions, path, &e), 0);
	f = fopen(path, "w");
	fputs("not a snapshot of sessions", f);
	fclose(f);
	assert_true(sessions_load(g->sessions, path, &e) < 0);
	assert_non_null(strstr(e.text, "is damaged"));
	unlink(path);
}

static void
test_every_reason_to_drop_has_a_name_and_a_sentence(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DROPS; i++) {
		assert_non_null(drop_name(i));
		assert_true(drop_name(i)[0] != '\0');
		assert_true(drop_sentence(i)[0] != '\0');
		assert_true(drop_unit(i)[0] != '\0');
	}
	assert_string_equal(drop_sentence(DROPS), "");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_data_sets_with_a_template_come_out),
	    CASE(test_every_reason_to_drop_has_a_name_and_a_sentence),
	    CASE(test_ipv6_peers_are_named_without_port_and_files_as_they_are),
	    CASE(test_the_rosters_name_and_domains_hold_for_what_the_session_sends),
	    CASE(test_domains_that_are_unreadable_permit_none),
	    CASE(test_templates_belong_to_their_session_and_domain),
	    CASE(test_a_set_without_template_is_counted_and_not_taken_for_loss),
	    CASE(test_lost_counts_data_and_options_records),
	    CASE(test_padding_shorter_than_a_record_is_no_record),
	    CASE(test_an_options_record_that_runs_over_is_a_bad_record),
	    CASE(test_a_bad_record_in_the_tables_keeps_those_before_it),
	    CASE(test_a_set_longer_than_its_message_is_a_bad_message),
	    CASE(test_messages_of_a_session_that_never_opened_are_counted),
	    CASE(test_domains_are_bounded),
	    CASE(test_one_session_cannot_keep_anothers_domains_out),
	    CASE(test_one_session_cannot_keep_anothers_templates_out),
	    CASE(test_domains_are_found_in_whatever_order_they_came),
	    CASE(test_sessions_are_bounded_and_the_idle_one_goes),
	    CASE(test_counters_of_a_closed_session_can_still_be_taken),
	    CASE(test_loss_that_shows_at_the_close_has_a_time),
	    CASE(test_before_counting_only_templates_and_numbers_are_learned),
	    CASE(test_most_records_is_an_upper_bound),
	    CASE(test_a_snapshot_goes_on_where_it_was),
	    CASE(test_each_stream_has_sequence_numbers_of_its_own),
	    CASE(test_a_snapshot_holds_every_stream),
	    CASE(test_a_damaged_snapshot_is_an_error_and_an_empty_one_is_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
