/* The connected peers: the lists that they are in, when their sockets and the journal
 * are looked at again, what is logged and noted about them, and how they leave.
 * Sits between peer.c (one connection) and those who decide: reception, admission,
 * acknowledge.
 * Threads: the receiving thread. */
#ifndef COLLECTOR_DOOR_PEERS_H
#define COLLECTOR_DOOR_PEERS_H

#include "collector/door/peer.h"

enum peers_end {    /* why a peer was refused or sent away */
	PEERS_FULL, /* too many peers */
	PEERS_ADDRESS_FULL,
	PEERS_HALF_OPEN,    /* it had proved nothing while many others came */
	PEERS_NO_HANDSHAKE, /* in time */
	PEERS_IDLE,
	PEERS_SLOW,   /* it began a message and did not complete it in time */
	PEERS_ERRORS, /* too many of its messages were wrong */
	PEERS_NO_IPFIX,
	PEERS_NO_LONGER, /* certificates or the roster were read again */
	PEERS_NO_MEMORY,
	/* With flowpair/1: */
	PEERS_NO_HELLO,  /* in time */
	PEERS_BAD_HELLO, /* it said something else */
	PEERS_CLONE,     /* another connection has its spool */
	PEERS_NO_SPOOL,  /* as many spools are known as are allowed */
	PEERS_MUTE,      /* it did not read what was acknowledged */
	PEERS_ENDS,
};
const char *peers_end_name(enum peers_end e); /* "address-full" */

/* The lists of peers that have not ended. */
#define PEERS_OPEN_LISTS 3
void peers_open_lists(
    struct listener *l, struct peer_list *ret[static PEERS_OPEN_LISTS]);
void peers_append(struct peer_list *list, struct peer *p);
void peers_move(struct peer *p, struct peer_list *to);

/* Its next step is when its socket is ready. */
void peers_watch(struct peer *p);
void peers_unwatch(struct peer *p);
/* It has gone: closes and frees it. */
void peers_forget(struct listener *l, struct peer *p);

/* The journal will be synced in ns at the latest. */
void peers_sync_within(struct listener *l, uint64_t ns);
/* The intake is stuck: the peers that wait will be tried again soon. */
void peers_wait_for_room(struct listener *l);
/* Waits, at most until due_ns, until the intake takes frames again. */
bool peers_wait_unstuck(struct listener *l, uint64_t due_ns);

/* A log line about peers may be written: nobody can fill the log by connecting. */
bool peers_may_tell(struct listener *l);
/* Logs the sentence, and notes in the journal, that a peer was refused. */
void peers_tell_refused(struct listener *l, const char *transport, const char *peer,
    const char *reason, const char *sentence);
/* A peer that connected was not served for want of memory. */
void peers_tell_short(struct listener *l, const struct transport *t);

/* Does what a step of p asks for. */
void peers_follow(struct listener *l, struct peer *p, enum peer_next next);
/* Sends a peer away, for a counted reason; the sentence follows its name. */
void peers_end(
    struct listener *l, struct peer *p, enum peers_end why, const char *sentence);

#endif
