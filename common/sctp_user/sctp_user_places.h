/* Places where SCTP in user space listens: a port, at every address of ours or at some.
 * The library looks at ports alone, and would set up an association with a peer that
 * comes to another address, which could send before it is thrown out: so such a peer is
 * refused here, at once, as by a kernel.
 * Threads: between sctp_wire_enter() and leave().  Memory: the caller's. */
#ifndef COMMON_SCTP_USER_SCTP_USER_PLACES_H
#define COMMON_SCTP_USER_SCTP_USER_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/sctp/sctp_stack.h"

#define SCTP_USER_PLACE_REFUSAL 16u /* bytes */

struct sctp_user_place {
	uint16_t port;  /* of SCTP, in host byte order */
	unsigned hosts; /* addresses; 0: all of ours */
	struct sockaddr_storage host[SCTP_ADDRESSES + 1];
	struct sctp_user_place *next;
};

void sctp_user_place_open(struct sctp_user_place *p);
void sctp_user_place_close(struct sctp_user_place *p); /* also one that is not open */

/* Whether n bytes that came to local begin an association at a port that is listened
 * at, but at other addresses.  Then *ret is the packet that says so to its sender, but
 * for its checksum (RFC 9260 section 8.4, case 3). */
bool sctp_user_place_refuses(const struct sockaddr_storage *local,
    const uint8_t *packet, size_t n, uint8_t ret[static SCTP_USER_PLACE_REFUSAL]);

#endif
