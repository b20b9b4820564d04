#include "collector/session/session.h"

#include <errno.h>
#include <string.h>

#include "collector/protocol/nsel.h"
#include "collector/protocol/packet_section.h"
#include "collector/protocol/reader.h"
#include "collector/protocol/record_span.h"
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
	const struct message_view *view;
	struct session *session;
	struct domain *domain;
	struct origin origin;
	uint32_t records, options;           /* in the message itself */
	uint32_t late_records, late_options; /* held until now */
	uint32_t counter_samples;
	bool is_certain; /* every record could be counted */
	bool is_new;     /* its records are; counters may be */
	struct template_counts templates;
	uint64_t dropped[DROPS];
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

/* Where the header has no uptime, options may say when the exporter started. */
static struct protocol_clock
clock_since_start(const struct domain *d, struct protocol_clock c)
{
	if (d->key.protocol->time == PROTOCOL_TIME_EXPORT && d->started_ms > 0) {
		c.has_uptime = true;
		c.uptime_ms = (uint32_t)(c.export_ns / NS_PER_MS - d->started_ms);
	}
	return c;
}

static void
note_memory(struct passage *p, int rc)
{
	p->dropped[DROP_NO_MEMORY] += rc == -ENOMEM;
}

static void
learn_element(struct passage *p, const struct template *t)
{
	const struct element *e;
	int rc;

	if (p->s->learned_count < SESSION_LEARNED_MAX) {
		rc = type_record_learn(t, p->s->fields, p->s->elements, &e);
		note_memory(p, rc);
		if (rc == 0) {
			sessions_learned(p->s, e);
		}
	}
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
		p->options++;
		if (is_sampling) {
			note_memory(
			    p, sampling_learn(&p->domain->sampling, t, p->s->fields));
			domain_sampled(p->domain);
		}
		if (started >= 0 && cursor_left(&p->s->fields[started]) == 8) {
			p->domain->started_ms = load_u64(p->s->fields[started].at);
			p->origin.clock = clock_since_start(p->domain, p->origin.clock);
		}
		if (is_type) {
			learn_element(p, t);
		}
	}
	if (rc < 0) {
		p->dropped[DROP_BAD_RECORD]++;
		p->is_certain = false;
	}
}

/* Events of firewalls say how often flows are updated. */
static void
read_events(struct passage *p, const struct template *t, struct cursor set)
{
	while (record_span_next(t, &set, p->s->fields) > 0) {
		note_memory(p, nsel_learn(&p->domain->sampling, t, p->s->fields));
	}
}

/* A record that holds a packet is what the packet is. */
static void
read_packets(struct passage *p, const struct template *t, struct cursor set)
{
	struct protocol_sample sample;
	int rc;

	p->origin.sampling = domain_sampling(p->domain);
	while ((rc = record_span_next(t, &set, p->s->fields)) > 0) {
		p->records++;
		if (p->is_new) {
			packet_section_read(t, p->s->fields, &sample);
			(void)p->s->set(
			    templates_find(p->s->packets, sample.template_id),
			    sample.record, sample.length, &p->origin, p->s->data);
		}
	}
	if (rc < 0) {
		p->dropped[DROP_BAD_RECORD]++;
		p->is_certain = false;
	}
}

/* Whether a template may come after its data. */
static bool
may_come_late(const struct passage *p)
{
	return p->session->can_reorder || p->domain->key.protocol->has_late_templates;
}

/* Data whose template is not there. */
static void
wait_for_template(struct passage *p, uint16_t id, struct cursor set)
{
	struct waiting_set w = {.id = id, .set = set};
	int rc =
	    may_come_late(p) ? waiting_add(p->s, p->domain, &w, &p->origin) : -ENOSPC;

	p->is_certain = false;
	note_memory(p, rc);
	p->dropped[DROP_NO_TEMPLATE] += rc == -ENOSPC;
}

static void
read_data(struct passage *p, uint16_t id, struct cursor set)
{
	struct template *t = domain_find_template(p->s, p->domain, id);
	bool is_whole = true;
	int n = 0;

	domain_learn(p->s, p->domain);
	if (t == NULL) {
		wait_for_template(p, id, set);
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
		p->dropped[DROP_BAD_RECORD]++;
		p->is_certain = false;
	}
}

static void
read_templates(struct passage *p, uint16_t id, struct cursor body)
{
	const struct protocol *protocol = p->domain->key.protocol;
	unsigned bad = 0;

	if (protocol->rewrite != NULL) {
		body = protocol->rewrite(
		    id == OPTIONS_TEMPLATE_SET_ID, body, p->s->rewritten, &bad);
		p->templates.bad += bad;
	}
	domain_read_templates(p->s, p->domain, id, body, &p->templates);
}

/* Reads a held set as if its template had been there: with its own origin. */
static void
read_held(const struct held *h, void *data)
{
	struct passage *p = data, late = *p;

	late.records = late.options = 0;
	late.origin.dropped = late.dropped;
	late.origin.arrival_ns = h->arrival_ns;
	late.origin.position = h->position;
	late.origin.clock = h->clock;
	read_data(&late, h->id, cursor_of(h->bytes, h->length));
	p->late_records += late.records;
	p->late_options += late.options;
	memcpy(p->dropped, late.dropped, sizeof p->dropped);
}

static void
read_sets(struct passage *p)
{
	const struct message_view *v = p->view;

	for (unsigned i = 0; i < v->set_count; i++) {
		if (v->sets[i].id < TEMPLATE_MIN_ID) {
			read_templates(p, v->sets[i].id, message_view_set(v, i));
		} else {
			read_data(p, v->sets[i].id, message_view_set(v, i));
		}
	}
	if (v->is_broken) {
		p->dropped[DROP_BAD_MESSAGE]++;
		p->is_certain = false;
	}
	if (p->templates.added + p->templates.redefined + p->templates.repeated > 0) {
		waiting_release(p->s, p->domain, read_held, p);
	}
	p->dropped[DROP_BAD_TEMPLATE] += p->templates.bad;
	p->dropped[DROP_REFUSED_TEMPLATE] += p->templates.refused;
	p->dropped[DROP_IGNORED_WITHDRAWAL] += p->templates.ignored;
	p->dropped[DROP_NO_MEMORY] += p->templates.no_memory;
}

static void
count_message(struct passage *p, const struct sequence_result *r)
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
	c->octets += p->view->length;
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
	for (unsigned i = 0; i < DROPS; i++) {
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

/* An exporter whose uptime is less than before has restarted, and so have its sequence
 * numbers.  Two cases are excluded: late messages, which are seconds old, and an uptime
 * that passed 2^32 ms, which is very much less. */
static bool
has_restarted(struct domain *d, const struct protocol_clock *clock)
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

static void
learn_sampling(struct passage *p, uint16_t interval)
{
	struct sampling **s = &p->domain->sampling;

	if (interval > 1 || *s != NULL) {
		note_memory(p, sampling_set(s, SAMPLING_DOMAIN, 0, interval));
	}
}

static void
read_sample(struct passage *p, const struct protocol_sample *sample)
{
	switch (sample->kind) {
	case PROTOCOL_SAMPLE_RECORD:
		read_data(
		    p, sample->template_id, cursor_of(sample->record, sample->length));
		break;
	case PROTOCOL_SAMPLE_COUNTERS:
		p->counter_samples++;
		break;
	case PROTOCOL_SAMPLE_UNKNOWN:
		p->dropped[DROP_UNKNOWN_SAMPLE]++;
		break;
	}
}

static void
read_samples(struct passage *p)
{
	struct cursor body = p->view->header.body;
	struct protocol_sample sample;
	int rc;

	while ((rc = p->view->protocol->next_sample(&body, &sample)) != 0 &&
	       rc != -EPROTO) {
		if (rc < 0) {
			p->dropped[DROP_BAD_SAMPLE]++;
		} else {
			read_sample(p, &sample);
		}
	}
	if (rc < 0) {
		p->dropped[DROP_BAD_SAMPLE]++;
	}
}

/* A router that does not know the time yet starts in 1970 or 1993.  Where times count
 * from its uptime, only the time of sending matters. */
static struct protocol_clock
clock_of_message(const struct passage *p)
{
	struct protocol_clock c = clock_since_start(p->domain, p->view->header.clock);
	uint64_t arrival_ns = p->origin.arrival_ns;

	switch (p->view->protocol->time) {
	case PROTOCOL_TIME_EXPORT:
		break;
	case PROTOCOL_TIME_UPTIME:
		if (p->origin.is_live && arrival_ns > CLOCKLESS_NS &&
		    c.export_ns < arrival_ns - CLOCKLESS_NS) {
			c.export_ns = arrival_ns;
		}
		break;
	case PROTOCOL_TIME_ARRIVAL:
		c.export_ns = arrival_ns;
		break;
	}
	return c;
}

static void
fill_origin(struct passage *p)
{
	struct origin *o = &p->origin;

	o->exporter = domain_exporter(p->s, p->domain);
	o->is_proved = p->session->identity.identity[0] != '\0';
	o->domain = p->view->header.domain;
	o->templates = p->domain->templates;
	o->templates_since_ns = session_templates_since(p->s, p->session);
	o->dropped = p->dropped;
	o->clock = clock_of_message(p);
}

static void
follow_sequence(struct passage *p, uint16_t stream, struct sequence_result *lost)
{
	const struct protocol_header *h = &p->view->header;
	bool counts_records = p->view->protocol->sequence == PROTOCOL_COUNTS_RECORDS;
	struct sequence_step step = {.number = h->sequence,
	    .records = counts_records ? p->records + p->options : 1,
	    .is_certain = p->is_certain || !counts_records,
	    .can_reorder = p->session->can_reorder};
	struct sequence *sequence;
	uint64_t lost_before = 0;
	int rc;

	if (has_restarted(p->domain, &h->clock)) {
		lost_before = sequence_end(&p->domain->sequence);
		p->domain->sequence = (struct sequence){0};
	}
	rc = domain_sequence(p->s, p->domain, stream, &sequence);
	note_memory(p, rc);
	if (rc == 0) {
		sequence_message(sequence, &step, lost);
	}
	lost->lost += lost_before;
}

static void
read_message(struct passage *p, uint16_t stream, struct sequence_result *lost)
{
	fill_origin(p);
	if (p->view->protocol->has_sampling) {
		learn_sampling(p, p->view->header.sampling);
	}
	if (p->view->protocol->body == PROTOCOL_SAMPLES) {
		read_samples(p);
	} else {
		read_sets(p);
	}
	follow_sequence(p, stream, lost);
}

/* Errors of the peer's own making. */
static void
count_errors(struct passage *p)
{
	static const enum drop errors[] = {DROP_BAD_MESSAGE, DROP_BAD_TEMPLATE,
	    DROP_BAD_RECORD, DROP_REFUSED_TEMPLATE, DROP_REFUSED_DOMAIN,
	    DROP_FORBIDDEN_DOMAIN, DROP_BAD_SAMPLE};
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
key_of(const struct message_view *v)
{
	return (struct domain_key){
	    .protocol = v->protocol, .id = v->header.domain, .agent = v->header.agent};
}

/* The domain of a message that may be read; NULL: it is dropped. */
static struct domain *
find_domain(struct passage *p)
{
	const struct message_view *v = p->view;
	struct domain_key key;
	struct domain *d = NULL;
	int rc;

	if (p->session == p->s->unknown) {
		p->dropped[DROP_UNKNOWN_SESSION]++;
	} else if (v->protocol == NULL) {
		p->dropped[DROP_BAD_MESSAGE]++;
	} else if (!domain_ranges_have(&p->session->permitted, v->header.domain)) {
		p->dropped[DROP_FORBIDDEN_DOMAIN]++;
	} else {
		key = key_of(v);
		rc = session_domain(p->s, p->session, &key, &d);
		note_memory(p, rc);
		p->dropped[DROP_REFUSED_DOMAIN] += rc == -ENOSPC;
	}
	return d;
}

void
sessions_message(
    struct sessions *s, const struct frame *f, const struct message_view *v)
{
	struct passage p = {
	    .s = s, .view = v, .is_certain = true, .is_new = s->is_counting};
	struct sequence_result lost = {0};

	p.session = find_last(s, f->session);
	s->now_ns = f->arrival_ns;
	waiting_expire(s);
	p.origin.arrival_ns = f->arrival_ns;
	p.origin.position = f->position + (uint64_t)(v->bytes - f->payload);
	p.origin.is_live = s->settings.is_live;
	if (p.session == NULL) {
		p.session = s->unknown;
	} else if (!session_number_message(s, p.session)) {
		p.is_new = false;
		p.dropped[DROP_REPEATED]++;
	}
	p.domain = find_domain(&p);
	if (p.domain != NULL) {
		read_message(&p, f->stream, &lost);
	}
	count_errors(&p);
	p.session->used = ++s->clock;
	if (p.domain == NULL && session_rest(s, p.session, &p.domain) < 0) {
		p.domain = s->unknown->domains[0];
	}
	count_message(&p, &lost);
	p.session->lost_in_spool = 0;
}

/* Templates may change, and data that waits for them comes out: a record has at least
 * one byte. */
static size_t
most_with_templates(const struct domain *d, const struct message_view *v)
{
	size_t held = d == NULL ? 0 : d->held_bytes;

	return v->length + (held < HELD_RELEASE_MOST ? held : HELD_RELEASE_MOST);
}

size_t
sessions_most_records(
    const struct sessions *s, uint32_t session, const struct message_view *v)
{
	const struct session *found = s->last != NULL && s->last->number == session
					  ? s->last
					  : sessions_find(s, session);
	const struct domain *d;
	struct domain_key key;
	size_t n = 0;

	if (found == NULL || v->protocol == NULL) {
		return 0;
	}
	if (v->protocol->record_least > 0) {
		return cursor_left(&v->header.body) / v->protocol->record_least;
	}
	key = key_of(v);
	d = session_find_domain(found, &key);
	if (v->has_templates) {
		return most_with_templates(d, v);
	}
	for (unsigned i = 0; d != NULL && i < v->set_count; i++) {
		const struct template *t = templates_find(d->templates, v->sets[i].id);
		n += t == NULL ? 0 : v->sets[i].length / t->record_length;
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
