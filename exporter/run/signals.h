/* SIGINT and SIGTERM: end of input.  The first asks to stop, a second one to hurry, a
 * third one kills.  Process-wide; call stop_init() before threads are started. */
#ifndef EXPORTER_RUN_SIGNALS_H
#define EXPORTER_RUN_SIGNALS_H

#include <stdbool.h>

#include "common/base/err.h"

int stop_init(struct err *e);
bool stop_is_asked(void);
int stop_fd(void); /* readable once a stop is asked: for poll */
/* hurry() is called from the signal handler, at the second signal; NULL: nobody is. */
void stop_on_hurry(void (*hurry)(void *data), void *data);

#endif
