/* What a collector says to an exporter with a spool: words of flowpair/1, or anything,
 * on up to three connections.  The first byte says how many messages are held, and by
 * its uppermost bit whether the rest are bytes as they come or pairs that become words
 * (status, small or huge number).  Each connection takes three pieces, one that answers
 * the hello, one while messages go out and one at the goodbye; a byte before each says
 * how long it is.  Whatever is said: the account adds up, nothing is delivered that did
 * not go out, and what goes out begins where the collector wanted it to. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/base/log.h"
#include "common/transport/scheme.h"
#include "common/transport/transport_tcp.h"
#include "exporter/sender/sender_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#define CONNECTIONS 3
#define MESSAGE     40u
#define PREAMBLE    20u

static uint8_t preamble_bytes[PREAMBLE] = {0, 10, 0, PREAMBLE};

struct input {
	const uint8_t *bytes;
	size_t length;
	bool is_pairs;
};

static void
require(bool holds)
{
	if (!holds) {
		abort();
	}
}

/* Says the next piece of the input. */
static void
say(struct input *in, int fd)
{
	size_t n = in->length == 0 ? 0 : in->bytes[0];
	const uint8_t *at = in->bytes + 1;
	uint8_t text[DELIVERY_WORD];

	if (in->length == 0) {
		return;
	}
	n = n < in->length - 1 ? n : in->length - 1;
	if (!in->is_pairs) {
		require(n == 0 || send(fd, at, n, MSG_NOSIGNAL) == (ssize_t)n);
	}
	for (size_t i = 0; in->is_pairs && i + 1 < n; i += 2) {
		struct delivery_word w = {.status = (enum delivery_status)(at[i] % 8),
		    .number = at[i] >= 128 ? UINT64_MAX - at[i + 1] : at[i + 1]};
		delivery_write_word(&w, text);
		require(send(fd, text, sizeof text, MSG_NOSIGNAL) == sizeof text);
	}
	in->bytes += 1 + n;
	in->length -= 1 + n;
}

static void
check_account(struct sender *s, uint64_t pushed)
{
	struct spool_counts c;

	spool_counts(s->spool, &c);
	require(c.messages == pushed && c.records == pushed && c.lost_messages == 0 &&
		c.delivered_messages + c.held_messages == pushed &&
		c.delivered_records == c.delivered_messages && c.first <= c.next &&
		c.delivered_messages == c.first);
}

/* As the export thread does; *ret_next: after the last message that went out whole. */
static int
deliver(struct sender *s, struct input *in, int collector, uint64_t *ret_next)
{
	const uint8_t *bytes;
	size_t n;
	int rc;

	*ret_next = outbox_position(s->outbox);
	rc = sender_send_preamble(s, 0, NULL);
	while (rc == 0 && (rc = outbox_gather(s->outbox, &bytes, &n)) == 0 && n > 0) {
		struct outbox_taken taken = {0};
		size_t part = n < 3 * MESSAGE / 2 ? n : 3 * MESSAGE / 2;
		ssize_t put = s->transport.ops->write(&s->transport, bytes, part, NULL);
		require(put > 0);
		outbox_take(s->outbox, (size_t)put, &taken);
		*ret_next += taken.messages;
		require(*ret_next == outbox_position(s->outbox));
		say(in, collector);
		rc = sender_hear(s, NULL);
	}
	return rc;
}

/* What went out is the hello, the preamble and messages from `first` to `next`. */
static void
check_sent(int collector, bool is_welcomed, uint64_t first, uint64_t next)
{
	uint8_t heard[4096];
	ssize_t n = recv(collector, heard, sizeof heard, MSG_DONTWAIT);
	size_t at = DELIVERY_HELLO;
	struct delivery_hello h;

	require(n >= (ssize_t)DELIVERY_HELLO && delivery_read_hello(heard, &h) == 0);
	if (!is_welcomed || (size_t)n == at) {
		require((size_t)n == at);
		return;
	}
	at += PREAMBLE;
	for (; first < next; first++, at += MESSAGE) {
		require(
		    at + MESSAGE <= (size_t)n && load_u64(heard + at + 24) == first);
	}
	require((size_t)n - at < MESSAGE);
}

static void
connect_once(struct sender *s, struct input *in, uint64_t pushed)
{
	uint64_t first = 0, next = 0;
	bool is_welcomed;
	int ends[2], rc;

	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
	transport_tcp_take(&s->transport, ends[0]);
	strcpy(s->transport.protocol, DELIVERY_ALPN);
	s->is_dialled = true;
	say(in, ends[1]);
	rc = sender_greet(s, NULL);
	is_welcomed = rc == 0;
	require(rc != 0 || s->is_welcomed);
	if (is_welcomed) {
		first = outbox_position(s->outbox);
		rc = deliver(s, in, ends[1], &next);
		require(spool_first(s->spool) <= next);
	}
	check_account(s, pushed);
	if (rc == 0 || rc == -ENODATA) {
		say(in, ends[1]);
		(void)shutdown(ends[1], SHUT_WR);
		(void)sender_say_goodbye(s, NULL);
		require(spool_first(s->spool) <= next);
	}
	check_sent(ends[1], is_welcomed, first, next);
	check_account(s, pushed);
	sender_hang_up(s);
	close(ends[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static const char *const uris[] = {"tcp://192.0.2.1:4739"};
	const struct export_preamble preamble = {
	    .bytes = preamble_bytes, .length = PREAMBLE, .records = 1};
	const struct sender_settings settings = {.uris = uris,
	    .uri_count = 1,
	    .queue_bytes = 1 << 18,
	    .spool_bytes = SPOOL_LEAST,
	    .give_up_ns = 1}; /* nothing is waited for */
	uint8_t message[MESSAGE] = {0, 10, 0, MESSAGE};
	struct sender *s = NULL;
	struct input in;
	uint64_t pushed;

	if (length < 2) {
		return -1;
	}
	log_set_level(LOG_ERROR);
	in = (struct input){bytes + 1, length - 1, bytes[0] >= 128};
	pushed = bytes[0] % 16;
	require(sender_new(&settings, &preamble, &s, NULL) == 0);
	for (uint64_t i = 0; i < pushed; i++) {
		store_u64(message + 24, i);
		sender_push(s, message, sizeof message, 1, 1);
	}
	sender_end(s);
	outbox_stow(s->outbox, clock_monotonic_ns());
	for (int i = 0; i < CONNECTIONS; i++) {
		connect_once(s, &in, pushed);
	}
	sender_free(s);
	return 0;
}
