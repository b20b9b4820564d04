/* Reception: lets connections in, gives each peer its turn, and syncs the journal, after
 * which acknowledge.c tells the peers. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "collector/door/door_private.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/transport/scheme.h"

#define ROUND_BYTES (256u << 10) /* of one peer before the others' turn */
#define STOP_BYTES  (16u << 20)  /* read of each peer at the end */
#define STOP_NS     (10 * NS_PER_SECOND)

static void
sync_now(struct listener *l)
{
	int rc = intake_sync(&l->intake);

	if (rc == -EAGAIN) {
		peers_wait_for_room(l);
		peers_sync_within(l, l->settings.sync_interval_ns);
		return;
	}
	l->synced_frames = l->intake.added;
	acknowledge_ended(l, rc, false);
	acknowledge_spools(l, rc);
	if (l->intake.added != l->synced_frames) {
		peers_sync_within(l, l->settings.sync_interval_ns);
	}
	if (l->intake.is_stuck) {
		peers_wait_for_room(l);
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
tell_open(struct listener *l, const struct peer *p)
{
	if (peers_may_tell(l)) {
		log_info("%s%s%s%s connected by %s", p->transport.peer.text,
		    p->transport.identity[0] != '\0' ? " (" : "", p->transport.identity,
		    p->transport.identity[0] != '\0' ? ")" : "",
		    p->transport.scheme->name);
	}
	if (p->lost_records > 0 && peers_may_tell(l)) {
		log_warning("%s dropped %" PRIu64
			    " records before it could send them: its spool was full",
		    p->transport.peer.text, p->lost_records);
	}
}

static void
tell_turned(struct listener *l, struct peer *p, const struct err *e)
{
	static const enum peers_end turns[] = {
	    [PEER_BAD_HELLO] = PEERS_BAD_HELLO,
	    [PEER_CLONE] = PEERS_CLONE,
	    [PEER_NO_SPOOL] = PEERS_NO_SPOOL,
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
		name = peers_end_name(turns[p->turn]);
	}
	peers_tell_refused(
	    l, p->transport.scheme->name, p->transport.peer.text, name, e->text);
	if (p->turn == PEER_CLONE) {
		acknowledge_probe(l, p->rival);
	}
}

/* The list of a peer that waits only for its socket. */
static struct peer_list *
place_of(struct listener *l, const struct peer *p)
{
	bool is_half_open = p->transport.identity[0] == '\0' && p->messages == 0;

	return is_half_open ? &l->half_open : &l->peers;
}

/* Since when it has sent part of a message.  While the peer was not read it is we who
 * were late. */
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
		peers_move(p, place_of(l, p));
	}
	note_partial(p, was_stuck);
	if (!was_open && p->state >= PEER_OPEN && next != PEER_REFUSED) {
		tell_open(l, p);
	}
	if (next == PEER_REFUSED) {
		tell_turned(l, p, &e);
	}
	peers_follow(l, p, next);
	if (l->intake.added != l->synced_frames) {
		peers_sync_within(l, l->settings.sync_interval_ns);
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

/* Nothing arrived, but its handshake has something to send again. */
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

/* Peers that wait for room, in the order they arrived, while there is any.  One that
 * does not get enough goes to the end of the queue. */
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
		peers_wait_for_room(l);
	}
}

void
reception_admit(struct listener *l, struct transport *t)
{
	struct err e = {0}, full;
	enum peers_end why;
	struct peer *p;

	l->counts.accepted++;
	if (admission_check(l, t, &why, &e) < 0) {
		l->counts.ended[why]++;
		err_set(&full, -EBUSY, "%s: %.400s", t->peer.text, e.text);
		peers_tell_refused(
		    l, t->scheme->name, t->peer.text, peers_end_name(why), full.text);
		t->ops->close(t);
		return;
	}
	p = peer_new(t);
	if (p == NULL) {
		peers_tell_short(l, t);
		return;
	}
	p->listener = l;
	p->introduce = admission_introduce;
	p->watch.ready = peer_ready;
	p->watch.data = p;
	p->timer = (struct loop_timer){.expired = peer_expired, .data = p};
	l->counts.peers++;
	peers_append(&l->half_open, p);
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

/* Takes what p has sent so far and ends its session. */
static void
take_leave(struct listener *l, struct peer *p, uint64_t due_ns)
{
	struct err e = {0};
	size_t budget = STOP_BYTES;
	enum peer_next next = PEER_STUCK;

	peers_unwatch(p);
	while (p->state == PEER_OPEN && (next == PEER_STUCK || next == PEER_AGAIN)) {
		size_t before = p->bytes, took;
		next = peer_step(p, &l->intake, budget, &e);
		took = p->bytes - before; /* a message may go beyond */
		budget -= took < budget ? took : budget;
		if (budget == 0 ||
		    (next == PEER_STUCK && !peers_wait_unstuck(l, due_ns))) {
			break;
		}
	}
	while (
	    (next = peer_end(p, &l->intake, "the collector stopped")) == PEER_STUCK &&
	    peers_wait_unstuck(l, due_ns)) {
	}
	peers_move(p, &l->ended);
}

void
reception_stop(struct listener *l)
{
	uint64_t due = clock_monotonic_ns() + STOP_NS;
	struct peer_list *lists[PEERS_OPEN_LISTS];
	int rc;

	peers_open_lists(l, lists);
	for (unsigned i = 0; i < PEERS_OPEN_LISTS; i++) {
		while (lists[i]->first != NULL) {
			take_leave(l, lists[i]->first, due);
		}
	}
	/* Without it, flows that wait for their other direction stay in the store. */
	if (peers_wait_unstuck(l, due)) {
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
	struct peer_list *lists[PEERS_OPEN_LISTS];

	peers_open_lists(l, lists);
	for (unsigned i = 0; i < PEERS_OPEN_LISTS; i++) {
		while (lists[i]->first != NULL) {
			peers_forget(l, lists[i]->first);
		}
	}
	acknowledge_ended(l, -EIO, true);
	loop_timer_clear(l->loop, &l->sync_timer);
	loop_timer_clear(l->loop, &l->retry_timer);
	loop_timer_clear(l->loop, &l->again_timer);
}
