/* Where the schemas lie that come with the program: information elements, templates,
 * records and tables. */
#ifndef COMMON_CONFIG_DATADIR_H
#define COMMON_CONFIG_DATADIR_H

#include <limits.h>

#include "common/base/err.h"

/* The directory that holds elements.xml: `given` where it is not NULL; else schemas/ of
 * the source tree that this program was built in and still lies in (build/VARIANT/);
 * else share/flowpair beside the bin/ it lies in; else that of the prefix it was built
 * for.  0 or -ENOENT with the sentence. */
int datadir_find(const char *given, char ret[static PATH_MAX], struct err *e);

#endif
