/* Orphans: closed sessions of datagrams, whose knowledge waits for the next session of
 * the same peer.  They are found by peer, and are in one list, oldest first: where room
 * is short they go before sessions that are open.  Snapshots keep their order. */
#include <string.h>

#include "collector/session/session_private.h"
#include "common/base/hash.h"

static struct session **
orphan_bucket(const struct sessions *s, const struct session_identity *id)
{
	uint64_t hash = hash_bytes(&id->peer, sizeof id->peer, s->seed);

	return &s->orphans[hash & s->bucket_mask];
}

static bool
is_same_peer(const struct session_identity *a, const struct session_identity *b)
{
	return a->port == b->port && endpoint_is_same(&a->peer, &b->peer) &&
	       strcmp(a->peer_name, b->peer_name) == 0 &&
	       strcmp(a->transport, b->transport) == 0 &&
	       strcmp(a->identity, b->identity) == 0;
}

struct session *
orphans_find(const struct sessions *s, const struct session_identity *id)
{
	struct session *found = *orphan_bucket(s, id);

	while (found != NULL && !is_same_peer(&found->identity, id)) {
		found = found->next_orphan;
	}
	return found;
}

void
orphan_add(struct sessions *s, struct session *session)
{
	struct session **at = orphan_bucket(s, &session->identity);

	session->is_orphan = true;
	session->next_orphan = *at;
	*at = session;
	session->older_orphan = s->newest_orphan;
	*(s->newest_orphan != NULL ? &s->newest_orphan->newer_orphan
				   : &s->oldest_orphan) = session;
	s->newest_orphan = session;
}

void
orphan_take(struct sessions *s, struct session *session)
{
	struct session **at = orphan_bucket(s, &session->identity);
	struct session *older = session->older_orphan, *newer = session->newer_orphan;

	while (*at != session) {
		at = &(*at)->next_orphan;
	}
	*at = session->next_orphan;
	*(older != NULL ? &older->newer_orphan : &s->oldest_orphan) = newer;
	*(newer != NULL ? &newer->older_orphan : &s->newest_orphan) = older;
	session->next_orphan = session->older_orphan = session->newer_orphan = NULL;
	session->is_orphan = false;
}
