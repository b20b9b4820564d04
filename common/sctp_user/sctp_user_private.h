/* What sctp_user.c and sctp_user_message.c share: a socket of libusrsctp.  Everything
 * here is called with the library to itself (sctp_wire_enter()). */
#ifndef COMMON_SCTP_USER_SCTP_USER_PRIVATE_H
#define COMMON_SCTP_USER_SCTP_USER_PRIVATE_H

#include <errno.h>
#include <unistd.h>
#include <usrsctp.h>

#include "common/sctp/sctp_api.h"
#include "common/sctp/sctp_stack.h"
#include "common/sctp_user/sctp_user_places.h"

struct user {
	struct socket *so;
	int bell;
	uint16_t alias;               /* of the peer, pinned; 0: none yet */
	struct sctp_user_place place; /* where it is bound */
	uint16_t udp_port;            /* of the peer that is dialled */
};

/* Makes the socket's fd readable. */
static inline void
ring(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof one);

	(void)n; /* can only say that it has rung already */
}

static inline void
quieten(int fd)
{
	uint64_t ignored;
	ssize_t n = read(fd, &ignored, sizeof ignored);

	(void)n;
}

/* setsockopt(IPPROTO_SCTP) of the library: 0 or a negative errno. */
static inline int
sctp_user_set(const struct sctp_socket *s, int name, const void *value, socklen_t n)
{
	const struct user *u = s->state;

	return usrsctp_setsockopt(u->so, IPPROTO_SCTP, name, value, n) < 0 ? -errno : 0;
}

/* Operations of struct sctp_stack. */
int sctp_user_streams(struct sctp_socket *s, uint16_t *ret);
int sctp_user_receive(
    struct sctp_socket *s, void *bytes, size_t n, struct sctp_piece *ret);
int sctp_user_send(
    struct sctp_socket *s, const void *bytes, size_t n, const struct sctp_send *how);
int sctp_user_drained(struct sctp_socket *s);
int sctp_user_add_key(struct sctp_socket *s, uint16_t id, const uint8_t *key, size_t n);
int sctp_user_activate_key(struct sctp_socket *s, uint16_t id);
int sctp_user_drop_key(struct sctp_socket *s, uint16_t id);

#endif
