/* UDP datagrams out of captured packets: IPv4 and IPv6, fragments put together again.
 * For captures of exports; lengths in packets are never trusted.
 * Threads: one.  Memory: a fixed number of datagrams in pieces; the oldest goes. */
#ifndef COLLECTOR_IMPORT_REASSEMBLY_H
#define COLLECTOR_IMPORT_REASSEMBLY_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/endpoint.h"
#include "common/capture/capture.h"

enum reassembly_result {
	REASSEMBLY_WHOLE,
	REASSEMBLY_PIECE,    /* a fragment: the rest is still to come */
	REASSEMBLY_OTHER,    /* no UDP over IP */
	REASSEMBLY_CUT,      /* the capture kept only its beginning */
	REASSEMBLY_MALFORMED /* lengths that contradict each other */
};

struct datagram {
	struct endpoint source, destination;
	const uint8_t *payload; /* until the next call */
	size_t length;
};

struct reassembly;

struct reassembly *reassembly_new(void); /* NULL: no memory */
void reassembly_free(struct reassembly *d);
enum reassembly_result reassembly_take(
    struct reassembly *d, const struct capture_packet *packet, struct datagram *ret);
/* Datagrams of which pieces are missing (so far), and that were given up. */
uint64_t reassembly_incomplete(const struct reassembly *d);

#endif
