/* SIGINT and SIGTERM: end of input.  The first asks to stop, a second one kills.
 * Process-wide; call stop_init() before threads are started. */
#ifndef EXPORTER_STOP_H
#define EXPORTER_STOP_H

#include <stdbool.h>

#include "common/err.h"

int stop_init(struct err *e);
bool stop_is_asked(void);
int stop_fd(void); /* readable once a stop is asked: for poll */

#endif
