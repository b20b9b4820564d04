/* Two one-way flows become one biflow: a row of a template without a reverse side waits
 * for the row of the other direction, whose counters become its reverse side.
 * Sits between normalise and the tables that say `stitch`; the others never see it.
 *
 * Partners come from one exporter and observation domain, have each other's addresses
 * and ports, and start within the window of each other; of several, the one whose start
 * is nearest.  The initiator is who started first; at equal starts the lower port is
 * the responder's, then the lower address the initiator's.  ICMP and ICMPv6 pair
 * requests with their replies, the request's sender is the initiator.
 *
 * Nothing waits longer than until the next flush: what is stored up to a position is a
 * function of the records up to there, so a replay stores the same.
 * Threads: the processing thread.  Memory: reserved once, touched as it fills; when
 * full, the row that waits longest is written one-way. */
#ifndef COLLECTOR_STITCH_H
#define COLLECTOR_STITCH_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/normalise.h"
#include "collector/table.h"

struct stitch;

struct stitch_settings {
	uint64_t window_ns; /* between the starts of partners */
	uint64_t max_waiting;
	uint64_t seed; /* hash_seed() */
};

/* rows in = 2 x pairs + alone + evicted + waiting */
struct stitch_counts {
	uint64_t rows;    /* that came one-way and had a start and ends */
	uint64_t pairs;   /* biflows made */
	uint64_t alone;   /* no partner until the flush */
	uint64_t evicted; /* written one-way because the pool was full */
};

/* Takes biflows and rows that stayed alone; m says where they stand. */
typedef void (*stitch_each)(
    const struct batch *b, const struct table_moment *m, void *data);

/* Declares the fields that tell partners in l, before layout_finish().  -ENOENT: the
 * record has no ends; else negative with e. */
int stitch_declare(struct layout *l, struct err *e);
/* After layout_finish(); l is borrowed.  NULL: no memory. */
struct stitch *stitch_new(const struct layout *l, const struct stitch_settings *s,
    stitch_each each, void *data);
void stitch_free(struct stitch *s); /* NULL accepted */
/* Takes every row of a batch whose plan is one-way. */
void stitch_add(struct stitch *s, const struct batch *b, const struct table_moment *m);
/* Writes what waits one-way, in the order it came. */
void stitch_finish(struct stitch *s);
uint64_t stitch_waiting(const struct stitch *s);
void stitch_counts(const struct stitch *s, struct stitch_counts *ret);

#endif
