/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "collector/protocol/record_span.h"
#include "collector/protocol/sampling.h"
#include "tests/unit/collector/protocol/support_set.h"

static struct sampling *sampling;

static int
tear_down(void **state)
{
	(void)state;
	free(sampling);
	sampling = NULL;
	support_templates_free();
	return 0;
}

static double
rate_of(enum sampling_input a, int64_t x, enum sampling_input b, int64_t y)
{
	int64_t inputs[SAMPLING_INPUTS] = {0};

	inputs[a] = x;
	inputs[b] = y;
	return sampling_rate_of(inputs);
}

static int64_t
bits(double v)
{
	int64_t b;

	memcpy(&b, &v, sizeof b);
	return b;
}

/* Learns from one record of these fields. */
static void
learn(const char *fields, const struct support_set *s)
{
	const struct template *t = support_template(256, fields);
	struct cursor found[16], set = cursor_of(s->bytes, s->length);

	assert_true(sampling_is(t));
	assert_int_equal(record_span_next(t, &set, found), 1);
	sampling_learn(&sampling, t, found);
}

#define assert_rate(of, id, r)                                                         \
	assert_true(sampling_find(sampling, of, id) >= (r)-1e-9 &&                     \
		    sampling_find(sampling, of, id) <= (r) + 1e-9)

static void
every_form_of_a_rate_is_understood(void **state)
{
	(void)state;
	assert_true(rate_of(SAMPLING_INTERVAL, 100, SAMPLING_SIZE, 0) == 100);
	assert_true(rate_of(SAMPLING_RANDOM_INTERVAL, 10, SAMPLING_SIZE, 0) == 10);
	assert_true(
	    rate_of(SAMPLING_PACKET_INTERVAL, 2, SAMPLING_PACKET_SPACE, 98) == 50);
	assert_true(rate_of(SAMPLING_SIZE, 5, SAMPLING_POPULATION, 1000) == 200);
	assert_true(rate_of(SAMPLING_PROBABILITY, bits(0.25), SAMPLING_SIZE, 0) == 4);
	assert_true(rate_of(SAMPLING_SIZE, 0, SAMPLING_SIZE, 0) == 0);
}

static void
nonsense_scales_nothing(void **state)
{
	(void)state;
	assert_true(rate_of(SAMPLING_SIZE, 5, SAMPLING_POPULATION, 1) == 1);
	assert_true(rate_of(SAMPLING_PROBABILITY, bits(1e-300), SAMPLING_SIZE, 0) == 1);
	assert_true(rate_of(SAMPLING_PROBABILITY, bits(-1), SAMPLING_SIZE, 0) == 0);
}

static void
options_tell_rates_of_samplers(void **state)
{
	struct support_set s = {.length = 0};

	(void)state;
	support_put(&s, 7, 1);
	support_put(&s, 2, 1);
	support_put(&s, 1000, 4);
	learn("samplerId samplerMode samplerRandomInterval", &s);
	assert_rate(SAMPLING_SAMPLER, 7, 1000);
	assert_rate(SAMPLING_SAMPLER, 8, 0);
	assert_rate(SAMPLING_DOMAIN, 0, 0);
}

static void
options_tell_rates_of_selectors_and_interfaces_and_domains(void **state)
{
	struct support_set s = {.length = 0};

	(void)state;
	support_put(&s, 3, 8);
	support_put(&s, 1, 4);
	support_put(&s, 9, 4);
	learn("selectorId samplingPacketInterval samplingPacketSpace", &s);
	assert_rate(SAMPLING_SELECTOR, 3, 10);
	s.length = 0;
	support_put(&s, 12, 4);
	support_put(&s, 64, 4);
	learn("ingressInterface samplingInterval", &s);
	assert_rate(SAMPLING_INTERFACE, 12, 64);
	s.length = 0;
	support_put(&s, (uint64_t)bits(0.5), 8);
	learn("samplingProbability", &s);
	assert_rate(SAMPLING_DOMAIN, 0, 2);
}

static void
the_latest_rate_holds(void **state)
{
	(void)state;
	sampling_set(&sampling, SAMPLING_SAMPLER, 1, 10);
	sampling_set(&sampling, SAMPLING_SAMPLER, 1, 20);
	assert_rate(SAMPLING_SAMPLER, 1, 20);
	assert_int_equal(sampling->count, 1);
}

static void
samplers_have_a_common_rate_when_all_agree(void **state)
{
	(void)state;
	assert_true(sampling_common(sampling) == 0);
	sampling_set(&sampling, SAMPLING_INTERFACE, 1, 7);
	assert_true(sampling_common(sampling) == 0);
	sampling_set(&sampling, SAMPLING_SAMPLER, 1, 10);
	sampling_set(&sampling, SAMPLING_SELECTOR, 1, 10);
	assert_true(sampling_common(sampling) == 10);
	sampling_set(&sampling, SAMPLING_SAMPLER, 2, 20);
	assert_true(sampling_common(sampling) == 0);
}

static void
rates_are_bounded(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 2 * SAMPLING_MAX; i++) {
		sampling_set(&sampling, SAMPLING_SAMPLER, i, 10);
	}
	assert_int_equal(sampling->count, SAMPLING_MAX);
	assert_rate(SAMPLING_SAMPLER, SAMPLING_MAX, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(every_form_of_a_rate_is_understood),
	    TEST(nonsense_scales_nothing),
	    TEST(options_tell_rates_of_samplers),
	    TEST(options_tell_rates_of_selectors_and_interfaces_and_domains),
	    TEST(the_latest_rate_holds),
	    TEST(samplers_have_a_common_rate_when_all_agree),
	    TEST(rates_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
