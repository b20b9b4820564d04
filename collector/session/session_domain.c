/* The observation domains of a session: found, made, named. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/session/session_private.h"

static int
compare_keys(const struct domain_key *a, const struct domain_key *b)
{
	if (a->protocol != b->protocol) {
		return a->protocol->number < b->protocol->number ? -1 : 1;
	}
	if (a->id != b->id) {
		return a->id < b->id ? -1 : 1;
	}
	return memcmp(&a->agent, &b->agent, sizeof a->agent);
}

/* The index of the first domain whose key is not less. */
static unsigned
domain_place(const struct session *session, const struct domain_key *key)
{
	unsigned low = 0, high = session->domain_count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		if (compare_keys(&session->domains[middle]->key, key) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

struct domain *
session_find_domain(const struct session *session, const struct domain_key *key)
{
	struct domain *d = session->last;
	unsigned at;

	if (d != NULL && compare_keys(&d->key, key) == 0) {
		return d;
	}
	at = domain_place(session, key);
	d = at < session->domain_count ? session->domains[at] : NULL;
	return d != NULL && compare_keys(&d->key, key) == 0 ? d : NULL;
}

const char *
domain_exporter(const struct sessions *s, const struct domain *d)
{
	const struct session_identity *id = &d->session->identity;
	bool is_named = s->settings.exporter != NULL || id->name[0] != '\0' ||
			id->identity[0] != '\0';

	return d->via == NULL || is_named ? d->session->exporter : d->via;
}

/* Every session is guaranteed an equal share of the domains. */
static bool
has_room_for_domain(const struct sessions *s, const struct session *session)
{
	return s->domains < s->settings.max_domains ||
	       session->domain_count <
		   s->settings.max_domains / s->settings.max_sessions;
}

void
domain_free(struct domain *d)
{
	templates_free(d->templates);
	free(d->sampling);
	free(d->via);
	free(d);
}

/* Some routers (Cisco's IOS XE) export options in a domain of their own. */
void
domain_sampled(struct domain *d)
{
	struct session *session = d->session;

	if (d->sampling == NULL || d->has_flows || session->sampler == d) {
		return;
	}
	session->has_samplers |= session->sampler != NULL;
	session->sampler = session->has_samplers ? NULL : d;
}

const struct sampling *
domain_sampling(const struct domain *d)
{
	const struct domain *sampler = d->session->sampler;

	return d->sampling != NULL || sampler == NULL || sampler->has_flows ||
		       sampler->key.protocol != d->key.protocol
		   ? d->sampling
		   : sampler->sampling;
}

/* NULL: no memory. */
static struct domain *
domain_new(struct sessions *s, struct session *session, const struct domain_key *key)
{
	struct domain *d = calloc(1, sizeof *d);

	if (d == NULL) {
		return NULL;
	}
	d->key = *key;
	d->session = session;
	d->counts.last_drop = DROPS;
	d->learned = s->learned_count;
	d->templates = templates_new(s->settings.max_templates, s->settings.max_fields);
	if (d->templates == NULL ||
	    session_agent_via(&session->identity, &key->agent, &d->via) < 0) {
		d->via = NULL;
		domain_free(d);
		return NULL;
	}
	if (key->protocol->built_in != NULL &&
	    domain_add_templates(s, d, key->protocol->built_in()) < 0) {
		domain_end_templates(s, d);
		domain_free(d);
		return NULL;
	}
	return d;
}

/* Domain 0, where the rest is counted, always has room. */
static bool
is_domain_0(const struct domain_key *key)
{
	static const struct address none = {{0}};

	return key->id == 0 && memcmp(&key->agent, &none, sizeof none) == 0;
}

static int
add_domain(struct sessions *s, struct session *session, const struct domain_key *key,
    struct domain **ret)
{
	struct domain *d, **more;
	unsigned at;

	if (!is_domain_0(key) && !has_room_for_domain(s, session)) {
		return -ENOSPC;
	}
	more = realloc(
	    session->domains, (session->domain_count + 1) * sizeof *session->domains);
	if (more == NULL) {
		return -ENOMEM;
	}
	session->domains = more;
	d = domain_new(s, session, key);
	if (d == NULL) {
		return -ENOMEM;
	}
	at = domain_place(session, key);
	memmove(session->domains + at + 1, session->domains + at,
	    (session->domain_count - at) * sizeof(struct domain *));
	session->domains[at] = d;
	session->domain_count++;
	s->domains += session != s->unknown;
	*ret = d;
	return 0;
}

int
session_domain(struct sessions *s, struct session *session,
    const struct domain_key *key, struct domain **ret)
{
	struct domain *d = session_find_domain(session, key);
	int rc = d != NULL ? 0 : add_domain(s, session, key, &d);

	if (rc == 0) {
		*ret = session->last = d;
	}
	return rc;
}

int
session_rest(struct sessions *s, struct session *session, struct domain **ret)
{
	static const struct domain_key rest = {.protocol = &protocol_ipfix};

	return session_domain(s, session, &rest, ret);
}

void
domain_count_drop(const struct sessions *s, struct domain *d, enum drop why)
{
	if (!s->is_counting) {
		return;
	}
	if (d->counts.messages == 0) {
		d->counts.first_ns = d->counts.last_ns = s->now_ns;
	}
	d->counts.dropped[why]++;
	d->counts.last_drop = why;
}

void
domain_settle(struct sessions *s, struct domain *d)
{
	uint64_t lost = domain_end_sequences(s, d);

	if (lost > 0 && s->is_counting) {
		if (d->counts.messages == 0) {
			d->counts.first_ns = d->counts.last_ns = s->now_ns;
		}
		d->counts.lost += lost;
	}
}
