/* Transport sessions as the processing thread sees them: for each session, protocol and
 * observation domain the templates, the expected sequence number and the counters (RFC
 * 7011 sections 3.1, 8).  Messages of any protocol go in; data sets with a known
 * template come out.
 *
 * Datagrams may arrive before their template.  Their data waits, within bounds of time
 * and memory, and comes out with the template.  On TCP and TLS, which cannot reorder, it
 * is dropped.  What a session of datagrams knew outlives it: the next session of the
 * same peer continues with it.
 *
 * Threads: the processing thread. */
#ifndef COLLECTOR_SESSION_SESSION_H
#define COLLECTOR_SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/journal/frame.h"
#include "collector/journal/watermark.h"
#include "collector/protocol/drop.h"
#include "collector/protocol/message_view.h"
#include "collector/protocol/origin.h"
#include "collector/protocol/sampling.h"
#include "common/ipfix/element.h"
#include "common/ipfix/template.h"

/* What one domain of one session counted since it was last taken; feeds table
 * `exporters`. */
struct session_counts {
	const struct session_identity *identity;
	const char *exporter; /* as origin.exporter */
	/* NULL, or in place of the peer: "AGENT via ADDRESS" (sFlow). */
	const char *via;
	uint32_t domain;
	const struct protocol *protocol;
	uint64_t first_ns, last_ns; /* arrival */
	uint64_t messages, octets, records, options;
	uint64_t counter_samples;             /* of sFlow, which are not read */
	uint64_t templates, option_templates; /* templates: of both kinds */
	uint64_t unknown;    /* fields of new templates that no registry knows */
	enum drop last_drop; /* DROPS: none yet */
	/* What sequence numbers say is missing, in what they count; and records that a
	 * spool dropped before it was sent, counted once, with the first domain that
	 * the next session shows (0 when it shows none). */
	uint64_t lost;
	uint64_t reordered; /* messages that came late */
	uint64_t dropped[DROPS];
};

struct sessions;
struct sessions_settings {
	/* A peer with more errors in a minute of arrival is cut off; 0: never. */
	unsigned max_errors;
	bool (*cut)(uint32_t session, void *data); /* false: not now */
	void *cut_data;
	unsigned max_sessions, max_domains; /* domains: of all sessions together */
	unsigned max_templates, max_fields; /* per domain; per template */
	/* Of all templates together; 0: 256 MiB.  Of this and of max_domains each
	 * session always has an equal share. */
	size_t template_bytes;
	unsigned max_spools; /* watermarks kept; more where the source has more */
	bool is_live;        /* not an import: keeps what sessions of datagrams knew */
	/* Templates of datagrams expire when they were not repeated for this long (RFC
	 * 7011 section 8.4); 0: never. */
	uint64_t template_lifetime_ns;
	const char *exporter; /* overrides every origin's exporter name; NULL: none */
};

/* set() gets each set of data or options that has a template: it decodes and stores,
 * and counts what it drops with the origin; returns the number of records or -EBADMSG
 * when a record ran over the end of the set (those before it count). */
struct sessions *sessions_new(const struct sessions_settings *s,
    struct elements *elements,
    int (*set)(const struct template *t, const uint8_t *bytes, size_t length,
	const struct origin *o, void *data),
    void *data);
void sessions_free(struct sessions *s);

/* Not counting: during replay before the start position nothing is counted or stored;
 * sequence numbers and templates are learned.  Counting at first. */
void sessions_set_counting(struct sessions *s, bool is_counting);

void sessions_open(struct sessions *s, uint32_t session, const uint8_t *text,
    size_t length, uint64_t arrival_ns);
void sessions_close(struct sessions *s, uint32_t session, uint64_t arrival_ns);
/* Calls each() for every session that is open. */
void sessions_each_open(const struct sessions *s,
    void (*each)(uint32_t session, const struct session_identity *identity, void *data),
    void *data);
/* Whether the counters of closed sessions should be taken now, because many wait. */
bool sessions_are_full(const struct sessions *s);
/* At most how many data records sessions_message() would hand to set(). */
size_t sessions_most_records(
    const struct sessions *s, uint32_t session, const struct message_view *v);
/* One whole message, which is in the frame's payload. */
void sessions_message(
    struct sessions *s, const struct frame *f, const struct message_view *v);

/* Data sets that wait for their template. */
unsigned sessions_held(const struct sessions *s);
/* One message that is not processed still takes its number in its spool. */
void sessions_skip_message(struct sessions *s, uint32_t session);
/* Frames that were never acknowledged are missing here.  What open sessions send after
 * them from a spool does not count, because all of it comes again. */
void sessions_break_off(struct sessions *s);
/* How far the source holds each spool. */
const struct watermarks *sessions_watermarks(const struct sessions *s);

/* Takes the counters of every domain that counted anything, and clears them. */
void sessions_take_counts(struct sessions *s,
    void (*each)(const struct session_counts *c, void *data), void *data);

/* State for self-contained segments: everything needed to go on decoding.  Saved
 * atomically and durably; loaded into new sessions.  -ENOENT: the file is missing.  An
 * empty file is an operator's word that there is nothing to remember. */
int sessions_save(const struct sessions *s, const char *path, struct err *e);
int sessions_load(struct sessions *s, const char *path, struct err *e);

#endif
