/* What peers are told, one call at a time: the loop runs only where a test says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/schemes/schemes.h"
#include "tests/unit/collector/door/support_door.h"
#include "tests/unit/common/tls/support_certificates.h"

struct exporter {
	struct tls_context *context;
	struct transport t;
};

static int
connection_error(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0 ? 0 : errno;
}

/* A peer that has ended its stream after one message; nothing is synced yet. */
static struct peer *
end_one(int *ret_fd)
{
	struct peer *p;

	*ret_fd = door_come(TCP);
	door_send(*ret_fd, 16);
	p = door_peer(0);
	shutdown(*ret_fd, SHUT_WR);
	p->watch.ready(&p->watch, EPOLLIN);
	assert_ptr_equal(p->list, &door_listener->ended);
	return p;
}

/* Connects with this spool, and waits for the welcome. */
static struct peer *
greet(struct exporter *x, uint8_t spool)
{
	const struct delivery_hello h = {.spool = {spool}, .first = 5, .next = 5};
	const struct tls_settings settings = {.ca = support_certificate("ca.pem"),
	    .certificate = support_certificate("exporter.pem"),
	    .key = support_certificate("exporter.key"),
	    .alpn = DELIVERY_ALPN};
	uint8_t hello[DELIVERY_HELLO];
	struct transport_uri uri;
	struct err e = {0};
	char text[64];

	snprintf(
	    text, sizeof text, "tls://localhost:%u", listener_port(door_listener, TLS));
	assert_int_equal(schemes_parse_uri(text, &uri, &e), 0);
	assert_int_equal(tls_context_new(&settings, false, &x->context, &e), 0);
	assert_int_equal(transport_dial(&x->t, &uri, x->context, &e), 0);
	while (x->t.ops->proceed(&x->t, &e) < 0) {
		assert_string_equal(e.text, "");
		door_turn();
	}
	delivery_write_hello(&h, hello);
	assert_int_equal(x->t.ops->write(&x->t, hello, sizeof hello, &e), sizeof hello);
	door_until(door_listener->peers.last != NULL &&
		   door_listener->peers.last->mark != NULL &&
		   door_listener->peers.last->mark->spool[0] == spool);
	return door_listener->peers.last;
}

static void
leave(struct exporter *x)
{
	x->t.ops->close(&x->t);
	tls_context_free(x->context);
}

/* The next word that this exporter has been sent. */
static struct delivery_word
read_word(struct exporter *x)
{
	uint8_t bytes[DELIVERY_WORD];
	struct delivery_word w = {0};
	struct err e = {0};
	ssize_t n = -EAGAIN;

	for (unsigned i = 0; i < 1000 && n == -EAGAIN; i++) {
		n = x->t.ops->read(&x->t, bytes, sizeof bytes, &e);
		if (n == -EAGAIN) {
			door_turn();
		}
	}
	assert_int_equal(n, sizeof bytes);
	assert_int_equal(delivery_read_word(bytes, &w), 0);
	return w;
}

/* Says the last word again and again, until the socket takes no more. */
static void
make_mute(struct peer *p)
{
	int least = 1;

	setsockopt(p->transport.fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
	while (!peer_has_word(p)) {
		acknowledge_probe(door_listener, p->mark);
	}
}

static void
an_end_is_answered_when_all_is_durable(void **state)
{
	struct listener_settings s = door_settings();
	int fd;

	(void)state;
	door_open(&s);
	(void)end_one(&fd);
	assert_int_equal(connection_error(fd), EAGAIN);
	acknowledge_ended(door_listener, 0, false);
	assert_int_equal(door_listener->counts.peers, 0);
	assert_int_equal(connection_error(fd), 0);
}

static void
an_end_is_cut_off_when_the_disk_failed(void **state)
{
	struct listener_settings s = door_settings();
	int fd;

	(void)state;
	door_open(&s);
	(void)end_one(&fd);
	acknowledge_ended(door_listener, -EIO, false);
	assert_int_equal(door_listener->counts.peers, 0);
	assert_int_equal(connection_error(fd), ECONNRESET);
}

static void
exporters_with_a_spool_are_told_how_much_is_durable(void **state)
{
	struct listener_settings s = door_settings();
	struct exporter x = {0};
	struct delivery_word w;
	struct peer *p;

	(void)state;
	door_open(&s);
	p = greet(&x, 1);
	w = read_word(&x);
	assert_int_equal(w.status, DELIVERY_WELCOME);
	assert_int_equal(w.number, 5);
	p->mark->durable = 9;
	acknowledge_spools(door_listener, 0);
	w = read_word(&x);
	assert_int_equal(w.status, DELIVERY_ACKNOWLEDGED);
	assert_int_equal(w.number, 9);
	leave(&x);
}

static void
after_a_failed_sync_those_with_a_spool_come_again(void **state)
{
	struct listener_settings s = door_settings();
	struct exporter x = {0};
	int fd;

	(void)state;
	door_open(&s);
	fd = door_come(TCP);
	door_send(fd, 16);
	(void)greet(&x, 1);
	acknowledge_spools(door_listener, -EIO);
	assert_int_equal(door_listener->counts.peers, 1);
	assert_int_equal(connection_error(fd), EAGAIN); /* it has none */
	leave(&x);
}

static void
only_the_holder_of_a_spool_is_probed(void **state)
{
	struct listener_settings s = door_settings();
	struct exporter x = {0}, other = {0};
	struct peer *p;
	uint8_t byte;

	(void)state;
	door_open(&s);
	p = greet(&x, 1);
	(void)greet(&other, 2);
	assert_int_equal(read_word(&x).status, DELIVERY_WELCOME);
	assert_int_equal(read_word(&other).status, DELIVERY_WELCOME);
	acknowledge_probe(door_listener, p->mark);
	assert_int_equal(read_word(&x).status, DELIVERY_ACKNOWLEDGED);
	assert_int_equal(other.t.ops->read(&other.t, &byte, 1, NULL), -EAGAIN);
	leave(&x);
	leave(&other);
}

static void
who_does_not_read_its_words_is_sent_away(void **state)
{
	struct listener_settings s = door_settings();
	uint64_t now = 1000 * NS_PER_SECOND;
	struct exporter x = {0};
	struct peer *p;

	(void)state;
	door_open(&s);
	p = greet(&x, 1);
	acknowledge_time_out(door_listener, now);
	assert_int_equal(p->mute_ns, 0);
	make_mute(p);
	acknowledge_time_out(door_listener, now);
	acknowledge_time_out(door_listener, now + NS_PER_SECOND);
	assert_int_equal(p->mute_ns, now);
	admission_time_out(door_listener, now + ACKNOWLEDGE_MUTE_NS - 1);
	assert_int_equal(door_listener->counts.ended[PEERS_MUTE], 0);
	admission_time_out(door_listener, now + ACKNOWLEDGE_MUTE_NS);
	assert_int_equal(door_listener->counts.ended[PEERS_MUTE], 1);
	leave(&x);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, door_set_up, door_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(an_end_is_answered_when_all_is_durable),
	    TEST(an_end_is_cut_off_when_the_disk_failed),
	    TEST(exporters_with_a_spool_are_told_how_much_is_durable),
	    TEST(after_a_failed_sync_those_with_a_spool_come_again),
	    TEST(only_the_holder_of_a_spool_is_probed),
	    TEST(who_does_not_read_its_words_is_sent_away),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
