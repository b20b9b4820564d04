/* What the files of the listener share: doors (listening sockets) and timers are
 * listener.c's, the peers' lists are peers.c's, their steps and the journal's syncs are
 * reception.c's. */
#ifndef COLLECTOR_DOOR_DOOR_PRIVATE_H
#define COLLECTOR_DOOR_DOOR_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/door/intake.h"
#include "collector/door/listener.h"
#include "collector/door/peers.h"
#include "collector/door/peers_by_host.h"
#include "collector/door/roster.h"
#include "common/base/clock.h"
#include "common/transport/transport_listener.h"

struct door { /* one URI */
	struct listener *listener;
	struct transport_listener place;
	struct udp_listener *udp; /* takes datagrams; NULL: it accepts connections */
	bool is_shared; /* by connections over datagrams: has counts of its own */
	struct transport_counts counts; /* as it was closed */
	/* Of connections that wait. */
	struct loop_watch watch;
	bool is_watched;
};

struct listener {
	struct listener_settings settings;
	struct loop *loop;
	struct intake intake;
	struct tls_context *tls;
	struct roster *roster; /* NULL: none was given */
	struct peers_by_host peers_by_host;
	struct door *doors;
	unsigned door_count;
	/* Every peer is in one of these: half-open, without a proved identity or a
	 * whole message; watched or waiting for its turn; waiting for room, first come
	 * first served; ended properly, until what it sent is durable. */
	struct peer_list half_open, peers, stuck, ended;
	struct loop_timer sync_timer, second_timer, retry_timer, again_timer;
	uint64_t synced_frames;   /* intake.added at the last sync */
	uint64_t told_frames;     /* intake.added at the last second */
	unsigned quiet_s, tick_s; /* seconds without frames; when the next tick is */
	unsigned told, noted;     /* log lines, FRAME_REFUSED: this second */
	uint64_t untold;          /* log lines left out this second */
	struct listener_counts counts;
	uint64_t bytes, messages; /* of peers that are gone */
};

/* reception.c: steps of peers, syncs of the journal. */
/* Takes a connection in (it is the reception's from now on), or refuses it. */
void reception_admit(struct listener *l, struct transport *t);
/* Sets up the timers' callbacks. */
void reception_init(struct listener *l);
/* Takes what all peers have sent so far, ends their sessions, syncs, closes. */
void reception_stop(struct listener *l);
/* Closes what is left, at once. */
void reception_done(struct listener *l);

/* admission.c.
 * Whether there is room for one more, evicting a half-open peer if need be: 0, or
 * -EBUSY with the reason and the sentence. */
int admission_check(struct listener *l, const struct transport *t,
    enum peers_end *ret_why, struct err *e);
/* A peer's introduce(). */
bool admission_introduce(struct peer *p, struct session_identity *who);
/* Completes who with what the roster says; *ret differs for different terms.  False: it
 * is not on the roster. */
bool admission_terms(
    const struct listener *l, struct session_identity *who, uint64_t *ret);
/* Certificates or the roster were read again: ends the sessions of peers that they no
 * longer let in, or only on other terms. */
void admission_recheck(struct listener *l);
#define ADMISSION_OTHER_TERMS "its entry in the peers' file was changed or removed"
/* Ends the connection of a session with too many errors. */
void admission_cut(struct listener *l, uint32_t session);
/* Ends peers that have been silent or slow for too long. */
void admission_time_out(struct listener *l, uint64_t now_ns);

/* acknowledge.c: what peers are told.
 * Everything up to now is durable (rc 0), or the disk failed: peers that ended properly
 * and wait to hear so are told, or cut off, which says that their last messages may be
 * lost.  is_last: now or never. */
void acknowledge_ended(struct listener *l, int rc, bool is_last);
/* The same for exporters with a spool. */
void acknowledge_spools(struct listener *l, int rc);
/* The socket of a peer that ended is ready for its last word. */
void acknowledge_again(struct listener *l, struct peer *p);
/* Another peer asked for this spool: asks the holder whether it is still there. */
void acknowledge_probe(struct listener *l, const struct watermark *m);
/* Notes since when each has not read its words; peers that ended go when that is too
 * long. */
void acknowledge_time_out(struct listener *l, uint64_t now_ns);
#define ACKNOWLEDGE_MUTE_NS (30 * NS_PER_SECOND) /* too long */

#endif
