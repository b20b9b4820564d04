/* Reception: many peers on one epoll loop.  Receives into the journal's buffer, cuts
 * whole messages, decodes nothing.  Ends a stream that is not IPFIX or a handshake that
 * is silent, and refuses one peer too many, each with a counted reason.
 * Back-pressure: while the journal or the processing thread is stuck, sockets are not
 * read.
 * Threads: the receiving thread (main). */
#ifndef COLLECTOR_DOOR_LISTENER_H
#define COLLECTOR_DOOR_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/door/peers.h"
#include "collector/door/udp_listener.h"
#include "collector/journal/journal.h"
#include "common/base/err.h"
#include "common/base/loop.h"
#include "common/base/ring.h"
#include "common/tls/tls.h"

struct listener_settings {
	struct loop *loop;
	struct journal *journal;
	struct ring *out; /* written journal buffers, for the processing thread */
	const char *roster_file; /* who may send; NULL: all that TLS lets in */
	const char *const *uris;
	unsigned uri_count;
	struct tls_settings tls;
	unsigned max_peers, max_peers_per_address;
	unsigned max_half_open; /* peers that have proved nothing yet */
	unsigned max_spools;
	const struct watermarks *marks; /* what the journal knows; NULL: nothing */
	uint64_t handshake_timeout_ns, idle_timeout_ns;
	uint64_t message_timeout_ns; /* from a message's first byte to its last */
	uint64_t sync_interval_ns; /* how often the journal is written and handed on */
	struct udp_listener_settings udp;
};

struct listener_counts {
	uint64_t accepted, refused[TLS_REFUSALS], ended[PEERS_ENDS];
	uint64_t bytes, messages;
	uint64_t peers; /* now */
};

struct listener;
/* Opens every URI or none. */
int listener_new(
    const struct listener_settings *s, struct listener **ret, struct err *e);
/* The i-th URI's bound port, also where 0 was asked for. */
uint16_t listener_port(const struct listener *l, unsigned i);
/* What the i-th URI counted; false: it takes no datagrams. */
bool listener_udp_counts(
    const struct listener *l, unsigned i, struct udp_listener_counts *ret);
/* Reads certificates, CAs, revocation lists and the roster again, and ends sessions
 * that they no longer permit.  Negative with e: what was read before stays. */
int listener_reload(struct listener *l, struct err *e);
/* Sends a peer away whose messages are wrong too often. */
void listener_cut(struct listener *l, uint32_t session);
/* Stops accepting, reads what peers have sent so far, hands everything on. */
void listener_stop(struct listener *l);
void listener_counts(const struct listener *l, struct listener_counts *ret);
void listener_free(struct listener *l);

#endif
