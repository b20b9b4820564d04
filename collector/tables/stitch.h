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
 * A row waits for as long as the window is, in times of arrival, however many flushes
 * there are meanwhile.  A flush takes what waits along in its last transaction, beside
 * the position (store_waiting.h); so what becomes of a record is a function of the
 * records, and a replay from any flush on makes the same of them.
 * Costs 0.5 us of CPU and 215 bytes written at each flush for a row of the usual tables
 * that waits (100,000 of them: 46 ms).
 * Threads: the processing thread.  Memory: reserved once, touched as it fills; when
 * full, the row that waits longest is written one-way. */
#ifndef COLLECTOR_TABLES_STITCH_H
#define COLLECTOR_TABLES_STITCH_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/rows/normalise.h"
#include "collector/tables/table.h"

struct stitch;

struct stitch_settings {
	uint64_t window_ns; /* between the starts of partners */
	uint64_t max_waiting;
	uint64_t seed; /* hash_seed() */
};

/* rows = 2 x pairs + alone + evicted + waiting */
struct stitch_counts {
	uint64_t rows;    /* that came one-way and had a start and ends, or waited when
			     the run before was killed */
	uint64_t pairs;   /* biflows made */
	uint64_t alone;   /* no partner within the window */
	uint64_t evicted; /* written one-way because the pool, or texts, were full */
	uint64_t waiting; /* now */
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
/* Time passes: what has waited for longer than the window is written one-way.  Rows
 * that are added after this arrive now.  Whether there was any. */
bool stitch_pass(struct stitch *s, uint64_t now_ns);
/* Writes what waits one-way, in the order it came: the source ends. */
void stitch_finish(struct stitch *s);
/* The same, but counts them as evicted: their texts take too much memory. */
void stitch_evict(struct stitch *s);
/* Writes nothing: what waits is not there any more. */
void stitch_forget(struct stitch *s);
/* What waits as bytes, for the store: as many rows as fit from *next on, which is 0 in
 * the beginning and moves on.  Returns their number, 0 when there are no more.  out has
 * room for stitch_rows_room() at least. */
size_t stitch_rows_room(const struct stitch *s);
unsigned stitch_write_rows(const struct stitch *s, const struct intern *texts,
    uint64_t *next, struct write_cursor *out);
/* These rows wait again, behind those that do.  Fields that are no more are left out,
 * new ones are NULL.  0, or -EBADMSG. */
int stitch_read_rows(
    struct stitch *s, struct intern *texts, const uint8_t *bytes, size_t n);
/* Marks the numbers of the texts that waiting rows use; then gives them new ones. */
void stitch_mark_texts(const struct stitch *s, uint32_t *marks);
void stitch_renumber_texts(struct stitch *s, const uint32_t *numbers);
uint64_t stitch_waiting(const struct stitch *s);
void stitch_counts(const struct stitch *s, struct stitch_counts *ret);

#endif
