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

const char *door_directory;
struct loop *door_loop;
struct journal *door_journal;
struct ring *door_ring;
struct listener *door_listener;
static struct loop_timer pause_timer;
static int sockets[8];
static unsigned socket_count;

/* The processing thread's part: frames go nowhere. */
void
door_pass_on(void)
{
	struct journal_buffer *b;

	while ((b = ring_pop(door_ring, 0)) != NULL) {
		journal_buffer_return(door_journal, b);
	}
}

static void
paused(struct loop_timer *t, uint64_t now_ns)
{
	(void)t;
	(void)now_ns;
	loop_stop(door_loop);
}

void
door_turn(void)
{
	pause_timer = (struct loop_timer){.expired = paused};
	loop_timer_set(door_loop, &pause_timer, clock_monotonic_ns() + 2 * NS_PER_MS);
	assert_int_equal(loop_run(door_loop), 0);
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
	    .directory = door_directory,
	    .segment_bytes = 4 << 20,
	    .max_bytes = 64 << 20,
	    .sync_interval_ns = 5 * NS_PER_MS,
	};
	struct err e = {0};

	if (journal_open(&j, &door_journal, &e) < 0) {
		fail_msg("%s", e.text);
	}
	door_loop = loop_new();
	door_ring = ring_new(16);
	assert_true(door_loop != NULL && door_ring != NULL);
	s->loop = door_loop;
	s->journal = door_journal;
	s->out = door_ring;
	if (listener_new(s, &door_listener, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

int
door_set_up(void **state)
{
	(void)state;
	door_directory = support_directory();
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
	listener_free(door_listener);
	door_pass_on();
	ring_free(door_ring);
	journal_close(door_journal);
	loop_free(door_loop);
	support_directory_remove();
	door_listener = NULL;
	return 0;
}

/* Connects from this address of loopback, and waits until the listener has it. */
int
door_come_from(const char *address, enum door_uri where)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(listener_port(door_listener, where)),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint64_t before = door_listener->counts.accepted;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && socket_count < 8);
	sockets[socket_count++] = fd;
	assert_int_equal(inet_pton(AF_INET, address, &from.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	door_until(door_listener->counts.accepted == before + 1);
	return fd;
}

int
door_come(enum door_uri where)
{
	return door_come_from("127.0.0.1", where);
}

void
door_send(int fd, size_t n)
{
	const uint8_t message[16] = {0, 10, 0, 16};
	struct listener_counts before, after;

	listener_counts(door_listener, &before);
	assert_int_equal(send(fd, message, n, MSG_NOSIGNAL), (ssize_t)n);
	do {
		door_turn();
		listener_counts(door_listener, &after);
	} while (after.bytes == before.bytes);
}

/* Who has proved itself, in the order in which they did so. */
struct peer *
door_peer(unsigned i)
{
	struct peer *p = door_listener->peers.first;

	while (i-- > 0 && p != NULL) {
		p = p->next;
	}
	assert_non_null(p);
	return p;
}
