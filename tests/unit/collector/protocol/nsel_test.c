#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "collector/protocol/nsel.h"
#include "collector/protocol/record_span.h"
#include "common/base/clock.h"
#include "tests/unit/collector/protocol/support_set.h"

static struct sampling *sampling;
static struct templates *templates;

static int
tear_down(void **state)
{
	(void)state;
	free(sampling);
	sampling = NULL;
	templates_free(templates);
	templates = NULL;
	return 0;
}

/* firewallEvent, flowStartMilliseconds, observationTimeMilliseconds, Cisco's element of
 * this number. */
static const struct template *
template_of(uint16_t cisco)
{
	struct template_counts counts = {0};
	uint8_t set[] = {1, 0, 0, 4, 0, 233, 0, 1, 0, 152, 0, 8, 1, 67, 0, 8,
	    0x80 | cisco >> 8, cisco & 0xff, 0, 2, 0, 0, 0, 9};

	templates = templates_new(1, 10);
	templates_read_set(templates, support_elements(), TEMPLATE_SET_ID,
	    cursor_of(set, sizeof set), true, &counts);
	assert_int_equal(counts.added, 1);
	return templates_find(templates, 256);
}

static void
learn(const struct template *t, uint8_t event, uint64_t start_ms, uint64_t at_ms)
{
	struct support_set s = {.length = 0};
	struct cursor fields[4], set;

	support_put(&s, event, 1);
	support_put(&s, start_ms, 8);
	support_put(&s, at_ms, 8);
	support_put(&s, 0, 2);
	set = cursor_of(s.bytes, s.length);
	assert_int_equal(record_span_next(t, &set, fields), 1);
	nsel_learn(&sampling, t, fields);
}

static void
templates_with_ciscos_event_are_events_of_a_firewall(void **state)
{
	(void)state;
	assert_true(nsel_is(template_of(234)));
	tear_down(NULL);
	assert_false(nsel_is(template_of(235)));
}

static void
the_youngest_flow_that_was_updated_tells_the_age(void **state)
{
	const struct template *t = template_of(234);

	(void)state;
	assert_int_equal(nsel_update_age(sampling), 0);
	learn(t, NSEL_UPDATED, 1000, 121000);
	assert_int_equal(nsel_update_age(sampling), 120000ll * NS_PER_MS);
	learn(t, NSEL_UPDATED, 5000, 65010);
	assert_int_equal(nsel_update_age(sampling), 60010ll * NS_PER_MS);
	learn(t, NSEL_UPDATED, 5000, 85010);
	assert_int_equal(nsel_update_age(sampling), 60010ll * NS_PER_MS);
}

static void
other_events_and_updates_before_their_time_tell_nothing(void **state)
{
	const struct template *t = template_of(234);

	(void)state;
	learn(t, NSEL_CREATED, 1000, 121000);
	learn(t, NSEL_ENDED, 1000, 121000);
	learn(t, NSEL_UPDATED, 1000, 3000);
	learn(t, NSEL_UPDATED, 121000, 1000);
	assert_int_equal(nsel_update_age(sampling), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(templates_with_ciscos_event_are_events_of_a_firewall),
	    TEST(the_youngest_flow_that_was_updated_tells_the_age),
	    TEST(other_events_and_updates_before_their_time_tell_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
