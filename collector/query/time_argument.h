/* A time of --from or --to: as in conditions, or counted from now.  Threads: any. */
#ifndef COLLECTOR_QUERY_TIME_ARGUMENT_H
#define COLLECTOR_QUERY_TIME_ARGUMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

/* text: what condition_parse_time() takes; -DURATION, so long before now; now; today
 * and yesterday, days of UTC.  ret_is_day: it names a whole day, and ret_ns is its
 * beginning.  0 or -EINVAL. */
int time_argument_parse(const char *text, uint64_t now_ns, uint64_t *ret_ns,
    bool *ret_is_day, struct err *e);

#endif
