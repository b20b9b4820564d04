/* The listener in a loop of its own, a processing thread that keeps every frame, and
 * real peers over loopback. */
#ifndef TESTS_COLLECTOR_DOOR_SUPPORT_LISTENER_H
#define TESTS_COLLECTOR_DOOR_SUPPORT_LISTENER_H

#include <pthread.h>
#include <stdatomic.h>

#include "collector/door/listener.h"

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

/* Of the test that runs; settings may be changed before bench_start(). */
extern struct bench bench;

int bench_set_up(void **state);
int bench_tear_down(void **state);
#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, bench_set_up, bench_tear_down)
void bench_start(struct bench *b);
void bench_stop(struct bench *b, struct listener_counts *ret);

unsigned bench_count(struct bench *b, enum frame_kind kind);
/* Until n frames of a kind have come. */
void bench_wait(struct bench *b, enum frame_kind kind, unsigned n);
/* The i-th frame of a kind, its payload as text. */
const struct kept *bench_find(
    struct bench *b, enum frame_kind kind, unsigned i, char text[static 512]);
uint32_t bench_session(struct bench *b, unsigned i);
void bench_expect_text(const char *text, const char *part);

int bench_connect(uint16_t port);
void bench_send(int fd, const void *bytes, size_t n);
/* Whether the collector closed in order within 10 s. */
bool bench_is_closed(int fd);
/* count messages, the i-th bearing i in its last four bytes and `mark` in its domain.
 */
uint8_t *bench_make_stream(unsigned count, uint32_t mark, size_t *ret_n);
/* The frames of one session must hold messages 0..count-1 in order. */
void bench_expect_stream(struct bench *b, uint32_t session, unsigned count);
/* A TLS peer that sends a stream in order; what it was told. */
int bench_send_secured(
    struct bench *b, const char *name, const uint8_t *stream, size_t n, struct err *e);

struct bench_sending {
	uint16_t port;
	unsigned seed;
	const uint8_t *stream;
	size_t n;
};
/* A thread that connects and sends in pieces of odd sizes. */
void *bench_send_pieces(void *sending);

#endif
