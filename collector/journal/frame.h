/* What walks from reception to the tables: whole messages of one session with their
 * arrival time and place in the source.  A source is a journal or an imported file; a
 * position counts bytes in it and only grows.  Nothing after this reads a clock. */
#ifndef COLLECTOR_JOURNAL_FRAME_H
#define COLLECTOR_JOURNAL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/endpoint.h"

enum frame_kind {       /* and its payload */
	FRAME_OPEN = 1, /* a session begins: struct session_identity as text lines */
	FRAME_MESSAGES, /* whole messages of one stream, back to back */
	FRAME_CLOSE, /* the session ended: the reason as text, "" after a proper end */
	FRAME_REFUSED, /* a peer got no session: text lines peer, transport, reason */
	/* Time passed without messages, so a flush may be due: "", or a word where the
	 * source ends, for now or for good, and nothing waits any longer. */
	FRAME_TICK,
	FRAME_PAD, /* fills a block; never handed on */
};

struct frame {
	enum frame_kind kind;
	uint32_t session;    /* number within the source, never reused */
	uint16_t stream;     /* SCTP stream of all its messages; 0 elsewhere */
	uint64_t arrival_ns; /* since 1970 */
	uint64_t position;   /* of the payload's first byte; its n-th: position + n */
	uint64_t end;        /* where the next frame may begin */
	const uint8_t *payload; /* borrowed until the frame is processed */
	size_t length;
	/* Replay: a failed sync lost frames before this one, which nobody was told are
	 * durable. */
	bool is_after_gap;
};

/* Receives frames in their order; a negative return ends that. */
struct frame_sink {
	int (*each)(const struct frame *f, void *data);
	void *data;
};

/* As hex text: a journal's name is 16 random bytes, a file's the SHA-256 of it. */
struct source_id {
	char text[65];
};

/* What an exporter with a spool said in its hello (common/ipfix/delivery.h). */
struct session_delivery {
	bool is_on;
	uint8_t spool[16];
	uint64_t first;    /* number of the oldest message that it held */
	uint64_t start;    /* number of the first message after the preamble */
	uint32_t preamble; /* messages at the beginning that have no number */
	uint64_t lost_messages, lost_records;
};

/* What FRAME_OPEN says, one "key=value" line each: transport=tls, peer=192.0.2.1:5000
 * (of transport "file": the name of the file),
 * identity=host.example (from the verified certificate; empty: none), port=4739 (of
 * ours, where datagrams go to; 0: not said).  With a spool also spool=32 hex digits,
 * first=, start=, preamble=, lost_messages=, lost_records= in decimal.  What the roster
 * says of it: name= (of its exporter), domains=1,5-9 (that it may use; not said: all).
 */
struct session_identity {
	char transport[16];
	struct endpoint peer;
	char peer_name[128]; /* of a file, or of no address; "": the peer has one */
	char identity[256];
	uint16_t port;
	struct session_delivery delivery;
	char name[128];
	char domains[256]; /* as domain_ranges_parse() reads them */
};
/* Longest text that session_identity_write() makes. */
#define SESSION_IDENTITY_TEXT 1056
/* The length written, 0 when capacity is too small.  Control characters become '?'. */
size_t session_identity_write(
    const struct session_identity *s, char *out, size_t capacity);
/* Unknown keys are skipped.  0, or -EINVAL without transport or peer. */
int session_identity_read(
    const uint8_t *text, size_t length, struct session_identity *ret);
/* The peer as rows have it: its address without the port, written to `space`, or its
 * name. */
const char *session_identity_peer(
    const struct session_identity *s, char space[static ADDRESS_TEXT]);

#endif
