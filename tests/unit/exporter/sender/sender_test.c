/* The export thread against a real listener thread on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/base/log.h"
#include "common/transport/scheme.h"
#include "exporter/sender/sender.h"
#include "tests/unit/common/tls/support_certificates.h"

#define RECEIVED (64u << 20)

/* A collector that takes one connection after the other and keeps what came. */
struct collector {
	const char *scheme;
	struct tls_context *tls;
	struct transport_listener place;
	uint16_t port;
	pthread_t thread;
	size_t break_after; /* closes the first connection after so many bytes */
	unsigned pause_ms;  /* before reading */
	_Atomic bool stops;
	unsigned connections;
	size_t starts[16]; /* where each connection's bytes begin */
	size_t ends_in_order;
	uint8_t *bytes;
	size_t length;
};

static struct export_preamble preamble;
static uint8_t preamble_bytes[40];

static struct tls_settings
settings_of(const char *certificate, const char *key)
{
	return (struct tls_settings){
	    .ca = support_certificate("ca.pem"),
	    .certificate =
		certificate != NULL ? support_certificate(certificate) : NULL,
	    .key = key != NULL ? support_certificate(key) : NULL,
	};
}

static int
wait_ready(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 20);
}

/* Reads one connection to its end. */
static void
serve(struct collector *c, struct transport *t)
{
	size_t limit = c->connections == 1 && c->break_after > 0
			   ? c->length + c->break_after
			   : RECEIVED;
	int rc;

	while ((rc = t->ops->proceed(t, NULL)) == -EAGAIN) {
		wait_ready(t->fd);
	}
	while (rc == 0 && c->length < limit && !atomic_load(&c->stops)) {
		size_t room = limit - c->length < 4096 ? limit - c->length : 4096;
		ssize_t n = t->ops->read(t, c->bytes + c->length, room, NULL);
		if (n > 0) {
			c->length += (size_t)n;
		} else if (n == -EAGAIN) {
			wait_ready(t->fd);
		} else {
			c->ends_in_order += n == 0;
			t->ops->finish(t, NULL);
			break;
		}
	}
	t->ops->close(t);
}

static void *
collect(void *data)
{
	struct collector *c = data;

	while (!atomic_load(&c->stops)) {
		struct transport t;
		if (wait_ready(c->place.fd) <= 0 ||
		    transport_accept(&c->place, &t, c->tls, NULL) < 0) {
			continue;
		}
		poll(NULL, 0, (int)c->pause_ms);
		c->starts[c->connections++ % 16] = c->length;
		serve(c, &t);
	}
	return NULL;
}

static void
collector_bind(struct collector *c)
{
	struct transport_uri any = {.scheme = &transport_tcp, .port = c->port};

	if (c->tls != NULL) {
		any.scheme = &transport_tls;
	}
	assert_int_equal(transport_listen(&any, &c->place, NULL), 0);
	c->port = c->place.port;
}

static void
collector_start(struct collector *c, const struct tls_settings *tls)
{
	c->bytes = malloc(RECEIVED);
	assert_non_null(c->bytes);
	c->scheme = tls != NULL ? "tls" : "tcp";
	if (tls != NULL) {
		assert_int_equal(tls_context_new(tls, true, &c->tls, NULL), 0);
	}
	collector_bind(c);
	pthread_create(&c->thread, NULL, collect, c);
}

static void
collector_stop(struct collector *c)
{
	atomic_store(&c->stops, true);
	pthread_join(c->thread, NULL);
	transport_unlisten(&c->place);
}

static void
collector_free(struct collector *c)
{
	tls_context_free(c->tls);
	free(c->bytes);
}

static void
make_uri(const struct collector *c, char out[static 64])
{
	snprintf(out, 64, "%s://localhost:%u", c->scheme, c->port);
}

static struct sender *
start(const char *uri, const struct tls_settings *tls, bool may_wait)
{
	struct sender_settings s = {
	    .uris = &uri,
	    .uri_count = 1,
	    .queue_bytes = 1 << 20,
	    .may_wait = may_wait,
	    .retry_min_ns = 10 * NS_PER_MS,
	    .retry_max_ns = 50 * NS_PER_MS,
	    .give_up_ns = 20 * NS_PER_SECOND,
	};
	struct sender *sender = NULL;
	struct err e = {0};

	if (tls != NULL) {
		s.tls = *tls;
	}
	if (sender_new(&s, &preamble, &sender, &e) < 0 ||
	    sender_start(sender, &e) < 0) {
		fail_msg("%s", e.text);
	}
	return sender;
}

static size_t
length_of(unsigned i)
{
	return 20 + i * 7919 % 3000;
}

static uint32_t
records_of(unsigned i)
{
	return i % 7;
}

/* Message i says its number at its end. */
static void
push(struct sender *s, unsigned from, unsigned to)
{
	uint8_t message[4096] = {0, 10};

	for (unsigned i = from; i < to; i++) {
		store_u16(message + 2, (uint16_t)length_of(i));
		store_u32(message + length_of(i) - 4, i);
		sender_push(s, message, length_of(i), records_of(i), records_of(i));
	}
}

/* What came on one connection, from byte `at` to `end`, must be the preamble and whole
 * messages from number `first` on, numbered from the preamble's records.  The number
 * after the last. */
static unsigned
check_stream(const uint8_t *bytes, size_t at, size_t end, unsigned first)
{
	uint32_t sequence = preamble.records;

	assert_true(end - at >= preamble.length);
	assert_memory_equal(bytes + at + 8, preamble.bytes + 8, preamble.length - 8);
	for (at += preamble.length; at + 4 <= end; at += length_of(first++)) {
		if (at + length_of(first) > end) {
			break;
		}
		assert_int_equal(load_u16(bytes + at + 2), length_of(first));
		assert_int_equal(load_u32(bytes + at + 8), sequence);
		assert_int_equal(load_u32(bytes + at + length_of(first) - 4), first);
		sequence += records_of(first);
	}
	return first;
}

static void
expect_delivered(struct sender *s, unsigned n)
{
	struct sender_counts counts;
	uint64_t records = 0;

	for (unsigned i = 0; i < n; i++) {
		records += records_of(i);
	}
	sender_counts(s, &counts);
	assert_int_equal(counts.messages, n);
	assert_int_equal(counts.records, records);
	assert_int_equal(counts.dropped_messages, 0);
	assert_int_equal(counts.queued_bytes, 0);
}

static void
deliver_all(const struct tls_settings *client, const struct tls_settings *server)
{
	struct collector c = {0};
	struct sender *s;
	struct err e = {0};
	char uri[64];

	collector_start(&c, server);
	make_uri(&c, uri);
	s = start(uri, client, true);
	push(s, 0, 5000);
	assert_int_equal(sender_finish(s, &e), 0);
	collector_stop(&c);
	assert_int_equal(c.connections, 1);
	assert_int_equal(c.ends_in_order, 1);
	assert_int_equal(check_stream(c.bytes, 0, c.length, 0), 5000);
	expect_delivered(s, 5000);
	sender_free(s);
	collector_free(&c);
}

static void
everything_arrives_over_tcp_in_order_and_ends_in_order(void **state)
{
	(void)state;
	deliver_all(NULL, NULL);
}

static void
everything_arrives_over_tls_in_order_and_ends_in_order(void **state)
{
	struct tls_settings client = settings_of("exporter.pem", "exporter.key");
	struct tls_settings server = settings_of("collector.pem", "collector.key");

	(void)state;
	deliver_all(&client, &server);
}

static void
a_connection_that_breaks_is_followed_by_another_with_whole_messages(void **state)
{
	struct collector c = {.break_after = 100001};
	struct sender *s;
	struct sender_counts counts;
	struct err e = {0};
	char uri[64];
	unsigned first = 0;

	(void)state;
	collector_start(&c, NULL);
	make_uri(&c, uri);
	s = start(uri, NULL, true);
	push(s, 0, 5000);
	assert_int_equal(sender_finish(s, &e), 0);
	collector_stop(&c);
	assert_int_equal(c.connections, 2);
	/* What the system had taken of the first connection is gone with it; the second
	 * begins somewhere later with a whole message, and misses none from there. */
	check_stream(c.bytes, 0, c.starts[1], 0);
	first = load_u32(c.bytes + c.starts[1] + preamble.length +
			 load_u16(c.bytes + c.starts[1] + preamble.length + 2) - 4);
	assert_true(first < 5000);
	assert_int_equal(check_stream(c.bytes, c.starts[1], c.length, first), 5000);
	sender_counts(s, &counts);
	assert_int_equal(counts.messages, 5000);
	assert_int_equal(counts.connects, 2);
	assert_int_equal(counts.failures, 1);
	sender_free(s);
	collector_free(&c);
}

static void
a_collector_that_comes_later_gets_everything(void **state)
{
	struct collector c = {.scheme = "tcp"};
	struct sender *s;
	struct sender_counts counts;
	char uri[64];

	(void)state;
	collector_bind(&c); /* finds a free port */
	transport_unlisten(&c.place);
	make_uri(&c, uri);
	s = start(uri, NULL, true);
	push(s, 0, 100);
	do {
		poll(NULL, 0, 5);
		sender_counts(s, &counts);
	} while (counts.failures < 2);
	assert_non_null(strstr(counts.last_error, "cannot connect to tcp://localhost"));
	collector_start(&c, NULL);
	push(s, 100, 3000);
	assert_int_equal(sender_finish(s, NULL), 0);
	collector_stop(&c);
	assert_int_equal(check_stream(c.bytes, 0, c.length, 0), 3000);
	expect_delivered(s, 3000);
	sender_free(s);
	collector_free(&c);
}

static void
a_slow_collector_holds_up_who_may_wait_and_loses_nothing(void **state)
{
	struct collector c = {.pause_ms = 300};
	struct sender *s;
	char uri[64];

	(void)state;
	collector_start(&c, NULL);
	make_uri(&c, uri);
	s = start(uri, NULL, true);
	push(s, 0, 10000); /* 15 MB through a queue of 1 MiB */
	assert_int_equal(sender_finish(s, NULL), 0);
	collector_stop(&c);
	assert_int_equal(check_stream(c.bytes, 0, c.length, 0), 10000);
	expect_delivered(s, 10000);
	sender_free(s);
	collector_free(&c);
}

static void
a_live_exporter_drops_and_counts_what_finds_no_room(void **state)
{
	struct collector c = {.scheme = "tcp"};
	struct sender *s;
	struct sender_counts counts;
	struct err e = {0};
	char uri[64];

	(void)state;
	collector_bind(&c);
	transport_unlisten(&c.place);
	make_uri(&c, uri);
	s = start(uri, NULL, false);
	push(s, 0, 2000);
	sender_counts(s, &counts);
	assert_true(counts.dropped_messages > 0);
	sender_hurry(s);
	assert_int_equal(sender_finish(s, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.text, "gave up delivering to tcp://localhost"));
	sender_counts(s, &counts);
	assert_int_equal(counts.messages, 0);
	assert_int_equal(counts.dropped_messages, 2000);
	sender_free(s);
}

static void
hurry_frees_an_exporter_that_waits_for_a_collector(void **state)
{
	struct sender_counts counts;
	struct sender *s;

	(void)state;
	s = start("tcp://127.0.0.1:1", NULL, true);
	push(s, 0, 600); /* fits */
	sender_hurry(s);
	push(s, 600, 3000);
	assert_int_equal(sender_finish(s, NULL), -ETIMEDOUT);
	sender_counts(s, &counts);
	assert_int_equal(counts.dropped_messages, 3000);
	sender_free(s);
}

static bool
yes(void)
{
	return true;
}

static void
a_stopped_exporter_waits_for_room_no_longer_than_it_would_try_at_the_end(void **state)
{
	const char *uri = "tcp://127.0.0.1:1";
	struct sender_settings settings = {
	    .uris = &uri,
	    .uri_count = 1,
	    .may_wait = true,
	    .is_stopping = yes,
	    .give_up_ns = NS_PER_SECOND,
	};
	struct sender_counts counts;
	struct sender *s = NULL;

	(void)state;
	assert_int_equal(sender_new(&settings, &preamble, &s, NULL), 0);
	assert_int_equal(sender_start(s, NULL), 0);
	push(s, 0, 3000);
	assert_int_equal(sender_finish(s, NULL), -ETIMEDOUT);
	sender_counts(s, &counts);
	assert_int_equal(counts.dropped_messages, 3000);
	sender_free(s);
}

static void
a_refusal_by_the_collector_is_told_and_costs_no_message(void **state)
{
	struct tls_settings client = settings_of("stranger.pem", "stranger.key");
	struct tls_settings server = settings_of("collector.pem", "collector.key");
	struct collector c = {0};
	struct sender_counts counts;
	struct sender *s;
	char uri[64];

	(void)state;
	collector_start(&c, &server);
	make_uri(&c, uri);
	s = start(uri, &client, true);
	push(s, 0, 100);
	do {
		poll(NULL, 0, 5);
		sender_counts(s, &counts);
	} while (counts.failures < 3);
	assert_non_null(strstr(counts.last_error,
	    "the peer refused us: it does not know the CA of our certificate"));
	assert_int_equal(counts.messages, 0);
	sender_hurry(s);
	assert_int_equal(sender_finish(s, NULL), -ETIMEDOUT);
	sender_counts(s, &counts);
	assert_int_equal(counts.dropped_messages, 100);
	sender_free(s);
	collector_stop(&c);
	collector_free(&c);
}

static void
a_collector_for_another_name_gets_nothing(void **state)
{
	struct tls_settings client = settings_of("exporter.pem", "exporter.key");
	struct tls_settings server = settings_of("misnamed.pem", "misnamed.key");
	struct collector c = {0};
	struct sender_counts counts;
	struct sender *s;
	char uri[64];

	(void)state;
	collector_start(&c, &server);
	make_uri(&c, uri);
	s = start(uri, &client, true);
	push(s, 0, 100);
	do {
		poll(NULL, 0, 5);
		sender_counts(s, &counts);
	} while (counts.failures < 1);
	assert_non_null(strstr(counts.last_error,
	    "the certificate is for foo.example, bar.example; expected localhost"));
	sender_free(s);
	collector_stop(&c);
	assert_int_equal(c.length, 0);
	collector_free(&c);
}

static void
a_quiet_exporter_notices_that_the_collector_left(void **state)
{
	struct collector c = {.break_after = preamble.length + length_of(0)};
	struct sender_counts counts;
	struct sender *s;
	char uri[64];

	(void)state;
	collector_start(&c, NULL);
	make_uri(&c, uri);
	s = start(uri, NULL, true);
	push(s, 0, 1);
	do {
		poll(NULL, 0, 5);
		sender_counts(s, &counts);
	} while (counts.connects < 2);
	push(s, 1, 10);
	assert_int_equal(sender_finish(s, NULL), 0);
	expect_delivered(s, 10);
	sender_free(s);
	collector_stop(&c);
	assert_int_equal(check_stream(c.bytes, 0, c.starts[1], 0), 1);
	assert_int_equal(check_stream(c.bytes, c.starts[1], c.length, 1), 10);
	collector_free(&c);
}

static void
who_closes_at_once_costs_no_message(void **state)
{
	struct collector c = {.break_after = 1};
	struct sender *s;
	char uri[64];

	(void)state;
	collector_start(&c, NULL);
	make_uri(&c, uri);
	s = start(uri, NULL, true);
	push(s, 0, 100);
	assert_int_equal(sender_finish(s, NULL), 0);
	expect_delivered(s, 100);
	sender_free(s);
	collector_stop(&c);
	assert_int_equal(c.connections, 2);
	assert_int_equal(check_stream(c.bytes, c.starts[1], c.length, 0), 100);
	collector_free(&c);
}

static void
a_file_holds_preamble_and_messages_numbered_from_its_start(void **state)
{
	char path[] = "/tmp/flowpair-sender-XXXXXX", uri[64];
	static uint8_t bytes[4 << 20];
	struct sender *s;
	size_t n;
	FILE *f;

	(void)state;
	close(mkstemp(path));
	snprintf(uri, sizeof uri, "file:%s", path);
	s = start(uri, NULL, true);
	push(s, 0, 2000);
	assert_int_equal(sender_finish(s, NULL), 0);
	expect_delivered(s, 2000);
	sender_free(s);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	unlink(path);
	assert_memory_equal(bytes, preamble.bytes, preamble.length);
	assert_int_equal(check_stream(bytes, 0, n, 0), 2000);
}

static void
a_full_disk_ends_a_file_with_a_sentence(void **state)
{
	struct sender_counts counts;
	struct err e = {0};
	struct sender *s;

	(void)state;
	s = start("file:/dev/full", NULL, true);
	push(s, 0, 5000); /* more than the queue holds: must not wait for ever */
	assert_int_equal(sender_finish(s, &e), -ENOSPC);
	assert_string_equal(e.text, "cannot write /dev/full: No space left on device");
	sender_counts(s, &counts);
	assert_true(counts.is_over);
	assert_int_equal(counts.messages + counts.dropped_messages, 5000);
	sender_free(s);
}

static void
expect_complaint(const char *uri, const char *part)
{
	struct sender_settings settings = {.uris = &uri, .uri_count = 1};
	struct sender *s = NULL;
	struct err e = {0};

	assert_true(sender_new(&settings, &preamble, &s, &e) < 0);
	assert_null(s);
	if (strstr(e.text, part) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", e.text, part);
	}
}

static void
bad_targets_are_refused_at_once(void **state)
{
	(void)state;
	expect_complaint("pigeon://x", "pigeon");
	expect_complaint("tcp://", "needs a host");
	expect_complaint("tcp://x:0", "port that is not 0");
	expect_complaint("file:/nowhere/at/all", "/nowhere/at/all: No such file");
}

static int
make_preamble(void **state)
{
	(void)state;
	store_u16(preamble_bytes, 10);
	store_u16(preamble_bytes + 2, sizeof preamble_bytes);
	preamble = (struct export_preamble){
	    .bytes = preamble_bytes, .length = sizeof preamble_bytes, .records = 3};
	log_set_level(LOG_ERROR);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(everything_arrives_over_tcp_in_order_and_ends_in_order),
	    cmocka_unit_test(everything_arrives_over_tls_in_order_and_ends_in_order),
	    cmocka_unit_test(
		a_connection_that_breaks_is_followed_by_another_with_whole_messages),
	    cmocka_unit_test(a_collector_that_comes_later_gets_everything),
	    cmocka_unit_test(a_slow_collector_holds_up_who_may_wait_and_loses_nothing),
	    cmocka_unit_test(a_live_exporter_drops_and_counts_what_finds_no_room),
	    cmocka_unit_test(hurry_frees_an_exporter_that_waits_for_a_collector),
	    cmocka_unit_test(
		a_stopped_exporter_waits_for_room_no_longer_than_it_would_try_at_the_end),
	    cmocka_unit_test(a_refusal_by_the_collector_is_told_and_costs_no_message),
	    cmocka_unit_test(a_collector_for_another_name_gets_nothing),
	    cmocka_unit_test(a_quiet_exporter_notices_that_the_collector_left),
	    cmocka_unit_test(who_closes_at_once_costs_no_message),
	    cmocka_unit_test(
		a_file_holds_preamble_and_messages_numbered_from_its_start),
	    cmocka_unit_test(a_full_disk_ends_a_file_with_a_sentence),
	    cmocka_unit_test(bad_targets_are_refused_at_once),
	};
	return cmocka_run_group_tests(tests, make_preamble, NULL);
}
