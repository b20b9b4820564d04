/* What both stacks do alike through the API of RFC 6458: setting sockets up, keys,
 * notifications.  <netinet/sctp.h> and <usrsctp.h> declare the same structs with
 * layouts of their own, so this is compiled once with each: include one of them first.
 */
#ifndef COMMON_SCTP_SCTP_API_H
#define COMMON_SCTP_SCTP_API_H

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/sctp/sctp_stack.h"

#define SCTP_API_DATA        0   /* chunk: RFC 9260 section 3.2 */
#define SCTP_API_FORWARD_TSN 192 /* chunk: RFC 3758 section 3.2 */

/* 7 s for an address that does not answer, 45 s for a peer that falls silent. */
#define SCTP_API_RTO_INITIAL_MS 1000
#define SCTP_API_RTO_MOST_MS    10000
#define SCTP_API_INIT_ATTEMPTS  2
#define SCTP_API_PATH_ATTEMPTS  4
#define SCTP_API_PEER_ATTEMPTS  7

/* setsockopt(IPPROTO_SCTP) of the stack: 0 or a negative errno. */
typedef int (*sctp_api_set)(
    const struct sctp_socket *s, int name, const void *value, socklen_t n);

/* Asks for notifications. */
static inline int
sctp_api_hear(const struct sctp_socket *s, sctp_api_set set, uint16_t what)
{
	struct sctp_event event = {.se_type = what, .se_on = 1};

	return set(s, SCTP_EVENT, &event, sizeof event);
}

static inline int
sctp_api_authenticate(const struct sctp_socket *s, sctp_api_set set)
{
	struct sctp_authchunk data = {SCTP_API_DATA};
	struct sctp_authchunk forward = {SCTP_API_FORWARD_TSN};
	int rc = set(s, SCTP_AUTH_CHUNK, &data, sizeof data);

	return rc < 0 ? rc : set(s, SCTP_AUTH_CHUNK, &forward, sizeof forward);
}

static inline int
sctp_api_set_up(
    const struct sctp_socket *s, sctp_api_set set, const struct sctp_settings *settings)
{
	struct sctp_initmsg init = {
	    .sinit_num_ostreams = settings->streams,
	    .sinit_max_instreams = SCTP_STREAMS_MOST,
	    .sinit_max_attempts = SCTP_API_INIT_ATTEMPTS,
	};
	struct sctp_rtoinfo rto = {
	    .srto_initial = SCTP_API_RTO_INITIAL_MS, .srto_max = SCTP_API_RTO_MOST_MS};
	struct sctp_assocparams peer = {.sasoc_asocmaxrxt = SCTP_API_PEER_ATTEMPTS};
	struct sctp_paddrparams path = {
	    .spp_hbinterval = settings->heartbeat_ms,
	    .spp_pathmaxrxt = SCTP_API_PATH_ATTEMPTS,
	    .spp_flags = SPP_HB_ENABLE,
	};
	int one = 1, rc;

	rc = set(s, SCTP_INITMSG, &init, sizeof init);
	if (rc == 0) {
		rc = set(s, SCTP_RECVRCVINFO, &one, sizeof one);
	}
	if (rc == 0) {
		rc = sctp_api_hear(s, set, SCTP_ASSOC_CHANGE);
	}
	if (rc == 0) {
		rc = sctp_api_hear(s, set, SCTP_PARTIAL_DELIVERY_EVENT);
	}
	if (rc == 0 && settings->has_auth) {
		rc = sctp_api_authenticate(s, set);
	}
	/* It works without these, too, only not as promptly. */
	(void)set(s, SCTP_RTOINFO, &rto, sizeof rto);
	(void)set(s, SCTP_ASSOCINFO, &peer, sizeof peer);
	(void)set(s, SCTP_PEER_ADDR_PARAMS, &path, sizeof path);
	(void)set(s, SCTP_NODELAY, &one, sizeof one);
	return rc;
}

/* A shared key of the association (RFC 4895). */
static inline int
sctp_api_add_key(const struct sctp_socket *s, sctp_api_set set, uint16_t id,
    const uint8_t *key, size_t n)
{
	struct sctp_authkey *k = calloc(1, sizeof *k + n);
	int rc;

	if (k == NULL) {
		return -ENOMEM;
	}
	k->sca_keynumber = id;
	k->sca_keylength = (uint16_t)n;
	memcpy(k->sca_key, key, n);
	rc = set(s, SCTP_AUTH_KEY, k, (socklen_t)(sizeof *k + n));
	explicit_bzero(k, sizeof *k + n);
	free(k);
	return rc;
}

/* SCTP_AUTH_ACTIVE_KEY or SCTP_AUTH_DELETE_KEY. */
static inline int
sctp_api_choose_key(
    const struct sctp_socket *s, sctp_api_set set, int name, uint16_t id)
{
	struct sctp_authkeyid k = {.scact_keynumber = id};

	return set(s, name, &k, sizeof k);
}

/* What became of the association.  As sctp_api_piece(). */
static inline int
sctp_api_change(const struct sctp_assoc_change *change, struct sctp_piece *ret)
{
	switch (change->sac_state) {
	case SCTP_RESTART:
		ret->kind = SCTP_PIECE_RESTART;
		return 1;
	case SCTP_SHUTDOWN_COMP: /* poll says no more than this to the end that began it */
		return 0;
	case SCTP_COMM_LOST:
	case SCTP_CANT_STR_ASSOC:
		return -ECONNRESET;
	default:
		return 1;
	}
}

/* What was received, *ret->length bytes: as struct sctp_stack's receive.  info: NULL
 * where there is none. */
static inline int
sctp_api_piece(const void *bytes, int flags, const struct sctp_rcvinfo *info,
    struct sctp_piece *ret)
{
	union sctp_notification note = {0};

	ret->kind = SCTP_PIECE_DATA;
	ret->is_last = (flags & MSG_EOR) != 0;
	ret->stream = info != NULL ? info->rcv_sid : 0;
	ret->protocol = info != NULL ? ntohl(info->rcv_ppid) : 0;
	if ((flags & MSG_NOTIFICATION) == 0) {
		return 1;
	}
	memcpy(&note, bytes, ret->length < sizeof note ? ret->length : sizeof note);
	ret->kind = note.sn_header.sn_type == SCTP_PARTIAL_DELIVERY_EVENT
			? SCTP_PIECE_CUT
			: SCTP_PIECE_NOTE;
	return note.sn_header.sn_type == SCTP_ASSOC_CHANGE
		   ? sctp_api_change(&note.sn_assoc_change, ret)
		   : 1;
}

static inline struct sctp_sndinfo
sctp_api_sndinfo(const struct sctp_send *how)
{
	return (struct sctp_sndinfo){
	    .snd_sid = how->stream, .snd_ppid = htonl(how->protocol)};
}

static inline struct sctp_prinfo
sctp_api_prinfo(const struct sctp_send *how)
{
	return (struct sctp_prinfo){
	    .pr_policy =
		how->reliability == SCTP_TIMED ? SCTP_PR_SCTP_TTL : SCTP_PR_SCTP_RTX,
	    .pr_value = how->limit,
	};
}

#endif
