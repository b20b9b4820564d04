#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ipfix/message.h"
#include "common/transport/scheme.h"
#include "exporter/sender/sender_private.h"

#define ANSWER_NS  (30 * NS_PER_SECOND)
#define WELCOME_NS (3 * NS_PER_SECOND)
#define GOODBYE_NS (30 * NS_PER_SECOND)

/* Writing. */

/* Writes all bytes.  A message transport gets one message per write; each: its length,
 * 0: IPFIX messages, which say theirs. */
static int
write_all(
    struct sender *s, const uint8_t *bytes, size_t length, size_t each, struct err *e)
{
	struct transport *t = &s->transport;
	size_t done = 0;
	ssize_t n;
	int rc;

	t->stream = 0;
	while (done < length) {
		size_t size = length - done;
		if (t->scheme->is_message) {
			size = each != 0 ? each : message_size(bytes + done);
		}
		n = t->ops->write(t, bytes + done, size, e);
		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (n != -EAGAIN) {
			return (int)n;
		}
		sender_sleep(s, t->ops->want(t), QUEUE_NEVER);
		rc = sender_check(s, QUEUE_NEVER, "accepts no data", e);
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

/* Starts a connection.  Over the network the preamble gets the current export time; in
 * a file it keeps the time of the packets. */
int
sender_send_preamble(struct sender *s, uint32_t sequence, struct err *e)
{
	struct spool_preamble *p = s->preamble;
	uint64_t now_ns = clock_realtime_ns();

	for (size_t i = 0; i < p->length; i += message_size(p->bytes + i)) {
		uint8_t *message = p->bytes + i;
		uint32_t own = message_sequence(message) - p->sequence;
		message_set_sequence(message, sequence + own);
		if (!sender_uri(s)->scheme->is_file) {
			message_set_export_time(
			    message, (uint32_t)(now_ns / NS_PER_SECOND));
		}
	}
	p->sequence = sequence;
	s->refreshed_ns = clock_monotonic_ns();
	s->refreshed_messages = 0;
	return write_all(s, p->bytes, p->length, 0, e);
}

/* Hearing. */

/* Notes that messages now go to the current target. */
static void
note_target(struct sender *s)
{
	s->sent_to = s->at;
	spool_set_target(s->spool, sender_target_key(sender_uri(s)));
}

/* Counts what may have reached one collector and now goes to another. */
static void
count_duplicates(struct sender *s, uint64_t from)
{
	uint64_t sent = spool_sent(s->spool), a, b;

	if (s->sent_to == s->at) {
		return;
	}
	if (sent > from && outbox_total(s->outbox, from, &a) == 0 &&
	    outbox_total(s->outbox, sent, &b) == 0) {
		sender_bump(&s->duplicate_messages, sent - from);
		sender_bump(&s->duplicate_records, b - a);
		log_warning("%" PRIu64 " messages with %" PRIu64 " records were sent "
			    "to %s but not acknowledged; sending them to %s, so both "
			    "may count them (unless both are the same collector)",
		    sent - from, b - a,
		    s->sent_to < s->target_count ? s->targets[s->sent_to].uri.text
						 : "another collector",
		    sender_uri(s)->text);
	}
	note_target(s);
}

static int
begin(struct sender *s, uint64_t wanted, struct err *e)
{
	/* As the collector computes it.  Messages dropped since the hello are not held
	 * any more: then nothing is sent, and the next connection's hello says so. */
	uint64_t first = delivery_start(&s->hello, wanted);

	if (!spool_welcome(s->spool, wanted)) {
		sender_publish(s);
		return err_set(e, -ESTALE,
		    "%s knows messages of this spool that were never sent; "
		    "reconnecting",
		    sender_uri(s)->text);
	}
	outbox_begin(
	    s->outbox, first, s->preamble, s->preamble->records, s->transport.streams);
	count_duplicates(s, first);
	return 0;
}

static int
hear_answer(struct sender *s, const struct delivery_word *w, struct err *e)
{
	const char *text = sender_uri(s)->text;

	switch (w->status) {
	case DELIVERY_WELCOME:
		s->is_welcomed = true;
		s->contact_ns = clock_monotonic_ns();
		return begin(s, w->number, e);
	case DELIVERY_BUSY:
		return err_set(e, -EBUSY,
		    "%s already has a connection for this spool: an earlier one "
		    "that it has not closed yet, or one from a copy of the spool",
		    text);
	case DELIVERY_FULL:
		return err_set(e, -EBUSY,
		    "%s already tracks its maximum number of spools and accepts no new one",
		    text);
	default:
		return err_set(
		    e, -EPROTO, "%s sent an acknowledgement before its welcome", text);
	}
}

static int
hear_word(struct sender *s, struct err *e)
{
	struct delivery_word w;
	int rc = delivery_read_word(s->word, &w);

	if (rc < 0) {
		return err_set(e, rc, "%s sent an invalid answer for " DELIVERY_ALPN,
		    sender_uri(s)->text);
	}
	if (!s->is_welcomed) {
		return hear_answer(s, &w, e);
	}
	if (w.status != DELIVERY_ACKNOWLEDGED) {
		return err_set(
		    e, -EPROTO, "%s sent a second answer", sender_uri(s)->text);
	}
	rc = outbox_acknowledge(s->outbox, w.number);
	if (rc < 0) {
		return err_set(e, rc,
		    "%s acknowledged message %" PRIu64 ", which was not sent",
		    sender_uri(s)->text, w.number);
	}
	s->contact_ns = clock_monotonic_ns();
	sender_publish(s);
	return 0;
}

/* Bytes from collectors without flowpair/1 are ignored. */
static int
hear_bytes(struct sender *s, const uint8_t *bytes, size_t n, struct err *e)
{
	int rc = 0;

	while (rc == 0 && n > 0 && s->is_acknowledged) {
		size_t part = DELIVERY_WORD - s->word_length;
		part = part < n ? part : n;
		memcpy(s->word + s->word_length, bytes, part);
		s->word_length += part;
		bytes += part;
		n -= part;
		if (s->word_length == DELIVERY_WORD) {
			s->word_length = 0;
			rc = hear_word(s, e);
		}
	}
	return rc;
}

int
sender_hear(struct sender *s, struct err *e)
{
	struct transport *t = &s->transport;
	uint8_t heard[SENDER_HEARD];
	ssize_t got = 1;
	int rc = 0;

	for (int i = 0; i < 64 && got > 0 && rc == 0; i++) {
		got = t->ops->read(t, heard, sizeof heard, e);
		if (got > 0) {
			rc = hear_bytes(s, heard, (size_t)got, e);
		}
	}
	s->has_unheard = rc == 0 && got > 0;
	if (rc < 0) {
		return rc;
	}
	if (got == 0) {
		return err_set(
		    e, -ECONNRESET, "%s closed the connection", sender_uri(s)->text);
	}
	return got > 0 || got == -EAGAIN ? 0 : (int)got;
}

/* Hello. */

/* Waits for the answer to the hello. */
static int
await_answer(struct sender *s, struct err *e)
{
	uint64_t due = clock_monotonic_ns() + ANSWER_NS;
	int rc = sender_hear(s, e);

	/* The collector may send part of an answer and stop. */
	while (rc == 0 && !s->is_welcomed) {
		(void)sender_sleep(s, EPOLLIN, due);
		rc = sender_check(s, due, "did not answer the hello", e);
		if (rc == 0) {
			rc = sender_hear(s, e);
		}
	}
	return rc;
}

static int
say_hello(struct sender *s, struct err *e)
{
	struct delivery_hello h = {.preamble = s->preamble->messages,
	    .first = spool_first(s->spool),
	    .next = spool_next(s->spool)};
	uint8_t bytes[DELIVERY_HELLO];
	struct spool_counts c;
	int rc;

	spool_counts(s->spool, &c);
	memcpy(h.spool, c.id, sizeof h.spool);
	h.lost_messages = c.lost_messages;
	h.lost_records = c.lost_records;
	/* Messages that found no room have no number. */
	if (s->settings.spool_directory == NULL) {
		h.lost_messages += atomic_load(&s->queue_full_messages);
		h.lost_records += atomic_load(&s->queue_full_records);
	}
	s->hello = h;
	delivery_write_hello(&h, bytes);
	rc = write_all(s, bytes, sizeof bytes, sizeof bytes, e);
	return rc < 0 ? rc : await_answer(s, e);
}

/* With TLS 1.3 our handshake ends before the collector has checked our certificate: its
 * session ticket says that it accepted us (a collector that sends none is trusted after
 * a while, but not because time is up: what is sent now would count as delivered). */
static int
await_ticket(struct sender *s, struct err *e)
{
	uint64_t due = clock_monotonic_ns() + WELCOME_NS;
	struct transport *t = &s->transport;

	while (
	    !transport_pending(t) && (sender_sleep(s, EPOLLIN, due) & EPOLLIN) == 0) {
		int rc = sender_check(s, QUEUE_NEVER, "has not accepted us yet", e);
		if (rc < 0 || clock_monotonic_ns() >= due) {
			return rc;
		}
	}
	return sender_hear(s, e);
}

int
sender_greet(struct sender *s, struct err *e)
{
	uint64_t first = spool_first(s->spool);

	s->preamble = spool_preamble(s->spool, first);
	s->is_acknowledged = strcmp(s->transport.protocol, DELIVERY_ALPN) == 0;
	s->is_welcomed = s->has_unheard = false;
	s->word_length = 0;
	if (s->is_acknowledged) {
		return say_hello(s, e);
	}
	outbox_begin(
	    s->outbox, first, s->preamble, s->preamble->records, s->transport.streams);
	note_target(s);
	return sender_uri(s)->scheme->is_welcoming ? await_ticket(s, e) : 0;
}

/* Goodbye. */

/* The peer has ended its side: checks whether it has everything. */
static int
check_end(struct sender *s, bool is_in_order, struct err *e)
{
	uint64_t left = outbox_position(s->outbox) - spool_first(s->spool);

	if (s->is_acknowledged && spool_first(s->spool) < outbox_position(s->outbox)) {
		return err_set(e, -ECONNRESET,
		    "%s closed the connection without acknowledging the last %" PRIu64
		    " messages",
		    sender_uri(s)->text, left);
	}
	/* Many implementations do not send one. */
	if (!is_in_order && !s->is_acknowledged) {
		log_warning("%s closed the connection without a TLS close_notify; if "
			    "it crashed, the last messages may be lost",
		    sender_uri(s)->text);
	}
	return 0;
}

static int
await_end(struct sender *s, uint64_t due, struct err *e)
{
	struct transport *t = &s->transport;
	uint8_t heard[SENDER_HEARD];
	ssize_t got;
	int rc = 0;

	while (rc == 0) {
		got = t->ops->read(t, heard, sizeof heard, e);
		if (got > 0) {
			rc = hear_bytes(s, heard, (size_t)got, e);
			rc = rc < 0 ? rc
				    : sender_check(s, due,
					  "keeps sending after "
					  "the close",
					  e);
		} else if (got == 0 || got == -ECONNABORTED) {
			return check_end(s, got == 0, e);
		} else if (got != -EAGAIN) {
			return err_prefix(e, (int)got,
			    "the close of the connection was not confirmed; the last messages "
			    "may be lost");
		} else {
			sender_sleep(s, EPOLLIN, due);
			rc = sender_check(s, due,
			    "did not confirm the close; the last messages may be lost",
			    e);
		}
	}
	return rc;
}

int
sender_say_goodbye(struct sender *s, struct err *e)
{
	uint64_t due = clock_monotonic_ns() + GOODBYE_NS;
	struct transport *t = &s->transport;
	int rc;

	while ((rc = t->ops->finish(t, e)) == -EAGAIN) {
		sender_sleep(s, t->ops->want(t), due);
		rc = sender_check(s, due, "did not let the connection close", e);
		if (rc < 0) {
			return rc;
		}
	}
	return rc < 0 || t->scheme->is_file ? rc : await_end(s, due, e);
}

void
sender_hang_up(struct sender *s)
{
	if (s->is_dialled) {
		s->transport.ops->close(&s->transport);
		s->is_dialled = false;
	}
	s->has_unheard = false; /* the next handshake has nothing of this */
}
