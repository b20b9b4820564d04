/* Writes the metrics of a listening collector every ten seconds, and warns of certificates
 * that expire soon: at the start, after a reload, and once a day.  The processing thread
 * publishes a copy of its counts here once a second.
 * Threads: the processing thread calls metrics_timer_publish(), the receiving thread the
 * rest. */
#ifndef COLLECTOR_RUN_METRICS_TIMER_H
#define COLLECTOR_RUN_METRICS_TIMER_H

#include "collector/door/listener.h"
#include "collector/process/process.h"
#include "collector/run/summary.h"
#include "common/base/loop.h"

struct metrics_timer_settings {
	const char *path; /* NULL: no metrics, only warnings */
	struct tls_settings tls;
	/* Fills in the receiving thread's counts. */
	void (*sum_up)(struct summary *s, void *data);
	void *data;
};

struct metrics_timer;

int metrics_timer_new(const struct metrics_timer_settings *s, struct loop *loop,
    struct metrics_timer **ret, struct err *e);
void metrics_timer_free(struct metrics_timer *t);
/* Certificates and revocation lists were reloaded. */
void metrics_timer_reload(struct metrics_timer *t);
void metrics_timer_publish(struct metrics_timer *t, const struct process *p,
    const struct tables *tables, uint64_t now_ns);
/* When certificates expire, for the last summary. */
const struct tls_expiry *metrics_timer_expiry(const struct metrics_timer *t);

#endif
