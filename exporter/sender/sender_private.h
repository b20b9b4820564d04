/* What the files of a sender share: sender.c (the interface), sender_thread.c (the export
 * thread), sender_delivery.c (what is said on one connection), sender_wait.c (sleeping),
 * sender_target.c (the collectors).  Each calls only those named after it. */
#ifndef EXPORTER_SENDER_SENDER_PRIVATE_H
#define EXPORTER_SENDER_SENDER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "common/ipfix/delivery.h"
#include "common/transport/scheme.h"
#include "exporter/sender/sender.h"
#include "exporter/spool/outbox.h"

/* How long a small gather waits for more messages. */
#define SENDER_LINGER_NS (50 * NS_PER_MS)
/* The most that a message transport may deliver at once. */
#define SENDER_HEARD 65536u

struct sender_target {
	struct transport_uri uri;
	struct tls_context *tls; /* of secured ones */
};

struct sender {
	struct sender_settings settings;
	struct sender_target *targets;
	unsigned target_count;
	struct outbox *outbox;
	struct queue *queue; /* the outbox's */
	struct spool *spool; /* the outbox's */
	_Atomic bool is_finishing;
	uint64_t finish_ns; /* when sender_finish() began; set before is_finishing */
	uint64_t stop_ns;   /* when a push first saw that the program must stop */
	pthread_t thread;
	bool is_running;
	bool is_finished; /* sender_finish() has returned */

	/* The thread's own. */
	unsigned at; /* the current target */
	/* The target that the unacknowledged messages were sent to; target_count: none
	 * of them. */
	unsigned sent_to;
	struct transport transport;
	bool is_dialled;     /* transport must be closed */
	bool is_proven;      /* messages went out since the last delay */
	bool is_told;        /* this failure was logged */
	bool is_told_next;   /* trying another of the host's addresses was logged */
	unsigned refused;    /* addresses of the host that failed in a row */
	uint64_t opened_ns;  /* when this connection opened; 0: it did not */
	bool is_told_stale;  /* that certificates could not be reloaded was logged */
	bool is_ending;      /* everything was sent, the stream is being ended */
	uint64_t contact_ns; /* when this target last accepted data */
	uint64_t hurry_ns;
	uint64_t delay_ns;
	uint64_t unstowed_ns; /* since when messages are queued; 0: none are */
	int result;
	struct err result_err;

	/* Of the present connection. */
	struct spool_preamble *preamble;
	bool is_acknowledged; /* it speaks flowpair/1 */
	bool is_welcomed;
	bool has_unheard;            /* reading stopped early; TLS may hold more */
	struct delivery_hello hello; /* as it was sent */
	uint8_t word[DELIVERY_WORD]; /* the part that has arrived */
	size_t word_length;
	uint64_t refreshed_ns, refreshed_messages; /* preamble sent; messages since */

	_Atomic uint64_t sent_messages, bytes, queue_full_messages, queue_full_records,
	    too_long_messages, too_long_records, refreshes, connects, failures,
	    failovers, refusals, fragmented, duplicate_messages, duplicate_records,
	    unconfirmed_records;
	struct spool_counts opened; /* as of sender_new() */
	pthread_mutex_t lock;       /* of what follows */
	struct spool_counts counts; /* as of the last change */
	char last_error[256];
	struct transport_peer peer;
};

static inline void
sender_bump(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline const struct transport_uri *
sender_uri(const struct sender *s)
{
	return &s->targets[s->at].uri;
}

/* The export thread's body: connects and delivers until sender_finish(). */
void *sender_run(void *sender);

/* Targets. */

/* From settings.uris: parsed, with their keys; a file is opened. */
int sender_open_targets(struct sender *s, struct err *e);
/* Finds the target that the held messages were sent to. */
void sender_find_target(struct sender *s);
/* Reads certificate, key, authorities and revocation lists of the present target again,
 * in case they were renewed.  When that fails, those read before stay in use. */
void sender_renew(struct sender *s);

/* Waiting. */

/* Updates the spool's counts that sender_counts() returns. */
void sender_publish(struct sender *s);

/* When the thread must give up; QUEUE_NEVER: not yet known. */
uint64_t sender_deadline(struct sender *s);
/* -ETIMEDOUT at due_ns, when the thread must give up, or when the peer is gone. */
int sender_check(struct sender *s, uint64_t due_ns, const char *what, struct err *e);
/* Hands pushed messages over to the spool, unless they are few and recent.  True: it
 * handed over some. */
bool sender_tend(struct sender *s);
/* Sleeps until the transport is ready for events (0: do not poll it), messages were
 * handed over to the spool, the queue wakes it, due_ns, or the path is due for a check.
 * Returns the ready events. */
uint32_t sender_sleep(struct sender *s, uint32_t events, uint64_t due_ns);

/* One connection, once it is open. */

/* Sends the hello and waits for the welcome, or starts plain RFC 7011; positions the
 * outbox. */
int sender_greet(struct sender *s, struct err *e);
int sender_send_preamble(struct sender *s, uint32_t sequence, struct err *e);
/* Reads what has arrived.  0 while the collector is connected. */
int sender_hear(struct sender *s, struct err *e);
/* Ends the stream, then reads on until the peer ends its side. */
int sender_say_goodbye(struct sender *s, struct err *e);
/* Closes the connection, if there is one. */
void sender_hang_up(struct sender *s);

#endif
