#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ipfix/message.h"
#include "common/transport/scheme.h"
#include "exporter/sender/sender_private.h"

#define ATTEMPT_NS     (30 * NS_PER_SECOND) /* connect and handshake */
#define PROBATION_NS   (250 * NS_PER_MS)
#define RETRY_LEAST_NS (10 * NS_PER_MS)
#define LASTING_NS     (5 * NS_PER_SECOND)
#define WORDS_EVERY    16u /* writes between two reads of acknowledgements */
/* One connection. */

static int
connect_to_peer(struct sender *s, struct err *e)
{
	uint64_t due = clock_monotonic_ns() + ATTEMPT_NS;
	struct sender_target *target = &s->targets[s->at];
	struct transport *t = &s->transport;
	int rc;

	if (atomic_load(&s->connects) + atomic_load(&s->failures) > 0) {
		sender_renew(s);
	}
	rc = transport_dial(t, &target->uri, target->tls, e);
	s->is_dialled = rc == 0;
	while (rc == 0 && (rc = t->ops->proceed(t, e)) == -EAGAIN) {
		uint64_t again = transport_timeout(t);
		if (again != UINT64_MAX) {
			again += clock_monotonic_ns();
		}
		sender_sleep(s, t->ops->want(t), again < due ? again : due);
		rc = sender_check(s, due, "does not answer", e);
	}
	return rc;
}

/* How many bytes to write at once: a message transport gets one message per write. */
static size_t
portion(const struct sender *s, const uint8_t *bytes, size_t length)
{
	return s->transport.scheme->is_message ? message_size(bytes) : length;
}

/* The transport accepted the first n bytes of the gather; without acknowledgements they
 * count as delivered. */
static void
take(struct sender *s, size_t n)
{
	struct outbox_taken taken = {0};
	struct spool_counts before, after;

	outbox_take(s->outbox, n, &taken);
	sender_bump(&s->sent_messages, taken.messages);
	sender_bump(&s->bytes, taken.bytes);
	s->refreshed_messages += taken.messages;
	s->is_proven = true;
	if (!s->is_acknowledged && taken.messages > 0) {
		s->contact_ns = clock_monotonic_ns();
		spool_counts(s->spool, &before);
		(void)outbox_acknowledge(s->outbox, outbox_position(s->outbox));
		spool_counts(s->spool, &after);
		if (!sender_uri(s)->scheme->is_file) {
			sender_bump(&s->unconfirmed_records,
			    after.delivered_records - before.delivered_records);
		}
		sender_publish(s);
	}
}

/* The first message of the gather is too long for this transport.  Where messages are
 * numbered by counting, those after it need another connection. */
static int
drop_long(struct sender *s, const struct err *e)
{
	struct spool_counts before, after;

	if (spool_first(s->spool) < outbox_position(s->outbox)) {
		return -ENODATA; /* first settle those before it */
	}
	if (atomic_load(&s->too_long_messages) == 0) {
		log_warning("%s; such messages are dropped and counted (a smaller "
			    "--message-size avoids that)",
		    e->text);
	}
	spool_counts(s->spool, &before);
	outbox_lose(s->outbox);
	/* Under one lock: the spool's lost messages include those that are too long. */
	pthread_mutex_lock(&s->lock);
	spool_counts(s->spool, &after);
	s->counts = after;
	sender_bump(&s->too_long_messages, after.lost_messages - before.lost_messages);
	sender_bump(&s->too_long_records, after.lost_records - before.lost_records);
	pthread_mutex_unlock(&s->lock);
	return s->is_acknowledged ? -ENODATA : 0;
}

/* Writes some of the gather, or waits until it can. */
static int
write_some(struct sender *s, const uint8_t *bytes, size_t length, struct err *e)
{
	struct transport *t = &s->transport;
	size_t size = portion(s, bytes, length);
	uint32_t ready;
	ssize_t n;
	int rc = 0;

	t->stream = outbox_stream(s->outbox);
	n = t->ops->write(t, bytes, size, e);
	if (n >= 0) {
		take(s, (size_t)n);
		return 0;
	}
	if (n == -EMSGSIZE) {
		return drop_long(s, e);
	}
	if (n != -EAGAIN) {
		return (int)n;
	}
	ready = sender_sleep(s, t->ops->want(t) | EPOLLIN, QUEUE_NEVER);
	if ((ready & EPOLLIN) != 0) {
		rc = sender_hear(s, e);
	}
	return rc < 0 ? rc : sender_check(s, QUEUE_NEVER, "accepts no data", e);
}

/* When the preamble is due again; QUEUE_NEVER: never. */
static uint64_t
refresh_due(const struct sender *s)
{
	const struct sender_settings *x = &s->settings;

	if (!s->transport.scheme->is_unreliable) {
		return QUEUE_NEVER;
	}
	if (x->refresh_messages != 0 && s->refreshed_messages >= x->refresh_messages) {
		return 0;
	}
	return x->refresh_ns == 0 ? QUEUE_NEVER : s->refreshed_ns + x->refresh_ns;
}

/* Over an unreliable transport the templates are repeated now and then. */
static int
refresh(struct sender *s, struct err *e)
{
	uint64_t due = refresh_due(s);
	uint32_t records = s->preamble->records;

	if (due == QUEUE_NEVER || outbox_is_cut(s->outbox) ||
	    (due != 0 && clock_monotonic_ns() < due)) {
		return 0;
	}
	sender_bump(&s->refreshes, 1);
	return sender_send_preamble(s, outbox_insert(s->outbox, records), e);
}

/* Counts failures that do not end the connection, and logs the first. */
static void
note_troubles(struct sender *s)
{
	struct transport *t = &s->transport;

	if (t->refusals > 0 && t->addresses < 2 && atomic_load(&s->refusals) == 0) {
		log_warning("%s: %s refuses datagrams (ICMP); still sending, but "
			    "refused datagrams are lost",
		    sender_uri(s)->text, t->peer.text);
	}
	if (t->fragmented > 0 && atomic_load(&s->fragmented) == 0) {
		log_warning("%s: the path MTU has shrunk; longer messages are sent in "
			    "fragments (a smaller --message-size avoids that)",
		    sender_uri(s)->text);
	}
	sender_bump(&s->refusals, t->refusals);
	sender_bump(&s->fragmented, t->fragmented);
	t->refusals = t->fragmented = 0;
}

/* Sends messages until the end of input, a failure, or until the next one needs another
 * connection. */
static int
deliver(struct sender *s, struct err *e)
{
	unsigned writes = 0;
	int rc = 0;

	while (rc == 0) {
		/* Read before the queue: what was pushed before the end is seen. */
		bool is_finishing = atomic_load(&s->is_finishing);
		const uint8_t *bytes;
		size_t n;
		(void)sender_tend(s);
		rc = refresh(s, e);
		if (rc < 0) {
			return rc;
		}
		rc = outbox_gather(s->outbox, &bytes, &n);
		if (rc == -ENODATA) {
			return 0;
		}
		if (rc < 0) {
			return err_set(
			    e, rc, "cannot read the spool: %s", strerror(-rc));
		}
		if (n > 0) {
			rc = write_some(s, bytes, n, e);
			if (rc == -ENODATA) {
				return 0;
			}
			if (rc == 0 && s->is_acknowledged &&
			    ++writes % WORDS_EVERY == 0) {
				rc = sender_hear(s, e);
			}
		} else if (is_finishing && outbox_unstowed(s->outbox) == 0) {
			return 0;
		} else if ((sender_sleep(s, EPOLLIN, refresh_due(s)) & EPOLLIN) != 0) {
			rc = sender_hear(s, e);
		} else {
			rc = sender_check(s, QUEUE_NEVER, "accepts no data", e);
		}
		note_troubles(s);
		/* A peer that always accepts, or sends, a little does not get more
		 * time. */
		if (rc == 0 && is_finishing && !sender_uri(s)->scheme->is_file) {
			rc = sender_check(
			    s, QUEUE_NEVER, "has not accepted everything", e);
		}
	}
	return rc;
}

/* Plain TCP has no welcome, but a peer that rejects the preamble (a TLS port, a proxy
 * without its collector) closes soon after it.  ICMP soon reports an address where
 * nothing receives datagrams, too. */
static int
probation(struct sender *s, struct err *e)
{
	uint64_t due = clock_monotonic_ns() + PROBATION_NS;

	while ((sender_sleep(s, EPOLLIN, due) & EPOLLIN) == 0) {
		if (sender_check(s, due, "", NULL) < 0) {
			return 0;
		}
	}
	return sender_hear(s, e);
}

static bool
is_on_probation(const struct transport *t)
{
	return t->scheme->is_unreliable ? t->addresses > 1
					: !t->scheme->is_secure && !t->scheme->is_file;
}

/* Connects and checks, as far as possible, that the peer accepts messages: without
 * acknowledgements, what is sent to one that does not is lost. */
static int
open_connection(struct sender *s, struct err *e)
{
	const struct transport_scheme *scheme = sender_uri(s)->scheme;
	int rc = scheme->is_file ? 0 : connect_to_peer(s, e);

	if (rc == 0) {
		rc = sender_greet(s, e);
	}
	if (rc == 0) {
		rc = sender_send_preamble(s, 0, e);
	}
	if (rc == 0 && is_on_probation(&s->transport)) {
		rc = probation(s, e);
	}
	if (rc == 0 && !scheme->is_file) {
		pthread_mutex_lock(&s->lock);
		s->peer = s->transport.peer;
		pthread_mutex_unlock(&s->lock);
		log_info("connected to %s (%s)%s", sender_uri(s)->text,
		    s->transport.peer.text,
		    s->is_acknowledged ? "; it acknowledges messages" : "");
	}
	return rc;
}

/* One connection, from connecting until both sides have ended it. */
static int
run_connection(struct sender *s, struct err *e)
{
	int rc;

	s->is_ending = false;
	s->opened_ns = 0;
	rc = open_connection(s, e);
	if (rc == 0) {
		sender_bump(&s->connects, 1);
		s->opened_ns = clock_monotonic_ns();
		s->is_told = false;
		rc = deliver(s, e);
	}
	if (rc == 0) {
		s->is_ending = true;
		rc = sender_say_goodbye(s, e);
	}
	return rc;
}

/* Failures. */

/* Notes and logs a failure, but not the same sentence again. */
static void
report(struct sender *s, const struct err *e)
{
	bool is_news = !s->is_told;

	sender_bump(&s->failures, 1);
	pthread_mutex_lock(&s->lock);
	is_news |= strncmp(s->last_error, e->text, sizeof s->last_error - 1) != 0;
	(void)snprintf(s->last_error, sizeof s->last_error, "%.*s",
	    (int)sizeof s->last_error - 1, e->text);
	pthread_mutex_unlock(&s->lock);
	if (is_news && !sender_uri(s)->scheme->is_file) {
		log_warning("%s; retrying", e->text);
		s->is_told = true;
	}
}

/* Datagrams to a host with several addresses: when one refuses them, tries the next,
 * which starts with templates as every connection does.  True: try at once; false: all
 * have refused (e says so), or this is another failure. */
static bool
go_to_next_address(struct sender *s, int rc, struct err *e)
{
	unsigned addresses = s->is_dialled ? s->transport.addresses : 0;

	if (addresses < 2 ||
	    (rc != -ECONNREFUSED && rc != -EHOSTUNREACH && rc != -ENOPROTOOPT)) {
		return false;
	}
	note_troubles(s);
	s->targets[s->at].uri.turn++;
	if (s->opened_ns != 0 && clock_monotonic_ns() - s->opened_ns >= LASTING_NS) {
		s->refused = 0;
		s->is_told_next = false;
	}
	if (++s->refused >= addresses) {
		s->refused = 0;
		err_set(e, rc, "%s: all %u addresses of %s refuse datagrams",
		    sender_uri(s)->text, addresses, sender_uri(s)->host);
		return false;
	}
	if (!s->is_told_next) {
		log_warning("%s: %s; trying another address of %s", sender_uri(s)->text,
		    e->text, sender_uri(s)->host);
		s->is_told_next = true;
	}
	return true;
}

/* Waits before the next attempt: twice as long each time, a random time between half
 * and the whole, so that exporters do not reconnect in step.  False when time is up. */
static bool
back_off(struct sender *s)
{
	uint64_t half, due;

	s->delay_ns = s->is_proven ? s->settings.retry_min_ns : 2 * s->delay_ns;
	if (s->delay_ns > s->settings.retry_max_ns) {
		s->delay_ns = s->settings.retry_max_ns;
	}
	if (s->delay_ns < RETRY_LEAST_NS) {
		s->delay_ns = RETRY_LEAST_NS;
	}
	s->is_proven = false;
	half = s->delay_ns / 2;
	due = clock_monotonic_ns() + half +
	      arc4random_uniform((uint32_t)(half / NS_PER_MS) + 1) * NS_PER_MS;
	while (clock_monotonic_ns() < due) {
		if (sender_check(s, QUEUE_NEVER, "", NULL) < 0) {
			return false;
		}
		sender_sleep(s, 0, due);
	}
	return true;
}

/* Switches to another collector when this one has accepted no data for
 * failover_after_ns. */
static void
consider_failover(struct sender *s)
{
	uint64_t now = clock_monotonic_ns(), after = s->settings.failover_after_ns;
	const char *before = sender_uri(s)->text;

	if (s->target_count < 2 || after == 0 || now - s->contact_ns < after) {
		return;
	}
	s->at = (s->at + 1) % s->target_count;
	s->contact_ns = now;
	s->is_proven = true;
	s->is_told = false;
	s->refused = 0;
	sender_bump(&s->failovers, 1);
	log_warning("%s has accepted no data for %.1f s; switching to %s", before,
	    (double)after / NS_PER_SECOND, sender_uri(s)->text);
}

/* Reports the last failure, which may name the collector itself. */
static int
say_given_up(const struct sender *s, struct err *e)
{
	const char *uri = sender_uri(s)->text;
	size_t n = strlen(uri);
	struct err last = *e;
	bool is_named = strncmp(last.text, uri, n) == 0 && last.text[n] == ':';

	return err_set(e, -ETIMEDOUT, "gave up delivering to %s: %.300s", uri,
	    is_named ? last.text + n + 2 : last.text);
}
/* Nothing more will be pushed, and everything is delivered. */
static bool
has_everything_gone(struct sender *s)
{
	return atomic_load(&s->is_finishing) && outbox_unstowed(s->outbox) == 0 &&
	       spool_first(s->spool) == spool_next(s->spool);
}

/* Delivers until nothing is left.  0, or negative with the reason. */
static int
deliver_all(struct sender *s, struct err *e)
{
	bool is_next;
	int rc;

	for (;;) {
		uint64_t first = spool_first(s->spool);
		rc = run_connection(s, e);
		if (s->is_ending && has_everything_gone(s)) {
			return s->is_acknowledged ? 0 : rc;
		}
		is_next = go_to_next_address(s, rc, e);
		sender_hang_up(s);
		if (is_next) {
			continue;
		}
		if (rc == 0 && spool_first(s->spool) != first) {
			continue; /* the rest needs another connection */
		}
		if (rc == 0) {
			rc = err_set(
			    e, -ECONNRESET, "%s accepts no data", sender_uri(s)->text);
		}
		report(s, e);
		if (sender_uri(s)->scheme->is_file) {
			return rc;
		}
		consider_failover(s);
		if (!back_off(s)) {
			return say_given_up(s, e);
		}
	}
}

/* Waits for the end of input.  True: there is nothing to deliver. */
static bool
is_idle_to_the_end(struct sender *s)
{
	while (!atomic_load(&s->is_finishing)) {
		sender_sleep(s, 0, QUEUE_NEVER);
	}
	(void)sender_tend(s);
	return has_everything_gone(s);
}

void *
sender_run(void *data)
{
	struct sender *s = data;
	struct err e = {0};
	int rc = 0;

	s->contact_ns = clock_monotonic_ns();
	if (!s->settings.only_delivers || !is_idle_to_the_end(s)) {
		rc = deliver_all(s, &e);
	}
	sender_hang_up(s);
	outbox_stow(s->outbox, clock_monotonic_ns());
	sender_publish(s);
	if (s->settings.spool_directory != NULL && s->counts.held_messages > 0) {
		log_info("kept %" PRIu64 " messages with %" PRIu64 " records in %s "
			 "for the next run",
		    s->counts.held_messages, s->counts.held_records,
		    s->settings.spool_directory);
	}
	if (rc < 0) {
		s->result_err = e;
	}
	s->result = rc;
	queue_end(s->queue);
	return NULL;
}
