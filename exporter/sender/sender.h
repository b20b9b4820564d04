/* The export thread: takes finished messages from a bounded queue and delivers them to
 * a collector; reconnects with jittered back-off; starts each connection with the
 * preamble and sequence number 0; patches sequence numbers.
 *
 * With a collector that speaks flowpair/1 (common/ipfix/delivery.h), a message is held
 * until it is acknowledged, and sent again on the next connection; with others it
 * counts as delivered when the transport has accepted all of it.  Messages are held in
 * the queue's memory, and in a spool directory if there is one
 * (exporter/spool/spool.h).
 *
 * Back-pressure: while the queue or the spool is full, sender_push() waits if the input
 * can wait (may_wait).  If it cannot, the queue drops new messages, the spool drops the
 * oldest that were never sent, and both count them. */
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
	const char *const *uris; /* the first; when it fails, those after it */
	unsigned uri_count;
	uint64_t failover_after_ns; /* without accepted data; 0: never */
	struct tls_settings tls;
	uint64_t queue_bytes;        /* bound of the queue */
	const char *spool_directory; /* NULL: in memory only; else not for files */
	uint64_t spool_bytes;        /* bound of the spool */
	const char *user;   /* owner of the spool, when privileges are dropped later */
	bool may_wait;      /* when full, stop reading input instead of dropping */
	bool is_plain;      /* does not offer flowpair/1 */
	bool only_delivers; /* no pushes: end at once when nothing is held */
	/* Whether the program was told to stop; then pushes wait for room for at most
	 * give_up_ns in all.  NULL: never. */
	bool (*is_stopping)(void);
	uint64_t retry_min_ns, retry_max_ns; /* back-off between connects, jittered */
	/* At the end of input: how long to keep trying; 0: for ever. */
	uint64_t give_up_ns;
	/* Unreliable transports: repeat the preamble after this many messages or this
	 * time; 0: never. */
	uint64_t refresh_messages, refresh_ns;
};

/* Records are data records. */
struct sender_counts {
	/* Delivered by this run: acknowledged, or accepted by a transport without
	 * acknowledgements. */
	uint64_t messages, records;
	uint64_t unconfirmed_records;         /* of these: not acknowledged */
	uint64_t sent_messages, bytes;        /* each time they were written */
	uint64_t held_messages, held_records; /* not delivered yet */
	bool is_kept;                         /* held messages stay in a directory */
	/* Dropped by this run; the reasons below add up to these. */
	uint64_t dropped_messages, dropped_records;
	uint64_t queue_full_messages, queue_full_records;
	uint64_t spool_full_messages, spool_full_records; /* or damaged */
	uint64_t too_long_messages, too_long_records; /* too long for the transport */
	uint64_t given_up_messages, given_up_records;
	uint64_t duplicate_messages, duplicate_records; /* possibly, after a failover */
	uint64_t connects, failures, failovers, refreshes;
	uint64_t refusals, fragmented; /* as in struct transport */
	uint64_t queued_bytes;         /* now */
	bool is_over; /* a file could not be written: messages are dropped */
	char last_error[256];
	struct transport_peer peer; /* where the last connection went */
	struct spool_counts spool;  /* over all runs */
};

struct sender;

/* Opens files, spools and keys; connects only after sender_start().  The preamble is
 * copied; its messages must be numbered from 0.  0, or negative with the sentence. */
int sender_new(const struct sender_settings *s, const struct export_preamble *preamble,
    struct sender **ret, struct err *e);
int sender_start(struct sender *s, struct err *e);
/* records: data and options records in it (RFC 7011 section 3.1); data: data records.
 */
void sender_push(struct sender *s, const uint8_t *message, size_t length,
    uint32_t records, uint32_t data);
/* Nothing will be pushed any more.  Lets a caller end several senders before finishing
 * each. */
void sender_end(struct sender *s);
/* Delivers what is held, ends the stream, waits until the peer has ended its side too
 * (our collector does so when everything is in its journal), and stops the thread.  0;
 * -ETIMEDOUT when it gave up (the rest stays in the spool's directory, or is dropped
 * and counted); another negative code when the stream ended badly: the last messages
 * may not have arrived. */
int sender_finish(struct sender *s, struct err *e);
/* For signal handlers and other threads: stops all waiting.  A full queue drops, and
 * sender_finish(), running or called later, gives up within two seconds. */
void sender_hurry(struct sender *s);
bool sender_is_over(struct sender *s);
void sender_counts(struct sender *s, struct sender_counts *ret);
void sender_free(struct sender *s);

/* Identifies a collector for spool_target(), whatever transport reaches it. */
uint64_t sender_target_key(const struct transport_uri *uri);

#endif
