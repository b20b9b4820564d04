/* Acknowledged delivery (common/ipfix/delivery.h), the collector's end: the hello
 * before a session, the numbers of its messages, the words that tell what is durable.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "collector/door/peer.h"
#include "common/transport/scheme.h"

/* A connection whose other end has gone without a word ends after this, so that the
 * exporter can come back with its spool. */
#define GONE_AFTER_MS 20000

static int
bad_hello(struct peer *p, const char *why, struct err *e)
{
	p->turn = PEER_BAD_HELLO;
	return err_set(e, -EPROTO, "%s: %s", p->transport.peer.text, why);
}

static int
read_hello(struct peer *p, uint8_t *at, size_t room, struct err *e)
{
	ssize_t n = p->transport.ops->read(&p->transport, at, room, e);

	if (n == 0) {
		return bad_hello(p, "it disconnected before its hello", e);
	}
	if (n > 0) {
		p->bytes += (size_t)n;
	}
	return (int)n;
}

/* 0: the hello is whole; -EAGAIN; -EBUSY: no room to receive it; else it never will be.
 */
static int
receive_hello(struct peer *p, struct intake *intake, struct err *e)
{
	uint8_t *at;
	size_t room;
	int n;

	if (p->transport.scheme->is_message) {
		at = intake_room(intake, &room);
		n = at == NULL ? -EBUSY : read_hello(p, at, room, e);
		if (n < 0) {
			return n;
		}
		if (n != (int)DELIVERY_HELLO) {
			return bad_hello(p, "its hello has the wrong length", e);
		}
		memcpy(p->hello, at, DELIVERY_HELLO);
		return 0;
	}
	while (p->hello_length < DELIVERY_HELLO) {
		n = read_hello(
		    p, p->hello + p->hello_length, DELIVERY_HELLO - p->hello_length, e);
		if (n < 0) {
			return n;
		}
		p->hello_length += (unsigned)n;
	}
	return 0;
}

/* Words. */

bool
peer_has_word(const struct peer *p)
{
	return p->word_left > 0;
}

static void
put_word(struct peer *p, enum delivery_status status, uint64_t number)
{
	const struct delivery_word w = {.status = status, .number = number};

	delivery_write_word(&w, p->word);
	p->word_left = DELIVERY_WORD;
}

static int
send_word(struct peer *p)
{
	struct transport *t = &p->transport;

	while (p->word_left > 0) {
		ssize_t n = t->ops->write(
		    t, p->word + DELIVERY_WORD - p->word_left, p->word_left, NULL);
		if (n <= 0) {
			return n == 0 ? -EAGAIN : (int)n;
		}
		p->word_left -= (unsigned)n;
	}
	p->mute_ns = 0;
	return 0;
}

int
peer_acknowledge(struct peer *p)
{
	int rc = p->is_broken ? -EPIPE : send_word(p);

	if (rc == 0 && p->mark != NULL && p->told < p->mark->durable) {
		p->told = p->mark->durable;
		put_word(p, DELIVERY_ACKNOWLEDGED, p->told);
		rc = send_word(p);
	}
	/* Reading tells what is wrong, and sooner or later that it ended. */
	p->is_broken = p->is_broken || (rc < 0 && rc != -EAGAIN);
	return rc;
}

void
peer_probe(struct peer *p)
{
	if (!p->is_broken && !peer_has_word(p)) {
		put_word(p, DELIVERY_ACKNOWLEDGED, p->told);
		(void)send_word(p);
	}
}

/* The hello's answer. */

static int
turn_away(struct peer *p, enum peer_turn why, enum delivery_status status)
{
	p->turn = why;
	put_word(p, status, 0);
	(void)send_word(p);
	(void)p->transport.ops->finish(&p->transport, NULL);
	return -EBUSY;
}

static int
take_spool(struct peer *p, struct intake *intake, const struct delivery_hello *h,
    uint64_t now_ns, struct err *e)
{
	struct watermark *m =
	    watermarks_find(intake->marks, p->transport.identity, h->spool);

	if (m != NULL && m->holders > 0) {
		p->rival = m;
		turn_away(p, PEER_CLONE, DELIVERY_BUSY);
		return err_set(e, -EBUSY,
		    "%s: its spool is already in use by another connection: an earlier "
		    "one that has not ended yet, or the spool was copied",
		    p->transport.peer.text);
	}
	if (m == NULL) {
		m = watermarks_add(
		    intake->marks, p->transport.identity, h->spool, now_ns);
		if (m == NULL) {
			turn_away(p, PEER_NO_SPOOL, DELIVERY_FULL);
			return err_set(e, -ENOSPC,
			    "%s: %u spools are already tracked (--max-spools)",
			    p->transport.peer.text, watermarks_count(intake->marks));
		}
		m->next = m->durable = h->first;
	}
	m->holders++;
	p->mark = m;
	return 0;
}

static void
welcome(struct peer *p, struct intake *intake, const struct delivery_hello *h)
{
	unsigned patience = GONE_AFTER_MS;
	struct watermark *m = p->mark;
	uint64_t wanted = m->next;

	p->number = delivery_start(h, wanted);
	m->next = p->number; /* the exporter no longer has what lies between: lost */
	watermarks_moved(intake->marks, m);
	p->delivery = (struct session_delivery){.is_on = true,
	    .first = h->first,
	    .start = p->number,
	    .preamble = h->preamble,
	    .lost_messages = h->lost_messages,
	    .lost_records = h->lost_records};
	memcpy(p->delivery.spool, h->spool, sizeof h->spool);
	p->preamble_left = h->preamble;
	p->told = h->first;
	p->lost_records =
	    h->lost_records > m->lost_records ? h->lost_records - m->lost_records : 0;
	m->lost_records += p->lost_records;
	setsockopt(
	    p->transport.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
	put_word(p, DELIVERY_WELCOME, wanted);
	(void)peer_acknowledge(p);
}

int
peer_greet(struct peer *p, struct intake *intake, uint64_t now_ns, struct err *e)
{
	struct delivery_hello h;
	int rc = receive_hello(p, intake, e);

	if (rc < 0) {
		return rc;
	}
	if (delivery_read_hello(p->hello, &h) < 0) {
		return bad_hello(p, "its hello is invalid for " DELIVERY_ALPN, e);
	}
	rc = take_spool(p, intake, &h, now_ns, e);
	if (rc == 0) {
		welcome(p, intake, &h);
	}
	return rc == -EBUSY ? -EACCES : rc;
}

/* Numbers. */

bool
peer_is_in_step(const struct peer *p)
{
	return p->mark == NULL || p->mark->next == p->number;
}

void
peer_number(struct peer *p, struct intake *intake, uint64_t messages)
{
	uint64_t preamble = messages < p->preamble_left ? messages : p->preamble_left;

	if (p->mark == NULL) {
		return;
	}
	p->preamble_left -= (uint32_t)preamble;
	if (messages > preamble) {
		p->number += messages - preamble;
		p->mark->next = p->number;
		watermarks_moved(intake->marks, p->mark);
	}
}

void
peer_leave(struct peer *p, uint64_t now_ns)
{
	if (p->mark != NULL) {
		p->mark->seen_ns = now_ns;
		p->mark->holders--;
		p->mark = NULL;
	}
}
