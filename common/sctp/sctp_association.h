/* An SCTP association, which transport_sctp.c (connecting, reading, writing) and
 * transport_sctp_listen.c (accepting) make a transport of; the state of such a
 * transport.
 *
 * One of dtls+sctp:// is the carrier of DTLS (RFC 6083): it authenticates its DATA
 * chunks (RFC 4895: HMAC-SHA-1 or SHA-256) in both directions, with the empty key 0
 * until another one is active; where the kernel is told not to
 * (net.sctp.auth_enable=0), making one fails with a sentence that names the switch.
 * Its messages go out on stream 0, ordered, reliably, with payload protocol 47, one by
 * each write, of up to SCTP_CARRIED bytes; each comes in whole by one read; messages of
 * other payload protocols are thrown away. */
#ifndef COMMON_SCTP_SCTP_ASSOCIATION_H
#define COMMON_SCTP_SCTP_ASSOCIATION_H

#include "common/sctp/sctp_stack.h"
#include "common/transport/scheme.h"
#include "common/transport/socket.h"

#define SCTP_CARRIED 18445u /* RFC 6083 section 3.2: 2^14 + 2048 + 13 */

struct association {
	const struct sctp_stack *stack;
	struct sctp_socket socket;
	struct sctp_settings settings;
	bool head_waits; /* stream 0 has what the other streams must not overtake */
	uint8_t *part;   /* of a message whose rest is still to come; NULL: none */
	size_t part_length;
	struct transport_target target; /* while connecting */
};

/* The settings of a URI, checked against its stack. */
int association_settings(const struct transport_uri *uri, bool is_listening,
    struct sctp_settings *ret, struct err *e);
/* Its payload protocol identifier. */
uint32_t association_protocol(const struct association *a);
/* The family of the socket that an address of a host wants. */
int association_family(const struct sctp_settings *s, const struct addrinfo *a);
/* The address of the host and the further ones of the URI; how many. */
unsigned association_addresses(const struct sctp_settings *s, const struct addrinfo *a,
    struct sockaddr_storage list[SCTP_ADDRESSES + 1]);
/* The association of t, which has its state, is there: learns its streams. */
int association_opened(struct transport *t);
/* The sentence for an errno of the association's; returns the code. */
int association_broken(const struct transport *t, int code, struct err *e);
void association_close(struct transport *t);

/* A shared key, from now on accepted for what comes in. */
int association_add_key(
    struct transport *t, uint16_t id, const uint8_t *key, size_t n, struct err *e);
/* What is written from now on goes out under this key; earlier messages keep theirs. */
int association_activate_key(struct transport *t, uint16_t id, struct err *e);
/* This key is not accepted any more.  It must not be the active one. */
int association_drop_key(struct transport *t, uint16_t id, struct err *e);
/* Whether the peer's SCTP has acknowledged everything that was written: 0, -EAGAIN (the
 * fd becomes readable by and by, and a read may have to come first), or negative. */
int association_drained(struct transport *t, struct err *e);

/* transport_sctp_listen.c */
extern const struct transport_listener_ops association_listener;

#endif
