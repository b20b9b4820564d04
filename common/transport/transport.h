/* Transports: one open connection (or file) that messages go out on or come in from.
 * All operations are non-blocking; -EAGAIN means wait until fd is ready for want().
 * A byte transport (TCP, TLS, file) moves any number of bytes by a call; a message
 * transport (is_message) moves exactly one IPFIX message by each.
 * URIs: scheme://host:port?name=value&name=value and file:path (ports default 4739
 * plain, 4740 secured; [::1]:4740 for IPv6).  Threads: one at a time per connection.
 * Each scheme is one file: transport_tcp.c, transport_tls.c, transport_sctp.c,
 * transport_dtls_sctp.c, transport_udp.c, transport_dtls_udp.c, transport_file.c. */
#ifndef COMMON_TRANSPORT_TRANSPORT_H
#define COMMON_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "common/base/err.h"
#include "common/tls/tls.h"

#define TRANSPORT_PORT        4739
#define TRANSPORT_PORT_SECURE 4740

struct transport_uri {
	const struct transport_ops *ops;
	char host[256]; /* or the path of a file */
	uint16_t port;
	char options[256]; /* after "?": "streams=4&x=y"; names are known to ops */
	char text[320];    /* as given, for sentences */
	/* Over plain UDP: of a host's addresses, which is dialled first, counted round
	 * and round; see struct transport. */
	unsigned turn;
};

/* A place where connections are taken in. */
struct transport_listener {
	const struct transport_ops *ops;
	int fd;        /* readable when transport_accept() may succeed */
	uint16_t port; /* bound, also where 0 was asked for */
	char text[320];
	void *state; /* the scheme's own */
};

struct transport {
	const struct transport_ops *ops;
	int fd;
	bool is_open;   /* handshakes done: read and write may be called */
	char peer[128]; /* "192.0.2.1:51234", or the file's name */
	char
	    identity[256]; /* from the verified certificate: SAN dNSName, else URI, else
			      IP address, else subject CN; "" when there is none */
	char protocol[TLS_PROTOCOL]; /* that both ends agreed on by ALPN; "": plain RFC
					7011 */
	/* Of an unreliable one, since its user set them to 0: errors about what was
	 * sent before, which end nothing (ICMP: port unreachable and the like);
	 * messages longer than the path takes, sent in fragments. */
	uint64_t refusals, fragmented;
	/* Over plain UDP: how many addresses the host has.  With several, a refusal
	 * ends the transport: another address may fare better, its user dials the next
	 * turn.
	 */
	unsigned addresses;
	uint16_t stream;  /* SCTP: of the message read last; that a write goes out on */
	uint16_t streams; /* SCTP: that writes may go out on: 0 to streams - 1 */
	void *state;      /* the scheme's own */
};

struct transport_counts { /* of a listener whose connections share a socket */
	uint64_t datagrams, octets, connections;
	uint64_t dropped; /* datagrams that found no room */
	uint64_t foreign; /* that were of no connection */
};

struct transport_ops {
	const char *scheme; /* "tls" */
	uint16_t port;      /* default; 0: no port */
	bool is_secure, is_file, is_message;
	bool is_unreliable; /* messages may get lost, unnoticed on this side */
	bool is_welcoming;  /* a server's handshake ends after its client's: one of ours
			       sends something to read when it has accepted the client */
	uint32_t message_max;       /* longest message, bytes */
	const char *const *options; /* names that URIs may give; NULL: none */
	/* Whether this machine can do what the URI asks for; NULL: it can. */
	int (*check)(const struct transport_uri *uri, struct err *e);
	/* How long messages for this target should be, `most` at most; it may look up
	 * the host.  NULL: message_max. */
	uint32_t (*message_size)(const struct transport_uri *uri, uint32_t most);
	/* Starts connecting, with a blocking look-up of the host's name.  0: under way
	 * or open already (is_open); negative: sentence in e, nothing to close. */
	int (*dial)(struct transport *t, const struct transport_uri *uri,
	    struct tls_context *tls, struct err *e);
	/* Opens a place to take connections in; NULL: this scheme has none.  On failure
	 * nothing is left open. */
	int (*listen)(struct transport_listener *l, const struct transport_uri *uri,
	    struct err *e);
	/* NULL: the listener's fd takes datagrams instead of connections, and whoever
	 * listens receives them itself.
	 * The next connection, its handshake perhaps to come; sets t->peer.  0, -EAGAIN
	 * (also for one that died on its way), -ECONNABORTED when this one cannot be
	 * served but others may, or what ails the listener. */
	int (*accept)(struct transport_listener *l, struct transport *t,
	    struct tls_context *tls, struct err *e);
	void (*unlisten)(struct transport_listener *l);
	/* NULL: the kernel keeps the connections apart. */
	void (*counts)(
	    const struct transport_listener *l, struct transport_counts *ret);
	/* Takes over an accepted socket (closes it on failure); t->peer is set before.
	 */
	int (*accepted)(
	    struct transport *t, int fd, struct tls_context *tls, struct err *e);
	/* Goes on with connect and handshake: 0 when open, -EAGAIN, or negative with e.
	 */
	int (*proceed)(struct transport *t, struct err *e);
	/* Bytes moved (> 0), 0 from read: the peer ended its stream in order,
	 * -EAGAIN, or negative with e (-ECONNRESET, -ECONNABORTED for a TLS stream cut
	 * off).  A message transport needs room for 65535 bytes to read, and says
	 * -EMSGSIZE for a message that it can never write. */
	ssize_t (*read)(struct transport *t, void *bytes, size_t n, struct err *e);
	ssize_t (*write)(
	    struct transport *t, const void *bytes, size_t n, struct err *e);
	/* Ends our direction in order (TCP FIN, TLS close_notify, file flush+fsync).
	 * 0, -EAGAIN, or negative. */
	int (*finish)(struct transport *t, struct err *e);
	/* EPOLLIN, EPOLLOUT or both: what -EAGAIN waits for. */
	uint32_t (*want)(const struct transport *t);
	/* Nanoseconds after which proceed() is to be called though fd is not ready,
	 * while the transport is not open; UINT64_MAX: never.  NULL: never. */
	uint64_t (*timeout)(const struct transport *t);
	/* More decrypted bytes are buffered inside: read again without waiting. */
	bool (*pending)(const struct transport *t);
	/* Why it failed (common/tls/tls.h); NULL: this scheme refuses nobody. */
	enum tls_refusal (*refusal)(const struct transport *t);
	/* tls_judge_anew() of an open connection; NULL: there are no certificates. */
	int (*judge_anew)(struct transport *t, struct tls_context *tls, struct err *e);
	void (*close)(struct transport *t); /* at once; releases everything */
};

/* Parses and finds the scheme; complains naming the schemes that exist. */
int transport_parse_uri(const char *text, struct transport_uri *ret, struct err *e);
/* Whether it may be dialled: it names a host and a port, or is a file; and this machine
 * can.  0 or negative. */
int transport_check_target(const struct transport_uri *uri, struct err *e);
/* How long messages for this target should be: `most`, or less. */
uint32_t transport_message_size(const struct transport_uri *uri, uint32_t most);
/* The value of an option of the URI: its length with *ret (not terminated), or -ENOENT.
 */
int transport_uri_option(
    const struct transport_uri *uri, const char *name, const char **ret);

/* Opens a place to take connections in; host "" or "*" is every address, IPv4 and
 * IPv6. */
int transport_listen(
    const struct transport_uri *uri, struct transport_listener *ret, struct err *e);
/* As ops->accept. */
int transport_accept(struct transport_listener *l, struct transport *t,
    struct tls_context *tls, struct err *e);
void transport_unlisten(struct transport_listener *l); /* a zeroed one too */

/* As ops->timeout. */
uint64_t transport_timeout(const struct transport *t);
/* TLS_REFUSED_NONE for schemes that refuse nobody. */
enum tls_refusal transport_refusal(const struct transport *t);

/* As ops->judge_anew; 0 for schemes without certificates. */
int transport_judge_anew(struct transport *t, struct tls_context *tls, struct err *e);

/* -ETIMEDOUT where TCP has sent the same again and again, for half a minute or more,
 * and heard nothing: then the path, or the other end, is gone, which TCP itself
 * believes only after a quarter of an hour.  Who answers but takes nothing is there.  0
 * also for what is not over TCP. */
int transport_check_path(const struct transport *t, struct err *e);

/* For the schemes.  A bound, non-blocking socket at this URI (protocol: IPPROTO_TCP and
 * the like), which listens unless it is for datagrams (IPPROTO_UDP); l->fd, l->port. */
int transport_listen_socket(struct transport_listener *l,
    const struct transport_uri *uri, int protocol, struct err *e);
/* accept4, then ops->accepted of the listener's scheme. */
int transport_accept_socket(struct transport_listener *l, struct transport *t,
    struct tls_context *tls, struct err *e);
void transport_close_listener(struct transport_listener *l); /* closes l->fd */
/* "192.0.2.1:51234" or "[2001:db8::1]:51234"; IPv4 also where an IPv6 socket took it.
 */
void transport_format_peer(const struct sockaddr_storage *from, char out[static 128]);

/* Of a datagram socket: packets that do not fit the path are refused (EMSGSIZE)... */
void transport_forbid_fragments(int fd);
/* ... but this one is sent, and counted.  n, or -1 with errno. */
ssize_t transport_send_fragmented(struct transport *t, const void *message, size_t n);

extern const struct transport_ops transport_tcp, transport_tls, transport_sctp,
    transport_dtls_sctp, transport_udp, transport_dtls_udp, transport_file;

#endif
