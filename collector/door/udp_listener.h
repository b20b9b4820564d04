/* A socket that receives datagrams, in batches.  Every datagram that begins as a
 * message of IPFIX, NetFlow or sFlow becomes (part of) a frame of its source's session;
 * all others are counted.  Decodes nothing.
 *
 * Waking up costs more than copying does: where datagrams come fast, the socket is not
 * watched, but read every NAP.
 *
 * Back-pressure cannot reach the senders: while the intake is stuck, datagrams stay in
 * the kernel's buffer; the kernel drops those that do not fit, and we count them.
 * Threads: the receiving thread. */
#ifndef COLLECTOR_DOOR_UDP_LISTENER_H
#define COLLECTOR_DOOR_UDP_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/transport/transport_listener.h"

struct udp_listener_settings {
	uint64_t buffer_bytes; /* of the kernel's, to ask for */
	uint64_t idle_ns;      /* a session ends after this much silence; 0: never */
	unsigned max_sources;
	bool is_by_address; /* one session for all ports of an address */
};

struct udp_listener_counts {
	uint64_t datagrams, octets; /* received, including those refused */
	uint64_t messages;          /* of these: passed on */
	uint64_t not_ipfix;         /* refused: no known protocol */
	uint64_t not_permitted;     /* refused: from an address not on the roster */
	uint64_t kernel_drops;      /* datagrams the buffer had no room for */
	uint64_t sources;           /* sessions begun */
	uint64_t idle;              /* sessions ended by silence */
	uint64_t evicted;      /* sessions ended to make room (udp_sources_spare()) */
	uint64_t buffer_bytes; /* of the kernel's, as granted */
};

struct listener;
struct udp_listener;

/* Receives datagrams at this place, which stays the caller's. */
int udp_listener_new(struct listener *l, const struct transport_listener *place,
    struct udp_listener **ret, struct err *e);
void udp_listener_free(struct udp_listener *d);
/* Once a second: ends idle sessions, counts what the kernel dropped. */
void udp_listener_second(struct udp_listener *d, uint64_t now_ns);
/* The roster was read again: ends the sessions of sources that it no longer has, or has
 * on other terms; where the intake is stuck, before more is received. */
void udp_listener_recheck(struct udp_listener *d);
/* Receives what the kernel holds, but no more than it can hold, then ends all sessions
 * for good. */
void udp_listener_stop(struct udp_listener *d, uint64_t due_ns);
void udp_listener_counts(const struct udp_listener *d, struct udp_listener_counts *ret);

#endif
