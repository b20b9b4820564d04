#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/clock.h"
#include "common/cursor.h"
#include "common/log.h"
#include "common/message.h"
#include "exporter/sender_state.h"

#define MS             1000000ULL
#define LINGER_NS      (50 * MS) /* a smaller gather waits so long for company */
#define ATTEMPT_NS     (30 * NS_PER_SECOND) /* connect and handshake */
#define WELCOME_NS     NS_PER_SECOND
#define PROBATION_NS   (250 * MS)
#define GOODBYE_NS     (30 * NS_PER_SECOND)
#define HURRY_NS       (2 * NS_PER_SECOND)
#define RETRY_LEAST_NS (10 * MS)
#define UNASKED        65536u /* a message transport may bring so much at once */

/* Waiting. */

/* When the thread must have given up; QUEUE_NEVER while there is no hurry. */
static uint64_t
deadline(struct sender *s)
{
	uint64_t due = QUEUE_NEVER;

	if (!atomic_load(&s->is_finishing)) {
		return QUEUE_NEVER;
	}
	if (s->settings.give_up_ns != 0) {
		due = s->finish_ns + s->settings.give_up_ns;
	}
	if (queue_is_hurried(s->queue)) {
		if (s->hurry_ns == 0) {
			s->hurry_ns = clock_monotonic_ns();
		}
		if (s->hurry_ns + HURRY_NS < due) {
			due = s->hurry_ns + HURRY_NS;
		}
	}
	return due;
}

/* Sleeps until the transport is ready for events (0: do not look), wake bytes are
 * queued (QUEUE_NEVER: however many), somebody wants something, or it is due_ns.  The
 * ready events. */
static uint32_t
sleep_until(struct sender *s, uint32_t events, uint64_t wake, uint64_t due_ns)
{
	bool looks = events != 0 && s->is_dialled && !s->uri.ops->is_file;
	struct pollfd p[2] = {
	    {.fd = queue_fd(s->queue), .events = POLLIN},
	    {.fd = looks ? s->transport.fd : -1},
	};
	uint64_t now = clock_monotonic_ns(), limit = deadline(s), left;
	struct timespec t;
	int n;

	due_ns = limit < due_ns ? limit : due_ns;
	left = due_ns > now ? due_ns - now : 0;
	t.tv_sec = (time_t)(left / NS_PER_SECOND);
	t.tv_nsec = (long)(left % NS_PER_SECOND);
	p[1].events = (short)(((events & EPOLLIN) != 0 ? POLLIN : 0) |
			      ((events & EPOLLOUT) != 0 ? POLLOUT : 0));
	if (!queue_doze(s->queue, wake)) {
		t = (struct timespec){0};
	}
	n = ppoll(p, 2, &t, NULL);
	queue_rise(s->queue);
	if (n <= 0 || p[1].revents == 0) {
		return 0;
	}
	return ((p[1].revents & POLLOUT) != 0 ? EPOLLOUT : 0) |
	       ((p[1].revents & ~POLLOUT) != 0 ? EPOLLIN : 0);
}

static int
check_deadline(struct sender *s, uint64_t due_ns, const char *what, struct err *e)
{
	uint64_t now = clock_monotonic_ns();

	if (now < due_ns && now < deadline(s)) {
		return 0;
	}
	return err_set(e, -ETIMEDOUT, "%s: %s", s->uri.text, what);
}

/* One connection. */

/* A collector sends nothing; reading tells when it closes or refuses us.  0 when it is
 * still there. */
static int
listen_to_peer(struct sender *s, struct err *e)
{
	char unasked[UNASKED];
	ssize_t got = 1;

	for (int i = 0; i < 64 && got > 0; i++) {
		got = s->transport.ops->read(&s->transport, unasked, sizeof unasked, e);
	}
	if (got == 0) {
		return err_set(e, -ECONNRESET, "%s closed the connection", s->uri.text);
	}
	return got > 0 || got == -EAGAIN ? 0 : (int)got;
}

static int
connect_to_peer(struct sender *s, struct err *e)
{
	uint64_t due = clock_monotonic_ns() + ATTEMPT_NS;
	struct transport *t = &s->transport;
	int rc;

	rc = s->uri.ops->dial(t, &s->uri, s->tls, e);
	s->is_dialled = rc == 0;
	while (rc == 0 && (rc = t->ops->proceed(t, e)) == -EAGAIN) {
		uint64_t again = transport_timeout(t);
		if (again != UINT64_MAX) {
			again += clock_monotonic_ns();
		}
		sleep_until(s, t->ops->want(t), QUEUE_NEVER, again < due ? again : due);
		rc = check_deadline(s, due, "does not answer", e);
	}
	return rc;
}

/* Waits up to ns for a word of the collector: its welcome, its refusal or its close. */
static int
await_word(struct sender *s, uint64_t ns, struct err *e)
{
	uint64_t due = clock_monotonic_ns() + ns;
	struct transport *t = &s->transport;

	while (!t->ops->pending(t) &&
	       (sleep_until(s, EPOLLIN, QUEUE_NEVER, due) & EPOLLIN) == 0) {
		if (check_deadline(s, due, "", NULL) < 0) {
			return 0;
		}
	}
	return listen_to_peer(s, e);
}

/* What one write is given of the messages here: a message transport takes one by each.
 */
static size_t
portion(const struct sender *s, const uint8_t *bytes, size_t length)
{
	return s->uri.ops->is_message ? load_u16(bytes + 2) : length;
}

/* Writes all of it; only the preamble goes this way. */
static int
write_all(struct sender *s, const uint8_t *bytes, size_t length, struct err *e)
{
	struct transport *t = &s->transport;
	size_t done = 0;
	ssize_t n;
	int rc;

	t->stream = 0;
	while (done < length) {
		n = t->ops->write(
		    t, bytes + done, portion(s, bytes + done, length - done), e);
		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (n != -EAGAIN) {
			return (int)n;
		}
		sleep_until(s, t->ops->want(t) | EPOLLOUT, QUEUE_NEVER, QUEUE_NEVER);
		rc = check_deadline(s, QUEUE_NEVER, "takes nothing", e);
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

/* The first n bytes of the gather are with the transport. */
static void
take(struct sender *s, size_t n)
{
	struct queue_taken taken = {0};

	queue_take(s->queue, n, &taken);
	sender_bump(&s->messages, taken.messages);
	sender_bump(&s->bytes, taken.bytes);
	sender_bump(&s->records, taken.records);
	s->is_proven = true;
}

/* The first message of the gather is longer than this transport can ever carry. */
static void
drop_long(struct sender *s, size_t length, const struct err *e)
{
	struct queue_taken dropped = {0};

	if (atomic_load(&s->too_long_messages) == 0) {
		log_warning("%s; such messages are dropped and counted, a smaller "
			    "--message-size avoids them",
		    e->text);
	}
	queue_take(s->queue, length, &dropped);
	sender_bump(&s->too_long_messages, dropped.messages);
	sender_bump(&s->dropped_messages, dropped.messages);
	sender_bump(&s->dropped_records, dropped.records);
}

/* Writes some of the gather, or waits until it could. */
static int
write_some(struct sender *s, const uint8_t *bytes, size_t length, struct err *e)
{
	struct transport *t = &s->transport;
	size_t n_bytes = portion(s, bytes, length);
	uint32_t ready;
	ssize_t n;
	int rc = 0;

	t->stream = 0;
	n = t->ops->write(t, bytes, n_bytes, e);
	if (n >= 0) {
		take(s, (size_t)n);
		return 0;
	}
	if (n == -EMSGSIZE) {
		drop_long(s, n_bytes, e);
		return 0;
	}
	if (n != -EAGAIN) {
		return (int)n;
	}
	ready = sleep_until(
	    s, t->ops->want(t) | EPOLLIN | EPOLLOUT, QUEUE_NEVER, QUEUE_NEVER);
	if ((ready & EPOLLIN) != 0) {
		rc = listen_to_peer(s, e);
	}
	return rc < 0 ? rc : check_deadline(s, QUEUE_NEVER, "takes nothing", e);
}

/* Sends what is queued, until the end of input or a failure.  A small gather waits a
 * little for more, so that neither side wakes for every message. */
static int
deliver(struct sender *s, struct err *e)
{
	bool has_lingered = false;
	int rc = 0;

	while (rc == 0) {
		/* Read before the queue: what was pushed before the end is seen. */
		bool is_finishing = atomic_load(&s->is_finishing);
		uint64_t due = QUEUE_NEVER, wake = 1;
		const uint8_t *bytes;
		size_t n = queue_gather(s->queue, &bytes);
		if (n == 0 && is_finishing) {
			return 0;
		}
		if (n >= QUEUE_GATHER || (n > 0 && (is_finishing || has_lingered ||
						       queue_is_cut(s->queue)))) {
			rc = write_some(s, bytes, n, e);
			has_lingered = false;
			continue;
		}
		if (n > 0) {
			due = clock_monotonic_ns() + LINGER_NS;
			wake = QUEUE_GATHER;
		}
		if ((sleep_until(s, EPOLLIN, wake, due) & EPOLLIN) != 0) {
			rc = listen_to_peer(s, e);
		}
		has_lingered = n > 0;
	}
	return rc;
}

/* Ends the stream and waits for the peer to end its own. */
static int
say_goodbye(struct sender *s, struct err *e)
{
	uint64_t due = clock_monotonic_ns() + GOODBYE_NS;
	struct transport *t = &s->transport;
	char unasked[UNASKED];
	ssize_t got;
	int rc;

	while ((rc = t->ops->finish(t, e)) == -EAGAIN) {
		sleep_until(s, t->ops->want(t) | EPOLLOUT, QUEUE_NEVER, due);
		rc = check_deadline(s, due, "takes no end", e);
		if (rc < 0) {
			return rc;
		}
	}
	while (rc == 0 && !t->ops->is_file) {
		got = t->ops->read(t, unasked, sizeof unasked, e);
		if (got == -ECONNABORTED) { /* Many implementations do just that. */
			log_warning("%s ended without a TLS goodbye: if it crashed, "
				    "the last messages may be lost",
			    s->uri.text);
		}
		if (got == 0 || got == -ECONNABORTED) {
			return 0;
		}
		if (got < 0 && got != -EAGAIN) {
			return err_prefix(e, (int)got,
			    "the end was not confirmed, the last messages may be lost");
		}
		if (got == -EAGAIN) {
			sleep_until(s, EPOLLIN, QUEUE_NEVER, due);
			rc = check_deadline(s, due,
			    "does not confirm the end; the last messages may be lost",
			    e);
		}
	}
	return rc;
}

/* What every connection sees first.  Over the network it is dated anew; in a file it
 * has the time of the packets. */
static int
send_preamble(struct sender *s, struct err *e)
{
	uint32_t now = (uint32_t)(clock_realtime_ns() / NS_PER_SECOND);

	for (size_t i = 0; i < s->preamble_length && !s->uri.ops->is_file;
	     i += load_u16(s->preamble + i + 2)) {
		message_set_export_time(s->preamble + i, now);
	}
	queue_begin(s->queue, s->preamble_records);
	return write_all(s, s->preamble, s->preamble_length, e);
}

/* Connects and makes sure, as far as can be, that somebody is there who takes messages:
 * what goes out to one who does not is lost.  With TLS 1.3 our handshake ends before
 * the collector has judged us: it welcomes us by a ticket (one that sends none is
 * trusted after a while).  Plain TCP has no such sign, but whoever does not like what
 * it sees (a TLS port, a proxy whose collector is away) closes soon after the preamble.
 */
static int
open_connection(struct sender *s, struct err *e)
{
	const struct transport_ops *ops = s->uri.ops;
	int rc = ops->is_file ? 0 : connect_to_peer(s, e);

	if (rc == 0 && ops->is_welcoming) {
		rc = await_word(s, WELCOME_NS, e);
	}
	if (rc == 0) {
		rc = send_preamble(s, e);
	}
	if (rc == 0 && !ops->is_secure && !ops->is_file) {
		rc = await_word(s, PROBATION_NS, e);
	}
	if (rc == 0 && !ops->is_file) {
		log_info("connected to %s (%s)", s->uri.text, s->transport.peer);
	}
	return rc;
}

static int
run_connection(struct sender *s, struct err *e)
{
	int rc = open_connection(s, e);

	if (rc == 0) {
		sender_bump(&s->connects, 1);
		s->is_told = false;
		rc = deliver(s, e);
	}
	return rc;
}

/* Notes and reports a failure; the same sentence again is no news. */
static void
report(struct sender *s, const struct err *e)
{
	bool is_news = !s->is_told;

	sender_bump(&s->failures, 1);
	pthread_mutex_lock(&s->error_lock);
	is_news |= strncmp(s->last_error, e->text, sizeof s->last_error - 1) != 0;
	snprintf(s->last_error, sizeof s->last_error, "%.*s",
	    (int)sizeof s->last_error - 1, e->text);
	pthread_mutex_unlock(&s->error_lock);
	if (is_news && !s->uri.ops->is_file) {
		log_warning("%s; going on trying", e->text);
		s->is_told = true;
	}
}

/* Waits before the next attempt: twice as long each time, at random between half and
 * the whole, so that exporters do not come back in step.  False when time is up. */
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
	      arc4random_uniform((uint32_t)(half / MS) + 1) * MS;
	while (clock_monotonic_ns() < due) {
		if (check_deadline(s, QUEUE_NEVER, "", NULL) < 0) {
			return false;
		}
		sleep_until(s, 0, QUEUE_NEVER, due);
	}
	return true;
}

void
sender_hang_up(struct sender *s)
{
	if (s->is_dialled) {
		s->transport.ops->close(&s->transport);
		s->is_dialled = false;
	}
}

void *
sender_run(void *data)
{
	struct sender *s = data;
	struct err e = {0};
	int rc;

	for (;;) {
		rc = run_connection(s, &e);
		if (rc == 0) {
			rc = say_goodbye(s, &e);
			break;
		}
		report(s, &e);
		queue_put_back(s->queue);
		if (s->uri.ops->is_file) {
			break;
		}
		sender_hang_up(s);
		if (!back_off(s)) {
			rc = err_set(&s->result_err, -ETIMEDOUT,
			    "gave up delivering to %s: %.300s", s->uri.text, e.text);
			break;
		}
	}
	if (rc < 0 && s->result_err.text[0] == '\0') {
		s->result_err = e;
	}
	sender_hang_up(s);
	s->result = rc;
	queue_end(s->queue);
	return NULL;
}
