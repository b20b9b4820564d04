/* One peer of the collector: its handshake, with flowpair/1 its hello
 * (common/ipfix/delivery.h), then its stream, received into the intake's room and cut
 * into whole messages, then its end.  Decodes nothing and trusts no length.
 * Owned by the listener, which watches its socket and decides how long it may take.
 * A message transport's peer sends whole messages, each on a stream (SCTP); the
 * messages of one frame are of one stream.
 * Memory: a partial message (at most 64 KiB) between two rounds, only while there is
 * one; of a message transport the first whole one of another stream. */
#ifndef COLLECTOR_DOOR_PEER_H
#define COLLECTOR_DOOR_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/door/intake.h"
#include "collector/journal/watermark.h"
#include "common/base/address.h"
#include "common/base/err.h"
#include "common/base/loop.h"
#include "common/ipfix/delivery.h"
#include "common/transport/transport.h"

struct listener;

enum peer_state {
	PEER_SHAKING,  /* TLS handshake */
	PEER_GREETING, /* its hello is to come */
	PEER_OPENING,  /* its FRAME_OPEN waits for room */
	PEER_OPEN,
	PEER_ENDING, /* its FRAME_CLOSE waits for room */
	PEER_ENDED,  /* everything of it is in the intake */
};

enum peer_next {     /* what the peer needs for its next step */
	PEER_WAITS,  /* its socket: transport want() */
	PEER_AGAIN,  /* nothing: it has more, but it is the others' turn */
	PEER_STUCK,  /* room in the intake */
	PEER_SYNCED, /* PEER_ENDED properly: to be closed when all of it is durable */
	PEER_GONE,   /* PEER_ENDED, broken or refused: to be closed now */
	PEER_REFUSED /* no session: the sentence is in e; to be closed now */
};

enum peer_turn { /* how its hello was answered */
	PEER_WELCOME,
	PEER_BAD_HELLO,
	PEER_CLONE,    /* another connection has its spool */
	PEER_NO_SPOOL, /* as many spools are tracked as are allowed */
};

struct peer {
	struct transport transport;
	enum peer_state state;
	uint32_t session;
	uint8_t *carry; /* the beginning of a message; NULL: none */
	size_t carried;
	uint16_t stream;  /* message transports: of the carried one */
	bool is_foreign;  /* ended because its stream is not IPFIX */
	bool is_cut;      /* ended, but not properly */
	char reason[256]; /* of FRAME_CLOSE; "": it ended properly */
	uint64_t messages, bytes;

	/* Completes what FRAME_OPEN says; false: it may not come in.  NULL: all may. */
	bool (*introduce)(struct peer *p, struct session_identity *who);
	/* Of an exporter with a spool (peer_delivery.c). */
	uint8_t hello[DELIVERY_HELLO];
	unsigned hello_length; /* received */
	enum peer_turn turn;
	struct session_delivery delivery;
	struct watermark *mark;  /* NULL: it has no spool, or is not welcomed yet */
	struct watermark *rival; /* PEER_CLONE: whose holder is to be probed */
	uint64_t number;         /* of its next message */
	uint32_t preamble_left;
	uint64_t lost_records; /* that its spool dropped since it was here last */
	uint64_t told;         /* number in the last word */
	uint8_t word[DELIVERY_WORD];
	unsigned word_left; /* bytes of it to be sent */
	bool is_broken;     /* no word can be sent any more */

	/* The listener's. */
	struct listener *listener;
	struct loop_watch watch;
	struct loop_timer timer; /* of its handshake */
	bool is_watched, is_waiting_again;
	bool is_settled;  /* ended, and all it sent is durable */
	uint64_t mute_ns; /* since when a word waits to be read; 0: it does not */
	uint64_t began_ns, since_ns; /* accepted; last sign of life; monotonic */
	uint64_t partial_ns;    /* since when part of a message is here; 0: none is */
	uint64_t partial_after; /* messages before that one */
	uint64_t terms;         /* on which it was let in */
	struct address host;    /* peers_by_host.h */
	bool has_host;
	struct peer *neighbour; /* from addresses of the same bucket */
	struct peer_list *list;
	struct peer *next, *previous;
};

struct peer_list {
	struct peer *first, *last;
	unsigned count;
};

/* Takes the accepted transport over; NULL (and it is closed): no memory. */
struct peer *peer_new(const struct transport *t);
void peer_free(struct peer *p); /* closes at once */

/* Goes on as far as it can, receiving at most `budget` bytes. */
enum peer_next peer_step(
    struct peer *p, struct intake *intake, size_t budget, struct err *e);
/* Ends its session from our side, even in the middle of a message.  reason NULL: it
 * ended properly. */
enum peer_next peer_end(struct peer *p, struct intake *intake, const char *reason);
/* After PEER_SYNCED: says that everything arrived, by ending our side properly.
 * -EAGAIN: not yet, wait for the socket. */
int peer_confirm(struct peer *p);
/* After PEER_SYNCED: says the contrary; peer_free() will reset the connection. */
void peer_abort(struct peer *p);

/* peer_delivery.c. */
/* 0: it is welcomed, with p->mark; -EAGAIN; -EBUSY: no room; else the sentence is in e,
 * and it was turned away where p->turn says so. */
int peer_greet(struct peer *p, struct intake *intake, uint64_t now_ns, struct err *e);
/* Whether its messages have the numbers that the journal expects of its spool. */
bool peer_is_in_step(const struct peer *p);
/* This many messages of it were added. */
void peer_number(struct peer *p, struct intake *intake, uint64_t messages);
/* Tells what is durable, if that is news; 0: it was sent.  -EAGAIN: a word waits until
 * its socket is writable; others: it is broken. */
int peer_acknowledge(struct peer *p);
bool peer_has_word(const struct peer *p);
/* Says the last word again: if the other end is gone, it shows. */
void peer_probe(struct peer *p);
/* Lets go of its spool. */
void peer_leave(struct peer *p, uint64_t now_ns);

#endif
