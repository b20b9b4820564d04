/* Steps of peers, one call at a time: the loop runs only where a test says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/base/log.h"
#include "tests/unit/collector/door/support_door.h"
#include "tests/unit/collector/protocol/support_set.h"

#define MUCH (1u << 20) /* bytes, more than the share of a peer */

/* As the loop does when its socket is readable. */
static void
step(struct peer *p)
{
	p->watch.ready(&p->watch, EPOLLIN);
}

/* A peer that has sent one message. */
static struct peer *
join(int *ret_fd)
{
	*ret_fd = door_come(TCP);
	door_send(*ret_fd, 16);
	return door_listener->peers.last;
}

/* As many bytes of messages as the sockets hold, up to this many. */
static size_t
send_messages(int fd, size_t bytes)
{
	uint8_t *m = calloc(1, bytes);
	int room = (int)bytes;
	ssize_t n;

	assert_non_null(m);
	for (size_t at = 0; at < bytes; at += 16) {
		memcpy(m + at, (const uint8_t[4]){0, 10, 0, 16}, 4);
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	n = send(fd, m, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
	assert_true(n > 0);
	free(m);
	return (size_t)n;
}

/* Nothing is handed on until the test empties the ring. */
static void
block(void)
{
	while (intake_pass(&door_listener->intake)) {
		assert_true(intake_put(&door_listener->intake, FRAME_TICK, 0, "", 0));
	}
}

static void
a_peer_with_much_to_send_leaves_the_others_their_turn(void **state)
{
	struct listener_settings s = door_settings();
	struct peer *p;
	size_t sent;
	int fd;

	(void)state;
	door_open(&s);
	p = join(&fd);
	sent = send_messages(fd, MUCH);
	step(p);
	assert_true(p->is_waiting_again);
	assert_in_range(p->bytes, 17, sent);
	assert_int_not_equal(door_listener->again_timer.due_ns, 0);
	door_until(p->bytes == 16 + sent);
}

static void
peers_wait_for_room_in_the_order_in_which_they_found_none(void **state)
{
	struct listener_settings s = door_settings();
	struct peer *p[3];
	int fd[3];

	(void)state;
	door_open(&s);
	for (unsigned i = 0; i < 3; i++) {
		p[i] = join(&fd[i]);
	}
	block();
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(send_messages(fd[2 - i], 16), 16);
		step(p[2 - i]);
		assert_false(p[2 - i]->is_watched);
	}
	assert_int_equal(door_listener->stuck.count, 3);
	assert_ptr_equal(door_listener->stuck.first, p[2]);
	assert_ptr_equal(door_listener->stuck.last, p[0]);
	door_pass_on();
	door_until(door_listener->stuck.count == 0);
	/* They are read again, in that order. */
	assert_ptr_equal(door_peer(0), p[2]);
	assert_ptr_equal(door_peer(2), p[0]);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(p[i]->is_watched);
		assert_int_equal(p[i]->messages, 2);
	}
}

static void
a_partial_message_is_timed_from_when_we_read_again(void **state)
{
	struct listener_settings s = door_settings();
	struct peer *p;
	uint64_t stuck_ns;
	int fd;

	(void)state;
	door_open(&s);
	p = join(&fd);
	door_send(fd, 10);
	assert_int_not_equal(p->partial_ns, 0);
	block();
	step(p);
	stuck_ns = p->since_ns;
	door_pass_on();
	door_until(door_listener->stuck.count == 0);
	assert_true(p->partial_ns > stuck_ns);
	assert_int_equal(send(fd, "123456", 6, MSG_NOSIGNAL), 6);
	door_until(p->messages == 2);
	assert_int_equal(p->partial_ns, 0);
}

static void
a_stop_takes_what_was_sent_before_it(void **state)
{
	struct listener_settings s = door_settings();
	struct listener_counts after;
	size_t sent;
	char byte;
	int fd;

	(void)state;
	door_open(&s);
	(void)join(&fd);
	sent = send_messages(fd, MUCH);
	listener_stop(door_listener);
	listener_counts(door_listener, &after);
	assert_int_equal(after.messages, 1 + sent / 16);
	assert_int_equal(after.peers, 0);
	assert_int_equal(journal_synced(door_journal), journal_end(door_journal));
	assert_int_equal(recv(fd, &byte, 1, 0), 0); /* all of it is durable */
}

static void
a_peer_that_is_not_listed_is_sent_away_with_a_count(void **state)
{
	struct listener_settings s = door_settings();
	char roster[160], byte;
	int fd;

	(void)state;
	snprintf(roster, sizeof roster, "%s/peers.yaml", door_directory);
	support_write("peers.yaml", "peers:\n  - address: 192.0.2.2\n");
	s.roster_file = roster;
	door_open(&s);
	fd = door_come(TCP);
	assert_int_equal(door_listener->counts.refused[TLS_REFUSED_IDENTITY], 1);
	assert_int_equal(door_listener->counts.peers, 0);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, door_set_up, door_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_peer_with_much_to_send_leaves_the_others_their_turn),
	    TEST(peers_wait_for_room_in_the_order_in_which_they_found_none),
	    TEST(a_partial_message_is_timed_from_when_we_read_again),
	    TEST(a_stop_takes_what_was_sent_before_it),
	    TEST(a_peer_that_is_not_listed_is_sent_away_with_a_count),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
