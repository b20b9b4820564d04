#include "tests/unit/collector/door/support_door.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "tests/unit/collector/protocol/support_set.h"
#include "tests/unit/common/tls/support_certificates.h"

const char *directory;
struct loop *loop;
struct journal *journal;
struct ring *ring;
struct listener *listener;
static struct loop_timer pause_timer;
static int sockets[8];
static unsigned socket_count;

/* The processing thread's part: frames go nowhere. */
void
door_pass_on(void)
{
	struct journal_buffer *b;

	while ((b = ring_pop(ring, 0)) != NULL) {
		journal_buffer_return(journal, b);
	}
}

static void
paused(struct loop_timer *t, uint64_t now_ns)
{
	(void)t;
	(void)now_ns;
	loop_stop(loop);
}

void
door_turn(void)
{
	pause_timer = (struct loop_timer){.expired = paused};
	loop_timer_set(loop, &pause_timer, clock_monotonic_ns() + 2 * NS_PER_MS);
	assert_int_equal(loop_run(loop), 0);
	door_pass_on();
}

struct listener_settings
door_settings(void)
{
	static const char *const uris[] = {
	    [TCP] = "tcp://*:0",
	    [TLS] = "tls://*:0",
	    [DTLS] = "dtls+udp://127.0.0.1:0",
	};

	return (struct listener_settings){
	    .uris = uris,
	    .uri_count = 3,
	    .max_peers = 100,
	    .max_spools = 10,
	    .handshake_timeout_ns = 10 * NS_PER_SECOND,
	    .message_timeout_ns = 30 * NS_PER_SECOND,
	    .sync_interval_ns = 5 * NS_PER_MS,
	    .udp = {.idle_ns = NS_PER_HOUR},
	    .tls = {.ca = support_certificate("ca.pem"),
		.certificate = support_certificate("collector.pem"),
		.key = support_certificate("collector.key")},
	};
}

void
door_open(struct listener_settings *s)
{
	struct journal_settings j = {
	    .directory = directory,
	    .segment_bytes = 4 << 20,
	    .max_bytes = 64 << 20,
	    .sync_interval_ns = 5 * NS_PER_MS,
	};
	struct err e = {0};

	if (journal_open(&j, &journal, &e) < 0) {
		fail_msg("%s", e.text);
	}
	loop = loop_new();
	ring = ring_new(16);
	assert_true(loop != NULL && ring != NULL);
	s->loop = loop;
	s->journal = journal;
	s->out = ring;
	if (listener_new(s, &listener, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

int
door_set_up(void **state)
{
	(void)state;
	directory = support_directory();
	return 0;
}

int
door_tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < socket_count; i++) {
		close(sockets[i]);
	}
	socket_count = 0;
	listener_free(listener);
	door_pass_on();
	ring_free(ring);
	journal_close(journal);
	loop_free(loop);
	support_directory_remove();
	listener = NULL;
	return 0;
}

/* Connects from this address of loopback, and waits until the listener has it. */
int
door_come_from(const char *address, enum place_of_uri where)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(listener_port(listener, where)),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint64_t before = listener->counts.accepted;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && socket_count < 8);
	sockets[socket_count++] = fd;
	assert_int_equal(inet_pton(AF_INET, address, &from.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	door_until(listener->counts.accepted == before + 1);
	return fd;
}

int
door_come(enum place_of_uri where)
{
	return door_come_from("127.0.0.1", where);
}

void
door_send(int fd, size_t n)
{
	const uint8_t message[16] = {0, 10, 0, 16};
	struct listener_counts before, after;

	listener_counts(listener, &before);
	assert_int_equal(send(fd, message, n, MSG_NOSIGNAL), (ssize_t)n);
	do {
		door_turn();
		listener_counts(listener, &after);
	} while (after.bytes == before.bytes);
}

/* Who has proved itself, in the order in which they did so. */
struct peer *
door_peer(unsigned i)
{
	struct peer *p = listener->peers.first;

	while (i-- > 0 && p != NULL) {
		p = p->next;
	}
	assert_non_null(p);
	return p;
}
