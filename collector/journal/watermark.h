/* How far the journal holds each exporter's spool (common/ipfix/delivery.h): for each
 * certificate identity and spool id the number of the first message that is not in it.
 *
 * There are two such tables.  The processing side's is what a replay learns again and
 * snapshots keep; the receiving side's begins as a copy of it and is ahead by what is
 * still on its way.  Both see the same frames in the same order.
 *
 * Bounded.  When a table is full, the entry seen least recently goes, if it was silent
 * for WATERMARK_SILENT_NS.  Otherwise an identity with less than its share (the bound
 * divided by the number of identities) takes the place of the entry seen least recently
 * among identities with more than theirs, so inventing spools keeps nobody out.
 * Otherwise the new spool is refused.  A forgotten exporter starts with the oldest
 * message that it holds, which may then count twice.
 * Threads: one each. */
#ifndef COLLECTOR_JOURNAL_WATERMARK_H
#define COLLECTOR_JOURNAL_WATERMARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/clock.h"

#define WATERMARK_SILENT_NS (7 * NS_PER_DAY)

struct watermark_owner; /* an identity */

struct watermark {
	uint8_t spool[16];
	uint64_t next;    /* number of the first message that is not in the journal */
	uint64_t durable; /* receiving side: number of the first that may be lost */
	uint64_t lost_records, lost_messages; /* as the exporter reported last */
	uint64_t seen_ns;                     /* arrival, since 1970 */
	unsigned holders; /* sessions: an entry that is held is not forgotten */
	bool is_moved;    /* durable is behind */
	struct watermark *next_moved;
	struct watermark *chain;
	struct watermark_owner *owner;
	const char *identity; /* "": peers need no certificate here */
};

struct watermarks;

struct watermarks *watermarks_new(unsigned max); /* NULL: no memory */
void watermarks_free(struct watermarks *w);
/* NULL: not known. */
struct watermark *watermarks_find(
    const struct watermarks *w, const char *identity, const uint8_t spool[static 16]);
/* Makes one that is not known yet; everything in it is 0.  NULL: full, or no memory. */
struct watermark *watermarks_add(struct watermarks *w, const char *identity,
    const uint8_t spool[static 16], uint64_t now_ns);
/* As watermarks_add(), beyond the bound where it must: what was taken in once. */
struct watermark *watermarks_restore(struct watermarks *w, const char *identity,
    const uint8_t spool[static 16], uint64_t now_ns);
unsigned watermarks_count(const struct watermarks *w);
void watermarks_each(const struct watermarks *w,
    void (*each)(const struct watermark *m, void *data), void *data);
/* Takes over what another table knows; all of it is durable.  0 or -ENOMEM. */
int watermarks_copy(struct watermarks *w, const struct watermarks *from);

/* m->next grew: durable follows when the journal was synced. */
void watermarks_moved(struct watermarks *w, struct watermark *m);
/* Everything added to the journal is durable; or nothing since the last time is, and it
 * must be sent again. */
void watermarks_settle(struct watermarks *w, bool is_durable);

#endif
