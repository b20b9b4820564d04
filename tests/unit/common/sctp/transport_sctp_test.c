/* The same tests for both: the kernel's SCTP and the one of user space.  Where the
 * kernel has none they are skipped, and tests/integration/transport/test_sctp.py runs them on one
 * that has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/schemes/schemes.h"
#include "common/sctp/sctp.h"
#include "common/sctp/sctp_association.h"

#define PATIENCE_MS 20000
#define ROOM        65535

/* What comes behind the URIs' own options. */
static char more[64];

static bool
is_user(void)
{
	return more[0] != '\0';
}

static bool
has_sctp(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);

	if (fd >= 0) {
		close(fd);
	}
	return fd >= 0;
}

/* The library has one UDP port for all of this process. */
static bool
has_user_sctp(void)
{
	struct transport_uri uri;
	struct sctp_settings s;

	return schemes_parse_uri("sctp://h?encapsulation=udp", &uri, NULL) == 0 &&
	       sctp_settings_read(&uri, &s, NULL) == 0;
}

static void
choose_udp_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t n = sizeof at;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	close(fd);
	snprintf(more, sizeof more, "encapsulation=udp&udp-port=%u&local-udp-port=%u",
	    ntohs(at.sin_port), ntohs(at.sin_port));
}

#define NEEDS_SCTP()                                                                   \
	(void)state;                                                                   \
	if (!(is_user() ? has_user_sctp() : has_sctp())) {                             \
		skip();                                                                \
	}

struct pair {
	struct transport_listener place;
	struct transport ours, theirs;
	bool is_carrier;
};

static struct transport_uri
uri_of(const char *given)
{
	struct transport_uri uri;
	struct err e = {0};
	char text[320];

	snprintf(text, sizeof text, "%s%s%s", given,
	    !is_user() ? "" : (strchr(given, '?') != NULL ? "&" : "?"), more);
	if (schemes_parse_uri(text, &uri, &e) < 0) {
		fail_msg("%s", e.text);
	}
	return uri;
}

static void
wait_for(struct transport *t)
{
	uint32_t want = t->ops->want(t);
	struct pollfd p = {.fd = t->fd,
	    .events = (short)(((want & EPOLLIN) != 0 ? POLLIN : 0) |
			      ((want & EPOLLOUT) != 0 ? POLLOUT : 0))};

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
}

/* The scheme of what DTLS is carried by. */
static void
carry(struct transport_uri *uri, bool is_carrier)
{
	static struct transport_scheme carrier;

	carrier = transport_sctp;
	carrier.is_secure = true;
	if (is_carrier) {
		uri->scheme = &carrier;
	}
}

static int
dial(struct transport *t, const char *text, bool is_carrier, struct err *e)
{
	struct transport_uri uri = uri_of(text);
	int rc;

	carry(&uri, is_carrier);
	rc = transport_dial(t, &uri, NULL, e);
	while (rc == 0 && (rc = t->ops->proceed(t, e)) == -EAGAIN) {
		wait_for(t);
		rc = 0;
		if (t->is_open) {
			break;
		}
	}
	return rc;
}

static void
listen_at(struct pair *p, const char *text)
{
	struct transport_uri uri = uri_of(text);
	struct err e = {0};
	int rc;

	carry(&uri, p->is_carrier);
	rc = transport_listen(&uri, &p->place, &e);
	if (rc < 0) {
		fail_msg("%s", e.text);
	}
}

static void
accept_one(struct pair *p)
{
	struct pollfd f = {.fd = p->place.fd, .events = POLLIN};

	int rc;

	do {
		assert_int_equal(poll(&f, 1, PATIENCE_MS), 1);
		rc = transport_accept(&p->place, &p->theirs, NULL, NULL);
	} while (rc == -EAGAIN);
	assert_int_equal(rc, 0);
	assert_true(p->theirs.is_open);
}

/* Two ends: listening at sctp://HOST:0LISTENING, dialling sctp://HOST:PORTDIALLING. */
static struct pair
meet(const char *host, const char *listening, const char *dialling, bool is_carrier)
{
	struct pair p = {.is_carrier = is_carrier};
	struct err e = {0};
	char text[256];

	snprintf(text, sizeof text, "sctp://%s:0%s", host, listening);
	listen_at(&p, text);
	snprintf(text, sizeof text, "sctp://%s:%u%s", host, p.place.port, dialling);
	if (dial(&p.ours, text, is_carrier, &e) < 0) {
		fail_msg("%s", e.text);
	}
	accept_one(&p);
	return p;
}

static void
part(struct pair *p)
{
	p->ours.ops->close(&p->ours);
	p->theirs.ops->close(&p->theirs);
	transport_unlisten(&p->place);
}

static ssize_t
put(struct transport *t, uint16_t stream, const void *bytes, size_t n)
{
	struct err e = {0};
	uint8_t nothing[ROOM];
	ssize_t rc;

	t->stream = stream;
	while ((rc = t->ops->write(t, bytes, n, &e)) == -EAGAIN) {
		wait_for(t);
		assert_int_equal(t->ops->read(t, nothing, sizeof nothing, &e), -EAGAIN);
	}
	return rc;
}

static ssize_t
get(struct transport *t, void *bytes)
{
	struct err e = {0};
	ssize_t rc;

	while ((rc = t->ops->read(t, bytes, ROOM, &e)) == -EAGAIN) {
		wait_for(t);
	}
	return rc;
}

static void
messages_keep_their_bounds_and_their_streams(void **state)
{
	const char *hosts[] = {"127.0.0.1", "[::1]"};
	uint8_t got[ROOM];

	NEEDS_SCTP();
	for (unsigned i = 0; i < 2; i++) {
		struct pair p = meet(hosts[i], "", "?streams=4", false);
		assert_int_equal(p.ours.streams, 4);
		assert_memory_equal(p.theirs.peer.text, hosts[i], strlen(hosts[i]));
		assert_int_equal(put(&p.ours, 0, "templates", 9), 9);
		assert_int_equal(put(&p.ours, 3, "data", 4), 4);
		assert_int_equal(get(&p.theirs, got), 9);
		assert_memory_equal(got, "templates", 9);
		assert_int_equal(p.theirs.stream, 0);
		assert_int_equal(get(&p.theirs, got), 4);
		assert_int_equal(p.theirs.stream, 3);
		part(&p);
	}
}

static void
a_message_of_65535_bytes_arrives_whole_also_when_it_comes_in_pieces(void **state)
{
	struct pair p;
	uint8_t *sent, got[ROOM];

	NEEDS_SCTP();
	p = meet("127.0.0.1", "", "", false);
	sent = malloc(ROOM);
	for (unsigned i = 0; i < 20; i++) {
		ssize_t n;
		int rc;
		memset(sent, (int)i, ROOM);
		assert_int_equal(put(&p.ours, 0, sent, ROOM), ROOM);
		do { /* both ends run in this thread */
			n = p.theirs.ops->read(&p.theirs, got, sizeof got, NULL);
			rc = n == -EAGAIN ? -EAGAIN : 0;
			if (rc == -EAGAIN) {
				wait_for(&p.theirs);
			}
		} while (rc == -EAGAIN);
		assert_int_equal(n, ROOM);
		assert_memory_equal(got, sent, ROOM);
	}
	free(sent);
	part(&p);
}

static void
a_message_that_is_too_long_for_ipfix_breaks_the_connection(void **state)
{
	uint8_t *sent, got[ROOM];
	struct pair p;

	NEEDS_SCTP();
	if (is_user()) {
		skip(); /* nothing in it writes such a message */
	}
	p = meet("127.0.0.1", "", "", false);
	sent = calloc(1, 70000);
	assert_int_equal(p.ours.ops->write(&p.ours, sent, 70000, NULL), -EMSGSIZE);
	assert_int_equal(send(p.ours.fd, sent, 70000, 0), 70000);
	assert_int_equal(get(&p.theirs, got), -EMSGSIZE);
	free(sent);
	part(&p);
}

static void
a_full_peer_stops_the_writer_and_later_everything_arrives_in_order(void **state)
{
	struct pair p;
	uint8_t message[4096] = {0}, got[ROOM];
	unsigned written = 0, read = 0;

	NEEDS_SCTP();
	p = meet("127.0.0.1", "", "", false);
	for (; written < 1000; written++) {
		message[0] = (uint8_t)written;
		p.ours.stream = 0;
		if (p.ours.ops->write(&p.ours, message, sizeof message, NULL) < 0) {
			break;
		}
	}
	assert_in_range(written, 10, 999);
	assert_int_equal(
	    p.ours.ops->want(&p.ours), EPOLLIN | (is_user() ? 0 : EPOLLOUT));
	assert_int_equal(association_drained(&p.ours, NULL), -EAGAIN);
	for (; read < written; read++) {
		assert_int_equal(get(&p.theirs, got), sizeof message);
		assert_int_equal(got[0], (uint8_t)read);
	}
	assert_int_equal(put(&p.ours, 0, message, sizeof message), sizeof message);
	part(&p);
}

static void
drained_means_that_the_peer_acknowledged_everything(void **state)
{
	struct pair p;
	uint8_t nothing[ROOM];
	struct err e = {0};
	int rc;

	NEEDS_SCTP();
	p = meet("127.0.0.1", "", "", false);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(put(&p.ours, 0, "message", 7), 7);
		while ((rc = association_drained(&p.ours, &e)) == -EAGAIN) {
			wait_for(&p.ours);
			assert_int_equal(
			    p.ours.ops->read(&p.ours, nothing, sizeof nothing, &e),
			    -EAGAIN);
		}
		assert_int_equal(rc, 0);
	}
	part(&p);
}

static void
who_finishes_is_read_to_the_end_in_order(void **state)
{
	struct pair p;
	uint8_t got[ROOM];

	NEEDS_SCTP();
	p = meet("127.0.0.1", "", "?streams=2", false);
	put(&p.ours, 0, "last", 4);
	put(&p.ours, 1, "words", 5);
	assert_int_equal(p.ours.ops->finish(&p.ours, NULL), 0);
	assert_int_equal(get(&p.theirs, got), 4);
	assert_int_equal(get(&p.theirs, got), 5);
	assert_int_equal(get(&p.theirs, got), 0);
	assert_int_equal(get(&p.ours, got), 0);
	part(&p);
}

static void
a_peer_that_goes_without_reading_is_a_broken_connection(void **state)
{
	struct pair p;
	uint8_t got[ROOM];

	NEEDS_SCTP();
	p = meet("127.0.0.1", "", "", false);
	assert_int_equal(put(&p.theirs, 0, "unread", 6), 6);
	wait_for(&p.ours);
	p.ours.ops->close(&p.ours);
	assert_int_equal(get(&p.theirs, got), -ECONNRESET);
	p.theirs.ops->close(&p.theirs);
	transport_unlisten(&p.place);
}

static void
a_port_that_nobody_listens_at_refuses(void **state)
{
	struct pair p = {0};
	struct transport t;
	struct err e = {0};
	char text[64];

	NEEDS_SCTP();
	listen_at(&p, "sctp://127.0.0.1:0");
	snprintf(text, sizeof text, "sctp://127.0.0.1:%u", p.place.port);
	transport_unlisten(&p.place);
	assert_int_equal(dial(&t, text, false, &e), -ECONNREFUSED);
	assert_non_null(strstr(e.text, "Connection refused"));
	t.ops->close(&t);
}

static void
several_addresses_of_either_end_make_one_connection(void **state)
{
	struct pair p;
	uint8_t got[ROOM];

	NEEDS_SCTP();
	if (is_user()) {
		skip(); /* it has one path, as the next test says */
	}
	p = meet("127.0.0.1", "?addresses=127.0.0.2,::1",
	    "?addresses=127.0.0.2&local=127.0.0.3,127.0.0.4", false);
	assert_memory_equal(p.theirs.peer.text, "127.0.0.3:", 10);
	assert_int_equal(put(&p.ours, 0, "hello", 5), 5);
	assert_int_equal(get(&p.theirs, got), 5);
	part(&p);
}

static void
in_udp_there_is_one_path_and_more_addresses_are_refused_in_words(void **state)
{
	static const char *const tails[] = {
	    "?addresses=127.0.0.2", "?local=127.0.0.2,127.0.0.3"};
	struct transport_uri uri;
	struct err e = {0};
	char text[256];

	NEEDS_SCTP();
	if (!is_user()) {
		skip();
	}
	for (unsigned i = 0; i < 2; i++) {
		snprintf(text, sizeof text, "sctp://127.0.0.1:9%s&%s", tails[i], more);
		assert_int_equal(schemes_parse_uri(text, &uri, &e), 0);
		assert_int_equal(transport_check_target(&uri, &e), -EINVAL);
		assert_non_null(strstr(e.text, "SCTP in UDP has one path"));
	}
}

static void
the_address_to_dial_from_is_the_one_that_the_peer_sees(void **state)
{
	struct pair p;
	uint8_t got[ROOM];

	NEEDS_SCTP();
	p = meet("127.0.0.1", "", "?local=127.0.0.5", false);
	assert_memory_equal(p.theirs.peer.text, "127.0.0.5:", 10);
	assert_int_equal(put(&p.theirs, 0, "hello", 5), 5);
	assert_int_equal(get(&p.ours, got), 5);
	part(&p);
}

/* Before the association is there: what is sent into it would be lost. */
static void
an_address_that_is_not_listened_at_refuses(void **state)
{
	static const char *const elsewhere[] = {"127.0.0.2", "[::1]"};
	struct pair p = {0};
	struct transport t;

	NEEDS_SCTP();
	listen_at(&p, "sctp://127.0.0.1:0");
	for (unsigned i = 0; i < 2; i++) {
		struct err e = {0};
		char text[64];
		snprintf(text, sizeof text, "sctp://%s:%u", elsewhere[i], p.place.port);
		assert_int_equal(dial(&t, text, false, &e), -ECONNREFUSED);
		assert_non_null(strstr(e.text, "Connection refused"));
		assert_int_equal(
		    transport_accept(&p.place, &p.theirs, NULL, &e), -EAGAIN);
		t.ops->close(&t);
	}
	transport_unlisten(&p.place);
}

static void
data_may_be_given_up_but_templates_may_not(void **state)
{
	struct pair p;
	uint8_t got[ROOM];

	NEEDS_SCTP();
	p = meet("127.0.0.1", "", "?streams=3&reliability=timed:500", false);
	assert_int_equal(put(&p.ours, 0, "templates", 9), 9);
	assert_int_equal(put(&p.ours, 2, "data", 4), 4);
	assert_int_equal(get(&p.theirs, got), 9);
	assert_int_equal(get(&p.theirs, got), 4);
	part(&p);
}

static void
a_carriers_messages_change_to_a_key_that_both_have(void **state)
{
	const uint8_t key[64] = {1, 2, 3};
	struct pair p;
	uint8_t got[ROOM];
	struct err e = {0};

	NEEDS_SCTP();
	p = meet("127.0.0.1", "", "", true);
	assert_int_equal(put(&p.ours, 0, "under key 0", 11), 11);
	assert_int_equal(get(&p.theirs, got), 11);
	assert_int_equal(association_add_key(&p.theirs, 1, key, sizeof key, &e), 0);
	assert_int_equal(association_add_key(&p.ours, 1, key, sizeof key, &e), 0);
	assert_int_equal(association_activate_key(&p.ours, 1, &e), 0);
	assert_int_equal(put(&p.ours, 0, "under key 1", 11), 11);
	assert_int_equal(get(&p.theirs, got), 11);
	assert_memory_equal(got, "under key 1", 11);
	assert_int_equal(association_drop_key(&p.ours, 0, &e), 0);
	assert_int_equal(put(&p.ours, 0, "still", 5), 5);
	assert_int_equal(get(&p.theirs, got), 5);
	part(&p);
}

static void
a_carrier_hears_only_what_is_meant_for_it(void **state)
{
	struct pair p = {.is_carrier = true};
	struct err e = {0};
	uint8_t got[ROOM];
	char text[64];

	NEEDS_SCTP();
	listen_at(&p, "sctp://127.0.0.1:0");
	snprintf(text, sizeof text, "sctp://127.0.0.1:%u", p.place.port);
	assert_int_equal(dial(&p.ours, text, false, &e), 0); /* plain: protocol 0 */
	accept_one(&p);
	assert_int_equal(put(&p.ours, 0, "plain", 5), 5);
	p.ours.ops->finish(&p.ours, &e);
	assert_int_equal(get(&p.theirs, got), 0);
	part(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(messages_keep_their_bounds_and_their_streams),
	    cmocka_unit_test(
		a_message_of_65535_bytes_arrives_whole_also_when_it_comes_in_pieces),
	    cmocka_unit_test(
		a_message_that_is_too_long_for_ipfix_breaks_the_connection),
	    cmocka_unit_test(
		a_full_peer_stops_the_writer_and_later_everything_arrives_in_order),
	    cmocka_unit_test(drained_means_that_the_peer_acknowledged_everything),
	    cmocka_unit_test(who_finishes_is_read_to_the_end_in_order),
	    cmocka_unit_test(a_peer_that_goes_without_reading_is_a_broken_connection),
	    cmocka_unit_test(a_port_that_nobody_listens_at_refuses),
	    cmocka_unit_test(several_addresses_of_either_end_make_one_connection),
	    cmocka_unit_test(
		in_udp_there_is_one_path_and_more_addresses_are_refused_in_words),
	    cmocka_unit_test(the_address_to_dial_from_is_the_one_that_the_peer_sees),
	    cmocka_unit_test(an_address_that_is_not_listened_at_refuses),
	    cmocka_unit_test(data_may_be_given_up_but_templates_may_not),
	    cmocka_unit_test(a_carriers_messages_change_to_a_key_that_both_have),
	    cmocka_unit_test(a_carrier_hears_only_what_is_meant_for_it),
	};

	int failed = cmocka_run_group_tests_name("kernel", tests, NULL, NULL);

	choose_udp_port();
	return failed + cmocka_run_group_tests_name("user space", tests, NULL, NULL);
}
