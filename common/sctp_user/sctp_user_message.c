/* Messages and keys of SCTP in user space (sctp_user.c). */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/sctp_user/sctp_user_private.h"

static int
status_of(const struct user *u, struct sctp_status *ret)
{
	socklen_t n = sizeof *ret;

	if (usrsctp_getsockopt(u->so, IPPROTO_SCTP, SCTP_STATUS, ret, &n) < 0) {
		return errno == EINVAL ? -ECONNRESET : -errno; /* has ended */
	}
	return 0;
}

int
sctp_user_streams(struct sctp_socket *s, uint16_t *ret)
{
	struct sctp_status status = {0};
	int rc = status_of(s->state, &status);

	if (rc == 0) {
		*ret = status.sstat_outstrms;
	}
	return rc;
}

/* Messages. */

int
sctp_user_receive(struct sctp_socket *s, void *bytes, size_t n, struct sctp_piece *ret)
{
	struct user *u = s->state;
	struct sctp_rcvinfo info = {0};
	unsigned kind = 0;
	int flags = 0;
	ssize_t got = -1;

	for (int i = 0; i < 2 && got < 0; i++) {
		socklen_t info_n = sizeof info, from_n = 0;
		flags = 0;
		got = usrsctp_recvv(
		    u->so, bytes, n, NULL, &from_n, &info, &info_n, &kind, &flags);
		if (got < 0 && errno != EWOULDBLOCK && errno != EINTR) {
			return -errno;
		}
		if (got < 0 && i == 0) {
			quieten(u->bell);
		}
	}
	if (got <= 0) {
		return got < 0 ? -EAGAIN : 0;
	}
	*ret = (struct sctp_piece){.length = (size_t)got};
	return sctp_api_piece(
	    bytes, flags, kind == SCTP_RECVV_RCVINFO ? &info : NULL, ret);
}

int
sctp_user_send(
    struct sctp_socket *s, const void *bytes, size_t n, const struct sctp_send *how)
{
	struct user *u = s->state;
	struct sctp_sendv_spa spa = {
	    .sendv_flags = SCTP_SEND_SNDINFO_VALID,
	    .sendv_sndinfo = sctp_api_sndinfo(how),
	};

	if (how->reliability != SCTP_FULL) {
		spa.sendv_flags |= SCTP_SEND_PRINFO_VALID;
		spa.sendv_prinfo = sctp_api_prinfo(how);
	}
	for (int i = 0; i < 2; i++) {
		if (usrsctp_sendv(u->so, bytes, n, NULL, 0, &spa, sizeof spa,
			SCTP_SENDV_SPA, 0) >= 0) {
			return 0;
		}
		if (errno != EWOULDBLOCK && errno != EINTR) {
			return -errno;
		}
		if (i == 0) {
			quieten(u->bell);
		}
	}
	if ((usrsctp_get_events(u->so) & (SCTP_EVENT_READ | SCTP_EVENT_ERROR)) != 0) {
		ring(u->bell);
	}
	return -EAGAIN;
}

int
sctp_user_drained(struct sctp_socket *s)
{
	struct user *u = s->state;
	struct sctp_status status = {0};
	int rc = 0;

	for (int i = 0; i < 2 && rc == 0; i++) {
		rc = status_of(u, &status);
		if (rc == 0 && status.sstat_unackdata == 0 &&
		    status.sstat_penddata == 0) {
			return 0;
		}
		if (rc == 0 && i == 0) {
			rc = sctp_api_hear(s, sctp_user_set, SCTP_SENDER_DRY_EVENT);
		}
	}
	return rc < 0 ? rc : -EAGAIN;
}

/* For DTLS. */

int
sctp_user_add_key(struct sctp_socket *s, uint16_t id, const uint8_t *key, size_t n)
{
	return sctp_api_add_key(s, sctp_user_set, id, key, n);
}

int
sctp_user_activate_key(struct sctp_socket *s, uint16_t id)
{
	return sctp_api_choose_key(s, sctp_user_set, SCTP_AUTH_ACTIVE_KEY, id);
}

int
sctp_user_drop_key(struct sctp_socket *s, uint16_t id)
{
	return sctp_api_choose_key(s, sctp_user_set, SCTP_AUTH_DELETE_KEY, id);
}
