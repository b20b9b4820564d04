/* Sessions from inside: shared by session.c (messages) and session_state.c (snapshots).
 */
#ifndef COLLECTOR_SESSION_TABLE_H
#define COLLECTOR_SESSION_TABLE_H

#include "collector/sequence.h"
#include "collector/session.h"

/* Memory that templates of all sessions may take together. */
#define SESSION_TEMPLATE_BYTES (256u << 20)
#define SESSION_LEARNED_MAX    4096u
/* SCTP streams beside 0 whose sequence numbers are followed: of a domain, and of all
 * together.  Loss in further ones is not seen. */
#define DOMAIN_STREAMS_MAX  256u
#define SESSION_STREAMS_MAX 65536u

struct stream {
	uint16_t number;
	struct sequence sequence;
};

struct domain {
	uint16_t version;
	uint32_t id;
	struct templates *templates;
	size_t template_bytes;    /* estimate, part of sessions.template_bytes */
	struct sequence sequence; /* of stream 0 */
	struct stream *streams;   /* the others, by number */
	unsigned stream_count;
	uint32_t uptime_ms; /* of the latest message, where the version has it */
	struct session_counts counts;
};

struct session {
	uint32_t number;
	bool is_open;
	bool can_reorder, may_withdraw;
	struct session_identity identity;
	char exporter[256];
	struct domain **domains; /* by version and id */
	unsigned domain_count;
	struct domain
	    *last;     /* most messages are of the same domain as the one before */
	uint64_t used; /* counts messages of all sessions: the least is idle longest */
	struct session *next;
};

struct sessions {
	struct sessions_settings settings;
	struct elements *elements;
	int (*set)(const struct template *t, const uint8_t *bytes, size_t length,
	    const struct origin *o, void *data);
	void *data;

	struct session **buckets;
	unsigned bucket_mask;
	unsigned open, closed, domains, streams;
	struct session *last;
	uint64_t clock;  /* messages so far */
	uint64_t now_ns; /* arrival of the latest frame */
	bool is_counting;
	struct session *unknown; /* counts what belongs to no session */
	size_t template_bytes;
	struct cursor *fields;          /* max_fields, for options records */
	uint8_t *rewritten;             /* a template set out of NetFlow v9 */
	const struct element **learned; /* RFC 5610; part of the state */
	unsigned learned_count;
};

struct session *sessions_find(const struct sessions *s, uint32_t number);
/* Makes room where needed; NULL: no memory. */
struct session *sessions_add(
    struct sessions *s, uint32_t number, const struct session_identity *identity);
/* NULL: not there. */
struct domain *session_find_domain(
    const struct session *session, uint16_t version, uint32_t id);
/* The domain, made on first sight; NULL: one too many. */
struct domain *session_domain(
    struct sessions *s, struct session *session, uint16_t version, uint32_t id);
/* The stream's sequence, made on first sight; NULL: one too many. */
struct sequence *domain_sequence(struct sessions *s, struct domain *d, uint16_t stream);
/* Nothing more comes: the records lost in open gaps of all streams, which go. */
uint64_t domain_end_sequences(struct sessions *s, struct domain *d);
/* Reads a template set; the memory of all stays bounded. */
void domain_read_templates(struct sessions *s, const struct session *session,
    struct domain *d, uint16_t set_id, struct cursor body,
    struct template_counts *counts);
/* Remembers a learned element for snapshots; templates that know it not yet do now. */
void sessions_learned(struct sessions *s, const struct element *e);

#endif
