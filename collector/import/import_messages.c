/* Files of messages back to back: IPFIX files (RFC 5655), and datagrams of NetFlow v9
 * and v5 as others store them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "collector/import/import_private.h"
#include "collector/protocol/protocol.h"
#include "common/base/clock.h"
#include "common/capture/compressed.h"
#include "common/ipfix/message.h"

#define WINDOW      (1u << 20)
#define LEADING_MAX (1u << 20) /* how far to look for the first message */
#define SESSION     1u

struct reading {
	struct import *m;
	struct compressed file;
	uint8_t *window;
	size_t at, filled; /* in the window */
	uint64_t offset;   /* in the file, of window[at] */
	bool is_at_end, has_begun;
};

struct found { /* a message */
	const struct protocol *protocol;
	size_t length;
	uint64_t second; /* since 1970, when it was exported */
	bool may_be_one; /* as far as one can see */
};

/* Makes n bytes available at `at`, where the file has them. */
static int
need(struct reading *r, size_t n, struct err *e)
{
	size_t got;

	if (r->filled - r->at >= n || r->is_at_end) {
		return 0;
	}
	memmove(r->window, r->window + r->at, r->filled - r->at);
	r->filled -= r->at;
	r->at = 0;
	got = fread(r->window + r->filled, 1, WINDOW - r->filled, r->file.stream);
	r->is_at_end = got < WINDOW - r->filled;
	r->filled += got;
	if (ferror(r->file.stream)) {
		const char *why = compressed_error(&r->file);
		return err_set(e, -EIO, "cannot read beyond byte %" PRIu64 ": %s",
		    r->offset, why == NULL ? strerror(errno) : why);
	}
	import_progress(r->m, compressed_position(&r->file));
	return 0;
}

static void
advance(struct reading *r, size_t n)
{
	r->at += n;
	r->offset += n;
}

/* An IPFIX message here, and after it another or the end of what can be seen. */
static bool
is_plausible(const struct reading *r, size_t at)
{
	size_t left = r->filled - at;
	int n = message_length(r->window + at, left);

	if (n <= 0 || (size_t)n > left) {
		return false;
	}
	return left - (size_t)n < 4 ||
	       message_length(r->window + at + n, left - (size_t)n) > 0;
}

static int
skip_leading(struct reading *r, struct err *e)
{
	size_t n = 0;

	for (; n < LEADING_MAX && r->at + n < r->filled; n++) {
		if (is_plausible(r, r->at + n)) {
			r->m->counts->skipped[IMPORT_LEADING] += n;
			advance(r, n);
			return 0;
		}
	}
	return err_set(e, -EPROTO,
	    "not a file of IPFIX or NetFlow messages, and not a capture (pcap, "
	    "pcapng)");
}

static bool
is_zero_to_the_end(struct reading *r, struct err *e)
{
	uint64_t zeros = 0;

	for (;;) {
		while (r->at < r->filled) {
			if (r->window[r->at] != 0) {
				return false;
			}
			advance(r, 1);
			zeros++;
		}
		if (r->is_at_end) {
			r->m->counts->skipped[IMPORT_TRAILING] += zeros;
			return true;
		}
		if (need(r, 1, e) < 0) {
			return false;
		}
	}
}

/* What is here is not a message. */
static int
handle_other(struct reading *r, struct err *e)
{
	uint64_t offset = r->offset;

	if (!r->has_begun) {
		return skip_leading(r, e);
	}
	if (is_zero_to_the_end(r, e)) {
		return 0;
	}
	return err_set(e, -EPROTO,
	    "damaged at byte %" PRIu64
	    ": no message begins there; the messages before it "
	    "are stored",
	    offset);
}

/* The message that begins here; false: none does, or not all of it is in the window. */
static bool
find_message(const struct reading *r, struct found *ret)
{
	const uint8_t *at = r->window + r->at;
	size_t left = r->filled - r->at;
	int n = protocol_length(at, left);
	struct protocol_header h;

	ret->may_be_one = n >= 0;
	if (n <= 0 || (size_t)n > left ||
	    protocol_read(at, (size_t)n, &ret->protocol, &h) < 0) {
		return false;
	}
	ret->length = (size_t)n;
	ret->second = h.clock.export_ns / NS_PER_SECOND;
	return true;
}

/* Takes a message and, where messages tell their length, all of its protocol in the
 * window that follow it and were exported in the same second: one frame. */
static int
take_messages(struct reading *r, const struct found *first, struct err *e)
{
	struct frame f = {.kind = FRAME_MESSAGES,
	    .session = SESSION,
	    .arrival_ns = first->second * NS_PER_SECOND,
	    .position = r->offset,
	    .payload = r->window + r->at};
	struct found next = *first;
	int rc;

	do {
		advance(r, next.length);
		f.length += next.length;
	} while (first->protocol->is_framed && find_message(r, &next) &&
		 next.protocol == first->protocol && next.second == first->second);
	if (!r->has_begun) {
		struct session_identity who = {.transport = "file"};
		snprintf(who.peer_name, sizeof who.peer_name, "%s", r->m->name);
		rc = import_session(r->m, f, &who, e);
		if (rc < 0) {
			return rc;
		}
	}
	r->has_begun = true;
	return import_frame(r->m, &f, e);
}

static int
read_all(struct reading *r, struct err *e)
{
	for (;;) {
		struct found m;
		int rc = need(r, MESSAGE_MAX, e);
		size_t left = r->filled - r->at;
		if (rc < 0) {
			return rc;
		}
		if (left == 0 && r->has_begun) {
			return 0;
		}
		if (find_message(r, &m)) {
			rc = take_messages(r, &m, e);
		} else if (r->has_begun && m.may_be_one) {
			/* The exporter, or a copy, was stopped in mid message. */
			r->m->counts->skipped[IMPORT_TRAILING] += left;
			advance(r, left);
		} else {
			rc = handle_other(r, e);
		}
		if (rc < 0) {
			return rc;
		}
	}
}

int
import_messages(struct import *m, struct err *e)
{
	struct frame end = {.kind = FRAME_CLOSE, .session = SESSION};
	struct reading r = {.m = m};
	int rc;

	r.window = malloc(WINDOW);
	if (r.window == NULL) {
		return err_set(e, -ENOMEM, "not enough memory to read it");
	}
	rc = compressed_open(m->path, &r.file, e);
	if (rc == 0) {
		rc = read_all(&r, e);
		compressed_close(&r.file);
	}
	free(r.window);
	/* The end of the session, one beyond the last byte: never before a message. */
	end.position = r.offset + 1;
	if (rc == 0) {
		rc = import_end(m, e);
	}
	return rc < 0 ? rc : import_frame(m, &end, e);
}
