/* Sessions from inside: what the files of this room share. */
#ifndef COLLECTOR_SESSION_SESSION_PRIVATE_H
#define COLLECTOR_SESSION_SESSION_PRIVATE_H

#include "collector/journal/domain_range.h"
#include "collector/session/sequence.h"
#include "collector/session/session.h"

/* Memory for the templates of all sessions together, where settings do not say. */
#define SESSION_TEMPLATE_BYTES (256u << 20)
#define SESSION_LEARNED_MAX    4096u
/* SCTP streams other than 0 whose sequence numbers are followed, of a domain and of all.
 * Loss in further streams is not seen. */
#define DOMAIN_STREAMS_MAX  256u
#define SESSION_STREAMS_MAX 65536u

struct stream {
	uint16_t number;
	struct sequence sequence;
};

/* A data set that waits for its template. */
struct held {
	struct held *older, *newer; /* of all sessions */
	struct held *next;          /* of its domain */
	struct domain *domain;
	uint64_t arrival_ns, position;
	struct protocol_clock clock;
	uint16_t id;
	size_t length;
	uint8_t bytes[];
};

/* What tells the domains of a session apart. */
struct domain_key {
	const struct protocol *protocol;
	uint32_t id;
	struct address agent; /* as in struct protocol_header */
};

struct domain {
	struct domain_key key;
	/* "10.0.0.1 via 192.0.2.1": its agent, where another address sends for it; else
	 * NULL. */
	char *via;
	struct session *session;
	struct held *held_first, *held_last; /* oldest first */
	size_t held_bytes;
	unsigned held_count;
	struct templates *templates;
	size_t template_bytes;    /* part of the session's and of all */
	uint64_t swept_ns;        /* when old templates had to make room last */
	unsigned learned;         /* of sessions.learned: known to the templates */
	struct sequence sequence; /* of stream 0 */
	struct stream *streams;   /* the others, by number */
	unsigned stream_count;
	struct sampling *sampling;
	bool has_flows;      /* it has had templates of other records than options */
	uint64_t started_ms; /* since 1970, as options say; 0: unknown */
	uint32_t uptime_ms;  /* of the latest message, where the version has it */
	struct session_counts counts;
};

struct session {
	uint32_t number;
	bool is_open;
	bool is_orphan;    /* closed; the next session of the same peer takes it over */
	bool is_datagrams; /* templates may be missing and are not withdrawn */
	bool can_reorder;
	struct session_identity identity;
	struct domain_ranges permitted;
	uint64_t minute_ns; /* arrival: when it began */
	unsigned errors;    /* in this minute */
	bool is_cut;
	char exporter[256];
	/* With a spool: */
	struct watermark *mark;
	uint64_t next_message;             /* number of the next after the preamble */
	bool is_broken_off;                /* sessions_break_off() */
	uint32_t preamble_left;            /* messages */
	uint64_t lost_in_spool;            /* records, not yet counted with a domain */
	size_t held_bytes, template_bytes; /* of its domains */
	struct domain **domains;           /* by key */
	unsigned domain_count;
	/* The only domain of options alone that tells of sampling; NULL: none, or several. */
	const struct domain *sampler;
	bool has_samplers; /* several */
	struct domain
	    *last; /* most messages are of the same domain as the one before */
	uint64_t
	    used; /* sessions.clock at its last message: the least is idle longest */
	struct session *next;
	struct session *next_orphan; /* of its bucket */
	struct session *older_orphan, *newer_orphan;
};

struct sessions {
	struct sessions_settings settings;
	struct elements *elements;
	int (*set)(const struct template *t, const uint8_t *bytes, size_t length,
	    const struct origin *o, void *data);
	void *data;

	struct session **buckets; /* by number */
	struct session **orphans; /* by peer */
	struct session *oldest_orphan, *newest_orphan;
	uint64_t seed;        /* of their hash */
	unsigned bucket_mask; /* of both */
	unsigned open, closed, domains, streams;
	struct session *last;
	uint64_t clock;  /* messages so far */
	uint64_t now_ns; /* arrival of the latest frame */
	bool is_counting;
	struct session *unknown; /* counts what belongs to no session; has its rest */
	struct watermarks *marks;
	size_t template_bytes;
	struct held *held_first, *held_last; /* oldest first */
	size_t held_bytes;
	unsigned held_count;
	struct cursor *fields;          /* max_fields, for options records */
	struct templates *packets;      /* of what records with packets become */
	uint8_t *rewritten;             /* a template set as IPFIX has it */
	const struct element **learned; /* RFC 5610; part of the state */
	unsigned learned_count;
};

/* session_delivery.c: the spool of a session, if it has one.  Attach: its numbers begin;
 * false: no memory. */
bool session_attach_spool(struct sessions *s, struct session *session);
/* Its opening frame is handled: what the spool lost until then is to be counted. */
void session_begin_spool(struct sessions *s, struct session *session);
void session_leave_spool(struct sessions *s, struct session *session);
/* Gives one message its number; false: it was here before. */
bool session_number_message(struct sessions *s, struct session *session);

struct session *sessions_find(const struct sessions *s, uint32_t number);
/* Makes room where needed; NULL: no memory. */
struct session *sessions_add(
    struct sessions *s, uint32_t number, const struct session_identity *identity);
/* session_domain.c.  NULL: unknown. */
struct domain *session_find_domain(
    const struct session *session, const struct domain_key *key);
/* The domain, made on first sight.  0, -ENOSPC: one too many, or -ENOMEM. */
int session_domain(struct sessions *s, struct session *session,
    const struct domain_key *key, struct domain **ret);
/* Domain 0 of IPFIX, where what belongs to no domain is counted: there is always room
 * for it.  0 or -ENOMEM. */
int session_rest(struct sessions *s, struct session *session, struct domain **ret);
/* Counts one drop outside a message. */
void domain_count_drop(const struct sessions *s, struct domain *d, enum drop why);
void domain_free(struct domain *d);
/* Who a domain's records come from. */
const char *domain_exporter(const struct sessions *s, const struct domain *d);
/* The stream's sequence, made on first sight.  0, -ENOSPC: one too many, or -ENOMEM. */
int domain_sequence(
    struct sessions *s, struct domain *d, uint16_t stream, struct sequence **ret);
/* Ends all streams: the records lost in their open gaps. */
uint64_t domain_end_sequences(struct sessions *s, struct domain *d);
/* Its options told a sampling rate. */
void domain_sampled(struct domain *d);
/* What is known of the sampling of its records; NULL: nothing. */
const struct sampling *domain_sampling(const struct domain *d);
/* Reads a template set; the memory of all stays bounded. */
void domain_read_templates(struct sessions *s, struct domain *d, uint16_t set_id,
    struct cursor body, struct template_counts *counts);
/* Frees its templates; it reads no more. */
void domain_end_templates(struct sessions *s, struct domain *d);
/* A built-in template set, beyond all bounds.  0 or -ENOMEM. */
int domain_add_templates(struct sessions *s, struct domain *d, struct cursor body);
/* Templates of this session that came before this time have expired. */
uint64_t session_templates_since(
    const struct sessions *s, const struct session *session);
/* NULL: it never came, or has expired. */
struct template *domain_find_template(
    const struct sessions *s, const struct domain *d, uint16_t id);
/* Remembers a learned element for snapshots; domain_learn() takes it to templates. */
void sessions_learned(struct sessions *s, const struct element *e);
/* Templates that were read before their elements were learned know them now. */
void domain_learn(struct sessions *s, struct domain *d);
/* Nothing late can come any more: counts what is missing as lost. */
void domain_settle(struct sessions *s, struct domain *d);
/* Frees its templates; its counters stay until they are taken. */
void session_close(struct sessions *s, struct session *session);
/* Keeps what it knows for the next session of the same peer. */
void session_orphan(struct sessions *s, struct session *session);

/* session_agent.c: "AGENT via SENDER"; NULL where the sender says it all.  0 or -ENOMEM. */
int session_agent_via(
    const struct session_identity *sender, const struct address *agent, char **ret_via);

/* session_orphan.c: what sessions of datagrams left behind. */
void orphan_add(struct sessions *s, struct session *session);
/* The caller closes it or goes on with it. */
void orphan_take(struct sessions *s, struct session *session);
/* The orphan of this peer, or NULL. */
struct session *orphans_find(
    const struct sessions *s, const struct session_identity *id);

/* session_waiting.c: data before its template.  0, -ENOSPC or -ENOMEM. */
struct waiting_set {
	uint16_t id;
	struct cursor set;
};
int waiting_add(struct sessions *s, struct domain *d, const struct waiting_set *w,
    const struct origin *o);
/* Drops and counts what has waited too long. */
void waiting_expire(struct sessions *s);
/* Drops what a domain holds. */
void waiting_drop(struct sessions *s, struct domain *d, bool counts);
/* Releases the sets whose template a domain knows now, oldest first, and at most this
 * many records, for which the tables need room beforehand.  The rest waits for the next
 * message with templates. */
#define HELD_RELEASE_MOST 65536u
void waiting_release(struct sessions *s, struct domain *d,
    void (*each)(const struct held *h, void *data), void *data);

#endif
