/* One run of the exporter: opens input and output, reads the input to its end, and
 * delivers.  Threads: main, which is the capture thread; each sender has its own. */
#ifndef EXPORTER_RUN_RUN_H
#define EXPORTER_RUN_RUN_H

#include "common/base/err.h"
#include "common/ipfix/element.h"
#include "exporter/run/options.h"
#include "exporter/run/summary.h"

struct run;

/* The element registries that the options name.  0, or negative with the sentence. */
int run_read_elements(const struct options *o, struct elements **ret, struct err *e);

/* Opens input and output; o is borrowed until run_free().  0, or negative with the
 * sentence; then nothing was sent. */
int run_new(const struct options *o, struct run **ret, struct err *e);
void run_free(struct run *r); /* NULL accepted */
/* Reads until the input ends or a stop is requested.  0, or negative when some input
 * could not be read to its end (logged). */
int run_input(struct run *r);
/* Sends the last records and statistics and delivers the queue.  0, or negative with
 * the sentence when some could not be delivered. */
int run_finish(struct run *r, struct err *e);
/* Valid until run_free(). */
void run_summary(struct run *r, struct summary *ret);

#endif
