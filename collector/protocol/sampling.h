/* How exporters sample: one of how many packets they look at.  Options records tell it,
 * by sampler, selector, interface or for a whole observation domain; so do headers of
 * some protocols; flow records may say it themselves.
 * Threads: the owner's.  Memory: bounded, one block for each domain that samples. */
#ifndef COLLECTOR_PROTOCOL_SAMPLING_H
#define COLLECTOR_PROTOCOL_SAMPLING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cursor.h"
#include "common/ipfix/template.h"

#define SAMPLING_MAX 64 /* rates of a domain; further ones are not known */

/* What a rate holds for; numbers are in snapshots. */
enum sampling_of {
	SAMPLING_DOMAIN,
	SAMPLING_SAMPLER,   /* samplerId */
	SAMPLING_SELECTOR,  /* selectorId */
	SAMPLING_INTERFACE, /* ingressInterface or egressInterface */
	/* No rate, but kept with them: ms after which a firewall updates (nsel.h). */
	SAMPLING_UPDATE_AGE,
};

/* The elements that tell a rate; NULL fields are 0. */
enum sampling_input {
	SAMPLING_INTERVAL,        /* samplingInterval: one packet of this many */
	SAMPLING_RANDOM_INTERVAL, /* samplerRandomInterval: the same */
	SAMPLING_PACKET_INTERVAL, /* samplingPacketInterval: this many in a row, */
	SAMPLING_PACKET_SPACE,    /* samplingPacketSpace: then this many not */
	SAMPLING_SIZE,            /* samplingSize: this many */
	SAMPLING_POPULATION,      /* samplingPopulation: of this many */
	SAMPLING_PROBABILITY,     /* samplingProbability, as the bits of a double */
	SAMPLING_INPUTS,
};
extern const char *const sampling_input_names[SAMPLING_INPUTS];

struct sampling_rate {
	enum sampling_of of;
	uint64_t id;
	double rate;
};

struct sampling {
	unsigned count;
	struct sampling_rate rates[SAMPLING_MAX];
};

/* Packets for each one that was looked at, at least 1; 0: the inputs do not say. */
double sampling_rate_of(const int64_t inputs[static SAMPLING_INPUTS]);
/* Makes *s where it is NULL.  A rate of 1 or less is kept, too: every packet is looked
 * at.  0, or -ENOMEM. */
int sampling_set(struct sampling **s, enum sampling_of of, uint64_t id, double rate);
/* 0: not known. */
double sampling_find(const struct sampling *s, enum sampling_of of, uint64_t id);
/* The rate that all known samplers and selectors have; 0: none is known, or they differ. */
double sampling_common(const struct sampling *s);

/* Whether records of this options template tell a rate. */
bool sampling_is(const struct template *t);
/* Learns from one record.  0, or -ENOMEM. */
int sampling_learn(
    struct sampling **s, const struct template *t, const struct cursor *fields);

#endif
