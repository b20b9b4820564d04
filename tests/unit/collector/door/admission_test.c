/* The listener and its peers in one thread: the loop runs until what is waited for has
 * come, and time is what admission_time_out() is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "tests/unit/collector/door/support_door.h"
#include "tests/unit/collector/protocol/support_set.h"
#include "tests/unit/common/transport/support_dtls_pair.h"

#define SECOND NS_PER_SECOND
#define HOUR   (3600 * SECOND)

static void
expect_end_at(uint64_t at_ns, enum peers_end why)
{
	uint64_t before = door_listener->counts.ended[why];

	admission_time_out(door_listener, at_ns - 1);
	assert_int_equal(door_listener->counts.ended[why], before);
	admission_time_out(door_listener, at_ns);
	assert_int_equal(door_listener->counts.ended[why], before + 1);
}

/* Time. */

static void
a_silent_peer_goes_when_the_limit_is_reached_and_not_before(void **state)
{
	struct listener_settings s = door_settings();

	(void)state;
	s.idle_timeout_ns = 60 * SECOND;
	door_open(&s);
	door_send(door_come(TCP), 16);
	expect_end_at(door_peer(0)->since_ns + 60 * SECOND, PEERS_IDLE);
	door_until(door_listener->counts.peers == 0);
}

static void
without_a_limit_a_peer_may_be_silent_for_ever(void **state)
{
	struct listener_settings s = door_settings();

	(void)state;
	door_open(&s);
	door_send(door_come(TCP), 16);
	admission_time_out(door_listener, clock_monotonic_ns() + 1000 * HOUR);
	door_turn();
	assert_int_equal(door_listener->counts.peers, 1);
}

static void
a_handshake_has_its_time_from_the_beginning_whatever_comes_meanwhile(void **state)
{
	struct listener_settings s = door_settings();
	uint64_t began, since;
	int fd;

	(void)state;
	door_open(&s);
	fd = door_come(TLS);
	began = door_listener->half_open.first->began_ns;
	since = door_listener->half_open.first->since_ns;
	assert_int_equal(send(fd, "\26\3\1\2\0\1\0\1\374\3\3", 11, MSG_NOSIGNAL), 11);
	door_until(door_listener->half_open.first->since_ns > since);
	expect_end_at(began + s.handshake_timeout_ns, PEERS_NO_HANDSHAKE);
	assert_int_equal(door_listener->counts.peers, 0);
}

static void
a_message_has_its_time_from_its_first_byte(void **state)
{
	struct listener_settings s = door_settings();
	uint64_t begun;
	int fd;

	(void)state;
	door_open(&s);
	fd = door_come(TCP);
	door_send(fd, 16);
	door_send(fd, 10);
	begun = door_peer(0)->partial_ns;
	door_send(fd, 1); /* of the same message */
	assert_int_equal(door_peer(0)->partial_ns, begun);
	expect_end_at(begun + s.message_timeout_ns, PEERS_SLOW);
}

static void
who_sends_whole_messages_is_not_slow(void **state)
{
	struct listener_settings s = door_settings();

	(void)state;
	door_open(&s);
	door_send(door_come(TCP), 16);
	admission_time_out(door_listener, clock_monotonic_ns() + HOUR);
	assert_int_equal(door_listener->counts.ended[PEERS_SLOW], 0);
}

/* Room. */

static void
who_has_proved_nothing_makes_room_the_oldest_first(void **state)
{
	struct listener_settings s = door_settings();
	struct peer *second;

	(void)state;
	s.max_peers = 2;
	door_open(&s);
	door_come(TLS);
	door_come(TLS);
	second = door_listener->half_open.last;
	door_come(TLS);
	door_turn();
	assert_int_equal(door_listener->counts.peers, 2);
	assert_ptr_equal(door_listener->half_open.first, second);
	assert_int_equal(door_listener->counts.ended[PEERS_HALF_OPEN], 1);
}

static void
who_has_proved_something_stays_and_one_more_is_refused(void **state)
{
	struct listener_settings s = door_settings();

	(void)state;
	s.max_peers = 1;
	door_open(&s);
	door_send(door_come(TCP), 16);
	door_come(TCP);
	assert_int_equal(door_listener->counts.ended[PEERS_FULL], 1);
	assert_int_equal(door_listener->counts.peers, 1);
}

static void
an_address_that_is_full_makes_room_of_its_own(void **state)
{
	struct listener_settings s = door_settings();

	(void)state;
	s.max_peers_per_address = 2;
	door_open(&s);
	door_come_from("127.0.0.2", TLS); /* older, but another's */
	door_send(door_come(TCP), 16);
	door_come(TLS);
	door_come(TLS);
	door_turn();
	assert_int_equal(door_listener->counts.peers, 3);
	assert_int_equal(door_listener->counts.ended[PEERS_HALF_OPEN], 1);
	assert_memory_equal(
	    door_listener->half_open.first->transport.peer.text, "127.0.0.2:", 10);
}

static void
an_address_that_is_full_of_the_proved_keeps_out_only_its_own(void **state)
{
	struct listener_settings s = door_settings();

	(void)state;
	s.max_peers_per_address = 1;
	door_open(&s);
	door_send(door_come(TCP), 16);
	door_come(TCP);
	assert_int_equal(door_listener->counts.ended[PEERS_ADDRESS_FULL], 1);
	door_come_from("127.0.0.2", TCP);
	assert_int_equal(door_listener->counts.peers, 2);
}

/* A session over datagrams with the listener. */
static void
open_session(struct transport *t, struct tls_context *context)
{
	struct err e = {0};
	unsigned before = door_listener->peers.count;

	dial(t, "127.0.0.1", listener_port(door_listener, DTLS), context);
	while (t->ops->proceed(t, &e) < 0) {
		assert_string_equal(e.text, "");
		door_turn();
	}
	door_until(door_listener->peers.count == before + 1);
}

static void
of_datagram_sessions_the_longest_silent_makes_room_if_it_is_so_for_long(void **state)
{
	struct listener_settings s = door_settings();
	struct tls_context *context = context_of("exporter", false);
	struct transport mine[2], next = {.fd = -1};
	enum peers_end why = PEERS_ENDS;
	struct err e = {0};
	struct peer *longest;

	(void)state;
	s.max_peers = 2;
	door_open(&s);
	open_session(&mine[0], context);
	open_session(&mine[1], context);
	assert_int_equal(endpoint_parse("127.0.0.1:7", &next.peer.at), 0);
	assert_int_equal(admission_check(door_listener, &next, &why, &e), -EBUSY);
	assert_int_equal(why, PEERS_FULL);
	longest = door_peer(1);
	longest->since_ns -= s.handshake_timeout_ns + SECOND;
	door_peer(0)->since_ns -= s.handshake_timeout_ns;
	assert_int_equal(admission_check(door_listener, &next, &why, &e), 0);
	assert_int_equal(door_listener->counts.ended[PEERS_IDLE], 1);
	assert_int_equal(door_listener->peers.count, 1);
	assert_ptr_not_equal(door_peer(0), longest);
	for (unsigned i = 0; i < 2; i++) {
		mine[i].ops->close(&mine[i]);
	}
	tls_context_free(context);
}

static void
silent_connections_over_streams_make_no_room(void **state)
{
	struct listener_settings s = door_settings();

	(void)state;
	s.max_peers = 1;
	door_open(&s);
	door_send(door_come(TCP), 16);
	door_peer(0)->since_ns = 1;
	door_come(TCP);
	assert_int_equal(door_listener->counts.ended[PEERS_FULL], 1);
	assert_int_equal(door_listener->counts.peers, 1);
}

/* Judgement. */

static void
a_cut_ends_the_session_of_that_number_only(void **state)
{
	struct listener_settings s = door_settings();
	uint32_t session;

	(void)state;
	door_open(&s);
	door_send(door_come(TCP), 16);
	door_send(door_come(TCP), 16);
	session = door_peer(0)->session;
	assert_int_not_equal(session, door_peer(1)->session);
	admission_cut(door_listener, session);
	door_until(door_listener->counts.peers == 1);
	assert_int_not_equal(door_peer(0)->session, session);
	assert_int_equal(door_listener->counts.ended[PEERS_ERRORS], 1);
	admission_cut(door_listener, session); /* it is gone */
	assert_int_equal(door_listener->counts.ended[PEERS_ERRORS], 1);
}

static void
who_is_listed_as_before_stays_and_the_others_go(void **state)
{
	struct listener_settings s = door_settings();
	char roster[160];
	struct err e = {0};

	(void)state;
	snprintf(roster, sizeof roster, "%s/peers.yaml", door_directory);
	support_write("peers.yaml", "peers:\n  - address: 127.0.0.1\n"
				    "  - address: 127.0.0.2\n    domains: 1\n"
				    "  - address: 127.0.0.3\n");
	s.roster_file = roster;
	door_open(&s);
	door_send(door_come_from("127.0.0.1", TCP), 16);
	door_send(door_come_from("127.0.0.2", TCP), 16);
	door_send(door_come_from("127.0.0.3", TCP), 16);
	support_write("peers.yaml", "peers:\n  - address: 127.0.0.0/30\n"
				    "  - address: 127.0.0.2\n    domains: 1-2\n"
				    "  - address: 127.0.0.3\n    name: third\n");
	assert_int_equal(listener_reload(door_listener, &e), 0);
	door_until(door_listener->counts.peers == 1);
	assert_memory_equal(door_peer(0)->transport.peer.text, "127.0.0.1:", 10);
	assert_int_equal(door_listener->counts.ended[PEERS_NO_LONGER], 2);
}

static void
who_is_not_listed_has_no_terms(void **state)
{
	struct listener_settings s = door_settings();
	struct session_identity who = {0};
	uint64_t terms = 7;
	char roster[160];

	(void)state;
	snprintf(roster, sizeof roster, "%s/peers.yaml", door_directory);
	support_write("peers.yaml", "peers:\n  - address: 192.0.2.2\n    name: two\n");
	s.roster_file = roster;
	door_open(&s);
	assert_int_equal(endpoint_parse("192.0.2.1:5", &who.peer), 0);
	assert_false(admission_terms(door_listener, &who, &terms));
	assert_int_equal(terms, 7);
	assert_int_equal(endpoint_parse("192.0.2.2:5", &who.peer), 0);
	assert_true(admission_terms(door_listener, &who, &terms));
	assert_string_equal(who.name, "two");
}

static int
be_quiet(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, door_set_up, door_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_silent_peer_goes_when_the_limit_is_reached_and_not_before),
	    TEST(without_a_limit_a_peer_may_be_silent_for_ever),
	    TEST(a_handshake_has_its_time_from_the_beginning_whatever_comes_meanwhile),
	    TEST(a_message_has_its_time_from_its_first_byte),
	    TEST(who_sends_whole_messages_is_not_slow),
	    TEST(who_has_proved_nothing_makes_room_the_oldest_first),
	    TEST(who_has_proved_something_stays_and_one_more_is_refused),
	    TEST(an_address_that_is_full_makes_room_of_its_own),
	    TEST(an_address_that_is_full_of_the_proved_keeps_out_only_its_own),
	    TEST(
		of_datagram_sessions_the_longest_silent_makes_room_if_it_is_so_for_long),
	    TEST(silent_connections_over_streams_make_no_room),
	    TEST(a_cut_ends_the_session_of_that_number_only),
	    TEST(who_is_listed_as_before_stays_and_the_others_go),
	    TEST(who_is_not_listed_has_no_terms),
	};
	return cmocka_run_group_tests(tests, be_quiet, NULL);
}
