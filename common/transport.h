/* Byte transports: one open connection (or file) that messages go out on or come in
 * from. All operations are non-blocking; -EAGAIN means wait until fd is ready for
 * transport_want(). URIs: tcp://host:port tls://host:port file:path (ports default 4739
 * plain, 4740 secured;
 * [::1]:4740 for IPv6).  Threads: one at a time per connection.
 * Each scheme is one file: transport_tcp.c, transport_tls.c, transport_file.c. */
#ifndef COMMON_TRANSPORT_H
#define COMMON_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/tls.h"

#define TRANSPORT_PORT        4739
#define TRANSPORT_PORT_SECURE 4740

struct transport_uri {
	const struct transport_ops *ops;
	char host[256]; /* or the path of a file */
	uint16_t port;
	char text[320]; /* as given, for sentences */
};

struct transport {
	const struct transport_ops *ops;
	int fd;
	bool is_open;   /* handshakes done: read and write may be called */
	char peer[128]; /* "192.0.2.1:51234", or the file's name */
	char
	    identity[256]; /* from the verified certificate: SAN dNSName, else URI, else
			      IP address, else subject CN; "" when there is none */
	void *state;       /* the scheme's own */
};

struct transport_ops {
	const char *scheme; /* "tls" */
	uint16_t port;      /* default; 0: no port */
	bool is_secure, is_file;
	/* Starts connecting, with a blocking look-up of the host's name.  0: under way
	 * or open already (is_open); negative: sentence in e, nothing to close. */
	int (*dial)(struct transport *t, const struct transport_uri *uri,
	    struct tls_context *tls, struct err *e);
	/* Takes over an accepted socket (closes it on failure); t->peer is set before.
	 */
	int (*accepted)(
	    struct transport *t, int fd, struct tls_context *tls, struct err *e);
	/* Goes on with connect and handshake: 0 when open, -EAGAIN, or negative with e.
	 */
	int (*proceed)(struct transport *t, struct err *e);
	/* Bytes moved (> 0), 0 from read: the peer ended its stream in order,
	 * -EAGAIN, or negative with e (-ECONNRESET, -ECONNABORTED for a TLS stream cut
	 * off). */
	ssize_t (*read)(struct transport *t, void *bytes, size_t n, struct err *e);
	ssize_t (*write)(
	    struct transport *t, const void *bytes, size_t n, struct err *e);
	/* Ends our direction in order (TCP FIN, TLS close_notify, file flush+fsync).
	 * 0, -EAGAIN, or negative. */
	int (*finish)(struct transport *t, struct err *e);
	/* EPOLLIN, EPOLLOUT or both: what -EAGAIN waits for. */
	uint32_t (*want)(const struct transport *t);
	/* More decrypted bytes are buffered inside: read again without waiting. */
	bool (*pending)(const struct transport *t);
	void (*close)(struct transport *t); /* at once; releases everything */
};

/* Parses and finds the scheme; complains naming the schemes that exist. */
int transport_parse_uri(const char *text, struct transport_uri *ret, struct err *e);
/* Whether it may be dialled: it names a host and a port, or is a file.  0 or -EINVAL.
 */
int transport_check_target(const struct transport_uri *uri, struct err *e);
/* A non-blocking listening socket for tcp or tls URIs; host "" or "*" is every address.
 * Negative with e; else the fd.  Several addresses (dual stack) are served by one IPv6
 * socket without V6ONLY where the host is every address. */
int transport_listen(const struct transport_uri *uri, struct err *e);
/* accept4 with sane socket options.  0 with *ret_fd and *ret_peer text; -EAGAIN;
 * negative. */
int transport_accept(
    int listen_fd, int *ret_fd, char ret_peer[static 128], struct err *e);

/* Why a secured transport failed (common/tls.h); TLS_REFUSED_NONE for the others. */
enum tls_refusal transport_refusal(const struct transport *t);

extern const struct transport_ops transport_tcp, transport_tls, transport_file;

#endif
