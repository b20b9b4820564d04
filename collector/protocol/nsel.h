/* Events of flows that Cisco's firewalls (ASA, FTD) export instead of flows (NSEL): a
 * flow that is made, updates of it, its end, or that it was denied.  An update counts
 * since the one before, but the end counts the whole flow again.  Flows that end before
 * their first update are not updated at all, and updates need not be exported.  So the
 * end counts, unless its flow lived long enough to have been updated: how long, the
 * updates tell.  It is kept with the rates of their domain (sampling.h).
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
/* Age in ns of flows when they are updated first; 0: none was. */
int64_t nsel_update_age(const struct sampling *s);

#endif
