#include "collector/door/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/ipfix/message.h"
#include "common/transport/scheme.h"

struct peer *
peer_new(const struct transport *t)
{
	struct peer *p = calloc(1, sizeof *p);
	struct transport lost = *t;

	if (p == NULL) {
		lost.ops->close(&lost);
		return NULL;
	}
	p->transport = *t;
	p->state = t->is_open ? PEER_OPENING : PEER_SHAKING;
	return p;
}

void
peer_free(struct peer *p)
{
	if (p != NULL) {
		p->transport.ops->close(&p->transport);
		free(p->carry);
		free(p);
	}
}

/* Keeps n bytes that begin a message (nothing is carried) or continue it (less than
 * its rest).  False: no memory. */
static bool
carry_on(struct peer *p, const uint8_t *bytes, size_t n)
{
	int length;

	if (p->carry == NULL && n > 0) {
		length = message_length(bytes, n);
		p->carry = malloc(length > 4 ? (size_t)length : 4);
		if (p->carry == NULL) {
			return false;
		}
	}
	if (n > 0) {
		memcpy(p->carry + p->carried, bytes, n);
		p->carried += n;
	}
	return true;
}

/* How many bytes after the carried ones make its message whole; 1 while that is
 * unknown. */
static size_t
wanting(const struct peer *p)
{
	int length = message_length(p->carry, p->carried);

	return length <= 0 ? 1 : (size_t)length - p->carried;
}

static void
drop_carry(struct peer *p)
{
	free(p->carry);
	p->carry = NULL;
	p->carried = 0;
}

/* Whole messages at the beginning of n bytes; *ret_rc negative: what follows them is
 * not a message. */
static size_t
cut(struct peer *p, const uint8_t *bytes, size_t n, int *ret_rc)
{
	size_t at = 0;
	int length = 0;

	while ((length = message_length(bytes + at, n - at)) > 0 &&
	       (size_t)length <= n - at) {
		at += (size_t)length;
		p->messages++;
	}
	*ret_rc = length < 0 ? length : 0;
	return at;
}

/* A message that is in the journal already never gets there again: the exporter began
 * with the number that was wanted. */
static int
out_of_step(struct err *e)
{
	return err_set(e, -EPROTO, "its message numbers are out of sequence");
}

static int
add_frame(struct peer *p, struct intake *intake, uint16_t stream, size_t length,
    uint64_t messages)
{
	if (!peer_is_in_step(p)) {
		return -EPROTO;
	}
	intake_add(intake, FRAME_MESSAGES, p->session, stream, length);
	peer_number(p, intake, messages);
	return 0;
}

/* `got` bytes lie in the room behind space for the carried ones.  Makes a frame of the
 * whole messages.  Negative: the stream is not IPFIX, or memory is short; e says so. */
static int
take_in(struct peer *p, struct intake *intake, uint8_t *room, size_t got, struct err *e)
{
	size_t whole, all = p->carried + got;
	uint64_t before = p->messages;
	int rc;

	if (p->carried >= 4 && got < wanting(p)) {
		/* Not enough to touch what is carried: a peer that sends byte by byte
		 * costs no more than its bytes. */
		return carry_on(p, room + p->carried, got)
			   ? 0
			   : err_set(e, -ENOMEM, "no memory for a partial message");
	}
	if (p->carry != NULL) {
		memcpy(room, p->carry, p->carried);
		drop_carry(p);
	}
	whole = cut(p, room, all, &rc);
	if (rc == 0 && !carry_on(p, room + whole, all - whole)) {
		rc = err_set(e, -ENOMEM, "no memory for a partial message");
	} else if (rc < 0) {
		p->is_foreign = true;
		err_set(e, rc,
		    "not IPFIX: unexpected bytes %02x%02x %02x%02x at the start of a "
		    "message",
		    room[whole], room[whole + 1], room[whole + 2], room[whole + 3]);
	}
	if (whole > 0 && add_frame(p, intake, 0, whole, p->messages - before) < 0) {
		return out_of_step(e);
	}
	return rc;
}

/* One frame's worth of bytes.  1: more may come at once; 0: the stream ended in order;
 * -EAGAIN: nothing now; -EBUSY: no room; else it broke. */
static int
receive(struct peer *p, struct intake *intake, size_t *budget, struct err *e)
{
	struct transport *t = &p->transport;
	size_t room_n, got = 0, most;
	uint8_t *room = intake_room(intake, &room_n);
	ssize_t n = 1;
	int rc;

	if (room == NULL) {
		return -EBUSY;
	}
	most = room_n - p->carried < *budget ? room_n - p->carried : *budget;
	while (got < most) {
		n = t->ops->read(t, room + p->carried + got, most - got, e);
		if (n <= 0) {
			break;
		}
		got += (size_t)n;
	}
	*budget -= got;
	p->bytes += got;
	rc = got > 0 ? take_in(p, intake, room, got, e) : 0;
	if (rc < 0) {
		return rc;
	}
	return n > 0 ? 1 : (int)n;
}

static int
complain_message(struct peer *p, const uint8_t *bytes, size_t n, struct err *e)
{
	p->is_foreign = true;
	return err_set(e, -EPROTO,
	    "not IPFIX: %zu bytes starting with %02x%02x are not one whole message", n,
	    n > 0 ? bytes[0] : 0, n > 1 ? bytes[1] : 0);
}

/* A frame holds one stream's messages: another's first one is the next frame's. */
static int
set_aside(struct peer *p, const uint8_t *bytes, size_t n, struct err *e)
{
	p->carry = malloc(n);
	if (p->carry == NULL) {
		return err_set(e, -ENOMEM, "no memory for a message");
	}
	memcpy(p->carry, bytes, n);
	p->carried = n;
	p->stream = p->transport.stream;
	return 1;
}

/* As receive(), of a message transport: one read is one whole message. */
static int
receive_messages(struct peer *p, struct intake *intake, size_t *budget, struct err *e)
{
	struct transport *t = &p->transport;
	size_t room_n, got = p->carried;
	uint8_t *room = intake_room(intake, &room_n);
	uint16_t stream = p->stream;
	uint64_t messages = got > 0;
	int rc = 1;

	if (room == NULL) {
		return -EBUSY;
	}
	if (got > 0) {
		memcpy(room, p->carry, got);
		drop_carry(p);
	}
	while (rc > 0 && *budget > 0 && room_n - got >= MESSAGE_MAX) {
		ssize_t n = t->ops->read(t, room + got, room_n - got, e);
		if (n <= 0) {
			rc = (int)n;
			break;
		}
		p->bytes += (size_t)n;
		*budget -= (size_t)n < *budget ? (size_t)n : *budget;
		if (message_length(room + got, (size_t)n) != n) {
			rc = complain_message(p, room + got, (size_t)n, e);
			break;
		}
		p->messages++;
		if (got > 0 && t->stream != stream) {
			rc = set_aside(p, room + got, (size_t)n, e);
			break;
		} else {
			messages++;
			stream = t->stream;
			got += (size_t)n;
		}
	}
	if (got > 0 && add_frame(p, intake, stream, got, messages) < 0) {
		return out_of_step(e);
	}
	return rc;
}

static enum peer_next
put_close(struct peer *p, struct intake *intake)
{
	if (!intake_put(
		intake, FRAME_CLOSE, p->session, p->reason, strlen(p->reason))) {
		return PEER_STUCK;
	}
	p->state = PEER_ENDED;
	return p->is_cut ? PEER_GONE : PEER_SYNCED;
}

enum peer_next
peer_end(struct peer *p, struct intake *intake, const char *reason)
{
	if (p->state < PEER_OPEN) {
		p->state = PEER_ENDED;
		return PEER_GONE;
	}
	if (p->state == PEER_OPEN) {
		p->is_cut = reason != NULL;
		snprintf(p->reason, sizeof p->reason, "%s", p->is_cut ? reason : "");
		p->state = PEER_ENDING;
	}
	return p->state == PEER_ENDING ? put_close(p, intake) : PEER_GONE;
}

/* 0; -EBUSY: no room; -EACCES: it may not come in. */
static int
put_open(struct peer *p, struct intake *intake, struct err *e)
{
	struct session_identity identity = {0};
	char text[SESSION_IDENTITY_TEXT];
	size_t n;

	snprintf(identity.transport, sizeof identity.transport, "%s",
	    p->transport.scheme->name);
	identity.peer = p->transport.peer.at;
	memcpy(identity.identity, p->transport.identity, sizeof identity.identity);
	identity.delivery = p->delivery;
	if (p->introduce != NULL && !p->introduce(p, &identity)) {
		return err_set(e, -EACCES, "%s is not among the peers permitted here",
		    p->transport.peer.text);
	}
	n = session_identity_write(&identity, text, sizeof text);
	p->session = journal_new_session(intake->journal);
	if (!intake_put(intake, FRAME_OPEN, p->session, text, n)) {
		return -EBUSY;
	}
	p->state = PEER_OPEN;
	return 0;
}

/* Handshake or hello failed.  The alert (or word) that tells the peer why must not be
 * overtaken by a reset, which closing with unread bytes would cause. */
static enum peer_next
refuse(struct peer *p)
{
	char unread[4096];

	shutdown(p->transport.fd, SHUT_WR);
	for (int i = 0; i < 16; i++) {
		if (recv(p->transport.fd, unread, sizeof unread, MSG_DONTWAIT) <= 0) {
			break;
		}
	}
	p->state = PEER_ENDED;
	return PEER_REFUSED;
}

static enum peer_next
step_open(struct peer *p, struct intake *intake, size_t budget, struct err *e)
{
	int rc;

	while ((rc = p->transport.scheme->is_message
			 ? receive_messages(p, intake, &budget, e)
			 : receive(p, intake, &budget, e)) > 0) {
		if (budget == 0) {
			return PEER_AGAIN;
		}
	}
	if (rc == -EAGAIN) {
		return PEER_WAITS;
	}
	if (rc == -EBUSY) {
		return PEER_STUCK;
	}
	if (rc == 0 && p->carried > 0) {
		return peer_end(p, intake, "ended in the middle of a message");
	}
	return peer_end(p, intake, rc == 0 ? NULL : e->text);
}

enum peer_next
peer_step(struct peer *p, struct intake *intake, size_t budget, struct err *e)
{
	int rc;

	if (p->state == PEER_SHAKING) {
		rc = p->transport.ops->proceed(&p->transport, e);
		if (rc == -EAGAIN) {
			return PEER_WAITS;
		}
		if (rc < 0) {
			return refuse(p);
		}
		p->state = strcmp(p->transport.protocol, DELIVERY_ALPN) == 0
			       ? PEER_GREETING
			       : PEER_OPENING;
	}
	if (p->state == PEER_GREETING) {
		rc = peer_greet(p, intake, clock_realtime_ns(), e);
		if (rc < 0) {
			return rc == -EAGAIN  ? PEER_WAITS
			       : rc == -EBUSY ? PEER_STUCK
					      : refuse(p);
		}
		p->state = PEER_OPENING;
	}
	if (p->state == PEER_OPENING) {
		rc = put_open(p, intake, e);
		if (rc < 0) {
			return rc == -EBUSY ? PEER_STUCK : refuse(p);
		}
	}
	if (p->state == PEER_OPEN) {
		(void)peer_acknowledge(p);
		return step_open(p, intake, budget, e);
	}
	return peer_end(p, intake, NULL);
}

int
peer_confirm(struct peer *p)
{
	return p->transport.ops->finish(&p->transport, NULL);
}

void
peer_abort(struct peer *p)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	setsockopt(p->transport.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}
