/* Transports: one open connection (or file) that messages are written to or read from.
 * Operations are non-blocking; -EAGAIN means: wait until fd is ready for want().
 * A byte transport (TCP, TLS, file) moves any number of bytes by a call; a message
 * transport (is_message) moves exactly one IPFIX message by each.
 * scheme.h has the row of each transport, uri.h its URIs, transport_listener.h who
 * accepts connections.  Threads: one at a time per connection. */
#ifndef COMMON_TRANSPORT_TRANSPORT_H
#define COMMON_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/endpoint.h"
#include "common/base/err.h"
#include "common/tls/tls.h"

struct transport_scheme;
struct transport_uri;

struct transport_peer {
	struct endpoint at; /* zeros: a file */
	char text[128];     /* of it, for sentences; or the name of the file */
};

struct transport {
	const struct transport_scheme *scheme;
	const struct transport_ops *ops;
	int fd;
	bool is_open;     /* handshakes done: read and write may be called */
	bool write_waits; /* the last write found no room */
	struct transport_peer peer;
	/* From the verified certificate: SAN dNSName, else URI, else IP address, else
	 * subject CN; "" when there is none. */
	char identity[256];
	/* Agreed on by ALPN; "": plain RFC 7011. */
	char protocol[TLS_PROTOCOL];
	/* Of an unreliable transport; its user set them to 0.  refusals: errors about
	 * earlier datagrams, which do not end it (ICMP: port unreachable and the like).
	 * fragmented: messages too long for the path, sent in fragments. */
	uint64_t refusals, fragmented;
	/* Over plain UDP: how many addresses the host has.  With several, a refusal
	 * ends the transport: its user dials the next turn (struct transport_uri). */
	unsigned addresses;
	uint16_t stream;  /* SCTP: of the message read last; that a write goes out on */
	uint16_t streams; /* SCTP: that writes may go out on: 0 to streams - 1 */
	void *state;      /* the scheme's own */
};

struct transport_ops {
	/* Goes on with connect and handshake: 0 when open, -EAGAIN, or negative with e.
	 */
	int (*proceed)(struct transport *t, struct err *e);
	/* Bytes moved (> 0), 0 from read: the peer ended its stream properly, -EAGAIN,
	 * or negative with e (-ECONNRESET, -ECONNABORTED for a TLS stream cut off).  A
	 * message transport needs room for 65535 bytes to read, and says -EMSGSIZE for
	 * a message that it can never write. */
	ssize_t (*read)(struct transport *t, void *bytes, size_t n, struct err *e);
	ssize_t (*write)(
	    struct transport *t, const void *bytes, size_t n, struct err *e);
	/* Ends our direction properly (TCP FIN, TLS close_notify, file flush+fsync).
	 * 0, -EAGAIN, or negative. */
	int (*finish)(struct transport *t, struct err *e);
	/* EPOLLIN, EPOLLOUT or both: what -EAGAIN waits for. */
	uint32_t (*want)(const struct transport *t);
	/* While it is not open: nanoseconds until proceed() is to be called even if fd
	 * is not ready; UINT64_MAX: never.  NULL: never. */
	uint64_t (*timeout)(const struct transport *t);
	/* More decrypted bytes are buffered inside: read again without waiting.  NULL:
	 * never. */
	bool (*pending)(const struct transport *t);
	/* Why it failed (common/tls/tls.h); NULL: this scheme refuses no peers. */
	enum tls_refusal (*refusal)(const struct transport *t);
	/* tls_recheck() of an open connection; NULL: there are no certificates. */
	int (*recheck)(struct transport *t, struct tls_context *tls, struct err *e);
	void (*close)(struct transport *t); /* at once; releases everything */
};

/* Starts connecting, with a blocking look-up of the host's name.  0: under way or open
 * already (is_open); negative: sentence in e, nothing to close. */
int transport_dial(struct transport *t, const struct transport_uri *uri,
    struct tls_context *tls, struct err *e);

/* As the operations, where they may be NULL. */
uint64_t transport_timeout(const struct transport *t);
bool transport_pending(const struct transport *t);
enum tls_refusal transport_refusal(const struct transport *t);
int transport_recheck(struct transport *t, struct tls_context *tls, struct err *e);

/* -ETIMEDOUT where TCP has sent the same data again and again, for half a minute or
 * more, and heard nothing: the path or the other end is gone, which TCP itself believes
 * only after a quarter of an hour.  A peer that answers without accepting data is still
 * there.  0 also where there is no TCP. */
int transport_check_path(const struct transport *t, struct err *e);

#endif
