#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

#include "common/base/clock.h"
#include "common/transport/scheme.h"
#include "exporter/sender/sender_private.h"

#define HURRY_NS (2 * NS_PER_SECOND)
#define PATH_NS  (5 * NS_PER_SECOND)

/* Whether to detect a dead peer early: with acknowledgements, messages sent to it are
 * held and go to the next peer.  Without them, what a connection holds is lost with it,
 * so TCP gets its full timeout. */
static bool
minds_path(const struct sender *s)
{
	return s->is_dialled && s->is_acknowledged;
}

void
sender_publish(struct sender *s)
{
	pthread_mutex_lock(&s->lock);
	spool_counts(s->spool, &s->counts);
	pthread_mutex_unlock(&s->lock);
}

uint64_t
sender_deadline(struct sender *s)
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

int
sender_check(struct sender *s, uint64_t due_ns, const char *what, struct err *e)
{
	uint64_t now = clock_monotonic_ns();

	if (now < due_ns && now < sender_deadline(s)) {
		return minds_path(s) ? transport_check_path(&s->transport, e) : 0;
	}
	return err_set(e, -ETIMEDOUT, "%s: %s", sender_uri(s)->text, what);
}

bool
sender_tend(struct sender *s)
{
	/* Read before the queue: what was pushed before the end is seen. */
	bool is_finishing = atomic_load(&s->is_finishing);
	uint64_t unstowed = outbox_unstowed(s->outbox), now;

	if (unstowed == 0) {
		s->unstowed_ns = 0;
		return false;
	}
	now = clock_monotonic_ns();
	if (s->unstowed_ns == 0) {
		s->unstowed_ns = now;
	}
	if (unstowed < QUEUE_GATHER && !is_finishing &&
	    now - s->unstowed_ns < SENDER_LINGER_NS) {
		return false;
	}
	outbox_stow(s->outbox, now);
	s->unstowed_ns = outbox_unstowed(s->outbox) > 0 ? now : 0;
	sender_publish(s);
	return outbox_unstowed(s->outbox) < unstowed;
}

/* When sender_tend() is due even without new pushes, and how many bytes pushed make it
 * due earlier. */
static uint64_t
next_tending(struct sender *s, uint64_t *ret_pushed)
{
	uint64_t pushed = queue_pushed(s->queue);
	uint64_t unstowed = outbox_unstowed(s->outbox);

	if (s->unstowed_ns == 0) {
		*ret_pushed = pushed - unstowed + 1;
		return QUEUE_NEVER;
	}
	*ret_pushed = unstowed < QUEUE_GATHER ? pushed - unstowed + QUEUE_GATHER
					      : QUEUE_NEVER; /* the spool is full */
	return s->unstowed_ns + SENDER_LINGER_NS;
}

uint32_t
sender_sleep(struct sender *s, uint32_t events, uint64_t due_ns)
{
	bool looks = events != 0 && s->is_dialled && !sender_uri(s)->scheme->is_file;
	struct pollfd p[2] = {
	    {.fd = queue_fd(s->queue), .events = POLLIN},
	    {.fd = looks ? s->transport.fd : -1},
	};
	uint64_t now, limit = sender_deadline(s), tending, pushed, left;
	struct timespec t = {0};
	int n;

	if (sender_tend(s)) {
		return 0;
	}
	if (looks && (events & EPOLLIN) != 0 && s->has_unheard) {
		return EPOLLIN;
	}
	tending = next_tending(s, &pushed);
	due_ns = limit < due_ns ? limit : due_ns;
	due_ns = tending < due_ns ? tending : due_ns;
	now = clock_monotonic_ns();
	if (minds_path(s) && now + PATH_NS < due_ns) {
		due_ns = now + PATH_NS;
	}
	left = due_ns > now ? due_ns - now : 0;
	p[1].events = (short)(((events & EPOLLIN) != 0 ? POLLIN : 0) |
			      ((events & EPOLLOUT) != 0 ? POLLOUT : 0));
	if (queue_doze(s->queue, pushed)) {
		t.tv_sec = (time_t)(left / NS_PER_SECOND);
		t.tv_nsec = (long)(left % NS_PER_SECOND);
	}
	n = ppoll(p, 2, &t, NULL);
	queue_rise(s->queue);
	if (n <= 0 || p[1].revents == 0) {
		return 0;
	}
	return ((p[1].revents & POLLOUT) != 0 ? EPOLLOUT : 0) |
	       ((p[1].revents & ~POLLOUT) != 0 ? EPOLLIN : 0);
}
