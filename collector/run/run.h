/* One run of the collector: imports files, or listens until stopped.  main.c wires it.
 * Threads: main; listening adds the processing thread. */
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
/* For --check: schemas, user, peers and certificates. */
int run_check(struct run *r, struct err *e);
void run_explain(const struct run *r);
/* 0, or the last failure, which is logged.  -EINVAL and the like: the operator's mistake. */
int run_import(struct run *r);
int run_listen(struct run *r);
/* False: the run never began, so there is nothing to report. */
bool run_summary(const struct run *r, struct summary *ret);

#endif
