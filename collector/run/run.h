/* One run of the collector: what main wires.  Imports files, or listens until told to
 * stop.  Threads: main; listening adds the processing thread. */
#ifndef COLLECTOR_RUN_RUN_H
#define COLLECTOR_RUN_RUN_H

#include <stdbool.h>

#include "collector/run/options.h"
#include "collector/run/summary.h"
#include "common/base/err.h"
#include "common/ipfix/element.h"

struct run; /* elements, tables and store */

/* Loads registries and schemas; opens no store yet. */
int run_new(const struct options *o, struct run **ret, struct err *e);
void run_free(struct run *r);
/* Certificates too, for --check. */
int run_check(struct run *r, struct err *e);
void run_explain(const struct run *r);
/* -EINVAL: the operator's mistake.  Logs what it goes on after. */
int run_import(struct run *r, struct err *e);
int run_listen(struct run *r, struct err *e);
/* False: the run never began, and there is nothing to tell. */
bool run_summary(const struct run *r, struct summary *ret);

#endif
