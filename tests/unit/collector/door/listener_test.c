/* The listener in a loop of its own, a processing thread that keeps every frame, and
 * real peers over loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/base/log.h"
#include "common/schemes/schemes.h"
#include "common/transport/scheme.h"
#include "tests/unit/collector/door/support_listener.h"

static void
a_stream_becomes_frames_between_open_and_close(void **state)
{
	struct listener_counts counts;
	char text[512];
	uint8_t *stream;
	size_t n;
	int fd;

	(void)state;
	bench_start(&bench);
	stream = bench_make_stream(2000, 1, &n);
	fd = bench_connect(bench.ports[0]);
	bench_send(fd, stream, n);
	shutdown(fd, SHUT_WR);
	assert_true(bench_is_closed(fd));
	close(fd);
	bench_stop(&bench, &counts);
	bench_find(&bench, FRAME_OPEN, 0, text);
	bench_expect_text(text, "transport=tcp\npeer=127.0.0.1:");
	bench_expect_stream(&bench, bench_session(&bench, 0), 2000);
	assert_int_equal(bench_find(&bench, FRAME_CLOSE, 0, text)->length, 0);
	assert_int_equal(counts.messages, 2000);
	assert_int_equal(counts.bytes, n);
	assert_int_equal(counts.peers, 0);
	free(stream);
}

static void
the_collector_closes_when_what_came_is_durable(void **state)
{
	struct listener_counts counts;
	char text[512];
	uint64_t synced;
	uint8_t *stream;
	size_t n;
	int fd;

	(void)state;
	bench.settings.sync_interval_ns = NS_PER_MINUTE;
	bench_start(&bench);
	stream = bench_make_stream(100, 1, &n);
	fd = bench_connect(bench.ports[0]);
	bench_send(fd, stream, n);
	shutdown(fd, SHUT_WR);
	assert_true(bench_is_closed(fd));
	synced = journal_synced(bench.journal);
	bench_wait(&bench, FRAME_CLOSE, 1);
	assert_true(bench_find(&bench, FRAME_CLOSE, 0, text)->end <= synced);
	close(fd);
	bench_stop(&bench, &counts);
	free(stream);
}

static void
a_peer_that_sends_byte_by_byte_is_understood(void **state)
{
	struct listener_counts counts;
	uint8_t *stream;
	size_t n;
	int fd;

	(void)state;
	bench_start(&bench);
	stream = bench_make_stream(5, 1, &n);
	fd = bench_connect(bench.ports[0]);
	for (size_t i = 0; i < n; i++) {
		bench_send(fd, stream + i, 1);
		if (i < 200) {
			poll(NULL, 0, 1); /* the loop sees them one by one */
		}
	}
	close(fd);
	bench_wait(&bench, FRAME_CLOSE, 1);
	bench_stop(&bench, &counts);
	bench_expect_stream(&bench, bench_session(&bench, 0), 5);
	free(stream);
}

static void
many_peers_at_once_are_kept_apart(void **state)
{
	struct bench_sending sending[8];
	pthread_t threads[8];
	struct listener_counts counts;
	uint8_t *stream;
	size_t n;

	(void)state;
	bench_start(&bench);
	stream = bench_make_stream(1000, 1, &n);
	for (unsigned i = 0; i < 8; i++) {
		sending[i] = (struct bench_sending){bench.ports[0], i, stream, n};
		pthread_create(&threads[i], NULL, bench_send_pieces, &sending[i]);
	}
	for (unsigned i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
	}
	bench_stop(&bench, &counts);
	for (unsigned i = 0; i < 8; i++) {
		bench_expect_stream(&bench, bench_session(&bench, i), 1000);
	}
	assert_int_equal(counts.messages, 8000);
	free(stream);
}

static void
a_stream_that_is_no_ipfix_is_closed_and_counted(void **state)
{
	struct listener_counts counts;
	char text[512];
	uint8_t *stream;
	size_t n;
	int fd;

	(void)state;
	bench_start(&bench);
	stream = bench_make_stream(3, 1, &n);
	fd = bench_connect(bench.ports[0]);
	bench_send(fd, stream, n);
	bench_send(fd, "GET / HTTP/1.0\r\n\r\n", 18);
	bench_wait(&bench, FRAME_CLOSE, 1);
	close(fd);
	bench_stop(&bench, &counts);
	bench_expect_stream(&bench, bench_session(&bench, 0), 3);
	bench_find(&bench, FRAME_CLOSE, 0, text);
	bench_expect_text(text, "not IPFIX: unexpected bytes 4745 5420");
	assert_int_equal(counts.ended[PEERS_NO_IPFIX], 1);
	free(stream);
}

static void
a_message_cut_by_the_end_is_told(void **state)
{
	struct listener_counts counts;
	char text[512];
	uint8_t *stream;
	size_t n;
	int fd;

	(void)state;
	bench_start(&bench);
	stream = bench_make_stream(3, 1, &n);
	fd = bench_connect(bench.ports[0]);
	bench_send(fd, stream, n - 1);
	close(fd);
	bench_wait(&bench, FRAME_CLOSE, 1);
	bench_stop(&bench, &counts);
	bench_expect_stream(&bench, bench_session(&bench, 0), 2);
	bench_find(&bench, FRAME_CLOSE, 0, text);
	assert_string_equal(text, "ended in the middle of a message");
	free(stream);
}

static void
a_secured_peer_is_named_by_its_certificate(void **state)
{
	struct listener_counts counts;
	struct err e = {0};
	char text[512];
	uint8_t *stream;
	size_t n;

	(void)state;
	bench_start(&bench);
	stream = bench_make_stream(1000, 1, &n);
	assert_int_equal(bench_send_secured(&bench, "exporter", stream, n, &e), 0);
	bench_stop(&bench, &counts);
	bench_find(&bench, FRAME_OPEN, 0, text);
	bench_expect_text(text, "transport=tls\npeer=");
	bench_expect_text(text, "\nidentity=exporter.example\n");
	bench_expect_stream(&bench, bench_session(&bench, 0), 1000);
	assert_int_equal(bench_find(&bench, FRAME_CLOSE, 0, text)->length, 0);
	free(stream);
}

static void
every_refusal_has_its_reason(void **state)
{
	static const struct {
		const char *name;
		enum tls_refusal why;
		const char *reason;
	} cases[] = {
	    {NULL, TLS_REFUSED_NO_CERTIFICATE, "reason=no-certificate"},
	    {"stranger", TLS_REFUSED_UNKNOWN_CA, "reason=unknown-ca"},
	    {"expired", TLS_REFUSED_EXPIRED, "reason=expired"},
	    {"revoked", TLS_REFUSED_REVOKED, "reason=revoked"},
	};
	struct listener_counts counts;
	struct err e = {0};
	char text[512];
	int fd;

	(void)state;
	bench_start(&bench);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(
		    bench_send_secured(&bench, cases[i].name, NULL, 0, &e), -EACCES);
		bench_expect_text(e.text, "the peer refused us");
		bench_wait(&bench, FRAME_REFUSED, i + 1);
	}
	fd = bench_connect(bench.ports[1]);
	bench_send(fd, "\0\12\0\24 this is plain IPFIX", 24);
	bench_wait(&bench, FRAME_REFUSED, 5);
	close(fd);
	bench_stop(&bench, &counts);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(counts.refused[cases[i].why], 1);
		bench_find(&bench, FRAME_REFUSED, i, text);
		bench_expect_text(text, cases[i].reason);
	}
	bench_find(&bench, FRAME_REFUSED, 4, text);
	bench_expect_text(text, "reason=protocol");
	assert_int_equal(counts.refused[TLS_REFUSED_PROTOCOL], 1);
	assert_int_equal(bench_count(&bench, FRAME_OPEN), 0);
}

static void
stopping_takes_what_was_sent_and_says_why(void **state)
{
	struct listener_counts counts;
	char text[512];
	uint8_t *stream;
	size_t n;
	int fd;

	(void)state;
	bench_start(&bench);
	stream = bench_make_stream(50, 1, &n);
	fd = bench_connect(bench.ports[0]);
	bench_wait(&bench, FRAME_OPEN, 1);
	bench_send(fd, stream, n);
	bench_stop(&bench, &counts);
	assert_true(bench_is_closed(fd));
	close(fd);
	bench_expect_stream(&bench, bench_session(&bench, 0), 50);
	bench_find(&bench, FRAME_CLOSE, 0, text);
	assert_string_equal(text, "the collector stopped");
	free(stream);
}

static void
silence_after_data_is_ticked(void **state)
{
	struct listener_counts counts;
	uint8_t *stream;
	size_t n;
	int fd;

	(void)state;
	bench_start(&bench);
	stream = bench_make_stream(5, 1, &n);
	fd = bench_connect(bench.ports[0]);
	bench_send(fd, stream, n);
	bench_wait(&bench, FRAME_TICK, 2);
	close(fd);
	bench_stop(&bench, &counts);
	free(stream);
}

static void
expect_complaint(const char *uri, const char *part)
{
	struct loop *loop = loop_new();
	struct listener_settings s = {.loop = loop, .uris = &uri, .uri_count = 1};
	struct listener *l = NULL;
	struct err e = {0};

	assert_true(listener_new(&s, &l, &e) < 0);
	assert_null(l);
	bench_expect_text(e.text, part);
	loop_free(loop);
}

static void
places_that_cannot_be_listened_at_are_told(void **state)
{
	struct transport_uri any = {.scheme = &transport_tcp};
	struct transport_listener place;
	char uri[64];

	(void)state;
	expect_complaint("file:x", "read a file with -r");
	expect_complaint("tls://*:0", "needs a certificate");
	expect_complaint("tcp://192.0.2.1:0", "cannot listen at tcp://192.0.2.1:0");
	assert_int_equal(transport_listen(&any, &place, NULL), 0);
	snprintf(uri, sizeof uri, "tcp://*:%u", place.port);
	expect_complaint(uri, "Address already in use");
	transport_unlisten(&place);
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
	    BENCH_TEST(a_stream_becomes_frames_between_open_and_close),
	    BENCH_TEST(the_collector_closes_when_what_came_is_durable),
	    BENCH_TEST(a_peer_that_sends_byte_by_byte_is_understood),
	    BENCH_TEST(many_peers_at_once_are_kept_apart),
	    BENCH_TEST(a_stream_that_is_no_ipfix_is_closed_and_counted),
	    BENCH_TEST(a_message_cut_by_the_end_is_told),
	    BENCH_TEST(a_secured_peer_is_named_by_its_certificate),
	    BENCH_TEST(every_refusal_has_its_reason),
	    BENCH_TEST(stopping_takes_what_was_sent_and_says_why),
	    BENCH_TEST(silence_after_data_is_ticked),
	    cmocka_unit_test(places_that_cannot_be_listened_at_are_told),
	};
	return cmocka_run_group_tests(tests, be_quiet, NULL);
}
