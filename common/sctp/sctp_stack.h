/* The SCTP that runs an association: the kernel's (sctp_kernel.c), or one in user space
 * whose packets travel in UDP (RFC 6951, common/sctp_user/).  transport_sctp.c makes
 * IPFIX's connections of it and finds the sentences: everything here returns 0 or a
 * negative errno.  All operations are non-blocking; sockets are one-to-one (RFC 6458
 * section 4).  Threads: one at a time for each socket. */
#ifndef COMMON_SCTP_SCTP_STACK_H
#define COMMON_SCTP_SCTP_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/err.h"
#include "common/sctp/sctp_settings.h"

struct sctp_socket {
	int fd;      /* for poll: see wants */
	void *state; /* the stack's own */
};

enum sctp_piece_kind {
	SCTP_PIECE_DATA,
	SCTP_PIECE_NOTE,    /* a notification that changes nothing here */
	SCTP_PIECE_CUT,     /* the rest of the message begun will not come */
	SCTP_PIECE_RESTART, /* the peer restarted: what was known of it is void */
};

struct sctp_piece { /* of a message, all of it more often than not */
	enum sctp_piece_kind kind;
	size_t length;
	bool is_last;
	uint16_t stream;
	uint32_t protocol; /* payload protocol identifier */
};

struct sctp_send {
	uint16_t stream;
	uint32_t protocol;
	enum sctp_reliability reliability;
	uint32_t limit;
};

struct sctp_stack {
	/* Whether this machine has it for these settings; the sentence says what to do.
	 */
	int (*check)(const struct sctp_settings *settings,
	    const struct transport_uri *uri, struct err *e);
	int (*open)(
	    struct sctp_socket *s, int family, const struct sctp_settings *settings);
	/* bind and listen come before peers can connect with other settings. */
	int (*bind)(
	    struct sctp_socket *s, const struct sockaddr_storage *list, unsigned n);
	int (*listen)(struct sctp_socket *s);
	int (*port)(struct sctp_socket *s, uint16_t *ret);
	int (*accept)(struct sctp_socket *from, struct sctp_socket *ret,
	    struct sockaddr_storage *ret_peer);
	/* To one host, whatever address answers.  0: under way. */
	int (*connect)(
	    struct sctp_socket *s, const struct sockaddr_storage *list, unsigned n);
	int (*connected)(struct sctp_socket *s); /* 0, -EAGAIN or why not */
	int (*streams)(struct sctp_socket *s, uint16_t *ret); /* outgoing, agreed on */
	/* 1: *ret; 0: the peer shut down properly. */
	int (*receive)(
	    struct sctp_socket *s, void *bytes, size_t n, struct sctp_piece *ret);
	/* The whole message or -EAGAIN; is writable (EPOLLOUT) again afterwards. */
	int (*send)(struct sctp_socket *s, const void *bytes, size_t n,
	    const struct sctp_send *how);
	/* Whether everything sent was acknowledged: 0, or -EAGAIN, and a notification
	 * will come when it was. */
	int (*drained)(struct sctp_socket *s);
	int (*add_key)(
	    struct sctp_socket *s, uint16_t id, const uint8_t *key, size_t n);
	int (*activate_key)(struct sctp_socket *s, uint16_t id);
	int (*drop_key)(struct sctp_socket *s, uint16_t id);
	int (*shutdown)(struct sctp_socket *s); /* after what was sent is delivered */
	/* What poll must look for, given what -EAGAIN waits for. */
	uint32_t (*wants)(const struct sctp_socket *s, bool to_read, bool to_write);
	void (*close)(struct sctp_socket *s);
};

extern const struct sctp_stack sctp_kernel;

/* The stack that carries SCTP in UDP packets, where this program was built with one.
 * Set once, before the first URI is read; NULL: there is none. */
void sctp_stack_set_user(const struct sctp_stack *stack);

#endif
