#include "collector/protocol/sampling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/protocol/record_span.h"

#define RATE_MAX 1e12

enum { /* IANA elements */
	INGRESS_INTERFACE = 10,
	EGRESS_INTERFACE = 14,
	SAMPLER_ID = 48,
	SELECTOR_ID = 302,
};

const char *const sampling_input_names[SAMPLING_INPUTS] = {
    [SAMPLING_INTERVAL] = "samplingInterval",
    [SAMPLING_RANDOM_INTERVAL] = "samplerRandomInterval",
    [SAMPLING_PACKET_INTERVAL] = "samplingPacketInterval",
    [SAMPLING_PACKET_SPACE] = "samplingPacketSpace",
    [SAMPLING_SIZE] = "samplingSize",
    [SAMPLING_POPULATION] = "samplingPopulation",
    [SAMPLING_PROBABILITY] = "samplingProbability",
};

static const uint16_t input_ids[SAMPLING_INPUTS] = {
    [SAMPLING_INTERVAL] = 34,
    [SAMPLING_RANDOM_INTERVAL] = 50,
    [SAMPLING_PACKET_INTERVAL] = 305,
    [SAMPLING_PACKET_SPACE] = 306,
    [SAMPLING_SIZE] = 309,
    [SAMPLING_POPULATION] = 310,
    [SAMPLING_PROBABILITY] = 311,
};

static double
bounded(double rate)
{
	return rate >= 1 && rate <= RATE_MAX ? rate : 1;
}

double
sampling_rate_of(const int64_t in[static SAMPLING_INPUTS])
{
	double p;

	if (in[SAMPLING_PACKET_INTERVAL] > 0) {
		return bounded(((double)in[SAMPLING_PACKET_INTERVAL] +
				   (double)in[SAMPLING_PACKET_SPACE]) /
			       (double)in[SAMPLING_PACKET_INTERVAL]);
	}
	if (in[SAMPLING_INTERVAL] > 0) {
		return bounded((double)in[SAMPLING_INTERVAL]);
	}
	if (in[SAMPLING_RANDOM_INTERVAL] > 0) {
		return bounded((double)in[SAMPLING_RANDOM_INTERVAL]);
	}
	if (in[SAMPLING_SIZE] > 0 && in[SAMPLING_POPULATION] > 0) {
		return bounded(
		    (double)in[SAMPLING_POPULATION] / (double)in[SAMPLING_SIZE]);
	}
	memcpy(&p, &in[SAMPLING_PROBABILITY], sizeof p);
	return p > 0 ? bounded(1 / p) : 0;
}

int
sampling_set(struct sampling **s, enum sampling_of of, uint64_t id, double rate)
{
	struct sampling_rate *r = NULL;

	if (*s == NULL) {
		*s = calloc(1, sizeof **s);
	}
	if (*s == NULL) {
		return -ENOMEM;
	}
	for (unsigned i = 0; r == NULL && i < (*s)->count; i++) {
		if ((*s)->rates[i].of == of && (*s)->rates[i].id == id) {
			r = &(*s)->rates[i];
		}
	}
	if (r == NULL && (*s)->count < SAMPLING_MAX) {
		r = &(*s)->rates[(*s)->count++];
	}
	if (r != NULL) {
		*r = (struct sampling_rate){.of = of, .id = id, .rate = bounded(rate)};
	}
	return 0;
}

double
sampling_find(const struct sampling *s, enum sampling_of of, uint64_t id)
{
	for (unsigned i = 0; s != NULL && i < s->count; i++) {
		if (s->rates[i].of == of && s->rates[i].id == id) {
			return s->rates[i].rate;
		}
	}
	return 0;
}

double
sampling_common(const struct sampling *s)
{
	double rate = 0;

	for (unsigned i = 0; s != NULL && i < s->count; i++) {
		const struct sampling_rate *r = &s->rates[i];
		if (r->of != SAMPLING_SAMPLER && r->of != SAMPLING_SELECTOR) {
			continue;
		}
		if (rate > 0 && r->rate != rate) {
			return 0;
		}
		rate = r->rate;
	}
	return rate;
}

bool
sampling_is(const struct template *t)
{
	for (unsigned i = 0; i < SAMPLING_INPUTS; i++) {
		if (template_find_field(t, 0, input_ids[i]) >= 0) {
			return true;
		}
	}
	return false;
}

/* float64, or float32 (RFC 7011 section 6.2), as the bits of a double. */
static int64_t
probability_of(const struct template *t, const struct cursor *fields)
{
	const struct cursor *c =
	    record_span_field(t, fields, input_ids[SAMPLING_PROBABILITY]);
	size_t n = c == NULL ? 0 : cursor_left(c);

	return n == sizeof(float) || n == sizeof(double) ? load_real_bits(c->at, n) : 0;
}

int
sampling_learn(
    struct sampling **s, const struct template *t, const struct cursor *fields)
{
	static const struct {
		uint16_t id;
		enum sampling_of of;
	} keys[] = {
	    {SAMPLER_ID, SAMPLING_SAMPLER},
	    {SELECTOR_ID, SAMPLING_SELECTOR},
	    {INGRESS_INTERFACE, SAMPLING_INTERFACE},
	    {EGRESS_INTERFACE, SAMPLING_INTERFACE},
	};
	int64_t inputs[SAMPLING_INPUTS] = {0};
	uint64_t id = 0;
	enum sampling_of of = SAMPLING_DOMAIN;
	double rate;

	for (unsigned i = 0; i < SAMPLING_PROBABILITY; i++) {
		inputs[i] =
		    (int64_t)record_span_number(t, fields, input_ids[i]) & INT64_MAX;
	}
	inputs[SAMPLING_PROBABILITY] = probability_of(t, fields);
	rate = sampling_rate_of(inputs);
	if (rate <= 0) {
		return 0;
	}
	for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		const struct cursor *c = record_span_field(t, fields, keys[i].id);
		if (c != NULL && cursor_left(c) - 1 < 8) {
			of = keys[i].of;
			id = record_span_number(t, fields, keys[i].id) & INT64_MAX;
			break;
		}
	}
	return sampling_set(s, of, id, rate);
}
