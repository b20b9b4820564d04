/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/session/session.h"
#include "tests/unit/collector/session/support_session.h"

static const struct template *seen;
static int
see_template(const struct template *t, const uint8_t *bytes, size_t length,
    const struct origin *o, void *data)
{
	(void)bytes;
	(void)length;
	(void)o;
	(void)data;
	seen = t;
	return 1;
}

static void
types_described_in_band_are_learned(void **state)
{
	struct stage *g = *state;
	const struct element *e;

	stage_open(g, 1, "tcp", "a:1");
	stage_teach(g, 1, "colourOfPacket");
	e = elements_find(g->elements, 9999, 12);
	assert_non_null(e);
	assert_string_equal(e->name, "colourOfPacket");
	assert_int_equal(e->length, 2);
}

static void
a_described_name_cannot_take_a_known_ones_place(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	stage_teach(g, 1, "octetDeltaCount");
	assert_null(elements_find(g->elements, 9999, 12));
	stage_teach(g, 1, "bad name\n");
	assert_null(elements_find(g->elements, 9999, 12));
}

static void
templates_that_came_before_the_description_know_it_afterwards(void **state)
{
	struct stage *g = *state;
	struct sessions_settings s = {.max_sessions = 4,
	    .max_domains = 4,
	    .max_templates = 8,
	    .max_fields = 32,
	    .is_live = true};

	sessions_free(g->sessions);
	g->sessions = sessions_new(&s, g->elements, see_template, NULL);
	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 0, 7, 2, 256, 1, 0x8000 | 12, 2, 0, 9999);
	SEND(g, 1, 0, 7, 256, 1);
	assert_null(seen->fields[0].element);
	stage_teach(g, 1, "colourOfPacket");
	SEND(g, 1, 2, 7, 256, 1);
	assert_string_equal(seen->fields[0].element->name, "colourOfPacket");
}

static void
a_malformed_template_costs_none_of_those_behind_it_in_its_set(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	/* number below 256; records of length 0; then right ones */
	SEND(g, 1, 0, 7, 2, PORTS(255), 300, 1, 7, 0, PORTS(256), PORTS(257));
	SEND(g, 1, 0, 7, 256, 1, 2);
	SEND(g, 1, 1, 7, 257, 1, 2, 3, 4);
	/* options: more scopes than fields, then 258 */
	SEND(g, 1, 3, 7, 3, 259, 1, 2, 149, 4, 258, 2, 1, 149, 4, 41, 8);
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_BAD_TEMPLATE], 3);
	assert_int_equal(g->counts.dropped[DROP_NO_TEMPLATE], 0);
	assert_int_equal(g->counts.templates, 3);
	assert_int_equal(g->counts.records, 3);
	assert_int_equal(g->counts.lost, 0);
}

static void
a_template_that_does_not_end_within_its_set_ends_it(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "tcp", "a:1");
	SEND(g, 1, 0, 7, 2, PORTS(256), 300, 7, 7, 2, PORTS(257));
	SEND(g, 1, 0, 7, 256, 1, 2);
	stage_counts(g);
	assert_int_equal(g->counts.dropped[DROP_BAD_TEMPLATE], 1);
	assert_int_equal(g->counts.templates, 1);
	assert_int_equal(g->counts.records, 1);
}

/* However many domains there are: they are not walked for each. */
static void
what_one_peer_describes_costs_nothing_of_the_others_until_they_send(void **state)
{
	struct stage *g = *state;
	struct sessions_settings s = {.max_sessions = 4,
	    .max_domains = 4,
	    .max_templates = 8,
	    .max_fields = 32,
	    .is_live = true};

	sessions_free(g->sessions);
	g->sessions = sessions_new(&s, g->elements, see_template, NULL);
	stage_open(g, 1, "tcp", "a:1");
	stage_open(g, 2, "tcp", "b:1");
	SEND(g, 1, 0, 7, 2, 256, 1, 0x8000 | 12, 2, 0, 9999);
	SEND(g, 1, 0, 7, 256, 1);
	const struct template *first = seen;
	stage_teach(g, 2, "colourOfPacket");
	assert_null(first->fields[0].element);
	SEND(g, 1, 2, 7, 256, 1);
	assert_string_equal(first->fields[0].element->name, "colourOfPacket");
}

/* 13 000 of them fit a datagram, each to be read by a template of 2000 fields. */
static void
options_sets_shorter_than_a_record_are_not_looked_into(void **state)
{
	struct stage *g = *state;

	stage_open(g, 1, "udp", "a:1");
	SEND(g, 1, 0, 7, 3, 300, 2, 1, 149, 4, 34, 4);
	SEND(g, 1, 0, 7, 300, 0, 7, 0);
	assert_int_equal(g->sets, 0);
	SEND(g, 1, 0, 7, 300, 0, 7, 0, 100);
	assert_int_equal(g->sets, 1);
	stage_counts(g);
	assert_int_equal(g->counts.options, 1);
	assert_int_equal(g->counts.dropped[DROP_BAD_RECORD], 0);
}

/* One template in each of many domains, as far as there is room for them. */
static uint64_t
fill(struct stage *g, uint32_t session)
{
	for (uint32_t i = 0; i < 40; i++) {
		SEND(g, session, 0, 100 * session + i, 2, PORTS(256));
	}
	g->templates = 0;
	stage_counts(g);
	return g->templates;
}

static void
room_for_templates_is_shared_and_free_again_when_a_peer_is_gone(void **state)
{
	const struct sessions_settings s = {.max_sessions = 8,
	    .max_domains = 400,
	    .max_templates = 8,
	    .max_fields = 32,
	    .template_bytes = 2048};
	struct stage *g = *state;
	uint64_t first, second, third;

	stage_again(g, &s);
	stage_open(g, 1, "tcp", "a:1");
	first = fill(g, 1);
	assert_true(first > 10 && first < 40);
	stage_open(g, 2, "tcp", "b:1");
	second = fill(g, 2);
	assert_true(second > 0 && second <= first / 4);
	sessions_close(g->sessions, 1, 99);
	stage_open(g, 3, "tcp", "c:1");
	third = fill(g, 3);
	assert_true(third >= first - second);
}

static void
one_session_cannot_keep_anothers_templates_out(void **state)
{
	struct stage *g = *state;
	struct sessions_settings s = {.max_sessions = 4,
	    .max_domains = 40,
	    .max_templates = 8,
	    .max_fields = 32,
	    .template_bytes = 4096};

	sessions_free(g->sessions);
	g->sessions = sessions_new(&s, g->elements, see_template, NULL);
	stage_open(g, 1, "tcp", "a:1");
	for (uint32_t i = 0; i < 80; i++) {
		SEND(g, 1, 0, 1 + i / 8, 2, PORTS(256 + i));
	}
	stage_counts(g);
	assert_true(g->counts.dropped[DROP_REFUSED_TEMPLATE] > 0);
	stage_open(g, 2, "tcp", "b:1");
	seen = NULL;
	SEND(g, 2, 0, 9, 2, PORTS(256));
	SEND(g, 2, 0, 9, 256, 1, 2);
	assert_non_null(seen);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_malformed_template_costs_none_of_those_behind_it_in_its_set),
	    CASE(a_template_that_does_not_end_within_its_set_ends_it),
	    CASE(types_described_in_band_are_learned),
	    CASE(what_one_peer_describes_costs_nothing_of_the_others_until_they_send),
	    CASE(a_described_name_cannot_take_a_known_ones_place),
	    CASE(templates_that_came_before_the_description_know_it_afterwards),
	    CASE(options_sets_shorter_than_a_record_are_not_looked_into),
	    CASE(room_for_templates_is_shared_and_free_again_when_a_peer_is_gone),
	    CASE(one_session_cannot_keep_anothers_templates_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
