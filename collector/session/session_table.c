/* The table of sessions: found, added, closed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/protocol/packet_section.h"
#include "collector/session/session_private.h"
#include "common/base/hash.h"
#include "common/ipfix/message.h"
#include "common/schemes/schemes.h"

static void
session_free(struct sessions *s, struct session *session)
{
	if (session == NULL) {
		return;
	}
	for (unsigned i = 0; i < session->domain_count; i++) {
		struct domain *d = session->domains[i];
		waiting_drop(s, d, false);
		domain_end_templates(s, d);
		s->domains -= session != s->unknown;
		(void)domain_end_sequences(s, d);
		domain_free(d);
	}
	session_leave_spool(s, session);
	free(session->domains);
	free(session);
}

/* The exporter's name: the roster's, else the certificate's, else the address without
 * the port. */
static void
name_exporter(const struct sessions *s, struct session *session)
{
	const struct session_identity *id = &session->identity;
	const char *from = s->settings.exporter;
	char text[ADDRESS_TEXT];

	if (from == NULL) {
		from = id->name[0] != '\0'       ? id->name
		       : id->identity[0] != '\0' ? id->identity
						 : session_identity_peer(id, text);
	}
	snprintf(session->exporter, sizeof session->exporter, "%s", from);
}

static struct session *
session_new(
    const struct sessions *s, uint32_t number, const struct session_identity *id)
{
	const struct transport_scheme *scheme = schemes_find(id->transport);
	struct session *session = calloc(1, sizeof *session);

	if (session == NULL) {
		return NULL;
	}
	session->number = number;
	session->identity = *id;
	session->is_open = true;
	session->is_datagrams = scheme != NULL && scheme->is_unreliable;
	session->can_reorder = scheme != NULL && scheme->can_reorder;
	(void)domain_ranges_parse(id->domains, &session->permitted); /* else none */
	name_exporter(s, session);
	return session;
}

static unsigned
count_buckets(unsigned sessions)
{
	unsigned n = 64;

	while (n < sessions && n < 1u << 20) {
		n *= 2;
	}
	return n;
}

static struct templates *
new_packets(const struct elements *elements)
{
	struct templates *t = templates_new(UINT16_MAX, UINT16_MAX);
	struct template_counts counts = {0};

	if (t != NULL) {
		templates_read_set(t, elements, TEMPLATE_SET_ID,
		    packet_section_templates(), false, &counts);
	}
	if (counts.no_memory > 0) {
		templates_free(t);
		return NULL;
	}
	return t;
}

struct sessions *
sessions_new(const struct sessions_settings *settings, struct elements *elements,
    int (*set)(const struct template *t, const uint8_t *bytes, size_t length,
	const struct origin *o, void *data),
    void *data)
{
	static const struct session_identity unknown = {
	    .transport = "unknown", .peer_name = "unknown"};
	struct sessions *s = calloc(1, sizeof *s);
	struct domain *rest;

	if (s == NULL) {
		return NULL;
	}
	s->settings = *settings;
	s->elements = elements;
	s->set = set;
	s->data = data;
	s->is_counting = true;
	s->bucket_mask = count_buckets(settings->max_sessions) - 1;
	s->buckets = calloc(s->bucket_mask + 1, sizeof(struct session *));
	s->orphans = calloc(s->bucket_mask + 1, sizeof(struct session *));
	s->seed = hash_seed();
	s->fields = calloc(settings->max_fields + 1, sizeof(struct cursor));
	s->learned = calloc(SESSION_LEARNED_MAX, sizeof(struct element *));
	s->marks = watermarks_new(settings->max_spools);
	s->rewritten = malloc(PROTOCOL_REWRITE_MAX);
	s->packets = new_packets(elements);
	s->unknown = session_new(s, 0, &unknown);
	if (s->buckets == NULL || s->orphans == NULL || s->fields == NULL ||
	    s->learned == NULL || s->marks == NULL || s->rewritten == NULL ||
	    s->packets == NULL || s->unknown == NULL ||
	    session_rest(s, s->unknown, &rest) < 0) {
		sessions_free(s);
		return NULL;
	}
	return s;
}

void
sessions_free(struct sessions *s)
{
	if (s == NULL) {
		return;
	}
	for (unsigned i = 0; s->buckets != NULL && i <= s->bucket_mask; i++) {
		struct session *session = s->buckets[i], *next;
		for (; session != NULL; session = next) {
			next = session->next;
			session_free(s, session);
		}
	}
	session_free(s, s->unknown);
	free(s->buckets);
	free(s->orphans);
	free(s->fields);
	watermarks_free(s->marks);
	free(s->learned);
	free(s->rewritten);
	templates_free(s->packets);
	free(s);
}

void
sessions_set_counting(struct sessions *s, bool is_counting)
{
	s->is_counting = is_counting;
}

struct session *
sessions_find(const struct sessions *s, uint32_t number)
{
	struct session *session = s->buckets[number & s->bucket_mask];

	while (session != NULL && (session->number != number || !session->is_open)) {
		session = session->next;
	}
	return session;
}

/* Loss may show after the last message. */
static bool
is_counted(const struct session_counts *c)
{
	return c->messages > 0 || c->lost > 0 || c->last_drop < DROPS;
}

static bool
has_counted(const struct session *session)
{
	for (unsigned i = 0; i < session->domain_count; i++) {
		if (is_counted(&session->domains[i]->counts)) {
			return true;
		}
	}
	return false;
}

static void
unlink_session(struct sessions *s, struct session *session)
{
	struct session **at = &s->buckets[session->number & s->bucket_mask];

	while (*at != session) {
		at = &(*at)->next;
	}
	*at = session->next;
	if (s->last == session) {
		s->last = NULL;
	}
}

/* Where no message came to count it with. */
static void
count_lost_in_spool(struct sessions *s, struct session *session)
{
	struct domain *d;

	if (session->lost_in_spool == 0 || !s->is_counting) {
		return;
	}
	d = s->unknown->domains[0];
	session_rest(s, session, &d);
	if (d->counts.messages == 0) {
		d->counts.first_ns = d->counts.last_ns = s->now_ns;
	}
	d->counts.lost += session->lost_in_spool;
	session->lost_in_spool = 0;
}

void
session_close(struct sessions *s, struct session *session)
{
	if (session->is_orphan) {
		orphan_take(s, session);
	}
	count_lost_in_spool(s, session);
	session_leave_spool(s, session);
	for (unsigned i = 0; i < session->domain_count; i++) {
		struct domain *d = session->domains[i];
		domain_settle(s, d);
		waiting_drop(s, d, true);
		domain_end_templates(s, d);
	}
	session->is_open = false;
	s->open--;
	if (has_counted(session)) {
		s->closed++;
		if (s->last == session) {
			s->last = NULL;
		}
		return;
	}
	unlink_session(s, session);
	session_free(s, session);
}

static bool
close_oldest_orphan(struct sessions *s)
{
	if (s->oldest_orphan == NULL) {
		return false;
	}
	session_close(s, s->oldest_orphan);
	return true;
}

void
session_orphan(struct sessions *s, struct session *session)
{
	struct session *other = orphans_find(s, &session->identity);

	if (other != NULL) { /* it sent to two ports of ours: the later one stays */
		session_close(s, other);
	}
	for (unsigned i = 0; i < session->domain_count; i++) {
		domain_settle(s, session->domains[i]);
	}
	orphan_add(s, session);
}

static void
close_idle_longest(struct sessions *s)
{
	struct session *oldest = NULL;

	for (unsigned i = 0; i <= s->bucket_mask; i++) {
		struct session *session = s->buckets[i];
		for (; session != NULL; session = session->next) {
			if (session->is_open &&
			    (oldest == NULL || session->used < oldest->used)) {
				oldest = session;
			}
		}
	}
	if (oldest != NULL) {
		session_close(s, oldest);
	}
}

static void
link_session(struct sessions *s, struct session *session, uint32_t number)
{
	struct session **bucket = &s->buckets[number & s->bucket_mask];

	session->number = number;
	session->next = *bucket;
	*bucket = session;
}

struct session *
sessions_add(
    struct sessions *s, uint32_t number, const struct session_identity *identity)
{
	struct session *session;

	if (s->open >= s->settings.max_sessions && !close_oldest_orphan(s)) {
		close_idle_longest(s);
	}
	session = session_new(s, number, identity);
	if (session == NULL) {
		return NULL;
	}
	if (!session_attach_spool(s, session)) {
		session_free(s, session);
		return NULL;
	}
	session->used = s->clock;
	link_session(s, session, number);
	s->open++;
	return session;
}

void
sessions_open(struct sessions *s, uint32_t session, const uint8_t *text, size_t length,
    uint64_t arrival_ns)
{
	struct session_identity identity;
	struct session *known, *added;

	s->now_ns = arrival_ns;
	if (session_identity_read(text, length, &identity) < 0 ||
	    sessions_find(s, session) != NULL) {
		return; /* its messages are counted as of an unknown session */
	}
	known = orphans_find(s, &identity);
	if (known == NULL) {
		added = sessions_add(s, session, &identity);
		if (added != NULL) {
			session_begin_spool(s, added);
		} else {
			domain_count_drop(s, s->unknown->domains[0], DROP_NO_MEMORY);
		}
		return;
	}
	orphan_take(s, known);
	memcpy(known->identity.name, identity.name, sizeof identity.name);
	memcpy(known->identity.domains, identity.domains, sizeof identity.domains);
	(void)domain_ranges_parse(identity.domains, &known->permitted); /* else none */
	name_exporter(s, known);
	unlink_session(s, known);
	link_session(s, known, session);
	known->used = s->clock;
}

void
sessions_close(struct sessions *s, uint32_t session, uint64_t arrival_ns)
{
	struct session *found = sessions_find(s, session);

	s->now_ns = arrival_ns;
	if (found == NULL || found->is_orphan) {
		return;
	}
	if (found->is_datagrams && s->settings.is_live) {
		session_orphan(s, found);
	} else {
		session_close(s, found);
	}
}

unsigned
sessions_held(const struct sessions *s)
{
	return s->held_count;
}

void
sessions_each_open(const struct sessions *s,
    void (*each)(uint32_t session, const struct session_identity *identity, void *data),
    void *data)
{
	for (unsigned i = 0; i <= s->bucket_mask; i++) {
		const struct session *session = s->buckets[i];
		for (; session != NULL; session = session->next) {
			if (session->is_open && !session->is_orphan) {
				each(session->number, &session->identity, data);
			}
		}
	}
}

bool
sessions_are_full(const struct sessions *s)
{
	return s->closed >= s->settings.max_sessions;
}

static void
take_session(const struct sessions *s, struct session *session,
    void (*each)(const struct session_counts *c, void *data), void *data)
{
	for (unsigned i = 0; i < session->domain_count; i++) {
		struct domain *d = session->domains[i];
		if (!is_counted(&d->counts)) {
			continue;
		}
		d->counts.identity = &session->identity;
		d->counts.exporter = domain_exporter(s, d);
		d->counts.via = d->via;
		d->counts.domain = d->key.id;
		d->counts.protocol = d->key.protocol;
		each(&d->counts, data);
		memset(&d->counts, 0, sizeof d->counts);
		d->counts.last_drop = DROPS;
	}
}

void
sessions_take_counts(struct sessions *s,
    void (*each)(const struct session_counts *c, void *data), void *data)
{
	take_session(s, s->unknown, each, data);
	for (unsigned i = 0; i <= s->bucket_mask; i++) {
		struct session **at = &s->buckets[i];
		while (*at != NULL) {
			struct session *session = *at;
			take_session(s, session, each, data);
			if (session->is_open) {
				at = &session->next;
				continue;
			}
			*at = session->next;
			s->closed--;
			session_free(s, session);
		}
	}
}
