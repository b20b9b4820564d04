/* One stream of packets: capture -> decode -> batch -> conversations.  One pipeline per
 * live interface; one for all files, read one after the other.  Identity: packets read
 * = packets in conversations + dropped by reason.
 * Threads: the capture thread. */
#ifndef EXPORTER_RUN_PIPELINE_H
#define EXPORTER_RUN_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/capture/capture.h"
#include "exporter/conversation/conversation.h"
#include "exporter/decode/packet.h"

struct pipeline;

struct pipeline_counts {
	uint64_t read; /* packets from captures */
	uint64_t dropped[PACKET_DROPS];
	struct conversations_counts conversations;
};

/* NULL: no memory. */
struct pipeline *pipeline_new(const struct conversations_settings *s, bool vlan_in_key,
    void (*ended)(const struct flow_record *r, void *data), void *data);
void pipeline_free(struct pipeline *p); /* NULL accepted */
/* Sets the capture to read from; borrowed. */
void pipeline_set_capture(struct pipeline *p, struct capture *c);

/* Reads at most n packets and counts all of them before it returns.  Returns what
 * capture_next() returned last: 1: more are waiting; 0: end, or nothing now; negative:
 * the capture failed. */
int pipeline_read(struct pipeline *p, unsigned n, struct err *e);
/* While capture_next() waits for more packets: counts those already read. */
void pipeline_catch_up(struct pipeline *p);
/* Time of the latest packet, ns since 1970; 0: none yet. */
uint64_t pipeline_time(const struct pipeline *p);
/* Without a packet: moves time forward and sends what is due. */
void pipeline_tick(struct pipeline *p, uint64_t packet_time_ns);
/* End of input. */
void pipeline_flush(struct pipeline *p);
void pipeline_counts(const struct pipeline *p, struct pipeline_counts *ret);

#endif
