#include "collector/session/session.h"

#include <errno.h>
#include <string.h>

#include "collector/protocol/netflow5.h"
#include "collector/protocol/netflow9.h"
#include "collector/protocol/nsel.h"
#include "collector/protocol/packet_section.h"
#include "collector/protocol/reader.h"
#include "collector/protocol/record_span.h"
#include "collector/protocol/sflow5.h"
#include "collector/protocol/type_record.h"
#include "collector/session/session_private.h"
#include "common/base/clock.h"
#include "common/ipfix/message.h"

#define SYSTEM_INIT_MS 160      /* systemInitTimeMilliseconds */
#define RESTART_MS     60000u   /* an uptime that is less by this: a restart */
#define WRAP_MS        3600000u /* before and after the uptime's end */
#define CLOCKLESS_NS   (365 * NS_PER_DAY)

/* One message on its way through. */
struct passage {
	struct sessions *s;
	struct session *session;
	struct domain *domain;
	struct origin origin;
	uint32_t records, options;           /* in the message itself */
	uint32_t late_records, late_options; /* held until now */
	uint32_t counter_samples;
	bool is_certain; /* every record could be counted */
	bool is_new;     /* its records are; counters may be */
	struct template_counts templates;
	struct structured_data_counts lists;
	uint64_t dropped[SESSION_DROPS];
};

/* Where options say when the exporter started, in milliseconds since 1970; or -1. */
static int
find_started(const struct template *t)
{
	for (unsigned i = 0; i < t->field_count; i++) {
		if (t->fields[i].pen == 0 && t->fields[i].id == SYSTEM_INIT_MS) {
			return (int)i;
		}
	}
	return -1;
}

/* IPFIX has no uptime in its header; options may say when the exporter started. */
static struct envelope_clock
clock_since_start(const struct domain *d, struct envelope_clock c)
{
	if (d->key.version == MESSAGE_VERSION && d->started_ms > 0) {
		c.has_uptime = true;
		c.uptime_ms = (uint32_t)(c.export_ns / NS_PER_MS - d->started_ms);
	}
	return c;
}

static void
read_options(struct passage *p, const struct template *t, struct cursor set)
{
	bool is_type, is_sampling, is_read;
	int started, rc;

	if (cursor_left(&set) < t->record_length) {
		return; /* padding: many such sets are not to cost what records do */
	}
	is_type = type_record_is(t);
	is_sampling = sampling_is(t);
	started = find_started(t);
	is_read = is_type || is_sampling || started >= 0;
	/* Tables may want them; they are counted here. */
	if (p->s->is_counting) {
		(void)p->s->set(t, set.at, cursor_left(&set), &p->origin, p->s->data);
	}
	while ((rc = record_span_next(t, &set, is_read ? p->s->fields : NULL)) > 0) {
		const struct element *e;
		p->options++;
		if (is_sampling) {
			sampling_learn(&p->domain->sampling, t, p->s->fields);
			domain_sampled(p->domain);
		}
		if (started >= 0 && cursor_left(&p->s->fields[started]) == 8) {
			p->domain->started_ms = load_u64(p->s->fields[started].at);
			p->origin.clock = clock_since_start(p->domain, p->origin.clock);
		}
		if (is_type && p->s->learned_count < SESSION_LEARNED_MAX &&
		    type_record_learn(t, p->s->fields, p->s->elements, &e) == 0) {
			sessions_learned(p->s, e);
		}
	}
	if (rc < 0) {
		p->dropped[SESSION_BAD_RECORD]++;
		p->is_certain = false;
	}
}

/* Events of firewalls say how often flows are updated. */
static void
read_events(struct passage *p, const struct template *t, struct cursor set)
{
	while (record_span_next(t, &set, p->s->fields) > 0) {
		nsel_learn(&p->domain->sampling, t, p->s->fields);
	}
}

/* A record that holds a packet is what the packet is. */
static void
read_packets(struct passage *p, const struct template *t, struct cursor set)
{
	struct sflow5_sample sample;
	int rc;

	p->origin.sampling = domain_sampling(p->domain);
	while ((rc = record_span_next(t, &set, p->s->fields)) > 0) {
		p->records++;
		if (p->is_new) {
			packet_section_read(t, p->s->fields, &sample);
			(void)p->s->set(templates_find(p->s->packets, sample.template),
			    sample.record, sample.length, &p->origin, p->s->data);
		}
	}
	if (rc < 0) {
		p->dropped[SESSION_BAD_RECORD]++;
		p->is_certain = false;
	}
}

/* Whether a template may come after its data. */
static bool
may_come_late(const struct passage *p)
{
	return p->session->can_reorder || p->domain->key.version != MESSAGE_VERSION;
}

static void
read_data(struct passage *p, uint16_t id, struct cursor set)
{
	struct template *t = domain_find_template(p->s, p->session, p->domain, id);
	bool is_whole = true;
	int n = 0;

	domain_learn(p->s, p->domain);
	if (t == NULL) {
		p->is_certain = false;
		if (!may_come_late(p) || !waiting_add(p->s, p->domain, id, set.at,
					     cursor_left(&set), &p->origin)) {
			p->dropped[SESSION_NO_TEMPLATE]++;
		}
		return;
	}
	if (t->is_options) {
		read_options(p, t, set);
		return;
	}
	if (reader_kind(t) == READER_PACKETS) {
		read_packets(p, t, set);
		return;
	}
	if (reader_kind(t) == READER_EVENTS) {
		read_events(p, t, set);
	}
	if (p->is_new) {
		p->origin.sampling = domain_sampling(p->domain);
		n = p->s->set(t, set.at, cursor_left(&set), &p->origin, p->s->data);
	}
	if (!p->is_new || n < 0) {
		uint32_t records = record_span_count(t, set, &is_whole);
		is_whole = is_whole && n >= 0;
		n = (int)records;
	}
	p->records += (uint32_t)n;
	if (!is_whole) {
		p->dropped[SESSION_BAD_RECORD]++;
		p->is_certain = false;
	}
}

static bool
is_template_set(uint16_t version, uint16_t id)
{
	return version == NETFLOW9_VERSION
		   ? id == NETFLOW9_TEMPLATES || id == NETFLOW9_OPTIONS
		   : id == TEMPLATE_SET_ID || id == OPTIONS_TEMPLATE_SET_ID;
}

static void
read_templates(struct passage *p, uint16_t id, struct cursor body)
{
	if (p->domain->key.version == NETFLOW9_VERSION) {
		unsigned bad;
		body = netflow9_rewrite(id, body, p->s->rewritten, &bad);
		p->templates.bad += bad;
		id = id == NETFLOW9_OPTIONS ? OPTIONS_TEMPLATE_SET_ID : TEMPLATE_SET_ID;
	}
	domain_read_templates(p->s, p->session, p->domain, id, body, &p->templates);
}

/* As if its template had been there: the origin is its own. */
static void
read_held(const struct held *h, void *data)
{
	struct passage *p = data, late = *p;

	late.records = late.options = 0;
	late.origin.arrival_ns = h->arrival_ns;
	late.origin.position = h->position;
	late.origin.clock = h->clock;
	read_data(&late, h->id, cursor_of(h->bytes, h->length));
	p->late_records += late.records;
	p->late_options += late.options;
	memcpy(p->dropped, late.dropped, sizeof p->dropped);
}

static void
read_sets(struct passage *p, struct cursor body)
{
	struct cursor before = body, set;
	uint16_t id;
	int rc;

	for (; (rc = message_next_set(&body, &id, &set)) > 0; before = body) {
		if (is_template_set(p->domain->key.version, id)) {
			read_templates(p, id, set);
		} else if (id >= TEMPLATE_MIN_ID) {
			read_data(p, id, set);
		} /* others are reserved: ignored (RFC 7011 section 3.3.2) */
	}
	if (rc < 0 && !cursor_is_zero(before)) { /* zeros up to the end are padding */
		p->dropped[SESSION_BAD_MESSAGE]++;
		p->is_certain = false;
	}
	if (p->templates.added + p->templates.redefined + p->templates.repeated > 0) {
		waiting_release(p->s, p->session, p->domain, read_held, p);
	}
	p->dropped[SESSION_BAD_TEMPLATE] += p->templates.bad;
	p->dropped[SESSION_REFUSED_TEMPLATE] += p->templates.refused;
	p->dropped[SESSION_IGNORED_WITHDRAWAL] += p->templates.ignored;
}

static void
count_message(struct passage *p, size_t length, const struct sequence_result *r)
{
	struct session_counts *c = &p->domain->counts;

	if (!p->s->is_counting) {
		return;
	}
	if (c->messages == 0) {
		c->first_ns = p->origin.arrival_ns;
	}
	c->last_ns = p->origin.arrival_ns;
	c->messages++;
	c->octets += length;
	c->templates +=
	    p->templates.added + p->templates.repeated + p->templates.redefined;
	c->option_templates += p->templates.options;
	c->unknown += p->templates.unknown;
	if (p->is_new) {
		c->records += p->records + p->late_records;
		c->options += p->options + p->late_options;
		c->counter_samples += p->counter_samples;
	}
	c->lost += r->lost + p->session->lost_in_spool;
	c->reordered += r->is_late;
	for (unsigned i = 0; i < SESSION_DROPS; i++) {
		c->dropped[i] += p->dropped[i];
		c->last_drop = p->dropped[i] > 0 ? i : c->last_drop;
	}
}

static struct session *
find_last(struct sessions *s, uint32_t number)
{
	if (s->last == NULL || s->last->number != number) {
		s->last = sessions_find(s, number);
	}
	return s->last;
}

/* An exporter that tells its uptime and has less of it than before began again: its
 * sequence numbers do, too.  Late messages are seconds old, and an uptime that passed
 * 2^32 ms is not less but very much less. */
static bool
has_restarted(struct domain *d, const struct envelope_clock *clock)
{
	uint32_t before = d->uptime_ms, now = clock->uptime_ms;

	if (!clock->has_uptime) {
		return false;
	}
	if (now < before && before - now < RESTART_MS) {
		return false;
	}
	d->uptime_ms = now;
	return now < before && !(before > UINT32_MAX - WRAP_MS && now < WRAP_MS);
}

/* The header's two bits of mode matter less than that the interval is there. */
static void
learn_netflow5(struct domain *d, uint16_t header)
{
	uint16_t interval = header & 0x3fff;

	if (interval > 1 || d->sampling != NULL) {
		sampling_set(&d->sampling, SAMPLING_DOMAIN, 0, interval);
	}
}

/* What the sequence numbers of this version count. */
static uint32_t
counted_by_sequence(const struct passage *p)
{
	return p->domain->key.version == NETFLOW9_VERSION ||
		       p->domain->key.version == ENVELOPE_SFLOW
		   ? 1
		   : p->records + p->options;
}

static void
read_sample(struct passage *p, const struct sflow5_sample *sample)
{
	switch (sample->kind) {
	case SFLOW5_PACKET:
		read_data(
		    p, sample->template, cursor_of(sample->record, sample->length));
		break;
	case SFLOW5_COUNTERS:
		p->counter_samples++;
		break;
	case SFLOW5_UNKNOWN:
		p->dropped[SESSION_UNKNOWN_SAMPLE]++;
		break;
	}
}

/* Packets were sampled when they came, as far as the header tells. */
static void
read_samples(struct passage *p, struct cursor body)
{
	struct sflow5_sample sample;
	int rc;

	p->origin.clock.export_ns = p->origin.arrival_ns;
	while ((rc = sflow5_next(&body, &sample)) != 0 && rc != -EPROTO) {
		if (rc < 0) {
			p->dropped[SESSION_BAD_SAMPLE]++;
		} else {
			read_sample(p, &sample);
		}
	}
	if (rc < 0) {
		p->dropped[SESSION_BAD_SAMPLE]++;
	}
}

/* A router that has not been told the time yet starts in 1970 or 1993.  NetFlow's times
 * count from its uptime: they need only know when the message was sent. */
static struct envelope_clock
clock_of_message(const struct passage *p, const struct envelope *e)
{
	struct envelope_clock c = clock_since_start(p->domain, e->clock);

	if ((e->version == NETFLOW9_VERSION || e->version == NETFLOW5_VERSION) &&
	    p->origin.is_live && p->origin.arrival_ns > CLOCKLESS_NS &&
	    c.export_ns < p->origin.arrival_ns - CLOCKLESS_NS) {
		c.export_ns = p->origin.arrival_ns;
	}
	return c;
}

static void
read_message(struct passage *p, const struct envelope *e, uint16_t stream,
    struct sequence_result *lost)
{
	bool counts_records = e->version == MESSAGE_VERSION;
	struct sequence *sequence;
	uint64_t lost_before = 0;

	p->origin.exporter = domain_exporter(p->s, p->domain);
	p->origin.is_proved = p->session->identity.identity[0] != '\0';
	p->origin.domain = e->domain;
	p->origin.templates = p->domain->templates;
	p->origin.templates_since_ns = session_templates_since(p->s, p->session);
	p->origin.lists = &p->lists;
	p->origin.clock = clock_of_message(p, e);
	if (e->version == NETFLOW5_VERSION) {
		learn_netflow5(p->domain, e->sampling);
		read_data(p, NETFLOW5_TEMPLATE, e->body);
	} else if (e->version == ENVELOPE_SFLOW) {
		read_samples(p, e->body);
	} else {
		read_sets(p, e->body);
	}
	p->dropped[SESSION_BAD_LIST] += p->lists.malformed;
	p->dropped[SESSION_LIST_TEMPLATE] += p->lists.no_template;
	p->dropped[SESSION_LONG_LIST] += p->lists.cut;
	if (has_restarted(p->domain, &e->clock)) {
		lost_before = sequence_end(&p->domain->sequence);
		p->domain->sequence = (struct sequence){0};
	}
	sequence = domain_sequence(p->s, p->domain, stream);
	if (sequence != NULL) {
		sequence_message(sequence, e->sequence, counted_by_sequence(p),
		    p->is_certain || !counts_records, p->session->can_reorder, lost);
	}
	lost->lost += lost_before;
}

/* What is wrong with messages by the peer's own doing. */
static void
count_errors(struct passage *p)
{
	static const enum session_drop errors[] = {SESSION_BAD_MESSAGE,
	    SESSION_BAD_TEMPLATE, SESSION_BAD_RECORD, SESSION_REFUSED_TEMPLATE,
	    SESSION_REFUSED_DOMAIN, SESSION_FORBIDDEN_DOMAIN, SESSION_BAD_SAMPLE};
	const struct sessions_settings *settings = &p->s->settings;
	struct session *session = p->session;
	uint64_t n = 0;

	for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++) {
		n += p->dropped[errors[i]];
	}
	if (n == 0 || settings->max_errors == 0 || session->is_cut ||
	    !p->s->is_counting) {
		return;
	}
	if (session->errors == 0 ||
	    p->origin.arrival_ns - session->minute_ns >= NS_PER_MINUTE) {
		session->minute_ns = p->origin.arrival_ns;
		session->errors = 0;
	}
	session->errors += n < UINT16_MAX ? (unsigned)n : UINT16_MAX;
	if (session->errors > settings->max_errors) {
		session->is_cut = settings->cut(session->number, settings->cut_data);
	}
}

static struct domain_key
key_of(const struct envelope *e)
{
	return (struct domain_key){
	    .version = e->version, .id = e->domain, .agent = e->agent};
}

static struct domain *
find_domain(struct sessions *s, struct session *session, const struct envelope *e)
{
	struct domain_key key = key_of(e);

	return session_domain(s, session, &key);
}

void
sessions_message(struct sessions *s, uint32_t session, uint16_t stream,
    const uint8_t *bytes, size_t length, uint64_t arrival_ns, uint64_t position)
{
	struct passage p = {.s = s, .is_certain = true, .is_new = s->is_counting};
	static const struct domain_key rest = {.version = MESSAGE_VERSION};
	struct sequence_result lost = {0};
	struct envelope e = {0};

	p.session = find_last(s, session);
	s->now_ns = arrival_ns;
	waiting_expire(s);
	p.origin.arrival_ns = arrival_ns;
	p.origin.position = position;
	p.origin.is_live = s->settings.is_live;
	if (p.session != NULL && !session_number_message(s, p.session)) {
		p.is_new = false;
		p.dropped[SESSION_REPEATED]++;
	}
	if (p.session == NULL) {
		p.session = s->unknown;
		p.dropped[SESSION_UNKNOWN_SESSION]++;
	} else if (envelope_read(bytes, length, &e) < 0) {
		p.dropped[SESSION_BAD_MESSAGE]++;
	} else if (!domain_ranges_have(&p.session->permitted, e.domain)) {
		p.dropped[SESSION_FORBIDDEN_DOMAIN]++;
	} else if ((p.domain = find_domain(s, p.session, &e)) == NULL) {
		p.dropped[SESSION_REFUSED_DOMAIN]++;
	} else {
		read_message(&p, &e, stream, &lost);
	}
	count_errors(&p);
	p.session->used = ++s->clock;
	if (p.domain == NULL) {
		p.domain = session_domain(s, p.session, &rest);
	}
	if (p.domain != NULL) {
		count_message(&p, length, &lost);
		p.session->lost_in_spool = 0;
	}
}

size_t
sessions_most_records(
    const struct sessions *s, uint32_t session, const uint8_t *bytes, size_t length)
{
	const struct session *found = s->last != NULL && s->last->number == session
					  ? s->last
					  : sessions_find(s, session);
	struct domain_key key;
	const struct domain *d;
	struct envelope e;
	struct cursor set;
	size_t n = 0;
	uint16_t id;

	if (found == NULL || envelope_read(bytes, length, &e) < 0) {
		return 0;
	}
	if (e.version == NETFLOW5_VERSION) {
		return cursor_left(&e.body) / NETFLOW5_RECORD;
	}
	if (e.version == ENVELOPE_SFLOW) {
		return cursor_left(&e.body) / 8; /* the least sample */
	}
	key = key_of(&e);
	d = session_find_domain(found, &key);
	while (message_next_set(&e.body, &id, &set) > 0) {
		const struct template *t;
		if (id < TEMPLATE_MIN_ID) {
			/* Templates may change, and data that waits for them comes
			 * out: the least record is 1 byte. */
			size_t held = d == NULL ? 0 : d->held_bytes;
			return length +
			       (held < HELD_RELEASE_MOST ? held : HELD_RELEASE_MOST);
		}
		t = d == NULL ? NULL : templates_find(d->templates, id);
		if (t != NULL) {
			n += cursor_left(&set) / t->record_length;
		}
	}
	return n;
}

void
sessions_skip_message(struct sessions *s, uint32_t session)
{
	struct session *found = sessions_find(s, session);

	if (found != NULL) {
		(void)session_number_message(s, found);
	}
}
