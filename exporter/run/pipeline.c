#include "exporter/run/pipeline.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "exporter/decode/decode.h"

#define BATCH 32u

struct pipeline {
	struct capture *capture;
	struct decoder *decoder;
	struct conversations *conversations;
	uint64_t second; /* of the last tick, packet time */
	uint64_t latest_ns;
	uint64_t read;
	uint64_t dropped[PACKET_DROPS];
	unsigned waiting; /* packets in batch */
	struct packet batch[BATCH] __attribute__((aligned(64)));
};

struct pipeline *
pipeline_new(const struct conversations_settings *s, bool vlan_in_key,
    void (*ended)(const struct flow_record *r, void *data), void *data)
{
	struct pipeline *p = aligned_alloc(64, sizeof *p);

	if (p == NULL) {
		return NULL;
	}
	*p = (struct pipeline){
	    .decoder = decoder_new(vlan_in_key),
	    .conversations = conversations_new(s, ended, data),
	};
	if (p->decoder == NULL || p->conversations == NULL) {
		pipeline_free(p);
		return NULL;
	}
	return p;
}

void
pipeline_free(struct pipeline *p)
{
	if (p != NULL) {
		decoder_free(p->decoder);
		conversations_free(p->conversations);
		free(p);
	}
}

void
pipeline_set_capture(struct pipeline *p, struct capture *c)
{
	p->capture = c;
}

/* Counts the batch.  Ticks fall between batches, once a second of packet time. */
static void
add_batch(struct pipeline *p)
{
	uint64_t now_ns;

	if (p->waiting == 0) {
		return;
	}
	conversations_add(p->conversations, p->batch, p->waiting);
	now_ns = p->batch[p->waiting - 1].time_ns;
	p->waiting = 0;
	p->latest_ns = now_ns;
	if (now_ns / NS_PER_SECOND != p->second) {
		p->second = now_ns / NS_PER_SECOND;
		conversations_tick(p->conversations, now_ns);
	}
}

int
pipeline_read(struct pipeline *p, unsigned n, struct err *e)
{
	struct capture_packet in;
	int rc = 1;

	for (; n > 0; n--) {
		enum packet_drop drop;
		rc = capture_next(p->capture, &in, e);
		if (rc <= 0) {
			break;
		}
		p->read++;
		drop = decode_packet(p->decoder, &in, &p->batch[p->waiting]);
		if (drop != PACKET_KEPT) {
			p->dropped[drop]++;
			continue;
		}
		if (++p->waiting == BATCH) {
			add_batch(p);
		}
	}
	add_batch(p);
	return rc;
}

void
pipeline_catch_up(struct pipeline *p)
{
	add_batch(p);
}

uint64_t
pipeline_time(const struct pipeline *p)
{
	return p->latest_ns;
}

void
pipeline_tick(struct pipeline *p, uint64_t packet_time_ns)
{
	conversations_tick(p->conversations, packet_time_ns);
}

void
pipeline_flush(struct pipeline *p)
{
	conversations_flush(p->conversations);
}

void
pipeline_counts(const struct pipeline *p, struct pipeline_counts *ret)
{
	ret->read = p->read;
	for (unsigned i = 0; i < PACKET_DROPS; i++) {
		ret->dropped[i] = p->dropped[i];
	}
	conversations_counts(p->conversations, &ret->conversations);
	ret->dropped[PACKET_TABLE_FULL] = ret->conversations.refused;
}
