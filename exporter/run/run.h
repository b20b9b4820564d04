/* One run of the exporter: opens what the options name, brings input to its end, and
 * delivers.  Threads: main (it is the capture thread); the sender has its own. */
#ifndef EXPORTER_RUN_RUN_H
#define EXPORTER_RUN_RUN_H

#include "common/base/err.h"
#include "common/ipfix/element.h"
#include "exporter/run/options.h"
#include "exporter/run/summary.h"

struct run;

/* The registry that the options ask for.  Negative with the sentence. */
int run_read_elements(const struct options *o, struct elements **ret, struct err *e);

/* Opens input and output; o is borrowed until run_free().  Negative: the operator's
 * error is in e, and nothing was sent. */
int run_new(const struct options *o, struct run **ret, struct err *e);
void run_free(struct run *r); /* NULL accepted */
/* Until the input ends or a stop is asked.  0, or negative when some input could not be
 * read to its end (logged). */
int run_input(struct run *r);
/* Sends what lives and the closing statistics, delivers the queue.  Negative with the
 * sentence when not all could be delivered. */
int run_finish(struct run *r, struct err *e);
/* Valid until run_free(). */
void run_summary(struct run *r, struct summary *ret);

#endif
