/* Peers of message transports: a transport over a local SOCK_SEQPACKET pair whose
 * packets begin with the number of their stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "collector/door/peer.h"
#include "common/base/cursor.h"
#include "common/ipfix/message.h"
#include "common/transport/scheme.h"

static ssize_t
packet_read(struct transport *t, void *bytes, size_t n, struct err *e)
{
	uint8_t stream[2];
	struct iovec parts[] = {{stream, 2}, {bytes, n}};
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t got;

	if (n < 65535) {
		fail_msg("room for %zu bytes only", n);
	}
	got = recvmsg(t->fd, &m, MSG_DONTWAIT);
	if (got < 0) {
		return errno == EAGAIN ? -EAGAIN : err_set(e, -errno, "broken");
	}
	t->stream = load_u16(stream);
	return got == 0 ? 0 : got - 2;
}

static uint32_t
packet_want(const struct transport *t)
{
	(void)t;
	return EPOLLIN;
}

static void
packet_close(struct transport *t)
{
	close(t->fd);
}

static const struct transport_ops packets = {
    .read = packet_read,
    .want = packet_want,
    .close = packet_close,
};
static const struct transport_scheme scheme = {
    .name = "sctp",
    .is_message = true,
    .message_max = 65535,
};

struct kept {
	enum frame_kind kind;
	uint16_t stream;
	unsigned messages;
	char text[128];
};

struct bench {
	char directory[64];
	struct intake intake;
	int fd;
	struct peer *peer;
	struct kept kept[512];
	unsigned count;
	uint32_t next; /* number of the next message in the frames */
};

static int
set_up(void **state)
{
	struct bench *b = calloc(1, sizeof *b);
	struct journal_settings s = {
	    .directory = b->directory, .segment_bytes = 4 << 20, .max_bytes = 64 << 20};
	struct transport t = {.scheme = &scheme,
	    .ops = &packets,
	    .is_open = true,
	    .peer.text = "192.0.2.1:5"};
	int ends[2], room = 8 << 20;

	strcpy(b->directory, "/tmp/flowpair-peer-XXXXXX");
	assert_non_null(mkdtemp(b->directory));
	assert_int_equal(journal_open(&s, &b->intake.journal, NULL), 0);
	b->intake.out = ring_new(16);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	t.fd = ends[0];
	b->fd = ends[1];
	b->peer = peer_new(&t);
	assert_non_null(b->peer);
	*state = b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;
	DIR *d = opendir(b->directory);
	struct dirent *entry;

	peer_free(b->peer);
	if (b->fd >= 0) {
		close(b->fd);
	}
	ring_free(b->intake.out);
	journal_close(b->intake.journal);
	while (d != NULL && (entry = readdir(d)) != NULL) {
		unlinkat(dirfd(d), entry->d_name, 0);
	}
	closedir(d);
	rmdir(b->directory);
	free(b);
	return 0;
}

/* A message that bears its number in its header. */
static void
send_message(struct bench *b, uint16_t stream, uint32_t number, size_t length)
{
	uint8_t *m = calloc(1, 2 + length);

	assert_non_null(m);
	store_u16(m, stream);
	store_u16(m + 2, 10);
	store_u16(m + 4, (uint16_t)length);
	store_u32(m + 10, number);
	assert_int_equal(send(b->fd, m, 2 + length, 0), 2 + length);
	free(m);
}

static void
keep(struct bench *b, const struct frame *f)
{
	struct kept *k = &b->kept[b->count++];

	assert_true(b->count < 512);
	k->kind = f->kind;
	k->stream = f->stream;
	if (f->kind != FRAME_MESSAGES) {
		snprintf(k->text, sizeof k->text, "%.*s", (int)f->length, f->payload);
		return;
	}
	for (size_t at = 0; at < f->length;) {
		int n = message_length(f->payload + at, f->length - at);
		assert_true(n > 0 && (size_t)n <= f->length - at);
		assert_int_equal(load_u32(f->payload + at + 8), b->next++);
		k->messages++;
		at += (size_t)n;
	}
}

static void
take_frames(struct bench *b)
{
	struct journal_buffer *buffer;

	while ((buffer = ring_pop(b->intake.out, 0)) != NULL) {
		struct frame f;
		size_t at = 0;
		while (journal_buffer_next(buffer, &at, &f) == 1) {
			keep(b, &f);
		}
		journal_buffer_return(b->intake.journal, buffer);
	}
}

/* Steps until the peer waits or ends. */
static enum peer_next
run(struct bench *b, size_t budget)
{
	struct err e = {0};
	enum peer_next next;

	do {
		next = peer_step(b->peer, &b->intake, budget, &e);
		assert_true(intake_pass(&b->intake));
		take_frames(b);
	} while (next == PEER_AGAIN || next == PEER_STUCK);
	return next;
}

static void
messages_of_one_stream_share_a_frame(void **state)
{
	struct bench *b = *state;

	for (uint32_t i = 0; i < 20; i++) {
		send_message(b, 3, i, 100 + i);
	}
	assert_int_equal(run(b, 1 << 20), PEER_WAITS);
	assert_int_equal(b->count, 2);
	assert_int_equal(b->kept[0].kind, FRAME_OPEN);
	assert_int_equal(b->kept[1].stream, 3);
	assert_int_equal(b->kept[1].messages, 20);
}

static void
another_stream_begins_another_frame(void **state)
{
	static const uint16_t streams[] = {0, 0, 1, 65535, 65535, 65535, 1};
	struct bench *b = *state;

	for (uint32_t i = 0; i < 7; i++) {
		send_message(b, streams[i], i, 200);
	}
	assert_int_equal(run(b, 1 << 20), PEER_WAITS);
	assert_int_equal(b->count, 5);
	assert_int_equal(b->kept[1].stream, 0);
	assert_int_equal(b->kept[1].messages, 2);
	assert_int_equal(b->kept[2].stream, 1);
	assert_int_equal(b->kept[3].stream, 65535);
	assert_int_equal(b->kept[3].messages, 3);
	assert_int_equal(b->kept[4].stream, 1);
	assert_int_equal(b->peer->messages, 7);
}

static void
the_longest_messages_pass_whole_whatever_the_budget(void **state)
{
	struct bench *b = *state;

	for (uint32_t i = 0; i < 40; i++) {
		send_message(b, (uint16_t)(i / 3), i, 65535);
		assert_int_equal(run(b, 1 + i * 7000), PEER_WAITS);
	}
	assert_int_equal(b->next, 40);
	assert_int_equal(b->peer->bytes, 40 * 65535);
}

static void
the_end_in_order_waits_to_be_durable(void **state)
{
	struct bench *b = *state;

	send_message(b, 1, 0, 100);
	send_message(b, 2, 1, 100);
	close(b->fd);
	b->fd = -1;
	assert_int_equal(run(b, 1 << 20), PEER_SYNCED);
	assert_int_equal(b->next, 2);
	assert_int_equal(b->kept[3].kind, FRAME_CLOSE);
	assert_string_equal(b->kept[3].text, "");
}

static void
what_is_no_whole_message_ends_the_peer_as_foreign(void **state)
{
	struct bench *b = *state;

	send_message(b, 1, 0, 100);
	assert_int_equal(send(b->fd, "\0\0\0\x0a\0\x20 half", 11, 0), 11);
	send_message(b, 1, 1, 100);
	assert_int_equal(run(b, 1 << 20), PEER_GONE);
	assert_true(b->peer->is_foreign);
	assert_int_equal(b->next, 1);
	assert_non_null(
	    strstr(b->kept[2].text, "not IPFIX: 9 bytes starting with 000a"));
}

static void
two_messages_at_once_are_no_message(void **state)
{
	struct bench *b = *state;
	uint8_t m[2 + 40] = {0};

	store_u32(m + 2, 10 << 16 | 20);
	store_u32(m + 22, 10 << 16 | 20);
	assert_int_equal(send(b->fd, m, sizeof m, 0), sizeof m);
	assert_int_equal(run(b, 1 << 20), PEER_GONE);
	assert_true(b->peer->is_foreign);
	assert_int_equal(b->next, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(messages_of_one_stream_share_a_frame),
	    CASE(another_stream_begins_another_frame),
	    CASE(the_longest_messages_pass_whole_whatever_the_budget),
	    CASE(the_end_in_order_waits_to_be_durable),
	    CASE(what_is_no_whole_message_ends_the_peer_as_foreign),
	    CASE(two_messages_at_once_are_no_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
