/* SIGINT and SIGTERM end the input.  The first signal requests a stop, the second gives
 * up delivery after two seconds, the third kills.  Process-wide; call signals_init()
 * before threads are started. */
#ifndef EXPORTER_RUN_SIGNALS_H
#define EXPORTER_RUN_SIGNALS_H

#include <stdbool.h>

#include "common/base/err.h"

int signals_init(struct err *e);
bool signals_stop_asked(void);
int signals_fd(void); /* for poll: readable once a stop is requested */
/* Sets what the signal handler calls at the second signal; NULL: nothing. */
void signals_on_hurry(void (*hurry)(void *data), void *data);

#endif
