/* Asks the files of a store and writes the rows out.  Rows of several days come one day
 * after the other; where they are sorted or put together by columns, each file's part
 * goes through a scratch database in memory, which is bounded.  Threads: one. */
#ifndef COLLECTOR_QUERY_EXECUTE_H
#define COLLECTOR_QUERY_EXECUTE_H

#include <stdint.h>

#include "collector/query/catalog.h"
#include "collector/query/output.h"
#include "collector/query/question.h"

/* deadline_ns: monotonic.  0, -ETIMEDOUT, or another negative code with e. */
int execute_question(const struct catalog *c, const struct question *q,
    uint64_t deadline_ns, struct output *out, struct err *e);

#endif
