/* A wire format of its own for tests: all that it takes is its file and its row. */
#ifndef TESTS_COLLECTOR_PROTOCOL_SUPPORT_TOY_H
#define TESTS_COLLECTOR_PROTOCOL_SUPPORT_TOY_H

#include "collector/protocol/protocol.h"

extern const struct protocol support_toy;

#endif
