/* Messages to the collector, in order: the capture thread pushes them into the queue,
 * the export thread hands them over to the spool and sends them, and they stay until
 * they are acknowledged.  Their bytes are read from the queue's memory while they are
 * there, else from the spool's disk.  Keeps the position of the current connection and
 * numbers messages for it.
 * Threads: the capture thread pushes (outbox_queue()); the rest is the export
 * thread's. */
#ifndef EXPORTER_SPOOL_OUTBOX_H
#define EXPORTER_SPOOL_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "exporter/spool/queue.h"
#include "exporter/spool/spool.h"

struct outbox;

struct outbox_taken { /* whole messages that the transport accepted */
	uint64_t messages, bytes;
};

int outbox_new(const struct spool_settings *s, uint64_t queue_bytes,
    struct outbox **ret, struct err *e);
/* in_order: see spool_close(). */
void outbox_free(struct outbox *o, bool in_order);
struct queue *outbox_queue(struct outbox *o);
struct spool *outbox_spool(struct outbox *o);

/* Bytes pushed but not handed over to the spool yet. */
uint64_t outbox_unstowed(struct outbox *o);
uint64_t outbox_unstowed_messages(struct outbox *o);
/* Hands over what was pushed, as far as the spool has room. */
void outbox_stow(struct outbox *o, uint64_t now_ns);

/* A connection whose messages were encoded under this preamble begins with this one;
 * sequence: of the first on stream 0, where the preamble went.  Where the connection
 * has several streams, messages go out on the others, gather by gather in turn, and
 * each counts its own sequence (RFC 7011 section 3.1). */
void outbox_begin(struct outbox *o, uint64_t number,
    const struct spool_preamble *preamble, uint32_t sequence, uint16_t streams);
/* Messages to write next, numbered; *ret_n bytes, about QUEUE_GATHER at most.  0 with
 * *ret_n 0: nothing for now.  -ENODATA: the next messages need another connection.
 * Other negative codes: disk errors. */
int outbox_gather(struct outbox *o, const uint8_t **ret, size_t *ret_n);
/* The stream that they are numbered for. */
uint16_t outbox_stream(const struct outbox *o);
/* Whether they begin with the rest of a partly written message. */
bool outbox_is_cut(const struct outbox *o);
/* The first n bytes of the gather were written; adds whole messages to *ret. */
void outbox_take(struct outbox *o, size_t n, struct outbox_taken *ret);
/* Everything before this number was written, or the collector has it already. */
uint64_t outbox_position(const struct outbox *o);
/* The preamble goes out again, between two messages: its first record's sequence
 * number. What follows is numbered on from there plus records. */
uint32_t outbox_insert(struct outbox *o, uint32_t records);
/* Data records of the spool before this number.  Negative: not known any more. */
int outbox_total(struct outbox *o, uint64_t number, uint64_t *ret);
/* Everything before number is acknowledged.  -EPROTO: that number was never sent. */
int outbox_acknowledge(struct outbox *o, uint64_t number);
/* Drops the first message of the gather, the oldest held, as lost: it cannot be
 * delivered. */
void outbox_lose(struct outbox *o);

#endif
