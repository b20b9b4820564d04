/* Captures of exports: each UDP sender is a session of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/import/import_private.h"
#include "collector/import/reassembly.h"
#include "collector/protocol/protocol.h"
#include "common/base/cursor.h"
#include "common/base/hash.h"
#include "common/ipfix/message.h"

#define SENDERS_MAX 32768u
#define SLOTS       65536u /* power of two, twice the senders */

struct sender {
	struct endpoint source, destination;
	uint32_t session; /* 0: free */
};

struct senders {
	struct import *m;
	uint64_t seed;
	uint64_t position;
	uint64_t arrival_ns;
	uint32_t next_session;
	unsigned count;
	struct sender slots[SLOTS];
};

static bool
is_sender(const struct sender *s, const struct datagram *d)
{
	return endpoint_is_same(&s->source, &d->source) &&
	       endpoint_is_same(&s->destination, &d->destination);
}

static struct sender *
find_sender(struct senders *s, const struct datagram *d)
{
	const struct endpoint key[] = {d->source, d->destination};
	uint64_t at = hash_bytes(key, sizeof key, s->seed) & (SLOTS - 1);

	while (s->slots[at].session != 0 && !is_sender(&s->slots[at], d)) {
		at = (at + 1) & (SLOTS - 1);
	}
	return &s->slots[at];
}

/* In the order of their numbers, so that every run does the same. */
static int
close_all(struct senders *s, uint64_t position, struct err *e)
{
	int rc = 0;

	for (uint32_t n = s->next_session - s->count; rc == 0 && n < s->next_session;
	     n++) {
		struct frame f = {.kind = FRAME_CLOSE,
		    .session = n,
		    .arrival_ns = s->arrival_ns,
		    .position = position};
		rc = import_frame(s->m, &f, e);
	}
	memset(s->slots, 0, sizeof s->slots);
	s->count = 0;
	return rc;
}

static int
open_sender(
    struct senders *s, struct sender *free, const struct datagram *d, struct err *e)
{
	const struct session_identity who = {.transport = "udp", .peer = d->source};
	struct frame f = {.arrival_ns = s->arrival_ns, .position = s->position};

	free->source = d->source;
	free->destination = d->destination;
	f.session = free->session = s->next_session++;
	s->count++;
	return import_session(s->m, f, &who, e);
}

static int
take_datagram(struct senders *s, const struct datagram *d, struct err *e)
{
	const struct protocol *p = protocol_find(d->payload, d->length);
	struct frame f = {.kind = FRAME_MESSAGES,
	    .arrival_ns = s->arrival_ns,
	    .position = s->position,
	    .payload = d->payload,
	    .length = p == NULL ? 0 : p->in_datagram(d->payload, d->length)};
	struct sender *sender;
	int rc;

	if (f.length == 0) {
		s->m->counts->skipped[IMPORT_NOT_EXPORT]++;
		return 0;
	}
	sender = find_sender(s, d);
	if (sender->session == 0 && s->count == SENDERS_MAX) {
		rc = close_all(s, s->position, e);
		if (rc < 0) {
			return rc;
		}
		sender = find_sender(s, d);
	}
	if (sender->session == 0) {
		rc = open_sender(s, sender, d, e);
		if (rc < 0) {
			return rc;
		}
	}
	f.session = sender->session;
	s->position += f.length;
	return import_frame(s->m, &f, e);
}

static int
take_packet(struct senders *s, struct reassembly *pieces,
    const struct capture_packet *packet, struct err *e)
{
	uint64_t *skipped = s->m->counts->skipped;
	struct datagram d;

	s->arrival_ns = packet->time_ns;
	switch (reassembly_take(pieces, packet, &d)) {
	case REASSEMBLY_WHOLE:
		d.source.port = s->m->settings->is_by_address ? 0 : d.source.port;
		return take_datagram(s, &d, e);
	case REASSEMBLY_PIECE:
		break;
	case REASSEMBLY_OTHER:
		skipped[IMPORT_NOT_UDP]++;
		break;
	case REASSEMBLY_CUT:
		skipped[IMPORT_CUT]++;
		break;
	case REASSEMBLY_MALFORMED:
		skipped[IMPORT_MALFORMED]++;
		break;
	}
	return 0;
}

static int
read_packets(struct senders *s, struct reassembly *pieces, struct capture *capture,
    struct err *e)
{
	struct capture_packet packet;
	uint64_t n = 0;
	int rc;

	while ((rc = capture_next(capture, &packet, e)) > 0) {
		rc = take_packet(s, pieces, &packet, e);
		if (rc < 0) {
			return rc;
		}
		if ((++n & 4095) == 0) {
			struct capture_counts counts;
			capture_counts(capture, &counts);
			import_progress(s->m, counts.position);
		}
	}
	if (rc == 0) {
		rc = import_end(s->m, e);
	}
	/* One beyond the last byte: never before a message. */
	return rc < 0 ? rc : close_all(s, s->position + 1, e);
}

int
import_capture(struct import *m, struct err *e)
{
	const struct capture_settings settings = {0};
	struct reassembly *pieces = reassembly_new();
	struct senders *s = calloc(1, sizeof *s);
	struct capture *capture = NULL;
	struct capture_counts counts;
	int rc;

	if (pieces == NULL || s == NULL) {
		rc = err_set(e, -ENOMEM, "not enough memory to read it");
		goto out;
	}
	s->m = m;
	s->seed = hash_seed();
	s->next_session = 1;
	rc = capture_open_file(m->path, &settings, &capture, e);
	if (rc < 0) {
		goto out;
	}
	rc = read_packets(s, pieces, capture, e);
	capture_counts(capture, &counts);
	m->counts->skipped[IMPORT_CUT] += counts.cut_short;
	m->counts->skipped[IMPORT_PIECES] = reassembly_incomplete(pieces);
	capture_close(capture);
out:
	reassembly_free(pieces);
	free(s);
	return rc;
}
