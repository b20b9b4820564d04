/* SIGINT and SIGTERM: end of input.  The first asks to stop, a second one to hurry, a
 * third one kills.  Process-wide; call signals_init() before threads are started. */
#ifndef EXPORTER_RUN_SIGNALS_H
#define EXPORTER_RUN_SIGNALS_H

#include <stdbool.h>

#include "common/base/err.h"

int signals_init(struct err *e);
bool signals_stop_asked(void);
int signals_fd(void); /* readable once a stop is asked: for poll */
/* hurry() is called from the signal handler, at the second signal; NULL: nobody is. */
void signals_on_hurry(void (*hurry)(void *data), void *data);

#endif
