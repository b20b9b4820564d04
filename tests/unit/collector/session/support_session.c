#include "tests/unit/collector/session/support_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cursor.h"
#include "tests/unit/collector/session/support_message.h"

static int
take_set(const struct template *t, const uint8_t *bytes, size_t length,
    const struct origin *o, void *data)
{
	struct stage *g = data;
	int n = t->is_variable ? 1 : (int)(length / t->record_length);

	(void)bytes;
	g->sets++;
	g->records += (unsigned)n;
	g->position = o->position;
	g->arrival_ns = o->arrival_ns;
	g->rate = sampling_find(o->sampling, SAMPLING_DOMAIN, 0);
	g->clock = o->clock;
	snprintf(g->exporter, sizeof g->exporter, "%s", o->exporter);
	return g->answer < 0 ? g->answer : n;
}

void
stage_take_counts(const struct session_counts *c, void *data)
{
	struct stage *g = data;

	g->counts = *c;
	g->templates += c->templates;
	g->refused_domain += c->dropped[DROP_REFUSED_DOMAIN];
	snprintf(g->counted_exporter, sizeof g->counted_exporter, "%s", c->exporter);
	snprintf(
	    g->counted_via, sizeof g->counted_via, "%s", c->via == NULL ? "" : c->via);
	g->rows++;
}

struct sessions *
stage_sessions(struct stage *g)
{
	struct sessions_settings s = {.max_sessions = 4,
	    .template_lifetime_ns = g->template_lifetime_ns,
	    .max_domains = 4,
	    .max_templates = 8,
	    .max_fields = 32,
	    .max_spools = 8,
	    .is_live = true};

	return sessions_new(&s, g->elements, take_set, g);
}

void
stage_again(struct stage *g, const struct sessions_settings *settings)
{
	sessions_free(g->sessions);
	g->sessions = sessions_new(settings, g->elements, take_set, g);
}

int
stage_set_up(void **state)
{
	struct stage *g = calloc(1, sizeof *g);

	g->elements = elements_new(ELEMENT_PEN_OWN);
	g->sessions = stage_sessions(g);
	*state = g;
	return 0;
}

int
stage_tear_down(void **state)
{
	struct stage *g = *state;

	sessions_free(g->sessions);
	elements_free(g->elements);
	free(g);
	return 0;
}

void
stage_open(struct stage *g, uint32_t number, const char *transport, const char *peer)
{
	char text[256];
	int n = snprintf(
	    text, sizeof text, "transport=%s\npeer=%s\nidentity=\n", transport, peer);

	sessions_open(g->sessions, number, (uint8_t *)text, (size_t)n, 5);
}

size_t
stage_build(uint8_t *out, uint32_t sequence, uint32_t domain, uint16_t set_id,
    const uint16_t *words, size_t count)
{
	size_t length = 20 + 2 * count;

	store_u16(out, 10);
	store_u16(out + 2, (uint16_t)length);
	store_u32(out + 4, 1000);
	store_u32(out + 8, sequence);
	store_u32(out + 12, domain);
	store_u16(out + 16, set_id);
	store_u16(out + 18, (uint16_t)(length - 16));
	for (size_t i = 0; i < count; i++) {
		store_u16(out + 20 + 2 * i, words[i]);
	}
	return length;
}

void
stage_send(struct stage *g, uint32_t session, uint32_t sequence, uint32_t domain,
    uint16_t set_id, const uint16_t *words, size_t count)
{
	uint8_t bytes[1024];
	size_t n = stage_build(bytes, sequence, domain, set_id, words, count);
	uint64_t now = g->now_ns > 0 ? g->now_ns : 77;

	support_message(g->sessions, MESSAGE(session, 0, bytes, n, now, 4242));
}

void
stage_send_on(struct stage *g, uint16_t stream, uint32_t sequence)
{
	uint8_t bytes[64];
	size_t n = stage_build(bytes, sequence, 7, 256, (uint16_t[]){1, 2}, 2);

	support_message(g->sessions, MESSAGE(1, stream, bytes, n, 77, 4242));
}

void
stage_teach(struct stage *g, uint32_t session, const char *name)
{
	uint8_t bytes[256];
	size_t n = stage_build(bytes, 0, 7, 300,
	    (uint16_t[]){0, 9999, 12, ELEMENT_U16 << 8 | (uint16_t)strlen(name)}, 4);

	SEND(g, session, 0, 7, 3, 300, 4, 2, 346, 4, 303, 2, 339, 1, 341, 65535);
	memcpy(bytes + n, name, strlen(name));
	n += strlen(name);
	store_u16(bytes + 2, (uint16_t)n);
	store_u16(bytes + 18, (uint16_t)(n - 16));
	support_message(g->sessions, MESSAGE(session, 0, bytes, n, 1, 0));
}

void
stage_counts(struct stage *g)
{
	g->rows = 0;
	memset(&g->counts, 0, sizeof g->counts);
	sessions_take_counts(g->sessions, stage_take_counts, g);
}
