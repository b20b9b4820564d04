/* Snapshots: what is needed to go on decoding from a position of the source: learned
 * elements, the spools' watermarks, open sessions, their domains' templates and
 * sequence numbers, data that waits for its template.  Counters are not in it: what was
 * counted after the last flush is replayed.
 *
 * Big-endian: magic, elements, watermarks, sessions, held data, XXH3 of all before it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/protocol/type_record.h"
#include "collector/session/session_private.h"
#include "common/base/cursor.h"
#include "common/base/hash.h"
#include "common/base/state_file.h"

#define SNAPSHOT_FIRST ((size_t)64 << 10)    /* bytes that most take */
#define STATE_MAGIC    0x6670737461746533ULL /* "fpstate3" */
/* "fpstate2" did not tell sFlow agents apart, so their domains start over. */
#define STATE_MAGIC_BEFORE 0x6670737461746532ULL

static void
put_bytes(struct write_cursor *o, const void *bytes, size_t n)
{
	cursor_put_u32(o, (uint32_t)n);
	cursor_put_bytes(o, bytes, n);
}

static void
put_text(struct write_cursor *o, const char *text)
{
	put_bytes(o, text == NULL ? "" : text, text == NULL ? 0 : strlen(text));
}

static void
put_element(struct write_cursor *o, const struct element *e)
{
	cursor_put_u32(o, e->pen);
	cursor_put_u16(o, e->id);
	cursor_put_u8(o, e->type);
	cursor_put_u8(o, e->semantics);
	cursor_put_u16(o, e->units);
	cursor_put_u64(o, e->range_min);
	cursor_put_u64(o, e->range_max);
	put_text(o, e->name);
	put_text(o, e->description);
}

static void
put_template(const struct template *t, void *data)
{
	struct write_cursor *o = data;

	cursor_put_u64(o, t->seen_ns);
	cursor_put_u8(o, t->is_options ? OPTIONS_TEMPLATE_SET_ID : TEMPLATE_SET_ID);
	put_bytes(o, t->raw, t->raw_length);
}

static void
put_sequence(struct write_cursor *o, uint16_t stream, const struct sequence *q)
{
	cursor_put_u16(o, stream);
	cursor_put_u32(o, q->expected);
	cursor_put_u32(o, q->late_next);
	cursor_put_u8(
	    o, (uint8_t)(q->is_known | q->is_uncertain << 1 | q->has_late << 2));
	cursor_put_u8(o, q->gap_count);
	for (unsigned i = 0; i < q->gap_count; i++) {
		cursor_put_u32(o, q->gaps[i].from);
		cursor_put_u32(o, q->gaps[i].length);
		cursor_put_u16(o, q->gaps[i].patience);
	}
}

static void
put_sampling(struct write_cursor *o, const struct sampling *s)
{
	cursor_put_u32(o, s == NULL ? 0 : s->count);
	for (unsigned i = 0; s != NULL && i < s->count; i++) {
		uint64_t bits;
		memcpy(&bits, &s->rates[i].rate, sizeof bits);
		cursor_put_u8(o, s->rates[i].of);
		cursor_put_u64(o, s->rates[i].id);
		cursor_put_u64(o, bits);
	}
}

static void
put_key(struct write_cursor *o, const struct domain_key *key)
{
	cursor_put_u16(o, key->protocol->number);
	cursor_put_u32(o, key->id);
	if (key->protocol->has_agent) {
		put_bytes(o, key->agent.bytes, sizeof key->agent.bytes);
	}
}

static void
put_domain(struct write_cursor *o, const struct domain *d)
{
	put_key(o, &d->key);
	cursor_put_u32(o, d->uptime_ms);
	cursor_put_u64(o, d->started_ms);
	put_sampling(o, d->sampling);
	cursor_put_u16(o, 1 + d->stream_count);
	put_sequence(o, 0, &d->sequence);
	for (unsigned i = 0; i < d->stream_count; i++) {
		put_sequence(o, d->streams[i].number, &d->streams[i].sequence);
	}
	cursor_put_u32(o, templates_count(d->templates));
	templates_each(d->templates, put_template, o);
}

static void
put_session(struct write_cursor *o, const struct session *session)
{
	char text[SESSION_IDENTITY_TEXT];

	cursor_put_u32(o, session->number);
	cursor_put_u64(o, session->used);
	cursor_put_u8(o, session->is_orphan);
	cursor_put_u64(o, session->next_message);
	cursor_put_u32(o, session->preamble_left);
	cursor_put_u8(o, session->is_broken_off);
	cursor_put_u64(o, session->lost_in_spool);
	put_bytes(
	    o, text, session_identity_write(&session->identity, text, sizeof text));
	cursor_put_u32(o, session->domain_count);
	for (unsigned i = 0; i < session->domain_count; i++) {
		put_domain(o, session->domains[i]);
	}
}

/* Oldest first, of all sessions. */
static void
put_held(struct write_cursor *o, const struct held *h)
{
	cursor_put_u32(o, h->domain->session->number);
	put_key(o, &h->domain->key);
	cursor_put_u64(o, h->arrival_ns);
	cursor_put_u64(o, h->position);
	cursor_put_u64(o, h->clock.export_ns);
	cursor_put_u32(o, h->clock.uptime_ms);
	cursor_put_u8(o, h->clock.has_uptime);
	cursor_put_u16(o, h->id);
	put_bytes(o, h->bytes, h->length);
}

static void
put_watermark(const struct watermark *m, void *data)
{
	struct write_cursor *o = data;

	put_text(o, m->identity);
	put_bytes(o, m->spool, sizeof m->spool);
	cursor_put_u64(o, m->next);
	cursor_put_u64(o, m->lost_records);
	cursor_put_u64(o, m->lost_messages);
	cursor_put_u64(o, m->seen_ns);
}

static void
put_all(struct write_cursor *o, const struct sessions *s)
{
	cursor_put_u64(o, STATE_MAGIC);
	cursor_put_u32(o, s->learned_count);
	for (unsigned i = 0; i < s->learned_count; i++) {
		put_element(o, s->learned[i]);
	}
	cursor_put_u32(o, watermarks_count(s->marks));
	watermarks_each(s->marks, put_watermark, o);
	cursor_put_u64(o, s->clock);
	cursor_put_u32(o, s->open);
	for (unsigned i = 0; i <= s->bucket_mask; i++) {
		const struct session *session = s->buckets[i];
		for (; session != NULL; session = session->next) {
			if (session->is_open && !session->is_orphan) {
				put_session(o, session);
			}
		}
	}
	for (const struct session *x = s->oldest_orphan; x != NULL;
	     x = x->newer_orphan) {
		put_session(o, x);
	}
	cursor_put_u32(o, s->held_count);
	for (const struct held *h = s->held_first; h != NULL; h = h->newer) {
		put_held(o, h);
	}
	if (!o->failed) {
		cursor_put_u64(o, hash_bytes(o->begin, cursor_written(o), 0));
	}
}

int
sessions_save(const struct sessions *s, const char *path, struct err *e)
{
	struct write_cursor o = {.failed = true};
	uint8_t *bytes = NULL, *more;
	int rc = 0;

	/* How much it takes is found by trying. */
	for (size_t n = SNAPSHOT_FIRST; rc == 0 && o.failed; n *= 2) {
		more = n > STATE_FILE_MAX ? NULL : realloc(bytes, n);
		if (more == NULL) {
			rc = n > STATE_FILE_MAX ? -EFBIG : -ENOMEM;
			break;
		}
		bytes = more;
		o = write_cursor_of(bytes, n);
		put_all(&o, s);
	}
	if (rc == 0) {
		rc = state_file_write(path, bytes, cursor_written(&o));
	}
	free(bytes);
	return rc < 0 ? err_set(e, rc, "cannot write %s: %s", path, strerror(-rc)) : 0;
}

struct input {
	struct sessions *s;
	struct cursor c;
	uint64_t magic;
	bool is_short; /* of memory */
};

static void
note_memory(struct input *in, int rc)
{
	in->is_short |= rc == -ENOMEM;
}

static uint64_t
get(struct cursor *c, size_t n)
{
	const uint8_t *p = cursor_take(c, n);

	return p == NULL ? 0 : load_uint(p, n);
}

static struct cursor
get_bytes(struct cursor *c)
{
	return cursor_sub(c, (size_t)get(c, 4));
}

static void
get_text(struct cursor *c, char *out, size_t capacity)
{
	struct cursor text = get_bytes(c);
	size_t n = cursor_left(&text);

	if (n >= capacity) {
		n = capacity - 1;
	}
	if (n > 0) {
		memcpy(out, text.at, n);
	}
	out[n] = '\0';
}

static void
get_element(struct input *in)
{
	struct sessions *s = in->s;
	struct cursor *c = &in->c;
	char name[256], description[1024];
	struct element e = {.name = name, .description = description};
	const struct element *known;
	int rc;

	e.pen = (uint32_t)get(c, 4);
	e.id = (uint16_t)get(c, 2);
	e.type = (enum element_type)get(c, 1);
	e.semantics = (uint8_t)get(c, 1);
	e.units = (uint16_t)get(c, 2);
	e.range_min = get(c, 8);
	e.range_max = get(c, 8);
	get_text(c, name, sizeof name);
	get_text(c, description, sizeof description);
	e.length = type_record_length(e.type);
	if (c->failed || e.type > ELEMENT_SUB_TEMPLATE_MULTI_LIST ||
	    s->learned_count >= SESSION_LEARNED_MAX) {
		return;
	}
	/* -EEXIST: a registry that was loaded since then knows better. */
	rc = elements_add(s->elements, &e);
	note_memory(in, rc);
	if (rc == 0 && (known = elements_find(s->elements, e.pen, e.id)) != NULL) {
		s->learned[s->learned_count++] = known;
	}
}

static void
get_sequence(struct sequence *q, struct cursor *c)
{
	uint64_t flags;
	unsigned gaps;

	q->expected = (uint32_t)get(c, 4);
	q->late_next = (uint32_t)get(c, 4);
	flags = get(c, 1);
	q->is_known = (flags & 1) != 0;
	q->is_uncertain = (flags & 2) != 0;
	q->has_late = (flags & 4) != 0;
	gaps = (unsigned)get(c, 1);
	q->gap_count = 0; /* a damaged file may name a domain twice */
	for (unsigned i = 0; i < gaps && !c->failed; i++) {
		struct sequence_gap g = {
		    .from = (uint32_t)get(c, 4), .length = (uint32_t)get(c, 4)};
		g.patience = (uint16_t)get(c, 2);
		if (i < SEQUENCE_GAPS && g.patience > 0) {
			q->gaps[q->gap_count++] = g;
		}
	}
}

/* d may be NULL. */
static void
get_sampling(struct domain *d, struct input *in)
{
	struct cursor *c = &in->c;
	uint64_t count = get(c, 4);

	for (uint64_t i = 0; i < count && !c->failed; i++) {
		enum sampling_of of = (enum sampling_of)get(c, 1);
		uint64_t id = get(c, 8), bits = get(c, 8);
		double rate;
		memcpy(&rate, &bits, sizeof rate);
		if (d != NULL && !c->failed && of <= SAMPLING_UPDATE_AGE) {
			note_memory(in, sampling_set(&d->sampling, of, id, rate));
		}
	}
}

static struct domain_key
get_key(struct input *in)
{
	struct cursor *c = &in->c;
	struct domain_key key = {.protocol = protocol_numbered((uint16_t)get(c, 2))};

	key.id = (uint32_t)get(c, 4);
	if (key.protocol == NULL) {
		c->failed = true;
	} else if (key.protocol->has_agent && in->magic != STATE_MAGIC_BEFORE) {
		struct cursor agent = get_bytes(c);
		const uint8_t *bytes = cursor_take(&agent, sizeof key.agent.bytes);
		if (bytes == NULL) {
			c->failed = true;
		} else {
			memcpy(key.agent.bytes, bytes, sizeof key.agent.bytes);
		}
	}
	return key;
}

/* These two skip what they read where d is NULL. */
static void
get_streams(struct input *in, struct domain *d)
{
	uint64_t streams = get(&in->c, 2);

	for (uint64_t i = 0; i < streams && !in->c.failed; i++) {
		uint16_t stream = (uint16_t)get(&in->c, 2);
		struct sequence ignored, *q = &ignored;
		if (d != NULL && !in->c.failed) {
			note_memory(in, domain_sequence(in->s, d, stream, &q));
		}
		get_sequence(q, &in->c);
	}
}

static void
get_templates(struct input *in, struct domain *d)
{
	uint64_t templates = get(&in->c, 4);

	for (uint64_t i = 0; i < templates && !in->c.failed; i++) {
		uint64_t seen_ns = get(&in->c, 8);
		uint16_t set_id = (uint16_t)get(&in->c, 1);
		struct cursor raw = get_bytes(&in->c);
		struct template_counts counts = {0};
		if (d != NULL && !in->c.failed) {
			in->s->now_ns = seen_ns;
			domain_read_templates(in->s, d, set_id, raw, &counts);
			in->is_short |= counts.no_memory > 0;
		}
	}
}

static int
get_domain(struct input *in, struct session *session)
{
	struct domain_key key = get_key(in);
	uint32_t uptime_ms = (uint32_t)get(&in->c, 4);
	uint64_t started_ms = get(&in->c, 8);
	struct domain *d = NULL;

	if (in->c.failed) {
		return -EPROTO;
	}
	note_memory(in, session_domain(in->s, session, &key, &d));
	if (d != NULL) {
		d->uptime_ms = uptime_ms;
		d->started_ms = started_ms;
	}
	get_sampling(d, in);
	get_streams(in, d);
	get_templates(in, d);
	if (d != NULL) {
		domain_sampled(d);
	}
	return in->c.failed ? -EPROTO : 0;
}

static int
get_watermark(struct sessions *s, struct cursor *c)
{
	char identity[sizeof((struct session_identity *)NULL)->identity];
	struct watermark *m, seen = {0};
	struct cursor spool;

	get_text(c, identity, sizeof identity);
	spool = get_bytes(c);
	seen.next = get(c, 8);
	seen.lost_records = get(c, 8);
	seen.lost_messages = get(c, 8);
	seen.seen_ns = get(c, 8);
	if (c->failed || cursor_left(&spool) != sizeof seen.spool ||
	    watermarks_find(s->marks, identity, spool.at) != NULL) {
		return -EPROTO;
	}
	m = watermarks_restore(s->marks, identity, spool.at, seen.seen_ns);
	if (m == NULL) {
		return -ENOMEM;
	}
	m->next = seen.next;
	m->lost_records = seen.lost_records;
	m->lost_messages = seen.lost_messages;
	return 0;
}

static int
get_session(struct input *in)
{
	struct sessions *s = in->s;
	struct cursor *c = &in->c;
	struct session_identity identity;
	struct session *session = NULL;
	uint32_t number = (uint32_t)get(c, 4);
	uint64_t used = get(c, 8), is_orphan = get(c, 1), next_message = get(c, 8);
	uint32_t preamble_left = (uint32_t)get(c, 4);
	uint64_t is_broken_off = get(c, 1);
	uint64_t lost_in_spool = get(c, 8), domains;
	struct cursor text = get_bytes(c);

	domains = get(c, 4);
	if (c->failed || sessions_find(s, number) != NULL ||
	    session_identity_read(text.at, cursor_left(&text), &identity) < 0) {
		return -EPROTO;
	}
	session = sessions_add(s, number, &identity);
	if (session == NULL) {
		return -ENOMEM;
	}
	session->used = used;
	session->next_message = next_message;
	session->preamble_left = preamble_left;
	session->is_broken_off = is_broken_off != 0;
	session->lost_in_spool = lost_in_spool;
	for (uint64_t i = 0; i < domains; i++) {
		int rc = get_domain(in, session);
		if (rc < 0) {
			return rc;
		}
	}
	if (is_orphan != 0) {
		session_orphan(s, session);
	}
	return 0;
}

static void
get_held(struct input *in)
{
	struct sessions *s = in->s;
	struct cursor *c = &in->c;
	const struct session *session = sessions_find(s, (uint32_t)get(c, 4));
	struct domain_key key = get_key(in);
	struct waiting_set w;
	struct origin o = {.arrival_ns = get(c, 8)};
	struct domain *d =
	    session == NULL || c->failed ? NULL : session_find_domain(session, &key);

	o.position = get(c, 8);
	o.clock.export_ns = get(c, 8);
	o.clock.uptime_ms = (uint32_t)get(c, 4);
	o.clock.has_uptime = get(c, 1) != 0;
	w.id = (uint16_t)get(c, 2);
	w.set = get_bytes(c);
	if (d != NULL && !c->failed) {
		note_memory(in, waiting_add(s, d, &w, &o));
	}
}

static int
get_all(struct input *in)
{
	struct cursor *c = &in->c;
	uint64_t count = get(c, 4);
	int rc = 0;

	for (uint64_t i = 0; i < count && !c->failed; i++) {
		get_element(in);
	}
	count = get(c, 4);
	for (uint64_t i = 0; rc == 0 && i < count; i++) {
		rc = get_watermark(in->s, c);
	}
	in->s->clock = get(c, 8);
	count = get(c, 4);
	for (uint64_t i = 0; rc == 0 && i < count; i++) {
		rc = get_session(in);
	}
	count = get(c, 4);
	for (uint64_t i = 0; rc == 0 && i < count && !c->failed; i++) {
		get_held(in);
	}
	return rc < 0 ? rc : c->failed ? -EPROTO : in->is_short ? -ENOMEM : 0;
}

static int
get_snapshot(struct sessions *s, const uint8_t *bytes, size_t n)
{
	struct input in = {.s = s, .c = cursor_of(bytes, n)};

	in.magic = get(&in.c, 8);
	if (n < 16 || (in.magic != STATE_MAGIC && in.magic != STATE_MAGIC_BEFORE) ||
	    load_u64(bytes + n - 8) != hash_bytes(bytes, n - 8, 0)) {
		return -EPROTO;
	}
	in.c.end -= 8;
	return get_all(&in);
}

int
sessions_load(struct sessions *s, const char *path, struct err *e)
{
	uint8_t *bytes = NULL;
	size_t n = 0;
	int rc = state_file_read(path, &bytes, &n);

	if (rc == -ENOENT) {
		return err_set(e, rc, "%s is missing", path);
	}
	if (rc == 0 && n > 0) {
		rc = get_snapshot(s, bytes, n);
	}
	free(bytes);
	if (rc == -EPROTO) {
		return err_set(e, rc,
		    "%s is damaged: restore it, or make it an empty file to continue "
		    "without the templates that it held",
		    path);
	}
	return rc < 0 ? err_set(e, rc, "cannot read %s: %s", path, strerror(-rc)) : 0;
}
