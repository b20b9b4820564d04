/* Progress of reading, redrawn in place on a terminal: share, rate, time left.
 * Threads: the capture thread. */
#ifndef EXPORTER_RUN_PROGRESS_H
#define EXPORTER_RUN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool is_on;
	uint64_t begin_ns, next_ns; /* monotonic */
};

struct progress_point {
	uint64_t done, all; /* bytes; all 0: unknown */
	uint64_t count;     /* of what was read so far */
	const char *unit;   /* "packets" */
};

/* is_forced: even where standard error is not a terminal. */
void progress_begin(struct progress *p, bool is_forced, uint64_t now_ns);
static inline bool
progress_is_due(const struct progress *p, uint64_t now_ns)
{
	return p->is_on && now_ns >= p->next_ns;
}
void progress_draw(
    struct progress *p, const struct progress_point *at, uint64_t now_ns);
/* Wipes the line. */
void progress_end(struct progress *p);

#endif
