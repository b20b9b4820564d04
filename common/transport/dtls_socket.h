/* The UDP socket of a dtls+udp:// listener, which all its sessions share: sorts
 * datagrams by sender into bounded queues, accepts new senders by cookie only
 * (tls_cookie.h), and tells senders of encrypted records that their session is no
 * longer known here.
 * One socket, not a connected one for each sender: between bind() and connect() such a
 * socket would take other senders' datagrams away.
 * Memory: DTLS_SENDER_BYTES for each sender and DTLS_SOCKET_BYTES for all wait to be
 * read; what comes beyond that is dropped and counted.
 * Threads: one, which is the sessions', too. */
#ifndef COMMON_TRANSPORT_DTLS_SOCKET_H
#define COMMON_TRANSPORT_DTLS_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/err.h"
#include "common/tls/tls.h"
#include "common/transport/transport_listener.h"

#define DTLS_SENDER_BYTES (1u << 20)
#define DTLS_SOCKET_BYTES (64u << 20)

/* What shows that an answer to a record comes from where the record was sent: the lower
 * bytes of the nonce that AES-GCM puts in front (RFC 5288 section 3), which OpenSSL
 * begins at random and counts up. */
#define DTLS_PROOF       15u /* where in the record */
#define DTLS_PROOF_BYTES 6u

struct dtls_socket;

/* Takes the bound, non-blocking socket (closed on failure too).  0 or negative. */
int dtls_socket_new(int fd, struct dtls_socket **ret, struct err *e);
/* Sorts what has come until there is a new sender: 0, with a transport that carries its
 * session (readable when it has sent something; -ECONNRESET when another session
 * supersedes it; what cannot be sent now is lost), whose handshake goes on over what
 * tls_carry() says; -EAGAIN: for now there is none; or an error of the socket. */
int dtls_socket_accept(struct dtls_socket *s, struct tls_context *c,
    struct transport *ret, struct tls **ret_tls, struct err *e);
void dtls_socket_counts(const struct dtls_socket *s, struct transport_counts *ret);
/* Accepts no new senders; the last one that is closed frees it. */
void dtls_socket_close(struct dtls_socket *s);

/* The handshake of such a transport is done: it supersedes a former session from the
 * same address (RFC 6347 section 4.2.8), and from now on a ClientHello from there
 * begins another. */
void dtls_sender_open(struct transport *t);

#endif
