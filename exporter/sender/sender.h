/* The export thread: takes finished messages through a bounded queue and delivers them
 * to a collector; reconnects with jittered back-off; begins every connection with the
 * preamble and sequence number 0; patches sequence numbers.
 *
 * With a collector that speaks flowpair/1 (common/ipfix/delivery.h) a message is held until
 * it is acknowledged, and sent again on the next connection; else it is delivered when
 * the transport has taken all of it.  Messages are held in the queue's memory, and in a
 * spool directory if there is one (exporter/spool/spool.h).
 *
 * Back-pressure: while queue or spool are full sender_push() waits when the input can
 * (may_wait); else the queue drops what comes and the spool the oldest that was never
 * sent, and both count. */
#ifndef EXPORTER_SENDER_SENDER_H
#define EXPORTER_SENDER_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/tls/tls.h"
#include "common/transport/scheme.h"
#include "exporter/export/export.h"
#include "exporter/spool/spool.h"

struct sender_settings {
	const char *const *uris; /* the first, or those after it when it fails */
	unsigned uri_count;
	uint64_t failover_after_ns; /* without taking anything; 0: wait for ever */
	struct tls_settings tls;
	uint64_t queue_bytes;        /* bound of the queue */
	const char *spool_directory; /* NULL: in memory only; else sockets alone */
	uint64_t spool_bytes;        /* bound of the spool */
	const char *user;   /* whose the spool is, when privileges are dropped later */
	bool may_wait;      /* input can wait: full stops reading instead of dropping */
	bool is_plain;      /* asks nobody to acknowledge */
	bool only_delivers; /* nothing will be pushed: ends at once when nothing is held
			     */
	/* Whether the program was told to stop; then nothing waits for room longer than
	 * give_up_ns in all.  NULL: never. */
	bool (*is_stopping)(void);
	uint64_t retry_min_ns, retry_max_ns; /* back-off between connects, jittered */
	/* At the end of input: how long to go on trying; 0: for ever. */
	uint64_t give_up_ns;
	/* Unreliable transports: the preamble again after so many messages or so long;
	 * 0: never. */
	uint64_t refresh_messages, refresh_ns;
};

/* Records are data records. */
struct sender_counts {
	/* Delivered by this run: acknowledged, or taken by a transport without that. */
	uint64_t messages, records;
	uint64_t unconfirmed_records;  /* of these: taken by a transport without that */
	uint64_t sent_messages, bytes; /* written, again where they had to be */
	uint64_t held_messages, held_records; /* not delivered yet */
	bool is_kept;                         /* what is held stays in a directory */
	/* Of this run; what was given up at the end is in all three. */
	uint64_t dropped_messages, dropped_records;
	uint64_t queue_full_messages, queue_full_records;
	uint64_t spool_full_messages, spool_full_records; /* or damaged */
	uint64_t too_long_messages, too_long_records; /* longer than transports carry */
	uint64_t given_up_messages, given_up_records;
	uint64_t duplicate_messages, duplicate_records; /* possibly, by failover */
	uint64_t connects, failures, failovers, refreshes;
	uint64_t refusals, fragmented; /* as struct transport has them */
	uint64_t queued_bytes;         /* now */
	bool is_over; /* a file could not be written: whatever comes is dropped */
	char last_error[256];
	struct transport_peer peer; /* where the last connection went */
	struct spool_counts spool;  /* over all runs */
};

struct sender;

/* Opens files, spools and keys, and complains; connects only after sender_start().  The
 * preamble is copied; its messages are numbered from 0 already. */
int sender_new(const struct sender_settings *s, const struct export_preamble *preamble,
    struct sender **ret, struct err *e);
int sender_start(struct sender *s, struct err *e);
/* records: data and options records in it (RFC 7011 section 3.1); data: data records.
 */
void sender_push(struct sender *s, const uint8_t *message, size_t length,
    uint32_t records, uint32_t data);
/* Nothing will be pushed any more; for who finishes several. */
void sender_end(struct sender *s);
/* Delivers what is held, ends the stream in order, waits until the peer has ended its
 * side too (a collector of ours does so when everything is in its journal), stops the
 * thread.  0, or -ETIMEDOUT when it gave up (the rest stays in the spool's directory,
 * else it is dropped and counted), or what else broke the end: then the last messages
 * may not have arrived. */
int sender_finish(struct sender *s, struct err *e);
/* For signal handlers and other threads: from now on nothing waits.  A full queue
 * drops, and sender_finish(), under way or called later, gives up within two seconds.
 */
void sender_hurry(struct sender *s);
bool sender_is_over(struct sender *s);
void sender_counts(struct sender *s, struct sender_counts *ret);
void sender_free(struct sender *s);

/* A collector, for spool_target(): whichever way it is reached. */
uint64_t sender_target_key(const struct transport_uri *uri);

#endif
