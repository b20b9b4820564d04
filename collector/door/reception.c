#include "collector/door/door_private.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/base/clock.h"
#include "common/base/log.h"

#define ROUND_BYTES    (256u << 10) /* of one peer before the others' turn */
#define STOP_BYTES     (16u << 20)  /* read of each peer at the end */
#define STOP_NS        (10 * NS_PER_SECOND)
#define RETRY_NS       (5 * MS)  /* while the processing thread is behind */
#define CONFIRM_NS     (10 * MS) /* so long a peer's end waits for others' */
#define TOLD_A_SECOND  10        /* log lines about peers */
#define NOTED_A_SECOND 100       /* FRAME_REFUSED */

bool
reception_may_tell(struct listener *l)
{
	if (l->told < TOLD_A_SECOND) {
		l->told++;
		return true;
	}
	l->untold++;
	return false;
}

/* Peers and their lists. */

static void
append(struct peer_list *list, struct peer *p)
{
	p->list = list;
	p->next = NULL;
	p->previous = list->last;
	if (list->last != NULL) {
		list->last->next = p;
	} else {
		list->first = p;
	}
	list->last = p;
	list->count++;
}

static void
take_out(struct peer *p)
{
	struct peer_list *list = p->list;

	*(p->previous != NULL ? &p->previous->next : &list->first) = p->next;
	*(p->next != NULL ? &p->next->previous : &list->last) = p->previous;
	p->list = NULL;
	list->count--;
}

static void
move(struct peer *p, struct peer_list *to)
{
	take_out(p);
	append(to, p);
}

static void
unwatch(struct peer *p)
{
	loop_timer_clear(p->listener->loop, &p->timer);
	if (p->is_watched) {
		loop_remove(p->listener->loop, &p->watch);
		p->is_watched = false;
	}
}

void
reception_watch(struct peer *p)
{
	struct listener *l = p->listener;
	uint32_t events = p->transport.ops->want(&p->transport);
	uint64_t timeout =
	    p->state == PEER_SHAKING ? transport_timeout(&p->transport) : UINT64_MAX;

	if (timeout != UINT64_MAX) {
		loop_timer_set(l->loop, &p->timer, clock_monotonic_ns() + timeout);
	} else {
		loop_timer_clear(l->loop, &p->timer);
	}
	if (peer_has_word(p) && !p->is_broken) {
		events |= EPOLLIN | EPOLLOUT;
	}
	p->watch.fd = p->transport.fd;
	if (p->is_watched) {
		loop_change(l->loop, &p->watch, events);
	} else {
		p->watch.events = events;
		p->is_watched = loop_add(l->loop, &p->watch) == 0;
	}
}

void
reception_forget(struct listener *l, struct peer *p)
{
	unwatch(p);
	take_out(p);
	peers_by_host_remove(&l->peers_by_host, p);
	l->bytes += p->bytes;
	l->messages += p->messages;
	l->counts.peers--;
	peer_leave(p, clock_realtime_ns());
	peer_free(p);
}

/* Syncing. */

void
reception_sync_within(struct listener *l, uint64_t ns)
{
	uint64_t due = clock_monotonic_ns() + ns;

	if (l->sync_timer.due_ns == 0 || l->sync_timer.due_ns > due) {
		loop_timer_set(l->loop, &l->sync_timer, due);
	}
}

void
reception_wait_for_room(struct listener *l)
{
	uint64_t wait = l->intake.is_refused ? NS_PER_SECOND : RETRY_NS;

	if (l->retry_timer.due_ns == 0) {
		loop_timer_set(l->loop, &l->retry_timer, clock_monotonic_ns() + wait);
	}
}

static void
sync_now(struct listener *l)
{
	int rc = intake_sync(&l->intake);

	if (rc == -EAGAIN) {
		reception_wait_for_room(l);
		reception_sync_within(l, l->settings.sync_interval_ns);
		return;
	}
	l->synced_frames = l->intake.added;
	acknowledge_ended(l, rc, false);
	acknowledge_spools(l, rc);
	if (l->intake.added != l->synced_frames) {
		reception_sync_within(l, l->settings.sync_interval_ns);
	}
	if (l->intake.is_stuck) {
		reception_wait_for_room(l);
	}
}

static void
sync_expired(struct loop_timer *t, uint64_t now_ns)
{
	(void)now_ns;
	sync_now(t->data);
}

/* Steps. */

static void
tell_refused(struct listener *l, const char *transport, const char *peer,
    const char *reason, const char *sentence)
{
	char text[SESSION_IDENTITY_TEXT];
	int n = snprintf(text, sizeof text, "transport=%s\npeer=%s\nreason=%s\n",
	    transport, peer, reason);

	if (reception_may_tell(l)) {
		log_warning("refused %s", sentence);
	}
	if (l->noted < NOTED_A_SECOND && n > 0 && (size_t)n < sizeof text) {
		l->noted++;
		intake_put(&l->intake, FRAME_REFUSED, 0, text, (size_t)n);
	}
}

static void
tell_open(struct listener *l, const struct peer *p)
{
	if (reception_may_tell(l)) {
		log_info("%s%s%s%s connected by %s", p->transport.peer,
		    p->transport.identity[0] != '\0' ? " (" : "", p->transport.identity,
		    p->transport.identity[0] != '\0' ? ")" : "",
		    p->transport.ops->scheme);
	}
	if (p->lost_records > 0 && reception_may_tell(l)) {
		log_warning("%s dropped %" PRIu64
			    " records before it could send them: its spool was full",
		    p->transport.peer, p->lost_records);
	}
}

static void
tell_gone(struct listener *l, const struct peer *p)
{
	if (p->is_foreign) {
		l->counts.ended[LISTENER_NO_IPFIX]++;
	}
	if (transport_refusal(&p->transport) == TLS_REFUSED_RENEGOTIATION) {
		l->counts.refused[TLS_REFUSED_RENEGOTIATION]++;
	}
	if (p->reason[0] == '\0' || !reception_may_tell(l)) {
		return;
	}
	log_warning("lost %s after %" PRIu64 " messages: %s", p->transport.peer,
	    p->messages, p->reason);
}

static void
tell_turned(struct listener *l, struct peer *p, const struct err *e)
{
	static const enum listener_end turns[] = {
	    [PEER_BAD_HELLO] = LISTENER_BAD_HELLO,
	    [PEER_CLONE] = LISTENER_CLONE,
	    [PEER_NO_SPOOL] = LISTENER_NO_SPOOL,
	};
	enum tls_refusal why = transport_refusal(&p->transport);
	const char *name;

	if (p->turn == PEER_WELCOME) {
		if (why == TLS_REFUSED_NONE) {
			why = TLS_REFUSED_IDENTITY; /* by its address */
		}
		l->counts.refused[why]++;
		name = tls_refusal_name(why);
	} else {
		l->counts.ended[turns[p->turn]]++;
		name = listener_end_name(turns[p->turn]);
	}
	tell_refused(l, p->transport.ops->scheme, p->transport.peer, name, e->text);
	if (p->turn == PEER_CLONE) {
		acknowledge_probe(l, p->rival);
	}
}

void
reception_follow(
    struct listener *l, struct peer *p, enum peer_next next, const struct err *e)
{
	switch (next) {
	case PEER_WAITS:
		reception_watch(p);
		return;
	case PEER_AGAIN:
		p->is_waiting_again = true;
		if (l->again_timer.due_ns == 0) {
			/* Later than now: after the next round of sockets. */
			loop_timer_set(
			    l->loop, &l->again_timer, clock_monotonic_ns() + 1);
		}
		return;
	case PEER_STUCK:
		unwatch(p);
		move(p, &l->stuck);
		reception_wait_for_room(l);
		return;
	case PEER_SYNCED:
		unwatch(p);
		move(p, &l->ended);
		reception_sync_within(l, CONFIRM_NS);
		return;
	case PEER_REFUSED:
		tell_turned(l, p, e);
		break;
	case PEER_GONE:
		tell_gone(l, p);
		if (p->transport.ops->is_unreliable) {
			/* Or it would go on sending to nobody. */
			(void)p->transport.ops->finish(&p->transport, NULL);
		}
		break;
	}
	reception_forget(l, p);
}

/* Where a peer belongs that waits for nothing but its socket. */
static struct peer_list *
place_of(struct listener *l, const struct peer *p)
{
	bool is_half_open = p->transport.identity[0] == '\0' && p->messages == 0;

	return is_half_open ? &l->half_open : &l->peers;
}

/* Since when a message is begun.  While the peer was not read it is we who were late.
 */
static void
note_partial(struct peer *p, bool was_stuck)
{
	if (p->carried == 0) {
		p->partial_ns = 0;
	} else if (p->partial_ns == 0 || was_stuck || p->partial_after != p->messages) {
		p->partial_ns = p->since_ns;
		p->partial_after = p->messages;
	}
}

static void
step(struct listener *l, struct peer *p)
{
	bool was_stuck = p->list == &l->stuck;
	bool was_open = p->state >= PEER_OPEN;
	struct err e = {0};
	enum peer_next next;

	p->is_waiting_again = false;
	p->since_ns = clock_monotonic_ns();
	next = peer_step(p, &l->intake, ROUND_BYTES, &e);
	if (p->list != place_of(l, p)) {
		move(p, place_of(l, p));
	}
	note_partial(p, was_stuck);
	if (!was_open && p->state >= PEER_OPEN && next != PEER_REFUSED) {
		tell_open(l, p);
	}
	reception_follow(l, p, next, &e);
	if (l->intake.added != l->synced_frames) {
		reception_sync_within(l, l->settings.sync_interval_ns);
	}
}

static void
peer_ready(struct loop_watch *w, uint32_t events)
{
	struct peer *p = w->data;

	(void)events;
	if (p->is_settled) {
		acknowledge_again(p->listener, p);
		return;
	}
	step(p->listener, p);
}

/* Nothing came, but its handshake has something to say again. */
static void
peer_expired(struct loop_timer *t, uint64_t now_ns)
{
	struct peer *p = t->data;

	(void)now_ns;
	step(p->listener, p);
}

static void
again_expired(struct loop_timer *t, uint64_t now_ns)
{
	struct listener *l = t->data;
	struct peer *next;

	(void)now_ns;
	for (struct peer *p = l->peers.first; p != NULL; p = next) {
		next = p->next; /* p may go by its own step, nobody else does */
		if (p->is_waiting_again) {
			step(l, p);
		}
	}
}

/* Those who wait for room, in the order they came, while there is any.  Who does not
 * get enough goes to the end of the queue. */
static void
retry_expired(struct loop_timer *t, uint64_t now_ns)
{
	struct listener *l = t->data;
	const struct peer *last = l->stuck.last;
	struct peer *p;

	(void)now_ns;
	intake_pass(&l->intake);
	while (!l->intake.is_stuck && (p = l->stuck.first) != NULL) {
		bool is_last = p == last;
		step(l, p);
		if (is_last) {
			break;
		}
	}
	if (l->intake.is_stuck || l->stuck.first != NULL) {
		reception_wait_for_room(l);
	}
}

void
reception_tell_short(struct listener *l, const struct transport *t)
{
	struct err e = {0};

	err_set(&e, -ENOMEM, "%s: no memory for one more peer", t->peer);
	l->counts.ended[LISTENER_NO_MEMORY]++;
	tell_refused(l, t->ops->scheme, t->peer, "no-memory", e.text);
}

void
reception_end(
    struct listener *l, struct peer *p, enum listener_end why, const char *sentence)
{
	struct err e = {0};

	l->counts.ended[why]++;
	if (p->state < PEER_OPEN) {
		err_set(&e, -ECONNABORTED, "%s: %s", p->transport.peer, sentence);
		tell_refused(l, p->transport.ops->scheme, p->transport.peer,
		    listener_end_name(why), e.text);
		reception_forget(l, p);
		return;
	}
	err_set(&e, -ECONNABORTED, "%s", sentence);
	reception_follow(l, p, peer_end(p, &l->intake, e.text), &e);
}

void
reception_admit(struct listener *l, struct transport *t)
{
	struct err e = {0}, full;
	enum listener_end why;
	struct peer *p;

	l->counts.accepted++;
	if (admission_check(l, t, &why, &e) < 0) {
		l->counts.ended[why]++;
		err_set(&full, -EBUSY, "%s: %.400s", t->peer, e.text);
		tell_refused(
		    l, t->ops->scheme, t->peer, listener_end_name(why), full.text);
		t->ops->close(t);
		return;
	}
	p = peer_new(t);
	if (p == NULL) {
		reception_tell_short(l, t);
		return;
	}
	p->listener = l;
	p->introduce = admission_introduce;
	p->watch.ready = peer_ready;
	p->watch.data = p;
	p->timer = (struct loop_timer){.expired = peer_expired, .data = p};
	l->counts.peers++;
	append(&l->half_open, p);
	peers_by_host_add(&l->peers_by_host, p);
	p->began_ns = clock_monotonic_ns();
	step(l, p);
}

void
reception_init(struct listener *l)
{
	peers_by_host_init(&l->peers_by_host);
	l->sync_timer = (struct loop_timer){.expired = sync_expired, .data = l};
	l->retry_timer = (struct loop_timer){.expired = retry_expired, .data = l};
	l->again_timer = (struct loop_timer){.expired = again_expired, .data = l};
}

/* The end. */

bool
reception_wait_unstuck(struct listener *l, uint64_t due_ns)
{
	while (!intake_pass(&l->intake)) {
		if (l->intake.is_refused || clock_monotonic_ns() >= due_ns) {
			return false;
		}
		poll(NULL, 0, (int)(RETRY_NS / MS));
	}
	return true;
}

/* Takes what p has sent so far and ends its session. */
static void
take_leave(struct listener *l, struct peer *p, uint64_t due_ns)
{
	struct err e = {0};
	size_t budget = STOP_BYTES;
	enum peer_next next = PEER_STUCK;

	unwatch(p);
	while (p->state == PEER_OPEN && (next == PEER_STUCK || next == PEER_AGAIN)) {
		size_t before = p->bytes, took;
		next = peer_step(p, &l->intake, budget, &e);
		took = p->bytes - before; /* a message may go beyond */
		budget -= took < budget ? took : budget;
		if (budget == 0 ||
		    (next == PEER_STUCK && !reception_wait_unstuck(l, due_ns))) {
			break;
		}
	}
	while (
	    (next = peer_end(p, &l->intake, "the collector stopped")) == PEER_STUCK &&
	    reception_wait_unstuck(l, due_ns)) {
	}
	move(p, &l->ended);
}

void
reception_stop(struct listener *l)
{
	uint64_t due = clock_monotonic_ns() + STOP_NS;
	int rc;

	while (l->half_open.first != NULL) {
		take_leave(l, l->half_open.first, due);
	}
	while (l->peers.first != NULL) {
		take_leave(l, l->peers.first, due);
	}
	while (l->stuck.first != NULL) {
		take_leave(l, l->stuck.first, due);
	}
	/* Without this word what waits for its other direction does so in the store. */
	if (reception_wait_unstuck(l, due)) {
		intake_put(&l->intake, FRAME_TICK, 0, "stop", 4);
	}
	rc = intake_sync(&l->intake);
	acknowledge_ended(l, rc, true);
	if (rc == -EAGAIN) {
		log_error("stopped before everything received was in the journal");
	}
}

void
reception_done(struct listener *l)
{
	while (l->half_open.first != NULL) {
		reception_forget(l, l->half_open.first);
	}
	while (l->peers.first != NULL) {
		reception_forget(l, l->peers.first);
	}
	while (l->stuck.first != NULL) {
		reception_forget(l, l->stuck.first);
	}
	acknowledge_ended(l, -EIO, true);
	loop_timer_clear(l->loop, &l->sync_timer);
	loop_timer_clear(l->loop, &l->retry_timer);
	loop_timer_clear(l->loop, &l->again_timer);
}
