/* Writes the metrics of a listening collector every ten seconds, and says when a
 * certificate is about to end: at the start, when they are read anew, and once a day.
 * What the processing thread counts it hands over here, as a copy, once a second.
 * Threads: metrics_timer_publish(): the processing thread; the rest: the receiving
 * thread. */
#ifndef COLLECTOR_RUN_METRICS_TIMER_H
#define COLLECTOR_RUN_METRICS_TIMER_H

#include "collector/door/listener.h"
#include "collector/process/process.h"
#include "collector/run/summary.h"
#include "common/base/loop.h"

struct metrics_timer_settings {
	const char *path; /* NULL: no metrics, only warnings */
	struct tls_settings tls;
	/* Fills in what the receiving thread knows. */
	void (*sum_up)(struct summary *s, void *data);
	void *data;
};

struct metrics_timer;

int metrics_timer_new(const struct metrics_timer_settings *s, struct loop *loop,
    struct metrics_timer **ret, struct err *e);
void metrics_timer_free(struct metrics_timer *t);
/* Certificates and lists were read anew. */
void metrics_timer_reload(struct metrics_timer *t);
void metrics_timer_publish(struct metrics_timer *t, const struct process *p,
    const struct tables *tables, uint64_t now_ns);
/* The end: what the certificates' files say, for the last summary. */
const struct tls_expiry *metrics_timer_expiry(const struct metrics_timer *t);

#endif
