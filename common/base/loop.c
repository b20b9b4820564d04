#include "common/base/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/base/clock.h"

#define EVENTS_AT_ONCE 64

/* Timers are few (one or two per connection at most) and are kept in a list sorted by
 * due time, so that the next one is the first.  Events that epoll_wait() has handed out
 * stay in events[] while they are worked off, so that loop_remove() can strike out
 * those of a watch that goes away. */
struct loop {
	int epoll;
	struct epoll_event events[EVENTS_AT_ONCE];
	int pending; /* events[] still to be worked off, from events[next] */
	int next;
	struct loop_timer *timers;
	bool is_stopped;

	struct loop_watch signal_watch;
	void (*arrived)(int signal, void *data);
	void *arrived_data;

	struct loop_watch wake_watch;
	void (*woken)(void *data);
	void *woken_data;
};

static void
wake_ready(struct loop_watch *w, uint32_t events)
{
	struct loop *l = w->data;
	uint64_t count;

	(void)events;
	if (read(w->fd, &count, sizeof count) == (ssize_t)sizeof count &&
	    l->woken != NULL) {
		l->woken(l->woken_data);
	}
}

struct loop *
loop_new(void)
{
	struct loop *l = calloc(1, sizeof *l);
	int saved;

	if (l == NULL) {
		return NULL;
	}
	l->epoll = l->signal_watch.fd = l->wake_watch.fd = -1;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		goto fail;
	}
	l->wake_watch = (struct loop_watch){
	    .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	    .events = EPOLLIN,
	    .ready = wake_ready,
	    .data = l,
	};
	if (l->wake_watch.fd < 0 || loop_add(l, &l->wake_watch) < 0) {
		goto fail;
	}
	return l;
fail:
	saved = errno;
	loop_free(l);
	errno = saved;
	return NULL;
}

void
loop_free(struct loop *l)
{
	if (l == NULL) {
		return;
	}
	if (l->signal_watch.fd >= 0) {
		close(l->signal_watch.fd);
	}
	if (l->wake_watch.fd >= 0) {
		close(l->wake_watch.fd);
	}
	if (l->epoll >= 0) {
		close(l->epoll);
	}
	free(l);
}

static int
control(struct loop *l, int operation, struct loop_watch *w)
{
	struct epoll_event event = {.events = w->events, .data.ptr = w};

	return epoll_ctl(l->epoll, operation, w->fd, &event) < 0 ? -errno : 0;
}

int
loop_add(struct loop *l, struct loop_watch *w)
{
	return control(l, EPOLL_CTL_ADD, w);
}

int
loop_change(struct loop *l, struct loop_watch *w, uint32_t events)
{
	if (w->events == events) {
		return 0;
	}
	w->events = events;
	return control(l, EPOLL_CTL_MOD, w);
}

void
loop_remove(struct loop *l, struct loop_watch *w)
{
	(void)control(l, EPOLL_CTL_DEL, w);
	for (int i = l->next; i < l->pending; i++) {
		if (l->events[i].data.ptr == w) {
			l->events[i].data.ptr = NULL;
		}
	}
}

void
loop_timer_clear(struct loop *l, struct loop_timer *t)
{
	struct loop_timer **at = &l->timers;

	if (t->due_ns == 0) {
		return;
	}
	while (*at != NULL && *at != t) {
		at = &(*at)->next;
	}
	if (*at == t) {
		*at = t->next;
	}
	t->next = NULL;
	t->due_ns = 0;
}

void
loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t due_ns)
{
	struct loop_timer **at = &l->timers;

	loop_timer_clear(l, t);
	t->due_ns = due_ns == 0 ? 1 : due_ns; /* 0 means idle */
	while (*at != NULL && (*at)->due_ns <= t->due_ns) {
		at = &(*at)->next;
	}
	t->next = *at;
	*at = t;
}

static void
signal_ready(struct loop_watch *w, uint32_t events)
{
	struct loop *l = w->data;
	struct signalfd_siginfo info;

	(void)events;
	while (read(w->fd, &info, sizeof info) == (ssize_t)sizeof info) {
		l->arrived((int)info.ssi_signo, l->arrived_data);
	}
}

int
loop_signals(struct loop *l, const int *signals,
    void (*arrived)(int signal, void *data), void *data)
{
	sigset_t set;
	int rc;

	sigemptyset(&set);
	for (; *signals != 0; signals++) {
		sigaddset(&set, *signals);
	}
	rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (rc != 0) {
		return -rc;
	}
	l->arrived = arrived;
	l->arrived_data = data;
	l->signal_watch = (struct loop_watch){
	    .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
	    .events = EPOLLIN,
	    .ready = signal_ready,
	    .data = l,
	};
	if (l->signal_watch.fd < 0) {
		return -errno;
	}
	return loop_add(l, &l->signal_watch);
}

void
loop_on_wake(struct loop *l, void (*woken)(void *data), void *data)
{
	l->woken = woken;
	l->woken_data = data;
}

void
loop_wake(struct loop *l)
{
	int saved = errno;
	const uint64_t one = 1;

	/* The only failure is a counter at its limit: then a wake-up is under way. */
	if (write(l->wake_watch.fd, &one, sizeof one) < 0) {
		errno = saved;
	}
}

void
loop_stop(struct loop *l)
{
	l->is_stopped = true;
}

/* Runs what is due, but not for ever: timers that set themselves again at once leave
 * the watches their turn. */
static void
run_timers(struct loop *l)
{
	uint64_t now = l->timers == NULL ? 0 : clock_monotonic_ns();

	for (unsigned i = 0; l->timers != NULL && l->timers->due_ns <= now; i++) {
		struct loop_timer *t = l->timers;
		loop_timer_clear(l, t);
		t->expired(t, now);
		if (i == EVENTS_AT_ONCE || l->is_stopped) {
			break;
		}
	}
}

/* Milliseconds until the first timer, rounded up so that it is due then; -1: none. */
static int
time_to_wait(const struct loop *l)
{
	uint64_t now, ms;

	if (l->timers == NULL) {
		return -1;
	}
	now = clock_monotonic_ns();
	if (l->timers->due_ns <= now) {
		return 0;
	}
	ms = (l->timers->due_ns - now + NS_PER_MS - 1) / NS_PER_MS;
	return ms > 3600000 ? 3600000 : (int)ms;
}

int
loop_run(struct loop *l)
{
	while (!l->is_stopped) {
		int n =
		    epoll_wait(l->epoll, l->events, EVENTS_AT_ONCE, time_to_wait(l));
		if (n < 0 && errno != EINTR) {
			return -errno;
		}
		l->pending = n < 0 ? 0 : n;
		for (l->next = 0; l->next < l->pending && !l->is_stopped;) {
			struct epoll_event *event = &l->events[l->next++];
			struct loop_watch *w = event->data.ptr;
			if (w != NULL) {
				w->ready(w, event->events);
			}
		}
		l->pending = l->next = 0;
		if (!l->is_stopped) {
			run_timers(l);
		}
	}
	l->is_stopped = false;
	return 0;
}
