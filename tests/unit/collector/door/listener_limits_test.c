/* The limits of the listener: how many peers, how slow, how much that nobody processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/base/log.h"
#include "tests/unit/collector/door/support_listener.h"

static void
half_open_peers_cost_an_honest_one_nothing_and_time_out(void **state)
{
	struct listener_counts counts;
	struct err e = {0};
	uint8_t *stream;
	int fds[200];
	size_t n;

	(void)state;
	bench.settings.handshake_timeout_ns = NS_PER_SECOND;
	bench_start(&bench);
	for (unsigned i = 0; i < 200; i++) {
		fds[i] = bench_connect(bench.ports[1]);
		if (i % 2 == 0) {
			bench_send(fds[i], "\26\3\1\2\0\1\0\1\374\3\3", 11);
		}
	}
	stream = bench_make_stream(1000, 1, &n);
	assert_int_equal(bench_send_secured(&bench, "exporter", stream, n, &e), 0);
	for (unsigned i = 0; i < 200; i++) {
		assert_true(bench_is_closed(fds[i]) || errno == ECONNRESET);
		close(fds[i]);
	}
	bench_stop(&bench, &counts);
	assert_int_equal(counts.ended[PEERS_NO_HANDSHAKE], 200);
	bench_expect_stream(&bench, bench_session(&bench, 0), 1000);
	free(stream);
}

static void
one_peer_too_many_is_turned_away(void **state)
{
	struct listener_counts counts;
	char text[512];
	uint8_t *stream;
	size_t n;
	int fds[4];

	(void)state;
	bench.settings.max_peers = 3;
	bench_start(&bench);
	stream = bench_make_stream(1, 1, &n);
	for (unsigned i = 0; i < 3; i++) {
		fds[i] = bench_connect(bench.ports[0]);
		bench_send(fds[i], stream, n);
		bench_wait(&bench, FRAME_MESSAGES, i + 1);
	}
	free(stream);
	fds[3] = bench_connect(bench.ports[0]);
	assert_true(bench_is_closed(fds[3]));
	bench_wait(&bench, FRAME_REFUSED, 1);
	for (unsigned i = 0; i < 4; i++) {
		close(fds[i]);
	}
	bench_stop(&bench, &counts);
	assert_int_equal(counts.ended[PEERS_FULL], 1);
	bench_find(&bench, FRAME_REFUSED, 0, text);
	bench_expect_text(text, "reason=full");
}

static void
the_oldest_that_has_proved_nothing_makes_room(void **state)
{
	struct listener_counts counts;
	uint8_t *stream;
	size_t n;
	int fds[4];

	(void)state;
	bench.settings.max_half_open = 2;
	bench_start(&bench);
	stream = bench_make_stream(1, 1, &n);
	fds[0] = bench_connect(bench.ports[0]);
	bench_send(fds[0], stream, n);
	bench_wait(&bench, FRAME_MESSAGES, 1);
	for (unsigned i = 1; i < 4; i++) {
		fds[i] = bench_connect(bench.ports[0]);
		bench_wait(&bench, FRAME_OPEN, i + 1);
	}
	assert_true(bench_is_closed(fds[1]));
	bench_send(fds[0], stream, n);
	bench_send(fds[2], stream, n);
	bench_send(fds[3], stream, n);
	bench_wait(&bench, FRAME_MESSAGES, 4);
	for (unsigned i = 0; i < 4; i++) {
		close(fds[i]);
	}
	free(stream);
	bench_stop(&bench, &counts);
	assert_int_equal(counts.ended[PEERS_HALF_OPEN], 1);
}

static void
an_address_has_no_more_than_its_share(void **state)
{
	struct listener_counts counts;
	char text[512];
	uint8_t *stream;
	size_t n;
	int fds[3];

	(void)state;
	bench.settings.max_peers_per_address = 2;
	bench_start(&bench);
	stream = bench_make_stream(1, 1, &n);
	for (unsigned i = 0; i < 2; i++) {
		fds[i] = bench_connect(bench.ports[0]);
		bench_send(fds[i], stream, n);
		bench_wait(&bench, FRAME_MESSAGES, i + 1);
	}
	free(stream);
	fds[2] = bench_connect(bench.ports[0]);
	assert_true(bench_is_closed(fds[2]));
	close(fds[0]);
	bench_wait(&bench, FRAME_CLOSE, 1);
	close(fds[1]);
	close(fds[2]);
	bench_stop(&bench, &counts);
	assert_int_equal(counts.ended[PEERS_ADDRESS_FULL], 1);
	bench_find(&bench, FRAME_REFUSED, 0, text);
	bench_expect_text(text, "reason=address-full");
}

static void
a_peer_that_drips_a_message_is_closed_after_the_message_timeout(void **state)
{
	struct listener_counts counts;
	char text[512];
	uint8_t *stream;
	size_t n;
	int fd;

	(void)state;
	bench.settings.message_timeout_ns = NS_PER_SECOND;
	bench_start(&bench);
	stream = bench_make_stream(1, 1, &n);
	fd = bench_connect(bench.ports[0]);
	bench_send(fd, stream, n);
	bench_send(fd, stream, n - 1);
	free(stream);
	assert_true(bench_is_closed(fd));
	close(fd);
	bench_wait(&bench, FRAME_CLOSE, 1);
	bench_stop(&bench, &counts);
	bench_find(&bench, FRAME_CLOSE, 0, text);
	assert_string_equal(text, "did not complete a message within 1 s");
	assert_int_equal(counts.ended[PEERS_SLOW], 1);
}

static void
a_slow_processing_thread_holds_peers_up_and_nothing_is_lost(void **state)
{
	struct bench_sending sending[4];
	pthread_t threads[4];
	struct listener_counts counts;
	uint8_t *stream;
	size_t n;

	(void)state;
	bench.ring_size = 2;
	bench_start(&bench);
	atomic_store(&bench.is_paused, true);
	stream = bench_make_stream(5000, 1, &n); /* four times 10 MB */
	for (unsigned i = 0; i < 4; i++) {
		sending[i] = (struct bench_sending){bench.ports[0], i, stream, n};
		pthread_create(&threads[i], NULL, bench_send_pieces, &sending[i]);
	}
	poll(NULL, 0, 300);
	atomic_store(&bench.is_paused, false);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
	}
	bench_stop(&bench, &counts);
	for (unsigned i = 0; i < 4; i++) {
		bench_expect_stream(&bench, bench_session(&bench, i), 5000);
	}
	free(stream);
}

/* Lets go of every segment before the last, as the processing thread does when all of
 * it is stored. */
static void
trim_journal(struct bench *b)
{
	uint64_t start = 0, end = journal_synced(b->journal);
	char path[256];

	for (uint64_t at = 0; at <= end; at += 4096) {
		uint64_t next = journal_segment_start(b->journal, at);
		if (next != start) {
			start = next;
			journal_state_path(b->journal, start, path, sizeof path);
			close(open(path, O_WRONLY | O_CREAT, 0600));
		}
	}
	assert_int_equal(journal_trim(b->journal, end, NULL), 0);
}

static void
a_full_journal_stops_reading_until_there_is_room(void **state)
{
	struct bench_sending sending;
	struct listener_counts counts;
	pthread_t thread;
	uint8_t *stream;
	uint64_t before;
	size_t n;

	(void)state;
	bench.journal_bytes = 16 << 20;
	bench_start(&bench);
	stream = bench_make_stream(15000, 1, &n); /* 30 MB */
	sending = (struct bench_sending){bench.ports[0], 1, stream, n};
	pthread_create(&thread, NULL, bench_send_pieces, &sending);
	for (int i = 0; i < 3; i++) {
		do { /* until nothing moves */
			before = journal_synced(bench.journal);
			poll(NULL, 0, 200);
		} while (journal_synced(bench.journal) != before);
		trim_journal(&bench);
	}
	pthread_join(thread, NULL);
	bench_stop(&bench, &counts);
	bench_expect_stream(&bench, bench_session(&bench, 0), 15000);
	free(stream);
}

static void
a_silent_peer_is_closed_after_the_idle_timeout(void **state)
{
	struct listener_counts counts;
	char text[512];
	int fd;

	(void)state;
	bench.settings.idle_timeout_ns = NS_PER_SECOND;
	bench_start(&bench);
	fd = bench_connect(bench.ports[0]);
	assert_true(bench_is_closed(fd));
	close(fd);
	bench_wait(&bench, FRAME_CLOSE, 1);
	bench_stop(&bench, &counts);
	bench_find(&bench, FRAME_CLOSE, 0, text);
	assert_string_equal(text, "silent for 1 s");
	assert_int_equal(counts.ended[PEERS_IDLE], 1);
}

static int
be_quiet(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    BENCH_TEST(half_open_peers_cost_an_honest_one_nothing_and_time_out),
	    BENCH_TEST(one_peer_too_many_is_turned_away),
	    BENCH_TEST(the_oldest_that_has_proved_nothing_makes_room),
	    BENCH_TEST(an_address_has_no_more_than_its_share),
	    BENCH_TEST(a_peer_that_drips_a_message_is_closed_after_the_message_timeout),
	    BENCH_TEST(a_slow_processing_thread_holds_peers_up_and_nothing_is_lost),
	    BENCH_TEST(a_full_journal_stops_reading_until_there_is_room),
	    BENCH_TEST(a_silent_peer_is_closed_after_the_idle_timeout),
	};
	return cmocka_run_group_tests(tests, be_quiet, NULL);
}
