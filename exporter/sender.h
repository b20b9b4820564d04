/* The export thread: takes finished messages through a bounded queue and delivers them
 * over one transport; reconnects with jittered back-off; begins every connection with
 * the preamble and sequence number 0; patches sequence numbers.  A message leaves the
 * queue when the transport has taken all of it; one that was cut by a broken connection
 * is sent again on the next. Back-pressure: sender_push() waits while the queue is full
 * when reading files (may_wait), and drops and counts when live. */
#ifndef EXPORTER_SENDER_H
#define EXPORTER_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/tls.h"
#include "common/transport.h"
#include "exporter/export.h"

struct sender_settings {
	const char *uri;
	struct tls_settings tls;
	uint64_t queue_bytes; /* bound of the queue */
	bool
	    may_wait; /* input can wait: full queue stops reading instead of dropping */
	/* Whether the program was told to stop; then nothing waits for room longer than
	 * give_up_ns in all.  NULL: never. */
	bool (*is_stopping)(void);
	uint64_t retry_min_ns, retry_max_ns; /* back-off between connects, jittered */
	uint64_t
	    give_up_ns; /* at the end of input: how long to go on trying; 0: for ever */
};

struct sender_counts {
	uint64_t messages, bytes, records; /* delivered to the transport */
	uint64_t dropped_messages,
	    dropped_records;        /* queue full, too long, or given up at the end */
	uint64_t too_long_messages; /* of those: longer than the transport carries */
	uint64_t connects, failures;
	uint64_t queued_bytes; /* now */
	bool is_over; /* a file could not be written: whatever comes is dropped */
	char last_error[256];
};

struct sender;

/* Opens files at once and complains; sockets connect in the thread.  The preamble stays
 * the exporter's; its messages are numbered from 0 already. */
int sender_new(const struct sender_settings *s, const struct export_preamble *preamble,
    struct sender **ret, struct err *e);
void sender_push(
    struct sender *s, const uint8_t *message, size_t length, uint32_t records);
/* Delivers what is queued, ends the stream in order, waits until the peer has ended its
 * side too (a collector of ours does so when everything is in its journal), stops the
 * thread.  0, or -ETIMEDOUT when it gave up (the rest is counted as dropped), or what
 * else broke the end: then the last messages may not have arrived. */
int sender_finish(struct sender *s, struct err *e);
/* For signal handlers and other threads: from now on nothing waits.  A full queue
 * drops, and sender_finish(), under way or called later, gives up within two seconds.
 */
void sender_hurry(struct sender *s);
void sender_counts(struct sender *s, struct sender_counts *ret);
void sender_free(struct sender *s);

#endif
