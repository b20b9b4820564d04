/* What DTLS over SCTP (RFC 6083) asks of SCTP beyond struct transport_ops.  Used by
 * transport_dtls_sctp.c; behind it is transport_sctp.c, whose other operations serve a
 * carrier as they serve plain SCTP.
 *
 * A carrier's association authenticates its DATA chunks (RFC 4895: HMAC-SHA-1 or
 * SHA-256) in both directions, with the empty key 0 until another one is active; where
 * the kernel is told not to (net.sctp.auth_enable=0), making one fails with a sentence
 * that names the switch.  Its messages go out on stream 0, ordered, reliably, with
 * payload protocol 47, one by each write, of up to SCTP_CARRIED bytes; each comes in
 * whole by one read; messages of other payload protocols are thrown away. */
#ifndef COMMON_SCTP_SCTP_H
#define COMMON_SCTP_SCTP_H

#include <stdint.h>

#include "common/transport/scheme.h"

#define SCTP_CARRIED 18445u /* RFC 6083 section 3.2: 2^14 + 2048 + 13 */

/* Options of the URI: there is one ordered stream, all of it reliable. */
extern const char *const sctp_secure_option_names[];
/* The check of struct transport_ops. */
int sctp_check_target(const struct transport_uri *uri, struct err *e);
/* As the dial and listen of transport_sctp.  What is accepted from such a listener by
 * transport_sctp.accept() is a carrier too. */
int sctp_dial_carrier(
    struct transport *t, const struct transport_uri *uri, struct err *e);
int sctp_listen_carrier(
    struct transport_listener *l, const struct transport_uri *uri, struct err *e);

/* A shared key of this association, known from now on for what comes in. */
int sctp_add_key(
    struct transport *t, uint16_t id, const uint8_t *key, size_t n, struct err *e);
/* What is written from now on goes out under this key; earlier messages keep theirs. */
int sctp_activate_key(struct transport *t, uint16_t id, struct err *e);
/* This key is not accepted any more.  It must not be the active one. */
int sctp_drop_key(struct transport *t, uint16_t id, struct err *e);
/* Whether the peer's SCTP has acknowledged everything that was written: 0, -EAGAIN (the
 * fd becomes readable by and by, and a read may have to come first), or negative. */
int sctp_drained(struct transport *t, struct err *e);

extern const struct transport_scheme transport_sctp, transport_dtls_sctp;

#endif
