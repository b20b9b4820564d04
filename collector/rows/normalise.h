/* A template compiled to a plan: "these bytes to those columns".
 * One operation runs over all records of a batch before the next one.  Offsets and
 * lengths of fixed-length templates are proved when the plan is compiled; records of
 * variable length are walked one by one.  Numbers saturate at the top of int64_t, times
 * become nanoseconds since 1970 (also those that count from the exporter's clocks),
 * v4-mapped addresses become IPv4, and biflowDirection 2 swaps the ends.  Fields that
 * no table asks for cost nothing.
 * Threads: the processing thread.  Memory: a plan belongs to its template. */
#ifndef COLLECTOR_ROWS_NORMALISE_H
#define COLLECTOR_ROWS_NORMALISE_H

#include <stddef.h>
#include <stdint.h>

#include "collector/rows/batch.h"
#include "common/ipfix/template.h"

struct plan;

/* NULL: no memory, or lengths that do not add up.  l and the template must outlive the
 * plan. */
struct plan *plan_new(const struct layout *l, const struct template *t);
void plan_free(struct plan *p);
/* Its memory in bytes. */
size_t plan_bytes(const struct plan *p);
/* Whether the template is this record at all: it carries what the record requires and
 * is an options template or not as the record says. */
bool plan_is_usable(const struct plan *p);
/* Whether its records are flows of one direction of which nothing says that there is no
 * other: neither reverse elements nor biflowDirection. */
bool plan_is_one_way(const struct plan *p);
/* Decodes records from *at on, at most BATCH_ROWS; moves *at behind them.  Returns
 * their number, 0 at the end of the set (what is left is padding), or -EBADMSG when the
 * next record runs over its end. */
int plan_decode(const struct plan *p, const uint8_t *bytes, size_t length, size_t *at,
    struct batch *b);

#endif
