/* A socket that takes datagrams.  Batches are received, every datagram that begins as a
 * message of IPFIX, NetFlow v9 or v5 becomes (part of) a frame of its source's session,
 * anything else is counted.  Decodes nothing.
 *
 * Waking up costs more than copying does: where datagrams come fast, the socket is not
 * watched, but looked into every NAP.
 *
 * Back-pressure cannot reach whoever sends: while the intake is stuck, datagrams stay
 * in the kernel's buffer; what that has no room for the kernel drops, and we count.
 * Threads: the receiving thread. */
#ifndef COLLECTOR_DOOR_UDP_LISTENER_H
#define COLLECTOR_DOOR_UDP_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

struct udp_listener_settings {
	uint64_t buffer_bytes; /* of the kernel's, to ask for */
	uint64_t idle_ns;      /* a session ends after so much silence; 0: never */
	unsigned max_sources;
	bool is_by_address; /* one session for all ports of an address */
};

struct udp_listener_counts {
	uint64_t datagrams, octets; /* received, those refused too */
	uint64_t messages;          /* of them: passed on */
	uint64_t not_ipfix;         /* refused: neither IPFIX nor NetFlow v9 or v5 */
	uint64_t not_permitted;     /* refused: of an address not on the roster */
	uint64_t kernel_drops;      /* datagrams the buffer had no room for */
	uint64_t sources;           /* sessions begun */
	uint64_t idle, evicted;     /* sessions ended: of silence; for want of room, the
				       longest idle (udp_sources_spare()) */
	uint64_t buffer_bytes;      /* of the kernel's, as got */
};

struct listener;
struct udp_listener;

/* Takes datagrams from a bound, non-blocking socket, which stays the caller's; port: of
 * ours; text: its URI, copied, for sentences. */
int udp_listener_new(struct listener *l, int fd, uint16_t port, const char *text,
    struct udp_listener **ret, struct err *e);
void udp_listener_free(struct udp_listener *d);
/* Once a second: ends idle sessions, counts what the kernel dropped. */
void udp_listener_second(struct udp_listener *d, uint64_t now_ns);
/* The roster was read anew: ends the sessions of whom it has no longer, or on other
 * terms; where the intake is stuck, before anything more is taken. */
void udp_listener_recheck(struct udp_listener *d);
/* Takes what the kernel holds, but no more than it can hold; ends all sessions; then
 * nothing more. */
void udp_listener_stop(struct udp_listener *d, uint64_t due_ns);
void udp_listener_counts(const struct udp_listener *d, struct udp_listener_counts *ret);

#endif
