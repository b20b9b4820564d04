/* Tests add rows of their own. */
#ifndef COLLECTOR_PROTOCOL_PROTOCOL_PRIVATE_H
#define COLLECTOR_PROTOCOL_PROTOCOL_PRIVATE_H

#include "collector/protocol/protocol.h"

/* One more for the rest of the run; before there are threads. */
void protocol_add(const struct protocol *p);

#endif
