#include "tests/unit/collector/door/support_listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/schemes/schemes.h"
#include "tests/unit/common/tls/support_certificates.h"

#define FRAMES_MAX 65536

struct bench bench;

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

int
bench_set_up(void **state)
{
	static const char *const uris[] = {"tcp://*:0", "tls://*:0"};

	(void)state;
	bench = (struct bench){
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
	return 0;
}

void
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

void
bench_stop(struct bench *b, struct listener_counts *ret)
{
	loop_wake(b->loop);
	pthread_join(b->receiving, NULL);
	ring_close(b->ring);
	pthread_join(b->processing, NULL);
	listener_counts(b->listener, ret);
}

int
bench_tear_down(void **state)
{
	(void)state;
	listener_free(bench.listener);
	loop_free(bench.loop);
	ring_free(bench.ring);
	journal_close(bench.journal);
	pthread_mutex_destroy(&bench.lock);
	free(bench.frames);
	free(bench.bytes);
	remove_directory(bench.directory);
	return 0;
}

unsigned
bench_count(struct bench *b, enum frame_kind kind)
{
	unsigned n = 0;

	pthread_mutex_lock(&b->lock);
	for (unsigned i = 0; i < b->count; i++) {
		n += b->frames[i].kind == kind;
	}
	pthread_mutex_unlock(&b->lock);
	return n;
}

void
bench_wait(struct bench *b, enum frame_kind kind, unsigned n)
{
	for (int i = 0; i < 10000 && bench_count(b, kind) < n; i++) {
		poll(NULL, 0, 2);
	}
	assert_true(bench_count(b, kind) >= n);
}

/* The i-th frame of a kind, its payload as text. */
const struct kept *
bench_find(struct bench *b, enum frame_kind kind, unsigned i, char text[static 512])
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

void
bench_expect_text(const char *text, const char *part)
{
	if (strstr(text, part) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", text, part);
	}
}

/* Peers. */

int
bench_connect(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

void
bench_send(int fd, const void *bytes, size_t n)
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
bool
bench_is_closed(int fd)
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
uint8_t *
bench_make_stream(unsigned count, uint32_t mark, size_t *ret_n)
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
void
bench_expect_stream(struct bench *b, uint32_t session, unsigned count)
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

uint32_t
bench_session(struct bench *b, unsigned i)
{
	char text[512];

	return bench_find(b, FRAME_OPEN, i, text)->session;
}

/* A TLS peer that sends a stream in order; what it was told. */
int
bench_send_secured(
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

void *
bench_send_pieces(void *data)
{
	struct bench_sending *s = data;
	unsigned x = s->seed;
	int fd = bench_connect(s->port);

	for (size_t at = 0; at < s->n;) {
		size_t piece;
		x = x * 1103515245 + 12345;
		piece = 1 + (x >> 8) % 9000;
		piece = piece < s->n - at ? piece : s->n - at;
		bench_send(fd, s->stream + at, piece);
		at += piece;
	}
	shutdown(fd, SHUT_WR);
	assert_true(bench_is_closed(fd));
	close(fd);
	return NULL;
}
