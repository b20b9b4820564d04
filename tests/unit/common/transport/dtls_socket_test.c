/* Datagrams that anybody may have sent, from or to where a session is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/tls/tls.h"
#include "common/transport/dtls_socket.h"
#include "common/transport/transport_listener.h"
#include "tests/unit/common/transport/support_dtls_pair.h"

#define HEADER 13u

/* A record with so much behind its header, all zero, of an epoch and a number. */
static size_t
record(uint8_t *out, uint8_t type, uint8_t epoch, uint32_t number, uint16_t length)
{
	const uint8_t header[HEADER] = {type, 0xfe, 0xfd, 0, epoch, 0, 0,
	    (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
	    (uint8_t)number, (uint8_t)(length >> 8), (uint8_t)length};

	memcpy(out, header, HEADER);
	memset(out + HEADER, 0, length);
	return HEADER + length;
}

/* As if from the client. */
static void
send_to_server(struct pair *p, const uint8_t *bytes, size_t n)
{
	assert_int_equal(send(p->client.fd, bytes, n, 0), n);
}

/* As if from the server. */
static void
send_to_client(struct pair *p, const uint8_t *bytes, size_t n)
{
	struct sockaddr_storage at;
	socklen_t length = sizeof at;

	assert_int_equal(getsockname(p->client.fd, (struct sockaddr *)&at, &length), 0);
	assert_int_equal(
	    sendto(p->place.listener.fd, bytes, n, 0, (struct sockaddr *)&at, length),
	    n);
	wait_for(p->client.fd, 1000);
}

static void
expect_nothing(struct transport *t)
{
	uint8_t got[65536];
	struct err e = {0};
	ssize_t n = t->ops->read(t, got, sizeof got, &e);

	if (n != -EAGAIN) {
		fail_msg("%zd %s", n, e.text);
	}
}

/* After the datagram, at both ends, the session goes on. */
static void
expect_harmless(const uint8_t *bytes, size_t n)
{
	struct pair p;

	pair_open_at(&p, "dtls+udp://127.0.0.1:0", "127.0.0.1");
	send_to_server(&p, bytes, n);
	sort(&p.place);
	expect_nothing(&p.server);
	put(&p.client, "to the server", 13);
	sort(&p.place);
	expect(&p.server, "to the server");
	send_to_client(&p, bytes, n);
	expect_nothing(&p.client);
	put(&p.server, "to the client", 13);
	wait_for(p.client.fd, 1000);
	expect(&p.client, "to the client");
	pair_close(&p);
}

/* CVE-2026-75806: OpenSSL ends the session, as long as it is not mended. */
static void
an_encrypted_record_that_is_too_short_for_its_cipher_ends_no_session(void **state)
{
	uint8_t bytes[64];

	(void)state;
	for (uint16_t length = 0; length < 26; length++) {
		expect_harmless(bytes, record(bytes, 23, 1, 1000, length));
	}
	for (uint8_t type = 20; type < 26; type++) {
		expect_harmless(bytes, record(bytes, type, 1, 1000, 1));
	}
}

static void
nor_does_one_behind_another_record(void **state)
{
	uint8_t bytes[128];
	size_t n;

	(void)state;
	n = record(bytes, 23, 1, 1000, 40);
	n += record(bytes + n, 23, 1, 1001, 2);
	expect_harmless(bytes, n);
	n = record(bytes, 21, 0, 0, 2);
	n += record(bytes + n, 23, 1, 1001, 2);
	expect_harmless(bytes, n);
}

/* OpenSSL passes over some records by their header alone. */
static void
nor_does_one_inside_another_record(void **state)
{
	static uint8_t bytes[40000];
	size_t n = record(bytes, 22, 0, 0, 64);

	(void)state;
	record(bytes + HEADER, 23, 1, 1000, 2);
	expect_harmless(bytes, n);
	bytes[2] = 0xff; /* another version */
	expect_harmless(bytes, n);
	bytes[1] = 3;
	expect_harmless(bytes, n);
	n = record(bytes, 23, 1, 1000, 20000); /* longer than any */
	record(bytes + HEADER, 23, 1, 1000, 2);
	expect_harmless(bytes, n);
	record(bytes, 23, 1, 1000, 20000); /* longer than its datagram */
	record(bytes + HEADER, 23, 1, 1000, 2);
	expect_harmless(bytes, 64);
}

static void
every_kind_of_plain_record_is_passed_over_in_a_session(void **state)
{
	uint8_t bytes[128];
	size_t n;

	(void)state;
	for (uint8_t type = 20; type < 26; type++) {
		n = record(bytes, type, 0, 1000, 60);
		bytes[HEADER] = 1; /* of an alert: a warning */
		expect_harmless(bytes, n);
		expect_harmless(bytes, record(bytes, type, 2, 1000, 60));
		expect_harmless(bytes, record(bytes, type, 0xff, 1000, 60));
	}
}

/* As a collector that has restarted sends it, but that the record is not known that it
 * answers. */
static void
an_alert_that_proves_nothing_ends_no_session(void **state)
{
	uint8_t bytes[64];
	size_t n = record(bytes, 21, 0, 0, 2);

	(void)state;
	bytes[HEADER] = 2; /* fatal */
	bytes[HEADER + 1] = 10;
	expect_harmless(bytes, n);
	memset(bytes + 5, 0x5a, 6);
	expect_harmless(bytes, n);
}

/* Opens the session, and keeps its ClientHello with the cookie. */
static size_t
open_overheard(struct pair *p, uint8_t *hello, size_t capacity)
{
	struct transport none;
	struct err e = {0};
	ssize_t n = 0;
	int rc = -EAGAIN;

	memset(p, 0, sizeof *p);
	place_open(&p->place, "dtls+udp://127.0.0.1:0");
	p->context = context_of("exporter", false);
	dial(&p->client, "127.0.0.1", p->place.listener.port, p->context);
	for (int i = 0; i < 100 && rc != 0; i++) {
		(void)p->client.ops->proceed(&p->client, &e);
		wait_for(p->place.listener.fd, 1000);
		n = recv(
		    p->place.listener.fd, hello, capacity, MSG_PEEK | MSG_DONTWAIT);
		rc = transport_accept(
		    &p->place.listener, &p->server, p->place.context, &e);
	}
	assert_true(n > 0);
	for (int i = 0; i < 1000 && !(p->client.is_open && p->server.is_open); i++) {
		(void)p->server.ops->proceed(&p->server, &e);
		wait_for(p->client.fd, 10);
		(void)p->client.ops->proceed(&p->client, &e);
		(void)transport_accept(
		    &p->place.listener, &none, p->place.context, NULL);
	}
	assert_true(p->client.is_open && p->server.is_open);
	return (size_t)n;
}

static void
a_hello_that_somebody_repeats_ends_no_session(void **state)
{
	struct transport other;
	uint8_t hello[2000];
	struct err e = {0};
	struct pair p;
	size_t n = open_overheard(&p, hello, sizeof hello);

	(void)state;
	put(&p.client, "before", 6);
	send_to_server(&p, hello, n);
	wait_for(p.place.listener.fd, 1000);
	assert_int_equal(
	    transport_accept(&p.place.listener, &other, p.place.context, &e), 0);
	assert_int_equal(other.ops->proceed(&other, &e), -EAGAIN);
	expect(&p.server, "before");
	for (int i = 0; i < 100; i++) {
		put(&p.client, "meanwhile", 9);
		sort(&p.place);
		assert_int_equal(other.ops->proceed(&other, &e), -EAGAIN);
		expect(&p.server, "meanwhile");
	}
	other.ops->close(&other);
	put(&p.client, "after", 5);
	sort(&p.place);
	expect(&p.server, "after");
	pair_close(&p);
}

/* CVE-2026-54874: each kept 32 KiB. */
static void
records_that_come_before_their_epoch_keep_little_memory(void **state)
{
	struct transport none;
	struct err e = {0};
	uint8_t bytes[64];
	struct pair p = {0};
	size_t before;
	int rc = -EAGAIN;

	(void)state;
	place_open(&p.place, "dtls+udp://127.0.0.1:0");
	p.context = context_of("exporter", false);
	dial(&p.client, "127.0.0.1", p.place.listener.port, p.context);
	for (int i = 0; i < 100 && rc != 0; i++) {
		assert_int_equal(p.client.ops->proceed(&p.client, &e), -EAGAIN);
		wait_for(p.place.listener.fd, 1000);
		rc =
		    transport_accept(&p.place.listener, &p.server, p.place.context, &e);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(p.server.ops->proceed(&p.server, &e), -EAGAIN);
	before = mallinfo2().uordblks;
	for (uint32_t i = 0; i < 500; i++) {
		send_to_server(&p, bytes, record(bytes, 22, 1, 1000 + i, 40));
		sort(&p.place);
		assert_int_equal(p.server.ops->proceed(&p.server, &e), -EAGAIN);
	}
	assert_in_range(mallinfo2().uordblks - before, 0, 1 << 20);
	rc = -EAGAIN;
	for (int i = 0; i < 1000 && rc == -EAGAIN; i++) {
		wait_for(p.client.fd, 10);
		(void)p.client.ops->proceed(&p.client, &e);
		(void)transport_accept(&p.place.listener, &none, p.place.context, NULL);
		rc = p.server.ops->proceed(&p.server, &e);
	}
	assert_int_equal(rc, 0);
	pair_close(&p);
}

static void
garbage_is_no_session_and_disturbs_none(void **state)
{
	static const uint8_t plain[64] = {0, 10, 0, 64};
	uint8_t late[64] = {23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 51}, answer[64];
	struct transport_counts counts;
	struct pair p;
	int fd;

	(void)state;
	pair_open(&p);
	fd = connected_to(p.place.listener.port);
	assert_int_equal(send(fd, plain, sizeof plain, 0), sizeof plain);
	assert_int_equal(send(fd, "", 0, 0), 0);
	assert_int_equal(send(fd, late, 14, 0), 14);
	sort(&p.place);
	assert_int_equal(recv(fd, answer, sizeof answer, MSG_DONTWAIT), -1);
	assert_int_equal(send(fd, late, sizeof late, 0), sizeof late);
	sort(&p.place);
	assert_int_equal(recv(fd, answer, sizeof answer, MSG_DONTWAIT), 15);
	dtls_socket_counts(p.place.listener.state, &counts);
	assert_int_equal(counts.foreign, 4);
	assert_int_equal(counts.disowned, 1);
	assert_int_equal(send(p.client.fd, "", 0, 0), 0);
	assert_int_equal(send(p.client.fd, plain, sizeof plain, 0), sizeof plain);
	assert_int_equal(send(p.client.fd, late, sizeof late, 0), sizeof late);
	put(&p.client, "all the same", 12);
	sort(&p.place);
	expect(&p.server, "all the same");
	assert_int_equal(p.server.ops->read(&p.server, answer, 1, NULL), -EAGAIN);
	close(fd);
	pair_close(&p);
}

static void
a_session_that_is_not_read_loses_what_finds_no_room(void **state)
{
	static uint8_t sent[16000], got[65536];
	struct transport_counts counts;
	unsigned n = 0;
	struct pair p;

	(void)state;
	pair_open(&p);
	for (unsigned i = 0; i < 100; i++) {
		put(&p.client, sent, sizeof sent);
		sort(&p.place);
	}
	while (p.server.ops->read(&p.server, got, sizeof got, NULL) > 0) {
		n++;
	}
	dtls_socket_counts(p.place.listener.state, &counts);
	assert_in_range(n, 60, 66);
	assert_int_equal(counts.dropped, 100 - n);
	put(&p.client, "room again", 10);
	sort(&p.place);
	expect(&p.server, "room again");
	pair_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_session_that_is_not_read_loses_what_finds_no_room),
	    cmocka_unit_test(garbage_is_no_session_and_disturbs_none),
	    cmocka_unit_test(
		an_encrypted_record_that_is_too_short_for_its_cipher_ends_no_session),
	    cmocka_unit_test(nor_does_one_behind_another_record),
	    cmocka_unit_test(nor_does_one_inside_another_record),
	    cmocka_unit_test(every_kind_of_plain_record_is_passed_over_in_a_session),
	    cmocka_unit_test(an_alert_that_proves_nothing_ends_no_session),
	    cmocka_unit_test(a_hello_that_somebody_repeats_ends_no_session),
	    cmocka_unit_test(records_that_come_before_their_epoch_keep_little_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
