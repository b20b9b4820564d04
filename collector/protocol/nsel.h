/* Events of flows that Cisco's firewalls (ASA, FTD) export instead of flows (NSEL): a
 * flow was created, updated, denied, or it ended.  An update counts what came since the
 * one before, but the end counts the whole flow again.  Flows that end before their
 * first update have none, and updates need not be exported.  So the end counts, unless
 * its flow was old enough to have been updated.  The updates tell that age, which is
 * kept with the sampling rates of their domain (sampling.h).
 * Threads: the owner's. */
#ifndef COLLECTOR_PROTOCOL_NSEL_H
#define COLLECTOR_PROTOCOL_NSEL_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/protocol/sampling.h"
#include "common/base/cursor.h"
#include "common/ipfix/template.h"

enum nsel_event { /* firewallEvent */
	NSEL_CREATED = 1,
	NSEL_ENDED = 2,
	NSEL_UPDATED = 5,
};

/* Whether records of this template are such events, and count. */
bool nsel_is(const struct template *t);
/* Whether this element counts in them. */
bool nsel_is_counter(const struct element *element);
/* Learns from one record.  0, or -ENOMEM. */
int nsel_learn(
    struct sampling **s, const struct template *t, const struct cursor *fields);
/* Age in ns of flows at their first update; 0: there was none. */
int64_t nsel_update_age(const struct sampling *s);

#endif
