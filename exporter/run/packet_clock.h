/* Keeps packet time running while no packets arrive, by the monotonic clock from the
 * last packet on, so that neither the capture's clock nor a step of the wall clock
 * matters.
 * Threads: the capture thread.  Starts zeroed. */
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

/* Notes the time of the last packet read.  Whether it has changed. */
bool packet_clock_packet(struct packet_clock *p, uint64_t packet_ns, uint64_t now_ns);
/* No packet is waiting: ticks the pipeline once a second. */
void packet_clock_tick(
    struct packet_clock *p, struct pipeline *pipeline, uint64_t now_ns);

#endif
