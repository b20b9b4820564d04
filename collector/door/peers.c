#include "collector/door/peers.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "collector/door/door_private.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/transport/scheme.h"

#define RETRY_NS       (5 * NS_PER_MS)  /* while the processing thread is behind */
#define CONFIRM_NS     (10 * NS_PER_MS) /* so long a peer's end waits for others' */
#define TOLD_A_SECOND  10               /* log lines about peers */
#define NOTED_A_SECOND 100              /* FRAME_REFUSED */

bool
peers_may_tell(struct listener *l)
{
	if (l->told < TOLD_A_SECOND) {
		l->told++;
		return true;
	}
	l->untold++;
	return false;
}

/* Peers and their lists. */

void
peers_open_lists(struct listener *l, struct peer_list *ret[static PEERS_OPEN_LISTS])
{
	ret[0] = &l->half_open;
	ret[1] = &l->peers;
	ret[2] = &l->stuck;
}

void
peers_append(struct peer_list *list, struct peer *p)
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

void
peers_move(struct peer *p, struct peer_list *to)
{
	take_out(p);
	peers_append(to, p);
}

void
peers_unwatch(struct peer *p)
{
	loop_timer_clear(p->listener->loop, &p->timer);
	if (p->is_watched) {
		loop_remove(p->listener->loop, &p->watch);
		p->is_watched = false;
	}
}

void
peers_watch(struct peer *p)
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
peers_forget(struct listener *l, struct peer *p)
{
	peers_unwatch(p);
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
peers_sync_within(struct listener *l, uint64_t ns)
{
	uint64_t due = clock_monotonic_ns() + ns;

	if (l->sync_timer.due_ns == 0 || l->sync_timer.due_ns > due) {
		loop_timer_set(l->loop, &l->sync_timer, due);
	}
}

void
peers_wait_for_room(struct listener *l)
{
	uint64_t wait = l->intake.is_refused ? NS_PER_SECOND : RETRY_NS;

	if (l->retry_timer.due_ns == 0) {
		loop_timer_set(l->loop, &l->retry_timer, clock_monotonic_ns() + wait);
	}
}

bool
peers_wait_unstuck(struct listener *l, uint64_t due_ns)
{
	while (!intake_pass(&l->intake)) {
		if (l->intake.is_refused || clock_monotonic_ns() >= due_ns) {
			return false;
		}
		poll(NULL, 0, (int)(RETRY_NS / NS_PER_MS));
	}
	return true;
}

/* What is said of them. */

const char *
peers_end_name(enum peers_end e)
{
	static const char *const names[PEERS_ENDS] = {
	    [PEERS_FULL] = "full",
	    [PEERS_ADDRESS_FULL] = "address-full",
	    [PEERS_HALF_OPEN] = "half-open",
	    [PEERS_NO_HANDSHAKE] = "no-handshake",
	    [PEERS_IDLE] = "idle",
	    [PEERS_SLOW] = "slow",
	    [PEERS_ERRORS] = "errors",
	    [PEERS_NO_IPFIX] = "no-ipfix",
	    [PEERS_NO_LONGER] = "no-longer-permitted",
	    [PEERS_NO_MEMORY] = "no-memory",
	    [PEERS_NO_HELLO] = "no-hello",
	    [PEERS_BAD_HELLO] = "bad-hello",
	    [PEERS_CLONE] = "clone",
	    [PEERS_NO_SPOOL] = "too-many-spools",
	    [PEERS_MUTE] = "acks-unread",
	};

	return (unsigned)e < PEERS_ENDS ? names[e] : "unknown";
}

void
peers_tell_refused(struct listener *l, const char *transport, const char *peer,
    const char *reason, const char *sentence)
{
	char text[SESSION_IDENTITY_TEXT];
	int n = snprintf(text, sizeof text, "transport=%s\npeer=%s\nreason=%s\n",
	    transport, peer, reason);

	if (peers_may_tell(l)) {
		log_warning("refused %s", sentence);
	}
	if (l->noted < NOTED_A_SECOND && n > 0 && (size_t)n < sizeof text) {
		l->noted++;
		intake_put(&l->intake, FRAME_REFUSED, 0, text, (size_t)n);
	}
}

void
peers_tell_short(struct listener *l, const struct transport *t)
{
	struct err e = {0};

	err_set(&e, -ENOMEM, "%s: no memory for one more peer", t->peer.text);
	l->counts.ended[PEERS_NO_MEMORY]++;
	peers_tell_refused(l, t->scheme->name, t->peer.text, "no-memory", e.text);
}

static void
tell_gone(struct listener *l, const struct peer *p)
{
	if (p->is_foreign) {
		l->counts.ended[PEERS_NO_IPFIX]++;
	}
	if (transport_refusal(&p->transport) == TLS_REFUSED_RENEGOTIATION) {
		l->counts.refused[TLS_REFUSED_RENEGOTIATION]++;
	}
	if (!p->is_cut || !peers_may_tell(l)) {
		return;
	}
	log_warning("lost %s after %" PRIu64 " messages: %s", p->transport.peer.text,
	    p->messages, p->reason);
}

/* Steps. */

void
peers_follow(struct listener *l, struct peer *p, enum peer_next next)
{
	switch (next) {
	case PEER_WAITS:
		peers_watch(p);
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
		peers_unwatch(p);
		peers_move(p, &l->stuck);
		peers_wait_for_room(l);
		return;
	case PEER_SYNCED:
		peers_unwatch(p);
		peers_move(p, &l->ended);
		peers_sync_within(l, CONFIRM_NS);
		return;
	case PEER_REFUSED:
		break;
	case PEER_GONE:
		tell_gone(l, p);
		if (p->transport.scheme->is_unreliable) {
			/* Or it would go on sending to nobody. */
			(void)p->transport.ops->finish(&p->transport, NULL);
		}
		break;
	}
	peers_forget(l, p);
}

void
peers_end(struct listener *l, struct peer *p, enum peers_end why, const char *sentence)
{
	struct err e = {0};

	l->counts.ended[why]++;
	if (p->state < PEER_OPEN) {
		err_set(&e, -ECONNABORTED, "%s: %s", p->transport.peer.text, sentence);
		peers_tell_refused(l, p->transport.scheme->name, p->transport.peer.text,
		    peers_end_name(why), e.text);
		peers_forget(l, p);
		return;
	}
	peers_follow(l, p, peer_end(p, &l->intake, sentence));
}
