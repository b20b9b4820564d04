/* Giving up root for good once everything that needs it is open. */
#ifndef EXPORTER_PRIVILEGES_H
#define EXPORTER_PRIVILEGES_H

#include "common/err.h"

/* Becomes this user with its groups, in all threads, without a way back.  Does nothing
 * but forbid new privileges when user is NULL. */
int privileges_drop(const char *user, struct err *e);

#endif
