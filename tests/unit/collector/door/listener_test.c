/* The listener in a loop of its own, a processing thread that keeps every frame, and
 * real peers over loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/door/listener.h"
#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/base/log.h"
#include "common/schemes/schemes.h"
#include "tests/unit/common/tls/support_certificates.h"

#define FRAMES_MAX 65536

struct kept { /* a frame as the processing thread saw it */
	enum frame_kind kind;
	uint32_t session;
	uint64_t end;
	size_t at, length; /* in bytes */
};

struct bench {
	char directory[64];
	struct listener_settings settings;
	uint64_t journal_bytes;
	unsigned ring_size;
	struct loop *loop;
	struct journal *journal;
	struct ring *ring;
	struct listener *listener;
	pthread_t receiving, processing;
	_Atomic bool is_paused; /* the processing thread waits */
	uint16_t ports[2];      /* tcp, tls */
	pthread_mutex_t lock;
	struct kept *frames;
	unsigned count;
	uint8_t *bytes;
	size_t used, capacity;
};

static void
keep(struct bench *b, const struct frame *f)
{
	pthread_mutex_lock(&b->lock);
	assert_true(b->count < FRAMES_MAX);
	if (b->capacity < b->used + f->length) {
		b->capacity = 2 * (b->used + f->length);
		b->bytes = realloc(b->bytes, b->capacity);
		assert_non_null(b->bytes);
	}
	memcpy(b->bytes + b->used, f->payload, f->length);
	b->frames[b->count++] =
	    (struct kept){f->kind, f->session, f->end, b->used, f->length};
	b->used += f->length;
	pthread_mutex_unlock(&b->lock);
}

static void *
process(void *data)
{
	struct bench *b = data;
	struct journal_buffer *buffer;

	while ((buffer = ring_pop(b->ring, UINT64_MAX)) != NULL) {
		struct frame f;
		size_t at = 0;
		while (atomic_load(&b->is_paused)) {
			poll(NULL, 0, 2);
		}
		while (journal_buffer_next(buffer, &at, &f) == 1) {
			keep(b, &f);
		}
		journal_buffer_return(b->journal, buffer);
	}
	return NULL;
}

static void *
receive(void *data)
{
	struct bench *b = data;

	assert_int_equal(loop_run(b->loop), 0);
	return NULL;
}

static void
woken(void *data)
{
	struct bench *b = data;

	listener_stop(b->listener);
	loop_stop(b->loop);
}

static void
bench_init(struct bench *b)
{
	static const char *const uris[] = {"tcp://*:0", "tls://*:0"};

	*b = (struct bench){
	    .journal_bytes = 256 << 20,
	    .ring_size = 16,
	    .settings =
		{
		    .uris = uris,
		    .uri_count = 2,
		    .max_peers = 1000,
		    .handshake_timeout_ns = 5 * NS_PER_SECOND,
		    .sync_interval_ns = 20 * NS_PER_MS,
		    .tls = {.ca = support_certificate("ca.pem"),
			.crl = support_certificate("crl.pem"),
			.certificate = support_certificate("collector.pem"),
			.key = support_certificate("collector.key")},
		},
	};
}

static void
bench_start(struct bench *b)
{
	struct journal_settings journal = {
	    .segment_bytes = 4 << 20,
	    .max_bytes = b->journal_bytes,
	    .sync_interval_ns = 20 * NS_PER_MS,
	    .directory = b->directory,
	};
	struct err e = {0};

	strcpy(b->directory, "/tmp/flowpair-listen-XXXXXX");
	assert_non_null(mkdtemp(b->directory));
	if (journal_open(&journal, &b->journal, &e) < 0) {
		fail_msg("%s", e.text);
	}
	b->frames = calloc(FRAMES_MAX, sizeof *b->frames);
	b->ring = ring_new(b->ring_size);
	b->loop = loop_new();
	assert_true(b->frames != NULL && b->ring != NULL && b->loop != NULL);
	b->settings.loop = b->loop;
	b->settings.journal = b->journal;
	b->settings.out = b->ring;
	if (listener_new(&b->settings, &b->listener, &e) < 0) {
		fail_msg("%s", e.text);
	}
	b->ports[0] = listener_port(b->listener, 0);
	b->ports[1] = listener_port(b->listener, 1);
	pthread_mutex_init(&b->lock, NULL);
	loop_on_wake(b->loop, woken, b);
	pthread_create(&b->receiving, NULL, receive, b);
	pthread_create(&b->processing, NULL, process, b);
}

static void
remove_directory(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		unlinkat(dirfd(d), entry->d_name, 0);
	}
	closedir(d);
	rmdir(path);
}

static void
bench_stop(struct bench *b, struct listener_counts *ret)
{
	loop_wake(b->loop);
	pthread_join(b->receiving, NULL);
	ring_close(b->ring);
	pthread_join(b->processing, NULL);
	listener_counts(b->listener, ret);
}

static void
bench_done(struct bench *b)
{
	listener_free(b->listener);
	loop_free(b->loop);
	ring_free(b->ring);
	journal_close(b->journal);
	pthread_mutex_destroy(&b->lock);
	free(b->frames);
	free(b->bytes);
	remove_directory(b->directory);
}

static unsigned
frame_count(struct bench *b, enum frame_kind kind)
{
	unsigned n = 0;

	pthread_mutex_lock(&b->lock);
	for (unsigned i = 0; i < b->count; i++) {
		n += b->frames[i].kind == kind;
	}
	pthread_mutex_unlock(&b->lock);
	return n;
}

static void
wait_frames(struct bench *b, enum frame_kind kind, unsigned n)
{
	for (int i = 0; i < 10000 && frame_count(b, kind) < n; i++) {
		poll(NULL, 0, 2);
	}
	assert_true(frame_count(b, kind) >= n);
}

/* The i-th frame of a kind, its payload as text. */
static const struct kept *
find_frame(struct bench *b, enum frame_kind kind, unsigned i, char text[static 512])
{
	for (unsigned k = 0; k < b->count; k++) {
		const struct kept *f = &b->frames[k];
		if (f->kind == kind && i-- == 0) {
			size_t n = f->length < 511 ? f->length : 511;
			memcpy(text, b->bytes + f->at, n);
			text[n] = '\0';
			return f;
		}
	}
	fail_msg("no frame of kind %d", (int)kind);
	return NULL;
}

static void
expect_text(const char *text, const char *part)
{
	if (strstr(text, part) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", text, part);
	}
}

/* Peers. */

static int
connect_plain(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static void
send_all(int fd, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	while (n > 0) {
		ssize_t put = send(fd, at, n, MSG_NOSIGNAL);
		assert_true(put > 0);
		at += put;
		n -= (size_t)put;
	}
}

/* Whether the collector closed in order within 10 s. */
static bool
is_closed(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte;

	return poll(&p, 1, 10000) == 1 && recv(fd, &byte, 1, 0) == 0;
}

static size_t
length_of(unsigned i)
{
	return 20 + i * 7919 % 4000;
}

/* count messages, the i-th bearing i in its last four bytes and `mark` in its domain.
 */
static uint8_t *
make_stream(unsigned count, uint32_t mark, size_t *ret_n)
{
	size_t n = 0;
	uint8_t *stream;

	for (unsigned i = 0; i < count; i++) {
		n += length_of(i);
	}
	stream = calloc(1, n);
	assert_non_null(stream);
	*ret_n = n;
	n = 0;
	for (unsigned i = 0; i < count; i++) {
		store_u16(stream + n, 10);
		store_u16(stream + n + 2, (uint16_t)length_of(i));
		store_u32(stream + n + 12, mark);
		n += length_of(i);
		store_u32(stream + n - 4, i);
	}
	return stream;
}

/* The frames of one session must hold messages 0..count-1 in order. */
static void
expect_stream(struct bench *b, uint32_t session, unsigned count)
{
	unsigned i = 0;

	for (unsigned k = 0; k < b->count; k++) {
		const struct kept *f = &b->frames[k];
		if (f->kind != FRAME_MESSAGES || f->session != session) {
			continue;
		}
		for (size_t at = 0; at < f->length; at += length_of(i++)) {
			const uint8_t *m = b->bytes + f->at + at;
			assert_true(at + length_of(i) <= f->length);
			assert_int_equal(load_u16(m + 2), length_of(i));
			assert_int_equal(load_u32(m + length_of(i) - 4), i);
		}
	}
	assert_int_equal(i, count);
}

static uint32_t
session_of(struct bench *b, unsigned i)
{
	char text[512];

	return find_frame(b, FRAME_OPEN, i, text)->session;
}

static void
a_stream_becomes_frames_between_open_and_close(void **state)
{
	struct listener_counts counts;
	struct bench b;
	char text[512];
	uint8_t *stream;
	size_t n;
	int fd;

	(void)state;
	bench_init(&b);
	bench_start(&b);
	stream = make_stream(2000, 1, &n);
	fd = connect_plain(b.ports[0]);
	send_all(fd, stream, n);
	shutdown(fd, SHUT_WR);
	assert_true(is_closed(fd));
	close(fd);
	bench_stop(&b, &counts);
	find_frame(&b, FRAME_OPEN, 0, text);
	expect_text(text, "transport=tcp\npeer=127.0.0.1:");
	expect_stream(&b, session_of(&b, 0), 2000);
	assert_int_equal(find_frame(&b, FRAME_CLOSE, 0, text)->length, 0);
	assert_int_equal(counts.messages, 2000);
	assert_int_equal(counts.bytes, n);
	assert_int_equal(counts.peers, 0);
	free(stream);
	bench_done(&b);
}

static void
the_collector_closes_when_what_came_is_durable(void **state)
{
	struct listener_counts counts;
	struct bench b;
	char text[512];
	uint64_t synced;
	uint8_t *stream;
	size_t n;
	int fd;

	(void)state;
	bench_init(&b);
	b.settings.sync_interval_ns = NS_PER_MINUTE;
	bench_start(&b);
	stream = make_stream(100, 1, &n);
	fd = connect_plain(b.ports[0]);
	send_all(fd, stream, n);
	shutdown(fd, SHUT_WR);
	assert_true(is_closed(fd));
	synced = journal_synced(b.journal);
	wait_frames(&b, FRAME_CLOSE, 1);
	assert_true(find_frame(&b, FRAME_CLOSE, 0, text)->end <= synced);
	close(fd);
	bench_stop(&b, &counts);
	free(stream);
	bench_done(&b);
}

static void
a_peer_that_sends_byte_by_byte_is_understood(void **state)
{
	struct listener_counts counts;
	struct bench b;
	uint8_t *stream;
	size_t n;
	int fd;

	(void)state;
	bench_init(&b);
	bench_start(&b);
	stream = make_stream(5, 1, &n);
	fd = connect_plain(b.ports[0]);
	for (size_t i = 0; i < n; i++) {
		send_all(fd, stream + i, 1);
		if (i < 200) {
			poll(NULL, 0, 1); /* the loop sees them one by one */
		}
	}
	close(fd);
	wait_frames(&b, FRAME_CLOSE, 1);
	bench_stop(&b, &counts);
	expect_stream(&b, session_of(&b, 0), 5);
	free(stream);
	bench_done(&b);
}

struct sending {
	uint16_t port;
	unsigned seed;
	const uint8_t *stream;
	size_t n;
};

/* Sends in pieces of odd sizes. */
static void *
send_pieces(void *data)
{
	struct sending *s = data;
	unsigned x = s->seed;
	int fd = connect_plain(s->port);

	for (size_t at = 0; at < s->n;) {
		size_t piece;
		x = x * 1103515245 + 12345;
		piece = 1 + (x >> 8) % 9000;
		piece = piece < s->n - at ? piece : s->n - at;
		send_all(fd, s->stream + at, piece);
		at += piece;
	}
	shutdown(fd, SHUT_WR);
	assert_true(is_closed(fd));
	close(fd);
	return NULL;
}

static void
many_peers_at_once_are_kept_apart(void **state)
{
	struct sending sending[8];
	pthread_t threads[8];
	struct listener_counts counts;
	struct bench b;
	uint8_t *stream;
	size_t n;

	(void)state;
	bench_init(&b);
	bench_start(&b);
	stream = make_stream(1000, 1, &n);
	for (unsigned i = 0; i < 8; i++) {
		sending[i] = (struct sending){b.ports[0], i, stream, n};
		pthread_create(&threads[i], NULL, send_pieces, &sending[i]);
	}
	for (unsigned i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
	}
	bench_stop(&b, &counts);
	for (unsigned i = 0; i < 8; i++) {
		expect_stream(&b, session_of(&b, i), 1000);
	}
	assert_int_equal(counts.messages, 8000);
	free(stream);
	bench_done(&b);
}

static void
a_stream_that_is_no_ipfix_is_closed_and_counted(void **state)
{
	struct listener_counts counts;
	struct bench b;
	char text[512];
	uint8_t *stream;
	size_t n;
	int fd;

	(void)state;
	bench_init(&b);
	bench_start(&b);
	stream = make_stream(3, 1, &n);
	fd = connect_plain(b.ports[0]);
	send_all(fd, stream, n);
	send_all(fd, "GET / HTTP/1.0\r\n\r\n", 18);
	wait_frames(&b, FRAME_CLOSE, 1);
	close(fd);
	bench_stop(&b, &counts);
	expect_stream(&b, session_of(&b, 0), 3);
	find_frame(&b, FRAME_CLOSE, 0, text);
	expect_text(text, "not IPFIX: unexpected bytes 4745 5420");
	assert_int_equal(counts.ended[PEERS_NO_IPFIX], 1);
	free(stream);
	bench_done(&b);
}

static void
a_message_cut_by_the_end_is_told(void **state)
{
	struct listener_counts counts;
	struct bench b;
	char text[512];
	uint8_t *stream;
	size_t n;
	int fd;

	(void)state;
	bench_init(&b);
	bench_start(&b);
	stream = make_stream(3, 1, &n);
	fd = connect_plain(b.ports[0]);
	send_all(fd, stream, n - 1);
	close(fd);
	wait_frames(&b, FRAME_CLOSE, 1);
	bench_stop(&b, &counts);
	expect_stream(&b, session_of(&b, 0), 2);
	find_frame(&b, FRAME_CLOSE, 0, text);
	assert_string_equal(text, "ended in the middle of a message");
	free(stream);
	bench_done(&b);
}

/* A TLS peer that sends a stream in order; what it was told. */
static int
send_secured(
    struct bench *b, const char *name, const uint8_t *stream, size_t n, struct err *e)
{
	char uri_text[64], pem[64], key[64], byte;
	struct tls_settings s = {.ca = support_certificate("ca.pem")};
	struct tls_context *context = NULL;
	struct transport_uri uri;
	struct transport t;
	int rc;

	if (name != NULL) {
		snprintf(pem, sizeof pem, "%s.pem", name);
		snprintf(key, sizeof key, "%s.key", name);
		s.certificate = support_certificate(pem);
		s.key = support_certificate(key);
	}
	snprintf(uri_text, sizeof uri_text, "tls://localhost:%u", b->ports[1]);
	assert_int_equal(schemes_parse_uri(uri_text, &uri, e), 0);
	assert_int_equal(tls_context_new(&s, false, &context, e), 0);
	assert_int_equal(transport_dial(&t, &uri, context, e), 0);
	while ((rc = t.ops->proceed(&t, e)) == -EAGAIN) {
		struct pollfd p = {.fd = t.fd, .events = POLLIN | POLLOUT};
		poll(&p, 1, 1);
	}
	while (rc == 0 && n > 0) {
		ssize_t put = t.ops->write(&t, stream, n, e);
		if (put > 0) {
			stream += put;
			n -= (size_t)put;
		} else if (put != -EAGAIN) {
			rc = (int)put;
		}
	}
	if (rc == 0) {
		t.ops->finish(&t, NULL);
		do {
			struct pollfd p = {.fd = t.fd, .events = POLLIN};
			poll(&p, 1, 10000);
			rc = (int)t.ops->read(&t, &byte, 1, e);
		} while (rc == -EAGAIN);
	}
	t.ops->close(&t);
	tls_context_free(context);
	return rc;
}

static void
a_secured_peer_is_named_by_its_certificate(void **state)
{
	struct listener_counts counts;
	struct bench b;
	struct err e = {0};
	char text[512];
	uint8_t *stream;
	size_t n;

	(void)state;
	bench_init(&b);
	bench_start(&b);
	stream = make_stream(1000, 1, &n);
	assert_int_equal(send_secured(&b, "exporter", stream, n, &e), 0);
	bench_stop(&b, &counts);
	find_frame(&b, FRAME_OPEN, 0, text);
	expect_text(text, "transport=tls\npeer=");
	expect_text(text, "\nidentity=exporter.example\n");
	expect_stream(&b, session_of(&b, 0), 1000);
	assert_int_equal(find_frame(&b, FRAME_CLOSE, 0, text)->length, 0);
	free(stream);
	bench_done(&b);
}

static void
every_refusal_has_its_reason(void **state)
{
	static const struct {
		const char *name;
		enum tls_refusal why;
		const char *reason;
	} cases[] = {
	    {NULL, TLS_REFUSED_NO_CERTIFICATE, "reason=no-certificate"},
	    {"stranger", TLS_REFUSED_UNKNOWN_CA, "reason=unknown-ca"},
	    {"expired", TLS_REFUSED_EXPIRED, "reason=expired"},
	    {"revoked", TLS_REFUSED_REVOKED, "reason=revoked"},
	};
	struct listener_counts counts;
	struct bench b;
	struct err e = {0};
	char text[512];
	int fd;

	(void)state;
	bench_init(&b);
	bench_start(&b);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(send_secured(&b, cases[i].name, NULL, 0, &e), -EACCES);
		expect_text(e.text, "the peer refused us");
		wait_frames(&b, FRAME_REFUSED, i + 1);
	}
	fd = connect_plain(b.ports[1]);
	send_all(fd, "\0\12\0\24 this is plain IPFIX", 24);
	wait_frames(&b, FRAME_REFUSED, 5);
	close(fd);
	bench_stop(&b, &counts);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(counts.refused[cases[i].why], 1);
		find_frame(&b, FRAME_REFUSED, i, text);
		expect_text(text, cases[i].reason);
	}
	find_frame(&b, FRAME_REFUSED, 4, text);
	expect_text(text, "reason=protocol");
	assert_int_equal(counts.refused[TLS_REFUSED_PROTOCOL], 1);
	assert_int_equal(frame_count(&b, FRAME_OPEN), 0);
	bench_done(&b);
}

static void
half_open_peers_cost_an_honest_one_nothing_and_time_out(void **state)
{
	struct listener_counts counts;
	struct bench b;
	struct err e = {0};
	uint8_t *stream;
	int fds[200];
	size_t n;

	(void)state;
	bench_init(&b);
	b.settings.handshake_timeout_ns = NS_PER_SECOND;
	bench_start(&b);
	for (unsigned i = 0; i < 200; i++) {
		fds[i] = connect_plain(b.ports[1]);
		if (i % 2 == 0) {
			send_all(fds[i], "\26\3\1\2\0\1\0\1\374\3\3", 11);
		}
	}
	stream = make_stream(1000, 1, &n);
	assert_int_equal(send_secured(&b, "exporter", stream, n, &e), 0);
	for (unsigned i = 0; i < 200; i++) {
		assert_true(is_closed(fds[i]) || errno == ECONNRESET);
		close(fds[i]);
	}
	bench_stop(&b, &counts);
	assert_int_equal(counts.ended[PEERS_NO_HANDSHAKE], 200);
	expect_stream(&b, session_of(&b, 0), 1000);
	free(stream);
	bench_done(&b);
}

static void
one_peer_too_many_is_turned_away(void **state)
{
	struct listener_counts counts;
	struct bench b;
	char text[512];
	uint8_t *stream;
	size_t n;
	int fds[4];

	(void)state;
	bench_init(&b);
	b.settings.max_peers = 3;
	bench_start(&b);
	stream = make_stream(1, 1, &n);
	for (unsigned i = 0; i < 3; i++) {
		fds[i] = connect_plain(b.ports[0]);
		send_all(fds[i], stream, n);
		wait_frames(&b, FRAME_MESSAGES, i + 1);
	}
	free(stream);
	fds[3] = connect_plain(b.ports[0]);
	assert_true(is_closed(fds[3]));
	wait_frames(&b, FRAME_REFUSED, 1);
	for (unsigned i = 0; i < 4; i++) {
		close(fds[i]);
	}
	bench_stop(&b, &counts);
	assert_int_equal(counts.ended[PEERS_FULL], 1);
	find_frame(&b, FRAME_REFUSED, 0, text);
	expect_text(text, "reason=full");
	bench_done(&b);
}

static void
the_oldest_that_has_proved_nothing_makes_room(void **state)
{
	struct listener_counts counts;
	struct bench b;
	uint8_t *stream;
	size_t n;
	int fds[4];

	(void)state;
	bench_init(&b);
	b.settings.max_half_open = 2;
	bench_start(&b);
	stream = make_stream(1, 1, &n);
	fds[0] = connect_plain(b.ports[0]);
	send_all(fds[0], stream, n);
	wait_frames(&b, FRAME_MESSAGES, 1);
	for (unsigned i = 1; i < 4; i++) {
		fds[i] = connect_plain(b.ports[0]);
		wait_frames(&b, FRAME_OPEN, i + 1);
	}
	assert_true(is_closed(fds[1]));
	send_all(fds[0], stream, n);
	send_all(fds[2], stream, n);
	send_all(fds[3], stream, n);
	wait_frames(&b, FRAME_MESSAGES, 4);
	for (unsigned i = 0; i < 4; i++) {
		close(fds[i]);
	}
	free(stream);
	bench_stop(&b, &counts);
	assert_int_equal(counts.ended[PEERS_HALF_OPEN], 1);
	bench_done(&b);
}

static void
an_address_has_no_more_than_its_share(void **state)
{
	struct listener_counts counts;
	struct bench b;
	char text[512];
	uint8_t *stream;
	size_t n;
	int fds[3];

	(void)state;
	bench_init(&b);
	b.settings.max_peers_per_address = 2;
	bench_start(&b);
	stream = make_stream(1, 1, &n);
	for (unsigned i = 0; i < 2; i++) {
		fds[i] = connect_plain(b.ports[0]);
		send_all(fds[i], stream, n);
		wait_frames(&b, FRAME_MESSAGES, i + 1);
	}
	free(stream);
	fds[2] = connect_plain(b.ports[0]);
	assert_true(is_closed(fds[2]));
	close(fds[0]);
	wait_frames(&b, FRAME_CLOSE, 1);
	close(fds[1]);
	close(fds[2]);
	bench_stop(&b, &counts);
	assert_int_equal(counts.ended[PEERS_ADDRESS_FULL], 1);
	find_frame(&b, FRAME_REFUSED, 0, text);
	expect_text(text, "reason=address-full");
	bench_done(&b);
}

static void
a_peer_that_drips_a_message_is_closed_after_the_message_timeout(void **state)
{
	struct listener_counts counts;
	struct bench b;
	char text[512];
	uint8_t *stream;
	size_t n;
	int fd;

	(void)state;
	bench_init(&b);
	b.settings.message_timeout_ns = NS_PER_SECOND;
	bench_start(&b);
	stream = make_stream(1, 1, &n);
	fd = connect_plain(b.ports[0]);
	send_all(fd, stream, n);
	send_all(fd, stream, n - 1);
	free(stream);
	assert_true(is_closed(fd));
	close(fd);
	wait_frames(&b, FRAME_CLOSE, 1);
	bench_stop(&b, &counts);
	find_frame(&b, FRAME_CLOSE, 0, text);
	assert_string_equal(text, "did not complete a message within 1 s");
	assert_int_equal(counts.ended[PEERS_SLOW], 1);
	bench_done(&b);
}

static void
a_slow_processing_thread_holds_peers_up_and_nothing_is_lost(void **state)
{
	struct sending sending[4];
	pthread_t threads[4];
	struct listener_counts counts;
	struct bench b;
	uint8_t *stream;
	size_t n;

	(void)state;
	bench_init(&b);
	b.ring_size = 2;
	bench_start(&b);
	atomic_store(&b.is_paused, true);
	stream = make_stream(5000, 1, &n); /* four times 10 MB */
	for (unsigned i = 0; i < 4; i++) {
		sending[i] = (struct sending){b.ports[0], i, stream, n};
		pthread_create(&threads[i], NULL, send_pieces, &sending[i]);
	}
	poll(NULL, 0, 300);
	atomic_store(&b.is_paused, false);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
	}
	bench_stop(&b, &counts);
	for (unsigned i = 0; i < 4; i++) {
		expect_stream(&b, session_of(&b, i), 5000);
	}
	free(stream);
	bench_done(&b);
}

/* Lets go of every segment before the last, as the processing thread does when all of
 * it is stored. */
static void
trim_journal(struct bench *b)
{
	uint64_t start = 0, end = journal_synced(b->journal);
	char path[256];

	for (uint64_t at = 0; at <= end; at += 4096) {
		uint64_t next = journal_segment_start(b->journal, at);
		if (next != start) {
			start = next;
			journal_state_path(b->journal, start, path, sizeof path);
			close(open(path, O_WRONLY | O_CREAT, 0600));
		}
	}
	assert_int_equal(journal_trim(b->journal, end, NULL), 0);
}

static void
a_full_journal_stops_reading_until_there_is_room(void **state)
{
	struct sending sending;
	struct listener_counts counts;
	struct bench b;
	pthread_t thread;
	uint8_t *stream;
	uint64_t before;
	size_t n;

	(void)state;
	bench_init(&b);
	b.journal_bytes = 16 << 20;
	bench_start(&b);
	stream = make_stream(15000, 1, &n); /* 30 MB */
	sending = (struct sending){b.ports[0], 1, stream, n};
	pthread_create(&thread, NULL, send_pieces, &sending);
	for (int i = 0; i < 3; i++) {
		do { /* until nothing moves */
			before = journal_synced(b.journal);
			poll(NULL, 0, 200);
		} while (journal_synced(b.journal) != before);
		trim_journal(&b);
	}
	pthread_join(thread, NULL);
	bench_stop(&b, &counts);
	expect_stream(&b, session_of(&b, 0), 15000);
	free(stream);
	bench_done(&b);
}

static void
stopping_takes_what_was_sent_and_says_why(void **state)
{
	struct listener_counts counts;
	struct bench b;
	char text[512];
	uint8_t *stream;
	size_t n;
	int fd;

	(void)state;
	bench_init(&b);
	bench_start(&b);
	stream = make_stream(50, 1, &n);
	fd = connect_plain(b.ports[0]);
	wait_frames(&b, FRAME_OPEN, 1);
	send_all(fd, stream, n);
	bench_stop(&b, &counts);
	assert_true(is_closed(fd));
	close(fd);
	expect_stream(&b, session_of(&b, 0), 50);
	find_frame(&b, FRAME_CLOSE, 0, text);
	assert_string_equal(text, "the collector stopped");
	free(stream);
	bench_done(&b);
}

static void
silence_after_data_is_ticked(void **state)
{
	struct listener_counts counts;
	struct bench b;
	uint8_t *stream;
	size_t n;
	int fd;

	(void)state;
	bench_init(&b);
	bench_start(&b);
	stream = make_stream(5, 1, &n);
	fd = connect_plain(b.ports[0]);
	send_all(fd, stream, n);
	wait_frames(&b, FRAME_TICK, 2);
	close(fd);
	bench_stop(&b, &counts);
	free(stream);
	bench_done(&b);
}

static void
a_silent_peer_is_closed_after_the_idle_timeout(void **state)
{
	struct listener_counts counts;
	struct bench b;
	char text[512];
	int fd;

	(void)state;
	bench_init(&b);
	b.settings.idle_timeout_ns = NS_PER_SECOND;
	bench_start(&b);
	fd = connect_plain(b.ports[0]);
	assert_true(is_closed(fd));
	close(fd);
	wait_frames(&b, FRAME_CLOSE, 1);
	bench_stop(&b, &counts);
	find_frame(&b, FRAME_CLOSE, 0, text);
	assert_string_equal(text, "silent for 1 s");
	assert_int_equal(counts.ended[PEERS_IDLE], 1);
	bench_done(&b);
}

static void
expect_complaint(const char *uri, const char *part)
{
	struct loop *loop = loop_new();
	struct listener_settings s = {.loop = loop, .uris = &uri, .uri_count = 1};
	struct listener *l = NULL;
	struct err e = {0};

	assert_true(listener_new(&s, &l, &e) < 0);
	assert_null(l);
	expect_text(e.text, part);
	loop_free(loop);
}

static void
places_that_cannot_be_listened_at_are_told(void **state)
{
	struct transport_uri any = {.scheme = &transport_tcp};
	struct transport_listener place;
	char uri[64];

	(void)state;
	expect_complaint("file:x", "read a file with -r");
	expect_complaint("tls://*:0", "needs a certificate");
	expect_complaint("tcp://192.0.2.1:0", "cannot listen at tcp://192.0.2.1:0");
	assert_int_equal(transport_listen(&any, &place, NULL), 0);
	snprintf(uri, sizeof uri, "tcp://*:%u", place.port);
	expect_complaint(uri, "Address already in use");
	transport_unlisten(&place);
}

static int
be_quiet(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_stream_becomes_frames_between_open_and_close),
	    cmocka_unit_test(the_collector_closes_when_what_came_is_durable),
	    cmocka_unit_test(a_peer_that_sends_byte_by_byte_is_understood),
	    cmocka_unit_test(many_peers_at_once_are_kept_apart),
	    cmocka_unit_test(a_stream_that_is_no_ipfix_is_closed_and_counted),
	    cmocka_unit_test(a_message_cut_by_the_end_is_told),
	    cmocka_unit_test(a_secured_peer_is_named_by_its_certificate),
	    cmocka_unit_test(every_refusal_has_its_reason),
	    cmocka_unit_test(half_open_peers_cost_an_honest_one_nothing_and_time_out),
	    cmocka_unit_test(one_peer_too_many_is_turned_away),
	    cmocka_unit_test(the_oldest_that_has_proved_nothing_makes_room),
	    cmocka_unit_test(an_address_has_no_more_than_its_share),
	    cmocka_unit_test(
		a_peer_that_drips_a_message_is_closed_after_the_message_timeout),
	    cmocka_unit_test(
		a_slow_processing_thread_holds_peers_up_and_nothing_is_lost),
	    cmocka_unit_test(a_full_journal_stops_reading_until_there_is_room),
	    cmocka_unit_test(stopping_takes_what_was_sent_and_says_why),
	    cmocka_unit_test(silence_after_data_is_ticked),
	    cmocka_unit_test(a_silent_peer_is_closed_after_the_idle_timeout),
	    cmocka_unit_test(places_that_cannot_be_listened_at_are_told),
	};
	return cmocka_run_group_tests(tests, be_quiet, NULL);
}
