#include "tests/unit/collector/door/support_delivery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/schemes/schemes.h"
#include "tests/unit/collector/session/support_message.h"
#include "tests/unit/common/tls/support_certificates.h"

static int
take_set(const struct template *t, const uint8_t *bytes, size_t length,
    const struct origin *o, void *data)
{
	struct station *s = data;

	(void)o;
	for (size_t at = 0; at + t->record_length <= length; at += t->record_length) {
		atomic_fetch_add(&s->seen[load_u32(bytes + at) % DELIVERY_NUMBERS], 1);
	}
	return (int)(length / t->record_length);
}

static void
take_counts(const struct session_counts *c, void *data)
{
	struct station *s = data;

	s->lost += c->lost;
	s->repeated += c->dropped[DROP_REPEATED];
}

/* As process.c, without tables and their flushes: nothing of a replay is in a store. */
static int
handle_frame(const struct frame *f, void *data)
{
	struct station *s = data;

	if (f->is_after_gap) {
		sessions_break_off(s->sessions);
	}
	if (f->kind == FRAME_OPEN) {
		sessions_open(
		    s->sessions, f->session, f->payload, f->length, f->arrival_ns);
	} else if (f->kind == FRAME_CLOSE) {
		sessions_close(s->sessions, f->session, f->arrival_ns);
	} else if (f->kind == FRAME_MESSAGES) {
		size_t at = 0;
		while (at < f->length) {
			size_t n = load_u16(f->payload + at + 2);
			support_message(
			    s->sessions, MESSAGE(f->session, f->stream, f->payload + at,
					     n, f->arrival_ns, f->position + at));
			at += n;
		}
	}
	return 0;
}

static void *
process(void *data)
{
	struct station *s = data;
	struct journal_buffer *b;

	while ((b = ring_pop(s->ring, UINT64_MAX)) != NULL) {
		struct frame f;
		size_t at = 0;
		while (atomic_load(&s->is_paused)) {
			poll(NULL, 0, 2);
		}
		while (journal_buffer_next(b, &at, &f) == 1) {
			(void)handle_frame(&f, s);
		}
		journal_buffer_return(s->journal, b);
	}
	return NULL;
}

static void *
receive(void *data)
{
	struct station *s = data;

	(void)loop_run(s->loop);
	return NULL;
}

static void
woken(void *data)
{
	struct station *s = data;

	if (!atomic_load(&s->is_killed)) {
		listener_stop(s->listener);
	}
	loop_stop(s->loop);
}

void
station_init(struct station *s)
{
	static const char *const uris[] = {"tls://127.0.0.1:0"};

	memset(s, 0, sizeof *s);
	strcpy(s->ca, support_certificate("ca.pem"));
	strcpy(s->certificate, support_certificate("collector.pem"));
	strcpy(s->key, support_certificate("collector.key"));
	s->settings = (struct listener_settings){.uris = uris,
	    .uri_count = 1,
	    .max_peers = 100,
	    .max_peers_per_address = 100,
	    .max_half_open = 100,
	    .max_spools = 16,
	    .handshake_timeout_ns = 5 * NS_PER_SECOND,
	    .sync_interval_ns = 5 * NS_PER_MS,
	    .tls = {.ca = s->ca, .certificate = s->certificate, .key = s->key}};
	strcpy(s->directory, "/tmp/flowpair-delivery-XXXXXX");
	assert_non_null(mkdtemp(s->directory));
}

struct open_sessions {
	unsigned count;
	uint32_t numbers[256];
};

static void
note_open(uint32_t session, const struct session_identity *identity, void *data)
{
	struct open_sessions *o = data;

	(void)identity;
	assert_true(o->count < 256);
	o->numbers[o->count++] = session;
}

/* What a kill left open. */
static void
close_orphans(struct station *s)
{
	struct open_sessions o = {0};

	sessions_each_open(s->sessions, note_open, &o);
	for (unsigned i = 0; i < o.count; i++) {
		sessions_close(s->sessions, o.numbers[i], 0);
	}
}

static void
open_journal(struct station *s)
{
	const struct sessions_settings sessions = {.max_sessions = 256,
	    .max_domains = 1024,
	    .max_templates = 16,
	    .max_fields = 16,
	    .max_spools = 2 * s->settings.max_spools,
	    .is_live = true};
	const struct journal_settings journal = {.segment_bytes = 4 << 20,
	    .max_bytes = 256 << 20,
	    .directory = s->directory};
	struct err e = {0};

	if (journal_open(&journal, &s->journal, &e) < 0) {
		fail_msg("%s", e.text);
	}
	s->elements = elements_new(ELEMENT_PEN_OWN);
	s->sessions = sessions_new(&sessions, s->elements, take_set, s);
	s->lost = s->repeated = 0;
	memset(s->seen, 0, sizeof s->seen);
	if (journal_replay(s->journal, 0, &(struct frame_sink){handle_frame, s}, &e) <
	    0) {
		fail_msg("%s", e.text);
	}
	close_orphans(s);
}

void
station_start(struct station *s)
{
	struct err e = {0};

	open_journal(s);
	atomic_store(&s->is_killed, false);
	s->settings.marks = sessions_watermarks(s->sessions);
	s->ring = ring_new(16);
	s->loop = loop_new();
	s->settings.loop = s->loop;
	s->settings.journal = s->journal;
	s->settings.out = s->ring;
	if (listener_new(&s->settings, &s->listener, &e) < 0) {
		fail_msg("%s", e.text);
	}
	s->port = listener_port(s->listener, 0);
	loop_on_wake(s->loop, woken, s);
	pthread_create(&s->receiving, NULL, receive, s);
	pthread_create(&s->processing, NULL, process, s);
	s->is_running = true;
}

static void
end(struct station *s)
{
	loop_wake(s->loop);
	pthread_join(s->receiving, NULL);
	ring_close(s->ring);
	pthread_join(s->processing, NULL);
	listener_counts(s->listener, &s->counts);
	listener_free(s->listener);
	sessions_take_counts(s->sessions, take_counts, s);
	sessions_free(s->sessions);
	elements_free(s->elements);
	loop_free(s->loop);
	ring_free(s->ring);
	journal_close(s->journal);
	s->is_running = false;
}

void
station_stop(struct station *s)
{
	end(s);
}

void
station_kill(struct station *s)
{
	atomic_store(&s->is_killed, true);
	end(s);
}

void
station_done(struct station *s)
{
	const struct dirent *entry;
	DIR *d;

	if (s->is_running) {
		station_stop(s);
	}
	d = opendir(s->directory);
	while (d != NULL && (entry = readdir(d)) != NULL) {
		unlinkat(dirfd(d), entry->d_name, 0);
	}
	closedir(d);
	rmdir(s->directory);
}

/* The exporter's end. */

static void
wait_ready(const struct client *c, short events)
{
	struct pollfd p = {.fd = c->t.fd, .events = events};

	poll(&p, 1, 20);
}

void
client_dial(
    struct client *c, const struct station *s, const char *name, const char *protocol)
{
	char text[64], pem[64], key[64];
	struct tls_settings settings = {
	    .ca = support_certificate("ca.pem"), .alpn = protocol};
	struct transport_uri uri;
	struct err e = {0};
	int rc;

	*c = (struct client){0};
	snprintf(pem, sizeof pem, "%s.pem", name);
	snprintf(key, sizeof key, "%s.key", name);
	settings.certificate = support_certificate(pem);
	settings.key = support_certificate(key);
	snprintf(text, sizeof text, "tls://localhost:%u", s->port);
	assert_int_equal(schemes_parse_uri(text, &uri, &e), 0);
	assert_int_equal(tls_context_new(&settings, false, &c->context, &e), 0);
	assert_int_equal(transport_dial(&c->t, &uri, c->context, &e), 0);
	while ((rc = c->t.ops->proceed(&c->t, &e)) == -EAGAIN) {
		wait_ready(c, POLLIN);
	}
	if (rc < 0) {
		fail_msg("%s", e.text);
	}
	c->is_open = true;
}

static bool
write_all(struct client *c, const uint8_t *bytes, size_t n)
{
	while (n > 0) {
		ssize_t put = c->t.ops->write(&c->t, bytes, n, NULL);
		if (put == -EAGAIN) {
			wait_ready(c, POLLOUT);
		} else if (put <= 0) {
			return false;
		} else {
			bytes += put;
			n -= (size_t)put;
		}
	}
	return true;
}

void
client_write(struct client *c, const void *bytes, size_t n)
{
	assert_true(write_all(c, bytes, n));
}

int
client_read(struct client *c)
{
	uint8_t bytes[DELIVERY_WORD];
	size_t have = 0;

	for (int i = 0; i < 1000 && have < sizeof bytes; i++) {
		ssize_t n =
		    c->t.ops->read(&c->t, bytes + have, sizeof bytes - have, NULL);
		if (n == -EAGAIN) {
			wait_ready(c, POLLIN);
		} else if (n <= 0) {
			return n == 0 ? 0 : -1;
		} else {
			have += (size_t)n;
		}
	}
	assert_int_equal(have, sizeof bytes);
	assert_int_equal(delivery_read_word(bytes, &c->word), 0);
	return 1;
}

bool
client_greet(struct client *c, const struct station *s, const struct delivery_hello *h)
{
	uint8_t bytes[DELIVERY_HELLO];

	client_dial(c, s, "exporter", DELIVERY_ALPN);
	assert_string_equal(c->t.protocol, DELIVERY_ALPN);
	delivery_write_hello(h, bytes);
	client_write(c, bytes, sizeof bytes);
	if (client_read(c) <= 0 || c->word.status != DELIVERY_WELCOME) {
		return false;
	}
	c->number = delivery_start(h, c->word.number);
	return true;
}

static size_t
build(uint8_t *out, uint32_t sequence, uint16_t set_id, const uint16_t *words,
    size_t count)
{
	size_t length = 20 + 2 * count;

	memset(out, 0, 20);
	store_u16(out, 10);
	store_u16(out + 2, (uint16_t)length);
	store_u32(out + 8, sequence);
	store_u32(out + 12, 7);
	store_u16(out + 16, set_id);
	store_u16(out + 18, (uint16_t)(length - 16));
	for (size_t i = 0; i < count; i++) {
		store_u16(out + 20 + 2 * i, words[i]);
	}
	return length;
}

void
client_send_template(struct client *c)
{
	static const uint16_t words[] = {256, 2, 7, 2, 11, 2};
	uint8_t bytes[64];

	client_write(c, bytes, build(bytes, c->sequence, 2, words, 6));
}

bool
client_send(struct client *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint16_t words[] = {(uint16_t)(c->number >> 16), (uint16_t)c->number};
		uint8_t bytes[64];
		size_t length = build(bytes, c->sequence++, 256, words, 2);
		if (!write_all(c, bytes, length)) {
			return false;
		}
		c->number++;
	}
	return true;
}

bool
client_await(struct client *c, uint64_t number)
{
	while (c->word.status != DELIVERY_ACKNOWLEDGED || c->word.number < number) {
		if (client_read(c) <= 0) {
			return false;
		}
	}
	return true;
}

void
client_finish(struct client *c)
{
	(void)c->t.ops->finish(&c->t, NULL);
}

void
client_close(struct client *c)
{
	if (c->is_open) {
		c->t.ops->close(&c->t);
		tls_context_free(c->context);
		c->is_open = false;
	}
}
