/* Exporters with a spool and the listener: hello, numbers, words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "tests/unit/collector/door/support_delivery.h"

static struct delivery_hello
hello(uint64_t first, uint64_t next)
{
	return (struct delivery_hello){
	    .spool = {1, 2, 3}, .preamble = 1, .first = first, .next = next};
}

static int
set_up(void **state)
{
	struct station *s = malloc(sizeof *s);

	log_set_level(LOG_ERROR);
	station_init(s);
	*state = s;
	return 0;
}

static int
tear_down(void **state)
{
	struct station *s = *state;

	station_done(s);
	free(s);
	return 0;
}

/* Each of the numbers was given to the tables once, by a journal that is read again. */
static void
expect_once(struct station *s, uint64_t from, uint64_t to)
{
	station_start(s);
	for (uint64_t i = 0; i < to + 10; i++) {
		uint32_t n = atomic_load(&s->seen[i]);
		if (n != (i >= from && i < to)) {
			fail_msg("number %d was seen %u times", (int)i, n);
		}
	}
	station_stop(s);
}

static void
an_unknown_spool_begins_with_its_first_message(void **state)
{
	struct delivery_hello h = hello(100, 130);
	struct station *s = *state;
	struct client c;

	station_start(s);
	assert_true(client_greet(&c, s, &h));
	assert_int_equal(c.word.number, 100);
	client_send_template(&c);
	assert_true(client_send(&c, 30));
	assert_true(client_await(&c, 130));
	assert_int_equal(c.word.number, 130);
	client_close(&c);
	station_stop(s);
	expect_once(s, 100, 130);
}

static void
the_end_in_order_is_answered_with_the_last_word(void **state)
{
	struct delivery_hello h = hello(0, 500);
	struct station *s = *state;
	struct client c;
	int rc;

	s->settings.sync_interval_ns = NS_PER_MINUTE;
	station_start(s);
	assert_true(client_greet(&c, s, &h));
	client_send_template(&c);
	assert_true(client_send(&c, 500));
	client_finish(&c);
	while ((rc = client_read(&c)) > 0) {
	}
	assert_int_equal(rc, 0);
	assert_int_equal(c.word.status, DELIVERY_ACKNOWLEDGED);
	assert_int_equal(c.word.number, 500);
	client_close(&c);
	station_stop(s);
}

static void
what_was_cut_comes_again_from_where_it_is_wanted(void **state)
{
	struct delivery_hello h = hello(0, 100);
	struct station *s = *state;
	struct client c;

	station_start(s);
	assert_true(client_greet(&c, s, &h));
	client_send_template(&c);
	assert_true(client_send(&c, 60));
	assert_true(client_await(&c, 60));
	client_close(&c);
	do { /* until the end of the first is known */
		client_close(&c);
		poll(NULL, 0, 5);
	} while (!client_greet(&c, s, &h));
	assert_int_equal(c.word.number, 60);
	client_send_template(&c);
	assert_true(client_send(&c, 40));
	assert_true(client_await(&c, 100));
	client_close(&c);
	station_stop(s);
	assert_int_equal(s->repeated, 0);
	expect_once(s, 0, 100);
}

static void
a_restart_knows_what_it_has(void **state)
{
	struct delivery_hello h = hello(0, 100);
	struct station *s = *state;
	struct client c;

	station_start(s);
	assert_true(client_greet(&c, s, &h));
	client_send_template(&c);
	assert_true(client_send(&c, 70));
	assert_true(client_await(&c, 70));
	station_kill(s);
	client_close(&c);
	station_start(s);
	h.first = 50;
	assert_true(client_greet(&c, s, &h));
	assert_int_equal(c.word.number, 70);
	assert_true(client_await(&c, 70)); /* said at once, before anything new */
	client_send_template(&c);
	assert_true(client_send(&c, 30));
	assert_true(client_await(&c, 100));
	client_close(&c);
	station_stop(s);
	expect_once(s, 0, 100);
}

static void
stopping_says_what_is_durable(void **state)
{
	struct delivery_hello h = hello(0, 50);
	struct station *s = *state;
	struct client c;
	int rc;

	s->settings.sync_interval_ns = NS_PER_MINUTE;
	station_start(s);
	assert_true(client_greet(&c, s, &h));
	client_send_template(&c);
	assert_true(client_send(&c, 50));
	poll(NULL, 0, 50);
	station_stop(s);
	while ((rc = client_read(&c)) > 0) {
	}
	assert_int_equal(rc, 0);
	assert_int_equal(c.word.number, 50);
	client_close(&c);
	expect_once(s, 0, 50);
}

static void
a_second_connection_with_the_spool_is_refused_and_the_first_goes_on(void **state)
{
	struct delivery_hello h = hello(0, 20), other = hello(0, 20);
	struct station *s = *state;
	struct client c, clone;

	station_start(s);
	assert_true(client_greet(&c, s, &h));
	client_send_template(&c);
	assert_false(client_greet(&clone, s, &h));
	assert_int_equal(clone.word.status, DELIVERY_BUSY);
	assert_int_equal(client_read(&clone), 0);
	client_close(&clone);
	other.spool[0] = 9;
	assert_true(client_greet(&clone, s, &other));
	client_close(&clone);
	assert_true(client_send(&c, 20));
	assert_true(client_await(&c, 20));
	client_close(&c);
	station_stop(s);
	assert_int_equal(s->counts.ended[PEERS_CLONE], 1);
	expect_once(s, 0, 20);
}

static void
one_spool_too_many_is_turned_away(void **state)
{
	struct delivery_hello h = hello(0, 0);
	struct station *s = *state;
	struct client c;

	s->settings.max_spools = 2;
	station_start(s);
	for (uint8_t i = 0; i < 3; i++) {
		h.spool[0] = i;
		assert_int_equal(client_greet(&c, s, &h), i < 2);
		client_close(&c);
	}
	assert_int_equal(c.word.status, DELIVERY_FULL);
	station_stop(s);
	assert_int_equal(s->counts.ended[PEERS_NO_SPOOL], 1);
}

static void
what_is_no_hello_is_refused_and_counted(void **state)
{
	static const char request[] =
	    "GET / HTTP/1.1\r\nHost: collector.example\r\nAccept: everything\r\n\r\n";
	struct delivery_hello h = hello(5, 4);
	uint8_t bytes[DELIVERY_HELLO];
	struct station *s = *state;
	struct client c;

	station_start(s);
	client_dial(&c, s, "exporter", DELIVERY_ALPN);
	client_write(&c, request, DELIVERY_HELLO);
	assert_int_not_equal(client_read(&c), 1);
	client_close(&c);
	client_dial(&c, s, "exporter", DELIVERY_ALPN);
	delivery_write_hello(&h, bytes);
	client_write(&c, bytes, sizeof bytes);
	assert_int_not_equal(client_read(&c), 1);
	client_close(&c);
	client_dial(&c, s, "exporter", DELIVERY_ALPN);
	client_write(&c, bytes, 10);
	client_finish(&c);
	assert_int_not_equal(client_read(&c), 1);
	client_close(&c);
	station_stop(s);
	assert_int_equal(s->counts.ended[PEERS_BAD_HELLO], 3);
}

static void
who_says_no_hello_is_not_waited_for(void **state)
{
	struct station *s = *state;
	struct client c;

	s->settings.handshake_timeout_ns = NS_PER_SECOND;
	station_start(s);
	client_dial(&c, s, "exporter", DELIVERY_ALPN);
	client_write(&c, "FP1h", 4);
	assert_int_not_equal(client_read(&c), 1);
	client_close(&c);
	station_stop(s);
	assert_int_equal(s->counts.ended[PEERS_NO_HELLO], 1);
}

static void
without_the_protocol_it_is_plain_ipfix(void **state)
{
	struct station *s = *state;
	struct client c;

	station_start(s);
	client_dial(&c, s, "exporter", NULL);
	assert_string_equal(c.t.protocol, "");
	c.number = 5;
	client_send_template(&c);
	assert_true(client_send(&c, 3));
	client_finish(&c);
	assert_int_equal(client_read(&c), 0);
	client_close(&c);
	station_stop(s);
	expect_once(s, 5, 8);
}

static void
what_a_spool_lost_is_counted_once_over_restarts(void **state)
{
	struct delivery_hello h = hello(40, 50);
	struct station *s = *state;
	struct client c;

	h.lost_records = 40;
	for (unsigned i = 0; i < 3; i++) {
		station_start(s);
		assert_true(client_greet(&c, s, &h));
		client_send_template(&c);
		assert_true(client_send(&c, 2));
		assert_true(client_await(&c, 42 + 2 * i));
		client_close(&c);
		station_kill(s);
	}
	station_start(s);
	station_stop(s);
	assert_int_equal(s->lost, 40);
	expect_once(s, 40, 46);
}

static void
an_exporter_that_dropped_messages_goes_on_behind_them(void **state)
{
	struct delivery_hello h = hello(0, 10);
	struct station *s = *state;
	struct client c;

	station_start(s);
	assert_true(client_greet(&c, s, &h));
	client_send_template(&c);
	assert_true(client_send(&c, 10));
	assert_true(client_await(&c, 10));
	client_close(&c);
	h = hello(30, 40);
	do {
		client_close(&c);
		poll(NULL, 0, 5);
	} while (!client_greet(&c, s, &h));
	assert_int_equal(c.word.number, 10);
	assert_int_equal(c.number, 30);
	client_send_template(&c);
	assert_true(client_send(&c, 10));
	assert_true(client_await(&c, 40));
	client_close(&c);
	station_stop(s);
	station_start(s);
	assert_int_equal(atomic_load(&s->seen[9]), 1);
	assert_int_equal(atomic_load(&s->seen[10]), 0);
	assert_int_equal(atomic_load(&s->seen[39]), 1);
	station_stop(s);
}

/* More than the journal's buffers hold: nothing is taken, nothing acknowledged that is
 * not durable; and then all of it. */
static void
a_slow_processing_thread_holds_an_exporter_up_and_nothing_is_lost(void **state)
{
	struct delivery_hello h = hello(0, 60000);
	struct station *s = *state;
	struct client c;

	atomic_store(&s->is_paused, true);
	station_start(s);
	assert_true(client_greet(&c, s, &h));
	client_send_template(&c);
	assert_true(client_send(&c, 1000));
	poll(NULL, 0, 100);
	atomic_store(&s->is_paused, false);
	assert_true(client_send(&c, 59000));
	assert_true(client_await(&c, 60000));
	client_close(&c);
	station_stop(s);
	expect_once(s, 0, 60000);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(an_unknown_spool_begins_with_its_first_message),
	    CASE(the_end_in_order_is_answered_with_the_last_word),
	    CASE(what_was_cut_comes_again_from_where_it_is_wanted),
	    CASE(a_restart_knows_what_it_has),
	    CASE(stopping_says_what_is_durable),
	    CASE(a_second_connection_with_the_spool_is_refused_and_the_first_goes_on),
	    CASE(one_spool_too_many_is_turned_away),
	    CASE(what_is_no_hello_is_refused_and_counted),
	    CASE(who_says_no_hello_is_not_waited_for),
	    CASE(without_the_protocol_it_is_plain_ipfix),
	    CASE(what_a_spool_lost_is_counted_once_over_restarts),
	    CASE(an_exporter_that_dropped_messages_goes_on_behind_them),
	    CASE(a_slow_processing_thread_holds_an_exporter_up_and_nothing_is_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
