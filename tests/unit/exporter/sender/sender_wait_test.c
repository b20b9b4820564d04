/* Collectors that keep the exporter waiting: whatever they say or leave unsaid, it
 * gives up in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/base/log.h"
#include "common/ipfix/delivery.h"
#include "common/transport/scheme.h"
#include "exporter/sender/sender.h"
#include "tests/unit/common/tls/support_certificates.h"

#define STALLED 30 /* seconds: by then the test has failed */
#define TALKERS 4

static uint8_t preamble_bytes[40];
static struct export_preamble preamble = {
    .bytes = preamble_bytes, .length = sizeof preamble_bytes, .records = 3};

static struct sender *
begin(const char *uri)
{
	const char *const uris[] = {uri};
	struct sender_settings settings = {
	    .uris = uris,
	    .uri_count = 1,
	    .tls = {.ca = support_certificate("ca.pem"),
		.certificate = support_certificate("exporter.pem"),
		.key = support_certificate("exporter.key")},
	    .queue_bytes = 1 << 20,
	    .may_wait = true,
	    .retry_min_ns = 10 * NS_PER_MS,
	    .retry_max_ns = 50 * NS_PER_MS,
	    .give_up_ns = 200 * NS_PER_MS,
	};
	struct sender *s = NULL;
	struct err e = {0};

	if (sender_new(&settings, &preamble, &s, &e) < 0 || sender_start(s, &e) < 0) {
		fail_msg("%s", e.text);
	}
	return s;
}

static void
push(struct sender *s, unsigned n)
{
	uint8_t message[100] = {0, 10, 0, sizeof message};

	for (unsigned i = 0; i < n; i++) {
		sender_push(s, message, sizeof message, 1, 1);
	}
}

/* A collector over TLS that answers the hello with the first bytes of a record. */

struct mumbler {
	struct tls_context *tls;
	struct transport_listener place;
	_Atomic bool has_mumbled, stops;
};

static void
wait_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	poll(&p, 1, 20);
}

static void *
mumble(void *data)
{
	static const uint8_t beginning[] = {
	    0x17, 3, 3, 0, 40, 1, 2, 3}; /* of a TLS record */
	struct mumbler *m = data;
	struct transport t = {.fd = -1};
	uint8_t hello[DELIVERY_HELLO];
	ssize_t n = -EAGAIN;

	while (!atomic_load(&m->stops) &&
	       transport_accept(&m->place, &t, m->tls, NULL) < 0) {
		wait_readable(m->place.fd);
	}
	while (!atomic_load(&m->stops) && t.ops->proceed(&t, NULL) == -EAGAIN) {
		wait_readable(t.fd);
	}
	while (!atomic_load(&m->stops) && n == -EAGAIN) {
		n = t.ops->read(&t, hello, sizeof hello, NULL);
		wait_readable(n == -EAGAIN ? t.fd : -1);
	}
	if (n == (ssize_t)sizeof hello) {
		atomic_store(&m->has_mumbled,
		    send(t.fd, beginning, sizeof beginning, MSG_NOSIGNAL) > 0);
	}
	while (!atomic_load(&m->stops)) {
		wait_readable(-1);
	}
	if (t.fd >= 0) {
		t.ops->close(&t);
	}
	return NULL;
}

static void
half_an_answer_does_not_hold_it_up(void **state)
{
	struct tls_settings tls = {
	    .ca = support_certificate("ca.pem"),
	    .certificate = support_certificate("collector.pem"),
	    .key = support_certificate("collector.key"),
	    .alpn = DELIVERY_ALPN,
	};
	struct transport_uri any = {.scheme = &transport_tls};
	struct mumbler m = {0};
	struct sender *s;
	pthread_t thread;
	char uri[64];

	(void)state;
	assert_int_equal(tls_context_new(&tls, true, &m.tls, NULL), 0);
	assert_int_equal(transport_listen(&any, &m.place, NULL), 0);
	pthread_create(&thread, NULL, mumble, &m);
	(void)snprintf(uri, sizeof uri, "tls://localhost:%u", m.place.port);
	s = begin(uri);
	push(s, 10);
	while (!atomic_load(&m.has_mumbled)) {
		poll(NULL, 0, 1);
	}
	assert_int_equal(sender_finish(s, NULL), -ETIMEDOUT);
	sender_free(s);
	atomic_store(&m.stops, true);
	pthread_join(thread, NULL);
	transport_unlisten(&m.place);
	tls_context_free(m.tls);
}

/* A plain collector that never stops talking. */

static void *
talk(void *data)
{
	static const uint8_t babble[1 << 20];

	while (send(*(int *)data, babble, sizeof babble, MSG_NOSIGNAL) > 0) {
	}
	return NULL;
}

static void *
take_and_talk(void *data)
{
	int fd = accept(*(int *)data, NULL, NULL);
	pthread_t talkers[TALKERS];
	char taken[65536];

	for (int i = 0; i < TALKERS; i++) {
		pthread_create(&talkers[i], NULL, talk, &fd);
	}
	while (recv(fd, taken, sizeof taken, 0) > 0) {
	}
	for (int i = 0; i < TALKERS; i++) {
		pthread_join(talkers[i], NULL);
	}
	close(fd);
	return NULL;
}

static void
one_who_never_stops_talking_does_not_hold_it_up(void **state)
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t n = sizeof at;
	struct sender *s;
	pthread_t thread;
	char uri[64];

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&at, &n);
	pthread_create(&thread, NULL, take_and_talk, &fd);
	(void)snprintf(uri, sizeof uri, "tcp://127.0.0.1:%u", ntohs(at.sin_port));
	s = begin(uri);
	push(s, 10);
	assert_int_equal(sender_finish(s, NULL), -ETIMEDOUT);
	sender_free(s);
	pthread_join(thread, NULL);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(half_an_answer_does_not_hold_it_up),
	    cmocka_unit_test(one_who_never_stops_talking_does_not_hold_it_up),
	};

	store_u16(preamble_bytes, 10);
	store_u16(preamble_bytes + 2, sizeof preamble_bytes);
	log_set_level(LOG_ERROR);
	alarm(STALLED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
