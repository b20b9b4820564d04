/* What peers hear from the listener: that all they sent is durable, by the end of our
 * side; and exporters with a spool, how much of it is, by words
 * (common/ipfix/delivery.h). */
#include <errno.h>

#include "collector/door/door_private.h"
#include "common/base/clock.h"

/* Says the last word to a peer that ended properly. */
static void
confirm(struct listener *l, struct peer *p, bool is_last)
{
	int rc = peer_acknowledge(p);

	if (rc != -EAGAIN || is_last) {
		rc = peer_confirm(p);
	}
	if (rc == -EAGAIN && !is_last) {
		peers_watch(p);
		return;
	}
	peers_forget(l, p);
}

void
acknowledge_again(struct listener *l, struct peer *p)
{
	confirm(l, p, false);
}

void
acknowledge_ended(struct listener *l, int rc, bool is_last)
{
	struct peer *next;

	for (struct peer *p = l->ended.first; p != NULL; p = next) {
		next = p->next;
		if (rc == 0 || p->is_settled) {
			p->is_settled = true;
			confirm(l, p, is_last);
		} else {
			peer_abort(p);
			peers_forget(l, p);
		}
	}
}

static void
acknowledge(struct peer_list *list)
{
	for (struct peer *p = list->first; p != NULL; p = p->next) {
		if (p->mark != NULL && peer_acknowledge(p) == -EAGAIN &&
		    p->is_watched) {
			peers_watch(p);
		}
	}
}

/* What they sent last is not durable: they reconnect and send it again, from the first
 * number that is not. */
static void
cut_off(struct listener *l, struct peer_list *list)
{
	struct peer *next;

	for (struct peer *p = list->first; p != NULL; p = next) {
		next = p->next;
		if (p->mark != NULL && p->state < PEER_ENDING) {
			peer_abort(p);
			peers_follow(l, p,
			    peer_end(p, &l->intake, "the journal could not be synced"));
		}
	}
}

void
acknowledge_spools(struct listener *l, int rc)
{
	struct peer_list *lists[PEERS_OPEN_LISTS];

	peers_open_lists(l, lists);
	for (unsigned i = 0; i < PEERS_OPEN_LISTS; i++) {
		if (rc == 0) {
			acknowledge(lists[i]);
		} else {
			cut_off(l, lists[i]);
		}
	}
}

void
acknowledge_probe(struct listener *l, const struct watermark *m)
{
	struct peer_list *lists[PEERS_OPEN_LISTS];

	peers_open_lists(l, lists);
	for (unsigned i = 0; i < PEERS_OPEN_LISTS; i++) {
		for (struct peer *p = lists[i]->first; p != NULL; p = p->next) {
			if (p->mark == m) {
				peer_probe(p);
			}
		}
	}
}

/* A word waits until it has read those before. */
static void
note_mute(struct peer *p, uint64_t now_ns)
{
	if (!peer_has_word(p) || p->is_broken) {
		p->mute_ns = 0;
	} else if (p->mute_ns == 0) {
		p->mute_ns = now_ns;
	}
}

void
acknowledge_time_out(struct listener *l, uint64_t now_ns)
{
	struct peer_list *lists[PEERS_OPEN_LISTS];
	struct peer *next;

	peers_open_lists(l, lists);
	for (unsigned i = 0; i < PEERS_OPEN_LISTS; i++) {
		for (struct peer *p = lists[i]->first; p != NULL; p = p->next) {
			note_mute(p, now_ns);
		}
	}
	for (struct peer *p = l->ended.first; p != NULL; p = next) {
		next = p->next;
		note_mute(p, now_ns);
		if (p->mute_ns != 0 && now_ns - p->mute_ns >= ACKNOWLEDGE_MUTE_NS) {
			l->counts.ended[PEERS_MUTE]++;
			peers_forget(l, p);
		}
	}
}
