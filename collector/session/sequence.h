/* Sequence numbers of one session and observation domain (RFC 7011 section 3.1): each
 * message carries the count of records sent before it, modulo 2^32.  A step forward is
 * loss.  A step back is a late message, where the transport can reorder (UDP), or an
 * exporter that began again.
 *
 * Where messages can be late, a gap stays open until it is filled or SEQUENCE_PATIENCE
 * further messages have come; only then its records are lost.  Nothing depends on time,
 * so a replay counts the same.  Threads: the owner's. */
#ifndef COLLECTOR_SESSION_SEQUENCE_H
#define COLLECTOR_SESSION_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

#define SEQUENCE_GAPS     8
#define SEQUENCE_PATIENCE 128

struct sequence_gap {
	uint32_t from, length;
	uint16_t patience; /* messages until it is given up */
};

struct sequence { /* zero: nothing is known yet */
	uint32_t expected;
	uint32_t late_next; /* where the last late message ended */
	bool is_known;
	bool is_uncertain; /* the last message held records that could not be counted */
	bool has_late;
	uint8_t gap_count; /* oldest first */
	struct sequence_gap gaps[SEQUENCE_GAPS];
};

struct sequence_step {            /* one message */
	uint32_t number, records; /* its sequence number; what it counts */
	bool is_certain;          /* every record in it could be counted */
	bool can_reorder;         /* the transport can */
};

struct sequence_result {
	uint64_t lost; /* records that are now known to be missing */
	bool is_late;  /* this message is older than one before */
};

void sequence_message(
    struct sequence *s, const struct sequence_step *m, struct sequence_result *ret);
/* The session ends: nothing late can come.  Returns the records lost in open gaps. */
uint64_t sequence_end(struct sequence *s);

#endif
