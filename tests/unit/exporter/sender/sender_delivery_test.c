/* Acknowledged delivery against a collector that speaks flowpair/1 over real TLS,
 * crashes when told to, and then has forgotten what it had not acknowledged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
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
#include "common/ipfix/delivery.h"
#include "common/transport/scheme.h"
#include "exporter/sender/sender.h"
#include "tests/unit/common/tls/support_certificates.h"

#define MESSAGES 20000u
#define CRASHES  8u

struct collector {
	struct tls_context *tls;
	struct transport_listener place;
	uint16_t port;
	pthread_t thread;
	_Atomic bool stops, is_silent; /* silent: it answers no hello yet */

	/* What it is told to do. */
	unsigned crash_after[CRASHES]; /* messages, in connection 0, 1, ...; 0: never */
	enum delivery_status answers[CRASHES]; /* 0: welcome */
	bool never_acknowledges;
	uint64_t boast; /* wants this number of every new spool */

	/* What it has for good. */
	uint8_t spool[16];
	uint64_t wanted;
	unsigned marks[MESSAGES]; /* how often each message came */
	unsigned spools;

	/* Of the present connection. */
	struct delivery_hello hello;
	uint64_t number, start;
	uint32_t preamble_left, sequence;
	uint8_t buffer[1 << 18];
	size_t used;
	_Atomic unsigned connections, hellos, received;
	uint64_t lost_messages;
	uint8_t preambles[CRASHES]; /* a byte that tells them apart, by connection */
};

static uint8_t preamble_bytes[40];
static struct export_preamble preamble = {
    .bytes = preamble_bytes, .length = sizeof preamble_bytes, .records = 3};

static struct tls_settings
settings_of(const char *certificate, const char *key)
{
	return (struct tls_settings){
	    .ca = support_certificate("ca.pem"),
	    .certificate = support_certificate(certificate),
	    .key = support_certificate(key),
	    .alpn = DELIVERY_ALPN,
	};
}

static void
say(struct transport *t, enum delivery_status status, uint64_t number)
{
	struct delivery_word w = {status, number};
	uint8_t bytes[DELIVERY_WORD];

	delivery_write_word(&w, bytes);
	assert_int_equal(t->ops->write(t, bytes, sizeof bytes, NULL), sizeof bytes);
}

/* Everything up to here is durable. */
static void
keep(struct collector *c, struct transport *t)
{
	if (c->number > c->wanted && !c->never_acknowledges) {
		c->wanted = c->number;
		say(t, DELIVERY_ACKNOWLEDGED, c->wanted);
	}
}

static bool
take_hello(struct collector *c, struct transport *t, unsigned connection)
{
	enum delivery_status answer = c->answers[connection % CRASHES];

	assert_int_equal(delivery_read_hello(c->buffer, &c->hello), 0);
	c->hellos++;
	c->lost_messages = c->hello.lost_messages;
	while (atomic_load(&c->is_silent)) {
		poll(NULL, 0, 1);
	}
	if (answer != 0) {
		say(t, answer, 0);
		return false;
	}
	if (memcmp(c->spool, c->hello.spool, 16) != 0) {
		memcpy(c->spool, c->hello.spool, 16);
		c->wanted = c->spools++ == 0 ? c->boast : 0;
	}
	c->start = c->number = delivery_start(&c->hello, c->wanted);
	c->preamble_left = c->hello.preamble;
	c->sequence = 0;
	say(t, DELIVERY_WELCOME, c->wanted);
	return true;
}

/* A message carries its mark at its end; records as the sequence numbers count them. */
static void
take_message(struct collector *c, const uint8_t *message, size_t length, unsigned i)
{
	uint32_t mark = load_u32(message + length - 4);

	assert_int_equal(load_u32(message + 8), c->sequence);
	if (c->preamble_left > 0) {
		c->preamble_left--;
		c->sequence += preamble.records;
		c->preambles[i % CRASHES] = message[20];
		return;
	}
	assert_true(mark < MESSAGES);
	c->sequence += mark % 7;
	c->marks[mark]++;
	c->number++;
	c->received++;
}

/* What was not made durable is forgotten: it will come again. */
static void
crash(struct collector *c, const uint32_t *marks, uint64_t from)
{
	for (uint64_t n = from; n < c->number; n++) {
		if (n >= c->wanted) {
			c->marks[marks[n - from]]--;
		}
	}
}

static void
serve(struct collector *c, struct transport *t, unsigned i)
{
	static _Thread_local uint32_t marks[MESSAGES];
	unsigned limit = c->crash_after[i % CRASHES];
	bool has_hello = false;
	size_t at;

	c->used = 0;
	while (!atomic_load(&c->stops)) {
		struct pollfd p = {.fd = t->fd, .events = POLLIN};
		ssize_t n = t->ops->read(
		    t, c->buffer + c->used, sizeof c->buffer - c->used, NULL);
		if (n == -EAGAIN) {
			if (has_hello) {
				keep(c, t);
			}
			poll(&p, 1, 20);
			continue;
		}
		if (n <= 0) {
			if (n == 0 && has_hello) {
				keep(c, t);
				t->ops->finish(t, NULL);
			} else if (has_hello) {
				crash(c, marks, c->start);
			}
			return;
		}
		c->used += (size_t)n;
		at = 0;
		if (!has_hello && c->used >= DELIVERY_HELLO) {
			if (!take_hello(c, t, i)) {
				return;
			}
			has_hello = true;
			at = DELIVERY_HELLO;
		}
		while (has_hello && c->used - at >= 4 &&
		       c->used - at >= load_u16(c->buffer + at + 2)) {
			size_t length = load_u16(c->buffer + at + 2);
			uint64_t before = c->number;
			take_message(c, c->buffer + at, length, i);
			at += length;
			if (c->number > before) {
				marks[before - c->start] = load_u32(c->buffer + at - 4);
			}
			if (limit != 0 && c->number - c->start >= limit) {
				crash(c, marks, c->start);
				return;
			}
			if (c->number % 64 == 0) {
				keep(c, t);
			}
		}
		memmove(c->buffer, c->buffer + at, c->used - at);
		c->used -= at;
	}
}

static void *
collect(void *data)
{
	struct collector *c = data;

	while (!atomic_load(&c->stops)) {
		struct pollfd p = {.fd = c->place.fd, .events = POLLIN};
		struct transport t;
		int rc;
		if (poll(&p, 1, 20) <= 0 ||
		    transport_accept(&c->place, &t, c->tls, NULL) < 0) {
			continue;
		}
		while ((rc = t.ops->proceed(&t, NULL)) == -EAGAIN) {
			p.fd = t.fd;
			poll(&p, 1, 20);
		}
		if (rc == 0) {
			assert_string_equal(t.protocol, DELIVERY_ALPN);
			serve(c, &t, c->connections++);
		}
		t.ops->close(&t);
	}
	return NULL;
}

static struct collector *
collector_start(struct collector *c)
{
	struct tls_settings tls = settings_of("collector.pem", "collector.key");
	struct transport_uri any = {.scheme = &transport_tls};

	assert_int_equal(tls_context_new(&tls, true, &c->tls, NULL), 0);
	assert_int_equal(transport_listen(&any, &c->place, NULL), 0);
	c->port = c->place.port;
	pthread_create(&c->thread, NULL, collect, c);
	return c;
}

static void
collector_stop(struct collector *c)
{
	atomic_store(&c->stops, true);
	pthread_join(c->thread, NULL);
	transport_unlisten(&c->place);
	tls_context_free(c->tls);
}

static struct collector *
collector_new(void)
{
	struct collector *c = calloc(1, sizeof *c);

	assert_non_null(c);
	return c;
}

/* The exporter. */

static struct sender_settings
exporter_of(const char *const *uris, unsigned n, const char *directory)
{
	return (struct sender_settings){
	    .uris = uris,
	    .uri_count = n,
	    .tls = settings_of("exporter.pem", "exporter.key"),
	    .queue_bytes = 1 << 20,
	    .spool_directory = directory,
	    .spool_bytes = 64 << 20,
	    .may_wait = true,
	    .retry_min_ns = 10 * NS_PER_MS,
	    .retry_max_ns = 50 * NS_PER_MS,
	    .give_up_ns = 30 * NS_PER_SECOND,
	};
}

static struct sender *
begin(const struct sender_settings *settings)
{
	struct sender *s = NULL;
	struct err e = {0};

	if (sender_new(settings, &preamble, &s, &e) < 0 || sender_start(s, &e) < 0) {
		fail_msg("%s", e.text);
	}
	return s;
}

static struct sender *
begin_to(const struct collector *c, const char *directory)
{
	char uri[64];
	const char *uris[] = {uri};
	struct sender_settings settings = exporter_of(uris, 1, directory);

	(void)snprintf(uri, sizeof uri, "tls://localhost:%u", c->port);
	return begin(&settings);
}

static void
push(struct sender *s, unsigned from, unsigned to)
{
	uint8_t message[4096] = {0, 10};

	for (unsigned i = from; i < to; i++) {
		size_t length = 40 + i * 7919 % 2000;
		store_u16(message + 2, (uint16_t)length);
		store_u32(message + length - 4, i);
		sender_push(s, message, length, i % 7, i % 7);
	}
}

static void
expect_once(const struct collector *c, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		if (c->marks[i] != 1) {
			fail_msg("message %u came %u times", i, c->marks[i]);
		}
	}
}

static void
finish(struct sender *s, struct sender_counts *counts)
{
	struct err e = {0};

	if (sender_finish(s, &e) < 0) {
		fail_msg("%s", e.text);
	}
	sender_counts(s, counts);
	sender_free(s);
}

static void
abandon(struct sender *s, struct sender_counts *counts)
{
	(void)sender_finish(s, NULL);
	sender_counts(s, counts);
	sender_free(s);
}

static void
make_directory(char out[static 32])
{
	strcpy(out, "/tmp/flowpair-sender-XXXXXX");
	assert_non_null(mkdtemp(out));
}

static void
remove_directory(const char *directory)
{
	char path[400];
	DIR *d = opendir(directory);

	for (struct dirent *x; d != NULL && (x = readdir(d)) != NULL;) {
		(void)snprintf(path, sizeof path, "%s/%s", directory, x->d_name);
		(void)unlink(path);
	}
	closedir(d);
	assert_int_equal(rmdir(directory), 0);
}

/* Tests. */

static void
what_a_crashing_collector_forgets_comes_again_and_counts_once(void **state)
{
	struct collector *c = collector_new();
	struct sender_counts counts;
	struct sender *s;

	(void)state;
	for (unsigned i = 0; i < CRASHES; i++) {
		c->crash_after[i] = i < 6 ? 100 + 777 * i : 0;
	}
	collector_start(c);
	s = begin_to(c, NULL);
	push(s, 0, MESSAGES);
	finish(s, &counts);
	collector_stop(c);
	expect_once(c, 0, MESSAGES);
	assert_int_equal(c->connections, 7);
	assert_int_equal(counts.messages, MESSAGES);
	assert_true(counts.sent_messages > MESSAGES);
	assert_int_equal(counts.dropped_messages, 0);
	assert_int_equal(counts.held_messages, 0);
	free(c);
}

static void
the_same_through_a_spool_that_is_larger_than_memory(void **state)
{
	struct collector *c = collector_new();
	struct sender_counts counts;
	char directory[32];
	struct sender *s;

	(void)state;
	make_directory(directory);
	c->crash_after[0] = 3000;
	c->crash_after[1] = 10;
	c->answers[2] = DELIVERY_BUSY;
	c->answers[3] = DELIVERY_FULL;
	collector_start(c);
	s = begin_to(c, directory);
	push(s, 0, MESSAGES); /* 20 MB */
	finish(s, &counts);
	collector_stop(c);
	expect_once(c, 0, MESSAGES);
	assert_int_equal(counts.messages, MESSAGES);
	assert_int_equal(counts.failures, 4);
	remove_directory(directory);
	free(c);
}

static void
the_next_run_delivers_what_one_without_a_collector_kept(void **state)
{
	const char *nobody[] = {"tls://127.0.0.1:1"};
	struct collector *c = collector_new();
	struct sender_settings settings;
	struct sender_counts counts;
	char directory[32];
	struct sender *s;

	(void)state;
	make_directory(directory);
	settings = exporter_of(nobody, 1, directory);
	settings.give_up_ns = 200 * NS_PER_MS;
	s = begin(&settings);
	push(s, 0, 5000);
	abandon(s, &counts);
	assert_true(counts.is_kept);
	assert_int_equal(counts.held_messages, 5000);
	assert_int_equal(counts.dropped_messages, 0);
	collector_start(c);
	s = begin_to(c, directory);
	push(s, 5000, 6000);
	finish(s, &counts);
	collector_stop(c);
	expect_once(c, 0, 6000);
	assert_int_equal(c->connections, 1);
	assert_int_equal(counts.messages, 6000);
	assert_int_equal(counts.spool.messages, 6000);
	remove_directory(directory);
	free(c);
}

static void
messages_of_another_preamble_have_a_connection_of_their_own(void **state)
{
	const char *nobody[] = {"tls://127.0.0.1:1"};
	struct collector *c = collector_new();
	struct sender_settings settings;
	struct sender_counts counts;
	char directory[32];
	struct sender *s;

	(void)state;
	make_directory(directory);
	settings = exporter_of(nobody, 1, directory);
	settings.give_up_ns = 200 * NS_PER_MS;
	preamble_bytes[20] = 1;
	s = begin(&settings);
	push(s, 0, 1000);
	abandon(s, &counts);
	preamble_bytes[20] = 2;
	collector_start(c);
	s = begin_to(c, directory);
	push(s, 1000, 2000);
	finish(s, &counts);
	collector_stop(c);
	expect_once(c, 0, 2000);
	assert_int_equal(c->connections, 2);
	assert_int_equal(c->preambles[0], 1);
	assert_int_equal(c->preambles[1], 2);
	assert_int_equal(counts.failures, 0);
	remove_directory(directory);
	free(c);
}

static void
a_spool_of_which_the_collector_knows_more_goes_on_under_another_id(void **state)
{
	struct collector *c = collector_new();
	const char *nobody[] = {"tls://127.0.0.1:1"};
	struct sender_settings settings;
	struct sender_counts counts;
	char directory[32];
	struct sender *s;

	(void)state;
	make_directory(directory);
	settings = exporter_of(nobody, 1, directory);
	settings.give_up_ns = 200 * NS_PER_MS;
	s = begin(&settings);
	push(s, 0, 1000);
	abandon(s, &counts);
	c->boast = 1500; /* the spool that this one is a copy of went on */
	collector_start(c);
	s = begin_to(c, directory);
	push(s, 1000, 3000);
	finish(s, &counts);
	collector_stop(c);
	expect_once(c, 1000, 3000);
	assert_int_equal(c->marks[0] + c->marks[999], 0);
	assert_int_equal(c->spools, 2);
	assert_int_equal(counts.messages, 3000);
	remove_directory(directory);
	free(c);
}

static void
who_only_delivers_ends_when_nothing_is_held(void **state)
{
	const char *nobody[] = {"tls://127.0.0.1:1"};
	struct sender_settings settings;
	struct sender_counts counts;
	char directory[32];

	(void)state;
	make_directory(directory);
	settings = exporter_of(nobody, 1, directory);
	settings.give_up_ns = 200 * NS_PER_MS;
	settings.only_delivers = true;
	finish(begin(&settings), &counts);
	assert_int_equal(counts.failures, 0);
	remove_directory(directory);
}

static void
failover_counts_what_may_be_in_both(void **state)
{
	struct collector *a = collector_new(), *b = collector_new();
	struct sender_settings settings;
	struct sender_counts counts;
	char first[64], second[64];
	const char *uris[] = {first, second};
	struct sender *s;

	(void)state;
	a->never_acknowledges = true;
	collector_start(a);
	collector_start(b);
	(void)snprintf(first, sizeof first, "tls://localhost:%u", a->port);
	(void)snprintf(second, sizeof second, "tls://localhost:%u", b->port);
	settings = exporter_of(uris, 2, NULL);
	settings.failover_after_ns = 300 * NS_PER_MS;
	s = begin(&settings);
	push(s, 0, 100);
	while (atomic_load(&a->received) < 100) {
		poll(NULL, 0, 2);
	}
	collector_stop(a);
	push(s, 100, 200);
	finish(s, &counts);
	collector_stop(b);
	expect_once(b, 0, 200);
	assert_int_equal(counts.messages, 200);
	assert_int_equal(counts.failovers, 1);
	assert_int_equal(counts.duplicate_messages, 100);
	assert_true(counts.duplicate_records > 0);
	free(a);
	free(b);
}

static void
a_restart_remembers_who_may_have_what_is_held(void **state)
{
	struct collector *a = collector_new(), *b = collector_new();
	struct sender_counts counts;
	char first[64], second[64], directory[32];
	const char *uris[] = {second, first};
	struct sender_settings settings;
	struct sender *s;

	(void)state;
	make_directory(directory);
	a->never_acknowledges = true;
	collector_start(a);
	collector_start(b);
	(void)snprintf(first, sizeof first, "tls://localhost:%u", a->port);
	(void)snprintf(second, sizeof second, "tls://localhost:%u", b->port);
	settings = exporter_of(uris + 1, 1, directory);
	settings.give_up_ns = 200 * NS_PER_MS;
	s = begin(&settings);
	push(s, 0, 100);
	while (atomic_load(&a->received) < 100) {
		poll(NULL, 0, 2);
	}
	collector_stop(a);
	abandon(s, &counts);
	settings = exporter_of(uris, 2, directory);
	finish(begin(&settings), &counts);
	collector_stop(b);
	expect_once(b, 0, 100);
	assert_int_equal(counts.duplicate_messages, 100);
	remove_directory(directory);
	free(a);
	free(b);
}

static void
without_failover_after_it_waits_for_the_first(void **state)
{
	struct collector *b = collector_start(collector_new());
	struct sender_settings settings;
	struct sender_counts counts;
	char second[64];
	const char *uris[] = {"tls://127.0.0.1:1", second};
	struct sender *s;

	(void)state;
	(void)snprintf(second, sizeof second, "tls://localhost:%u", b->port);
	settings = exporter_of(uris, 2, NULL);
	settings.give_up_ns = 200 * NS_PER_MS;
	s = begin(&settings);
	push(s, 0, 10);
	do {
		poll(NULL, 0, 5);
		sender_counts(s, &counts);
	} while (counts.failures < 5);
	abandon(s, &counts);
	collector_stop(b);
	assert_int_equal(b->connections, 0);
	assert_int_equal(counts.given_up_messages, 10);
	free(b);
}

/* So slowly that the queue does not drop any. */
static void
push_gently(struct sender *s, unsigned from, unsigned to)
{
	struct sender_counts counts;

	for (unsigned i = from; i < to; i += 50) {
		push(s, i, i + 50);
		do {
			poll(NULL, 0, 1);
			sender_counts(s, &counts);
		} while (
		    counts.spool.messages < i + 50 && counts.queued_bytes > 1 << 19);
	}
}

static void
a_full_spool_of_a_live_exporter_drops_what_was_never_sent_and_says_so(void **state)
{
	struct collector *c = collector_new();
	const char *nobody[] = {"tls://127.0.0.1:1"};
	struct sender_settings settings;
	struct sender_counts counts;
	unsigned came = 0, repeated = 0;
	char directory[32];
	struct sender *s;

	(void)state;
	make_directory(directory);
	settings = exporter_of(nobody, 1, directory);
	settings.give_up_ns = 200 * NS_PER_MS;
	settings.may_wait = false;
	settings.spool_bytes = SPOOL_LEAST;
	s = begin(&settings);
	push_gently(s, 0, 5000);
	abandon(s, &counts);
	assert_int_equal(counts.queue_full_messages, 0);
	assert_true(counts.spool_full_messages > 0);
	assert_int_equal(counts.spool_full_messages + counts.held_messages, 5000);
	collector_start(c);
	s = begin_to(c, directory);
	finish(s, &counts);
	collector_stop(c);
	for (unsigned i = 0; i < 5000; i++) {
		came += c->marks[i];
		repeated += c->marks[i] > 1;
	}
	assert_int_equal(repeated, 0);
	assert_int_equal(came + c->lost_messages, 5000);
	assert_int_equal(c->marks[4999], 1);
	assert_int_equal(c->marks[0], 0);
	remove_directory(directory);
	free(c);
}

static void
what_the_spool_drops_while_the_hello_is_unanswered_shifts_no_numbers(void **state)
{
	struct collector *c = collector_new();
	struct sender_settings settings;
	struct sender_counts counts;
	unsigned came = 0, repeated = 0;
	char directory[32], uri[64];
	const char *uris[] = {uri};
	struct sender *s;

	(void)state;
	make_directory(directory);
	atomic_store(&c->is_silent, true);
	collector_start(c);
	(void)snprintf(uri, sizeof uri, "tls://localhost:%u", c->port);
	settings = exporter_of(uris, 1, directory);
	settings.may_wait = false;
	settings.spool_bytes = SPOOL_LEAST;
	s = begin(&settings);
	while (atomic_load(&c->hellos) == 0) {
		poll(NULL, 0, 1);
	}
	push_gently(s, 0, 5000);
	sender_counts(s, &counts);
	assert_true(counts.spool_full_messages > 0);
	atomic_store(&c->is_silent, false);
	finish(s, &counts);
	collector_stop(c);
	for (unsigned i = 0; i < 5000; i++) {
		came += c->marks[i];
		repeated += c->marks[i] > 1;
	}
	assert_int_equal(repeated, 0);
	assert_int_equal(came + c->lost_messages, 5000);
	assert_int_equal(c->marks[4999], 1);
	remove_directory(directory);
	free(c);
}

static void
a_spool_is_for_one_exporter_and_one_user(void **state)
{
	const char *nobody[] = {"tls://127.0.0.1:1"};
	struct sender_settings settings;
	struct sender_counts counts;
	struct sender *s, *second = NULL;
	struct err e = {0};
	char directory[32];

	(void)state;
	make_directory(directory);
	settings = exporter_of(nobody, 1, directory);
	settings.give_up_ns = 200 * NS_PER_MS;
	s = begin(&settings);
	assert_int_equal(sender_new(&settings, &preamble, &second, &e), -EBUSY);
	assert_non_null(strstr(e.text, "in use by another exporter"));
	abandon(s, &counts);
	chmod(directory, 0777);
	assert_int_equal(sender_new(&settings, &preamble, &second, &e), -EPERM);
	assert_non_null(strstr(e.text, "chmod 700"));
	remove_directory(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		what_a_crashing_collector_forgets_comes_again_and_counts_once),
	    cmocka_unit_test(the_same_through_a_spool_that_is_larger_than_memory),
	    cmocka_unit_test(the_next_run_delivers_what_one_without_a_collector_kept),
	    cmocka_unit_test(
		messages_of_another_preamble_have_a_connection_of_their_own),
	    cmocka_unit_test(
		a_spool_of_which_the_collector_knows_more_goes_on_under_another_id),
	    cmocka_unit_test(who_only_delivers_ends_when_nothing_is_held),
	    cmocka_unit_test(failover_counts_what_may_be_in_both),
	    cmocka_unit_test(a_restart_remembers_who_may_have_what_is_held),
	    cmocka_unit_test(without_failover_after_it_waits_for_the_first),
	    cmocka_unit_test(
		a_full_spool_of_a_live_exporter_drops_what_was_never_sent_and_says_so),
	    cmocka_unit_test(
		what_the_spool_drops_while_the_hello_is_unanswered_shifts_no_numbers),
	    cmocka_unit_test(a_spool_is_for_one_exporter_and_one_user),
	};

	store_u16(preamble_bytes, 10);
	store_u16(preamble_bytes + 2, sizeof preamble_bytes);
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
