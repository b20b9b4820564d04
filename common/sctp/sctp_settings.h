/* The options of sctp:// and dtls+sctp:// URIs. */
#ifndef COMMON_SCTP_SCTP_SETTINGS_H
#define COMMON_SCTP_SCTP_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/err.h"
#include "common/transport/uri.h"

#define SCTP_ADDRESSES    8    /* of one end, at most */
#define SCTP_STREAMS_MOST 64   /* that one URI may ask for */
#define SCTP_UDP_PORT     9899 /* RFC 6951 section 5.1 */

enum sctp_reliability {
	SCTP_FULL,
	SCTP_TIMED,    /* given up when older than `limit` milliseconds (RFC 3758) */
	SCTP_ATTEMPTS, /* given up after `limit` retransmissions (RFC 7496) */
};

struct sctp_settings {
	const struct sctp_stack *stack;
	uint16_t streams; /* in each direction */
	enum sctp_reliability reliability;
	uint32_t limit; /* of the reliability */
	uint32_t heartbeat_ms;
	uint16_t udp_port;       /* listening: ours; dialling: the peer's */
	uint16_t local_udp_port; /* dialling: ours; 0: any */
	bool is_listening;
	bool has_auth; /* DATA and FORWARD-TSN chunks are authenticated, both ways */
	unsigned addresses, locals;
	/* Further addresses of the host that is dialled or listened at. */
	struct sockaddr_storage address[SCTP_ADDRESSES];
	struct sockaddr_storage local[SCTP_ADDRESSES]; /* ours, to dial from */
};

/* Reads the options of the URI.  0, or -EINVAL with a sentence. */
int sctp_settings_read(
    const struct transport_uri *uri, struct sctp_settings *ret, struct err *e);

#endif
