/* Templates of the domains: read within bounds of memory, taught new elements. */
#include <errno.h>

#include "collector/session/session_private.h"
#include "common/ipfix/message.h"

/* Every session is guaranteed an equal share of template memory. */
static bool
has_room_for_templates(
    const struct sessions *s, const struct session *session, size_t more)
{
	size_t most = s->settings.template_bytes;

	if (most == 0) {
		most = SESSION_TEMPLATE_BYTES;
	}
	if (s->template_bytes + more <= most) {
		return true;
	}
	return session->template_bytes + more <= most / s->settings.max_sessions;
}

static void
count_bytes(struct sessions *s, struct domain *d)
{
	size_t bytes = templates_bytes(d->templates);

	s->template_bytes += bytes - d->template_bytes;
	d->session->template_bytes += bytes - d->template_bytes;
	d->template_bytes = bytes;
}

void
domain_end_templates(struct sessions *s, struct domain *d)
{
	s->template_bytes -= d->template_bytes;
	d->session->template_bytes -= d->template_bytes;
	d->template_bytes = 0;
	templates_free(d->templates);
	d->templates = NULL;
}

void
domain_read_templates(struct sessions *s, struct domain *d, uint16_t set_id,
    struct cursor body, struct template_counts *counts)
{
	const struct session *session = d->session;
	uint64_t lifetime = s->settings.template_lifetime_ns;

	/* A template in memory takes up to five times its length on the wire. */
	if (!has_room_for_templates(s, session, 5 * cursor_left(&body))) {
		counts->refused++;
		return;
	}
	d->has_flows |= set_id == TEMPLATE_SET_ID;
	templates_set_time(d->templates, s->now_ns);
	if (lifetime > 0 && session->is_datagrams && s->now_ns > lifetime &&
	    d->swept_ns != s->now_ns &&
	    templates_count(d->templates) >= s->settings.max_templates) {
		templates_remove_older(d->templates, s->now_ns - lifetime);
		d->swept_ns = s->now_ns;
	}
	/* RFC 7011 section 8.4: not over UDP. */
	templates_read_set(d->templates, s->elements, set_id, body,
	    !session->is_datagrams && d->key.protocol->has_withdrawals, counts);
	count_bytes(s, d);
}

int
domain_add_templates(struct sessions *s, struct domain *d, struct cursor body)
{
	struct template_counts counts = {0};

	templates_read_set(
	    d->templates, s->elements, TEMPLATE_SET_ID, body, false, &counts);
	count_bytes(s, d);
	return counts.no_memory > 0 ? -ENOMEM : 0;
}

uint64_t
session_templates_since(const struct sessions *s, const struct session *session)
{
	uint64_t lifetime = s->settings.template_lifetime_ns;

	return lifetime > 0 && session->is_datagrams && s->now_ns > lifetime
		   ? s->now_ns - lifetime
		   : 0;
}

struct template *
domain_find_template(const struct sessions *s, const struct domain *d, uint16_t id)
{
	struct template *t = templates_find(d->templates, id);
	bool is_ours = d->key.protocol->built_in != NULL;

	return t != NULL && !is_ours &&
		       t->seen_ns < session_templates_since(s, d->session)
		   ? NULL
		   : t;
}

void
sessions_learned(struct sessions *s, const struct element *e)
{
	s->learned[s->learned_count++] = e;
}

void
domain_learn(struct sessions *s, struct domain *d)
{
	if (d->learned != s->learned_count) {
		templates_learn(d->templates, s->elements);
		d->learned = s->learned_count;
	}
}
