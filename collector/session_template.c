/* Templates of the domains: reading them within bounds, learning what elements are. */
#include "collector/netflow5.h"
#include "collector/session_table.h"
#include "common/message.h"

static void
add_bytes(const struct template *t, void *data)
{
	*(size_t *)data +=
	    sizeof *t + t->field_count * sizeof t->fields[0] + t->raw_length;
}

/* Nobody's templates keep another's out: an equal share is everybody's. */
static bool
has_room_for_templates(
    const struct sessions *s, const struct session *session, size_t more)
{
	size_t most = s->settings.template_bytes, own = more;

	if (most == 0) {
		most = SESSION_TEMPLATE_BYTES;
	}
	if (s->template_bytes + more <= most) {
		return true;
	}
	for (unsigned i = 0; i < session->domain_count; i++) {
		own += session->domains[i]->template_bytes;
	}
	return own <= most / s->settings.max_sessions;
}

void
domain_read_templates(struct sessions *s, const struct session *session,
    struct domain *d, uint16_t set_id, struct cursor body,
    struct template_counts *counts)
{
	uint64_t lifetime = s->settings.template_lifetime_ns;
	size_t bytes = 0;

	/* A template in memory takes up to five times its length on the wire. */
	if (!has_room_for_templates(s, session, 5 * cursor_left(&body))) {
		counts->refused++;
		return;
	}
	templates_set_time(d->templates, s->now_ns);
	if (lifetime > 0 && session->is_datagrams && s->now_ns > lifetime &&
	    templates_count(d->templates) >= s->settings.max_templates) {
		templates_remove_older(d->templates, s->now_ns - lifetime);
	}
	/* RFC 7011 section 8.4: not over UDP.  NetFlow has no withdrawal. */
	templates_read_set(d->templates, s->elements, set_id, body,
	    !session->is_datagrams && d->key.version == MESSAGE_VERSION, counts);
	if (counts->added + counts->redefined + counts->withdrawn > 0) {
		templates_each(d->templates, add_bytes, &bytes);
		s->template_bytes += bytes - d->template_bytes;
		d->template_bytes = bytes;
	}
}

const struct template *
domain_find_template(const struct sessions *s, const struct session *session,
    const struct domain *d, uint16_t id)
{
	const struct template *t = templates_find(d->templates, id);
	uint64_t lifetime = s->settings.template_lifetime_ns;

	if (t == NULL || lifetime == 0 || !session->is_datagrams ||
	    d->key.version == NETFLOW5_VERSION || d->key.version == ENVELOPE_SFLOW ||
	    s->now_ns <= t->seen_ns || s->now_ns - t->seen_ns <= lifetime) {
		return t;
	}
	return NULL;
}

struct resolving {
	const struct template *found[64];
	unsigned count;
	const struct element *element;
};

static void
find_unresolved(const struct template *t, void *data)
{
	struct resolving *r = data;

	for (unsigned i = 0; i < t->field_count; i++) {
		const struct template_field *f = &t->fields[i];
		if (f->element == NULL && f->pen == r->element->pen &&
		    f->id == r->element->id && r->count < 64) {
			r->found[r->count++] = t;
			return;
		}
	}
}

/* The plan was compiled without the element: the decoder makes another. */
static void
resolve_domain(struct domain *d, const struct element *e)
{
	struct resolving r = {.element = e};

	do {
		r.count = 0;
		templates_each(d->templates, find_unresolved, &r);
		for (unsigned i = 0; i < r.count; i++) {
			struct template *t =
			    templates_find(d->templates, r.found[i]->id);
			for (unsigned k = 0; k < t->field_count; k++) {
				if (t->fields[k].pen == e->pen &&
				    t->fields[k].id == e->id) {
					t->fields[k].element = e;
				}
			}
			if (t->plan_free != NULL) {
				t->plan_free(t->plan);
			}
			t->plan = NULL;
			t->plan_free = NULL;
		}
	} while (r.count == 64);
}

void
sessions_learned(struct sessions *s, const struct element *e)
{
	s->learned[s->learned_count++] = e;
	for (unsigned i = 0; i <= s->bucket_mask; i++) {
		struct session *session = s->buckets[i];
		for (; session != NULL; session = session->next) {
			for (unsigned k = 0;
			     session->is_open && k < session->domain_count; k++) {
				resolve_domain(session->domains[k], e);
			}
		}
	}
}
