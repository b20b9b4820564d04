/* The door in a listener of its own, with real sockets and a real journal.  Loop and
 * processing take turns in one thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector/door/listener.h"
#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/base/log.h"

#define FRAMES_MAX 65536
#define PATIENCE   NS_PER_MINUTE

struct kept {
	enum frame_kind kind;
	uint32_t session;
	size_t at, length; /* in bytes */
};

struct bench {
	char directory[64];
	struct listener_settings settings;
	struct loop *loop;
	struct journal *journal;
	struct ring *ring;
	struct listener *listener;
	uint16_t port;
	struct kept *frames;
	unsigned count;
	uint8_t *bytes;
	size_t used, capacity;
	/* While the loop runs. */
	struct loop_timer timer;
	bool (*is_done)(struct bench *b, unsigned n);
	unsigned wanted;
	bool is_paused; /* frames are not taken */
	uint64_t due_ns;
};

static void
keep(struct bench *b, const struct frame *f)
{
	assert_true(b->count < FRAMES_MAX);
	if (b->capacity < b->used + f->length) {
		b->capacity = 2 * (b->used + f->length);
		b->bytes = realloc(b->bytes, b->capacity);
		assert_non_null(b->bytes);
	}
	memcpy(b->bytes + b->used, f->payload, f->length);
	b->frames[b->count++] = (struct kept){f->kind, f->session, b->used, f->length};
	b->used += f->length;
}

static void
take_frames(struct bench *b)
{
	struct journal_buffer *buffer;

	while ((buffer = ring_pop(b->ring, 0)) != NULL) {
		struct frame f;
		size_t at = 0;
		while (journal_buffer_next(buffer, &at, &f) == 1) {
			keep(b, &f);
		}
		journal_buffer_return(b->journal, buffer);
	}
}

static void
turn(struct loop_timer *t, uint64_t now_ns)
{
	struct bench *b = t->data;

	if (!b->is_paused) {
		take_frames(b);
	}
	if (b->is_done(b, b->wanted)) {
		loop_stop(b->loop);
		return;
	}
	assert_true(now_ns < b->due_ns);
	loop_timer_set(b->loop, t, now_ns + 2 * NS_PER_MS);
}

/* Runs the loop until is_done(n). */
static void
run_until(struct bench *b, bool (*is_done)(struct bench *b, unsigned n), unsigned n)
{
	b->is_done = is_done;
	b->wanted = n;
	b->due_ns = clock_monotonic_ns() + PATIENCE;
	b->timer = (struct loop_timer){.expired = turn, .data = b};
	loop_timer_set(b->loop, &b->timer, 1);
	assert_int_equal(loop_run(b->loop), 0);
}

static const char *const one_uri[] = {"udp://*:0"};

static struct bench bench;

static int
set_up(void **state)
{
	(void)state;
	bench = (struct bench){
	    .settings = {.uris = one_uri,
		.uri_count = 1,
		.max_peers = 10,
		.sync_interval_ns = 5 * NS_PER_MS,
		.udp = {.buffer_bytes = 1 << 20, .max_sources = 100}},
	};
	strcpy(bench.directory, "/tmp/flowpair-udp-door-XXXXXX");
	assert_non_null(mkdtemp(bench.directory));
	bench.frames = calloc(FRAMES_MAX, sizeof *bench.frames);
	assert_non_null(bench.frames);
	return 0;
}

static void
bench_start(struct bench *b)
{
	struct journal_settings journal = {
	    .segment_bytes = 16 << 20,
	    .max_bytes = 256 << 20,
	    .sync_interval_ns = 5 * NS_PER_MS,
	    .directory = b->directory,
	};
	struct err e = {0};

	if (journal_open(&journal, &b->journal, &e) < 0) {
		fail_msg("%s", e.text);
	}
	b->ring = ring_new(16);
	b->loop = loop_new();
	assert_true(b->ring != NULL && b->loop != NULL);
	b->settings.loop = b->loop;
	b->settings.journal = b->journal;
	b->settings.out = b->ring;
	if (listener_new(&b->settings, &b->listener, &e) < 0) {
		fail_msg("%s", e.text);
	}
	b->port = listener_port(b->listener, 0);
}

static struct udp_listener_counts
counts(const struct bench *b)
{
	struct udp_listener_counts c = {0};

	assert_true(listener_udp_counts(b->listener, 0, &c));
	return c;
}

static struct udp_listener_counts
bench_stop(struct bench *b)
{
	struct udp_listener_counts c;

	listener_stop(b->listener);
	take_frames(b);
	c = counts(b);
	listener_free(b->listener);
	loop_free(b->loop);
	ring_free(b->ring);
	journal_close(b->journal);
	return c;
}

static int
tear_down(void **state)
{
	DIR *d = opendir(bench.directory);
	struct dirent *entry;

	(void)state;
	while (d != NULL && (entry = readdir(d)) != NULL) {
		unlinkat(dirfd(d), entry->d_name, 0);
	}
	closedir(d);
	rmdir(bench.directory);
	free(bench.frames);
	free(bench.bytes);
	return 0;
}

/* What loops wait for. */

static unsigned
frame_count(const struct bench *b, enum frame_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < b->count; i++) {
		n += b->frames[i].kind == kind;
	}
	return n;
}

static bool
has_frames(struct bench *b, unsigned n)
{
	return frame_count(b, FRAME_MESSAGES) >= n;
}

static bool
has_closed(struct bench *b, unsigned n)
{
	return frame_count(b, FRAME_CLOSE) >= n;
}

static bool
has_received(struct bench *b, unsigned n)
{
	return counts(b).datagrams >= n;
}

static bool
has_dropped(struct bench *b, unsigned n)
{
	return counts(b).kernel_drops >= n;
}

static bool
has_accounted(struct bench *b, unsigned n)
{
	struct udp_listener_counts c = counts(b);

	return c.datagrams + c.kernel_drops >= n;
}

/* The i-th frame of a kind, its payload as text. */
static const struct kept *
find_frame(
    const struct bench *b, enum frame_kind kind, unsigned i, char text[static 512])
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

/* Senders. */

static int
dial(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static void
send_bytes(int fd, const void *bytes, size_t n)
{
	assert_int_equal(send(fd, bytes, n, 0), n);
}

/* An IPFIX message of n bytes that says to be `said` long. */
static void
send_message(int fd, size_t n, size_t said, uint32_t mark)
{
	uint8_t bytes[65507] = {0};

	store_u16(bytes, 10);
	store_u16(bytes + 2, (uint16_t)said);
	store_u32(bytes + 8, mark);
	send_bytes(fd, bytes, n);
}

static void
ipfix_and_netflow_become_frames_as_they_came(void **state)
{
	static const uint8_t v9[20] = {0, 9, 0, 1}, v5[72] = {0, 5, 0, 1};
	const struct kept *f;
	char text[512];
	int fd;

	(void)state;
	bench_start(&bench);
	fd = dial(bench.port);
	send_message(fd, 40, 40, 1);
	run_until(&bench, has_frames, 1);
	send_bytes(fd, v9, sizeof v9);
	send_bytes(fd, v5, sizeof v5);
	run_until(&bench, has_frames, 3);
	find_frame(&bench, FRAME_OPEN, 0, text);
	assert_memory_equal(text, "transport=udp\npeer=127.0.0.1:", 29);
	assert_non_null(strstr(text, "\nport="));
	f = find_frame(&bench, FRAME_MESSAGES, 0, text);
	assert_int_equal(f->length, 40);
	f = find_frame(&bench, FRAME_MESSAGES, 1, text);
	assert_int_equal(f->length, sizeof v9);
	assert_memory_equal(bench.bytes + f->at, v9, sizeof v9);
	f = find_frame(&bench, FRAME_MESSAGES, 2, text);
	assert_int_equal(f->length, sizeof v5);
	assert_int_equal(frame_count(&bench, FRAME_OPEN), 1);
	close(fd);
	assert_int_equal(bench_stop(&bench).messages, 3);
}

static void
anything_else_is_counted_and_makes_no_frame(void **state)
{
	static const uint8_t sflow[28] = {0, 0, 0, 5}, dns[12] = {0x12, 0x34};
	struct udp_listener_counts c;
	int fd;

	(void)state;
	bench_start(&bench);
	fd = dial(bench.port);
	send_bytes(fd, sflow, sizeof sflow);
	send_bytes(fd, dns, sizeof dns);
	send_bytes(fd, "", 0);
	send_bytes(fd, "\n", 1);
	run_until(&bench, has_received, 4);
	close(fd);
	c = bench_stop(&bench);
	assert_int_equal(c.not_ipfix, 4);
	assert_int_equal(c.sources, 0);
	assert_int_equal(bench.count, 1);
	assert_int_equal(frame_count(&bench, FRAME_TICK), 1); /* of the stop */
}

static void
each_port_of_an_address_is_a_session(void **state)
{
	int one, two;

	(void)state;
	bench_start(&bench);
	one = dial(bench.port);
	two = dial(bench.port);
	send_message(one, 40, 40, 1);
	send_message(two, 40, 40, 2);
	run_until(&bench, has_frames, 2);
	assert_int_equal(frame_count(&bench, FRAME_OPEN), 2);
	close(one);
	close(two);
	assert_int_equal(bench_stop(&bench).sources, 2);
}

static void
an_address_is_one_session_where_asked(void **state)
{
	char text[512];
	int one, two;

	(void)state;
	bench.settings.udp.is_by_address = true;
	bench_start(&bench);
	one = dial(bench.port);
	two = dial(bench.port);
	send_message(one, 40, 40, 1);
	run_until(&bench, has_frames, 1);
	send_message(two, 40, 40, 2);
	run_until(&bench, has_frames, 2);
	assert_int_equal(frame_count(&bench, FRAME_OPEN), 1);
	find_frame(&bench, FRAME_OPEN, 0, text);
	assert_memory_equal(text, "transport=udp\npeer=127.0.0.1\n", 29);
	close(one);
	close(two);
	bench_stop(&bench);
}

static void
messages_share_a_frame_unless_one_lies_about_its_length(void **state)
{
	const struct kept *f;
	char text[512];
	int fd;

	(void)state;
	bench_start(&bench);
	fd = dial(bench.port);
	for (uint32_t i = 0; i < 3; i++) {
		send_message(fd, 100, 100, i);
	}
	send_message(fd, 100, 90, 3);
	send_message(fd, 100, 110, 4);
	send_message(fd, 9000, 9000, 5);
	run_until(&bench, has_frames, 4);
	f = find_frame(&bench, FRAME_MESSAGES, 0, text);
	assert_int_equal(f->length, 300);
	assert_int_equal(load_u32(bench.bytes + f->at + 208), 2);
	f = find_frame(&bench, FRAME_MESSAGES, 1, text);
	assert_int_equal(f->length, 100);
	f = find_frame(&bench, FRAME_MESSAGES, 2, text);
	assert_int_equal(f->length, 100);
	f = find_frame(&bench, FRAME_MESSAGES, 3, text);
	assert_int_equal(f->length, 9000);
	assert_int_equal(load_u32(bench.bytes + f->at + 8), 5);
	close(fd);
	bench_stop(&bench);
}

static void
one_source_too_many_ends_the_longest_idle(void **state)
{
	struct udp_listener_counts c;
	uint32_t second;
	char text[512];
	int fds[3];

	(void)state;
	bench.settings.udp.max_sources = 2;
	bench_start(&bench);
	for (unsigned i = 0; i < 2; i++) {
		fds[i] = dial(bench.port);
		send_message(fds[i], 40, 40, 0);
		run_until(&bench, has_frames, i + 1);
	}
	second = find_frame(&bench, FRAME_OPEN, 1, text)->session;
	send_message(fds[0], 40, 40, 0);
	run_until(&bench, has_frames, 3);
	fds[2] = dial(bench.port);
	send_message(fds[2], 40, 40, 0);
	run_until(&bench, has_frames, 4);
	assert_int_equal(find_frame(&bench, FRAME_CLOSE, 0, text)->session, second);
	assert_non_null(strstr(text, "idle longest of too many"));
	for (unsigned i = 0; i < 3; i++) {
		close(fds[i]);
	}
	c = bench_stop(&bench);
	assert_int_equal(c.evicted, 1);
	assert_int_equal(c.sources, 3);
}

static void
a_silent_source_ends_and_begins_anew(void **state)
{
	uint32_t first;
	char text[512];
	int fd;

	(void)state;
	bench.settings.udp.idle_ns = 100 * NS_PER_MS;
	bench_start(&bench);
	fd = dial(bench.port);
	send_message(fd, 40, 40, 0);
	run_until(&bench, has_closed, 1);
	first = find_frame(&bench, FRAME_OPEN, 0, text)->session;
	assert_int_equal(find_frame(&bench, FRAME_CLOSE, 0, text)->session, first);
	assert_memory_equal(text, "silent for ", 11);
	send_message(fd, 40, 40, 0);
	run_until(&bench, has_frames, 2);
	assert_int_not_equal(find_frame(&bench, FRAME_OPEN, 1, text)->session, first);
	close(fd);
	assert_int_equal(bench_stop(&bench).idle, 1);
}

static void
a_stop_takes_what_the_kernel_holds(void **state)
{
	char text[512];
	int fd;

	(void)state;
	bench_start(&bench);
	fd = dial(bench.port);
	for (uint32_t i = 0; i < 300; i++) {
		send_message(fd, 1000, 1000, i);
	}
	close(fd);
	assert_int_equal(bench_stop(&bench).messages, 300);
	assert_int_equal(frame_count(&bench, FRAME_CLOSE), 1);
	assert_int_equal(bench.used - bench.frames[0].length -
			     find_frame(&bench, FRAME_CLOSE, 0, text)->length,
	    300 * 1000 + 4);
	assert_string_equal(text, "the collector stopped");
	assert_int_equal(bench.frames[bench.count - 1].kind, FRAME_TICK);
	assert_int_equal(bench.frames[bench.count - 1].length, 4);
}

static void
a_slow_processing_thread_lets_the_kernel_drop_and_every_drop_is_counted(void **state)
{
	const unsigned burst = 400, most = 100;
	struct udp_listener_counts c;
	uint64_t cpu_ns;
	unsigned sent = 0;
	int fd;

	(void)state;
	bench.settings.udp.buffer_bytes = 256 << 10;
	bench_start(&bench);
	fd = dial(bench.port);
	bench.is_paused = true;
	while (counts(&bench).kernel_drops == 0 && sent < most * burst) {
		for (unsigned i = 0; i < burst; i++) {
			send_message(fd, 1400, 1400, sent++);
		}
		run_until(&bench, has_received, 1);
	}
	run_until(&bench, has_dropped, 1);
	/* Stuck, it looks for room now and then, but does not spin. */
	cpu_ns = clock_cpu_ns();
	for (unsigned i = 0; i < 100; i++) {
		usleep(1000);
		run_until(&bench, has_dropped, 1);
	}
	assert_true(clock_cpu_ns() - cpu_ns < NS_PER_SECOND);
	bench.is_paused = false;
	run_until(&bench, has_accounted, sent);
	c = bench_stop(&bench);
	assert_int_equal(c.datagrams + c.kernel_drops, sent);
	assert_int_equal(c.messages, c.datagrams);
	close(fd);
}

static void
an_ipv6_source_is_named_with_brackets(void **state)
{
	struct sockaddr_in6 to = {
	    .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	char text[512];
	int fd;

	(void)state;
	bench_start(&bench);
	to.sin6_port = htons(bench.port);
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	send_message(fd, 40, 40, 0);
	run_until(&bench, has_frames, 1);
	find_frame(&bench, FRAME_OPEN, 0, text);
	assert_memory_equal(text, "transport=udp\npeer=[::1]:", 25);
	close(fd);
	bench_stop(&bench);
}

static int
be_quiet(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(ipfix_and_netflow_become_frames_as_they_came),
	    TEST(anything_else_is_counted_and_makes_no_frame),
	    TEST(each_port_of_an_address_is_a_session),
	    TEST(an_address_is_one_session_where_asked),
	    TEST(messages_share_a_frame_unless_one_lies_about_its_length),
	    TEST(one_source_too_many_ends_the_longest_idle),
	    TEST(a_silent_source_ends_and_begins_anew),
	    TEST(a_stop_takes_what_the_kernel_holds),
	    TEST(
		a_slow_processing_thread_lets_the_kernel_drop_and_every_drop_is_counted),
	    TEST(an_ipv6_source_is_named_with_brackets),
	};
	return cmocka_run_group_tests(tests, be_quiet, NULL);
}
