/* Giving up root for good once everything that needs it is open. */
#ifndef COMMON_BASE_PRIVILEGES_H
#define COMMON_BASE_PRIVILEGES_H

#include <sys/types.h>

#include "common/base/err.h"

/* The user's numbers.  -ENOENT with the sentence: no such user. */
int privileges_find(const char *user, uid_t *ret_uid, gid_t *ret_gid, struct err *e);
/* Files are opened and made as this user until privileges_raise(); for what must stay
 * accessible after privileges_drop().  Before threads start. */
int privileges_lower(const char *user, struct err *e);
int privileges_raise(struct err *e);
/* Becomes this user with its groups, in all threads, without a way back.  Does nothing
 * but forbid new privileges when user is NULL. */
int privileges_drop(const char *user, struct err *e);

#endif
