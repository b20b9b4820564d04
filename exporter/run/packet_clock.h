/* Packet time goes on while nothing comes: by the monotonic clock from the last packet,
 * so that neither a capture's own clock nor a step of the wall clock matters.
 * Threads: the capture's.  A zeroed one is new. */
#ifndef EXPORTER_RUN_PACKET_CLOCK_H
#define EXPORTER_RUN_PACKET_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct pipeline;

struct packet_clock {
	uint64_t packet_ns;    /* time of the last packet; 0: none yet */
	uint64_t monotonic_ns; /* when it was read */
	uint64_t ticked_ns;    /* monotonic */
};

/* The last packet that was read has this time.  Whether it is another than before. */
bool packet_clock_packet(struct packet_clock *p, uint64_t packet_ns, uint64_t now_ns);
/* Nothing waits: ticks the pipeline once a second. */
void packet_clock_tick(
    struct packet_clock *p, struct pipeline *pipeline, uint64_t now_ns);

#endif
