/* Which peers are let in, and which have to go: the listener's limits.
 *
 * A peer is half-open until it has proved an identity or sent a whole message.
 * Half-open peers never keep others out: where there is no room, the oldest of them
 * goes, of the same address where that address has too many.  So a peer that does not
 * stay half-open for long gets in, even while many do nothing but connect. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "collector/door/door_private.h"
#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/transport/scheme.h"

static void
make_room(struct listener *l, struct peer *p)
{
	struct err e = {0};

	err_set(&e, -EBUSY,
	    "evicted: unauthenticated for %" PRIu64 " ms while others were waiting",
	    (uint64_t)((clock_monotonic_ns() - p->began_ns) / NS_PER_MS));
	peers_end(l, p, PEERS_HALF_OPEN, e.text);
}

/* Over datagrams a peer may go without a word: those that crashed, and came back from
 * another port, would fill the room for ever.  Evicts the one that has been silent
 * longest, if that is longer than a handshake may take; if it is still there it opens
 * another session.  of: its host; NULL: any. */
static void
replace_silent(struct listener *l, const struct address *of)
{
	uint64_t now = clock_monotonic_ns();
	struct peer *longest = NULL;
	struct err e = {0};
	struct address host = {{0}};

	if (of != NULL) {
		host = peers_by_host_of(of);
	}
	for (struct peer *p = l->peers.first; p != NULL; p = p->next) {
		if (p->transport.scheme->is_unreliable &&
		    now - p->since_ns >= l->settings.handshake_timeout_ns &&
		    (of == NULL || memcmp(&p->host, &host, sizeof host) == 0) &&
		    (longest == NULL || p->since_ns < longest->since_ns)) {
			longest = p;
		}
	}
	if (longest != NULL) {
		err_set(&e, -EBUSY,
		    "evicted: silent for %g s while others were waiting",
		    (double)(now - longest->since_ns) / (double)NS_PER_SECOND);
		peers_end(l, longest, PEERS_IDLE, e.text);
	}
}

/* 0, or -EBUSY with *ret_why and the sentence. */
static int
bound_address(
    struct listener *l, const struct address *a, enum peers_end *ret_why, struct err *e)
{
	struct peer *oldest;
	unsigned n = peers_by_host_count(&l->peers_by_host, a, &l->half_open, &oldest);
	unsigned most = l->settings.max_peers_per_address;

	if (most == 0 || n < most) {
		return 0;
	}
	if (oldest != NULL) {
		make_room(l, oldest);
		return 0;
	}
	replace_silent(l, a);
	n = peers_by_host_count(&l->peers_by_host, a, &l->half_open, &oldest);
	if (n < most) {
		return 0;
	}
	*ret_why = PEERS_ADDRESS_FULL;
	return err_set(e, -EBUSY, "%u peers from its address are already connected", n);
}

int
admission_check(struct listener *l, const struct transport *t, enum peers_end *ret_why,
    struct err *e)
{
	int rc = bound_address(l, &t->peer.at.address, ret_why, e);

	if (rc < 0) {
		return rc;
	}
	if (l->half_open.count > 0 &&
	    (l->counts.peers >= l->settings.max_peers ||
		(l->settings.max_half_open != 0 &&
		    l->half_open.count >= l->settings.max_half_open))) {
		make_room(l, l->half_open.first);
	}
	if (l->counts.peers >= l->settings.max_peers) {
		replace_silent(l, NULL);
	}
	if (l->counts.peers >= l->settings.max_peers) {
		*ret_why = PEERS_FULL;
		return err_set(e, -EBUSY, "%" PRIu64 " peers are already connected",
		    l->counts.peers);
	}
	return 0;
}

bool
admission_terms(const struct listener *l, struct session_identity *who, uint64_t *ret)
{
	if (!roster_introduce(l->roster, who)) {
		return false;
	}
	*ret = hash_bytes(who->name, strlen(who->name),
	    hash_bytes(who->domains, strlen(who->domains), 0));
	return true;
}

bool
admission_introduce(struct peer *p, struct session_identity *who)
{
	return admission_terms(p->listener, who, &p->terms);
}

static bool
has_same_terms(const struct listener *l, const struct peer *p)
{
	struct session_identity who = {.peer = p->transport.peer.at};
	uint64_t terms;

	memcpy(who.identity, p->transport.identity, sizeof who.identity);
	return admission_terms(l, &who, &terms) && terms == p->terms;
}

/* Whether it would be let in again, on the same terms; e: why not. */
static bool
is_still_welcome(const struct listener *l, struct peer *p, struct err *e)
{
	if (p->state != PEER_OPEN) {
		return true;
	}
	if (l->roster != NULL && !has_same_terms(l, p)) {
		err_set(e, -EACCES, ADMISSION_OTHER_TERMS);
		return false;
	}
	return l->tls == NULL || transport_recheck(&p->transport, l->tls, e) == 0;
}

static void
judge_list(struct listener *l, struct peer_list *list)
{
	struct peer *last = list->last, *next;
	bool is_last = false;
	struct err e = {0};

	/* A peer that cannot end for want of room goes to the end of the stuck. */
	for (struct peer *p = list->first; p != NULL && !is_last; p = next) {
		next = p->next;
		is_last = p == last;
		if (!is_still_welcome(l, p, &e)) {
			peers_end(l, p, PEERS_NO_LONGER, e.text);
		}
	}
}

void
admission_recheck(struct listener *l)
{
	struct peer_list *lists[PEERS_OPEN_LISTS];

	peers_open_lists(l, lists);
	for (unsigned i = 0; i < PEERS_OPEN_LISTS; i++) {
		judge_list(l, lists[i]);
	}
}

void
admission_cut(struct listener *l, uint32_t session)
{
	struct peer_list *lists[PEERS_OPEN_LISTS];

	peers_open_lists(l, lists);
	for (unsigned i = 0; i < PEERS_OPEN_LISTS; i++) {
		struct peer *p = lists[i]->first;
		while (p != NULL && (p->state != PEER_OPEN || p->session != session)) {
			p = p->next;
		}
		if (p != NULL) {
			peers_end(l, p, PEERS_ERRORS,
			    "sent too many errors within a minute (--max-errors)");
			return;
		}
	}
}

/* Time. */

static uint64_t
idle_limit(const struct listener_settings *s, const struct peer *p)
{
	return s->idle_timeout_ns == 0 && p->transport.scheme->is_unreliable
		   ? s->udp.idle_ns
		   : s->idle_timeout_ns;
}

static void
time_out(struct listener *l, struct peer *p, uint64_t now_ns)
{
	const struct listener_settings *s = &l->settings;
	const struct {
		bool is_meant;
		uint64_t since, limit;
		enum peers_end why;
		const char *sentence;
	} bounds[] = {
	    {p->state == PEER_SHAKING, p->began_ns, s->handshake_timeout_ns,
		PEERS_NO_HANDSHAKE, "no handshake within"},
	    {p->state == PEER_GREETING, p->began_ns, s->handshake_timeout_ns,
		PEERS_NO_HELLO, "no hello within"},
	    {p->mute_ns != 0, p->mute_ns, ACKNOWLEDGE_MUTE_NS, PEERS_MUTE,
		"did not read acknowledgements for"},
	    {p->state > PEER_GREETING && p->partial_ns != 0, p->partial_ns,
		s->message_timeout_ns, PEERS_SLOW, "did not complete a message within"},
	    {p->state > PEER_GREETING, p->since_ns, idle_limit(s, p), PEERS_IDLE,
		"silent for"},
	};
	struct err e = {0};

	for (unsigned i = 0; i < sizeof bounds / sizeof *bounds; i++) {
		if (!bounds[i].is_meant || bounds[i].limit == 0 ||
		    now_ns < bounds[i].since + bounds[i].limit) {
			continue;
		}
		err_set(&e, -ETIMEDOUT, "%s %g s", bounds[i].sentence,
		    (double)bounds[i].limit / (double)NS_PER_SECOND);
		peers_end(l, p, bounds[i].why, e.text);
		return;
	}
}

/* Only peers that are being read: for the others it is we who are late. */
void
admission_time_out(struct listener *l, uint64_t now_ns)
{
	struct peer_list *const lists[] = {&l->half_open, &l->peers};

	for (unsigned i = 0; i < 2; i++) {
		struct peer *next;
		for (struct peer *p = lists[i]->first; p != NULL; p = next) {
			next = p->next;
			time_out(l, p, now_ns);
		}
	}
}
