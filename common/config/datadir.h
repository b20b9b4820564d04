/* Finds the schemas that come with the program: information elements, templates, records
 * and tables. */
#ifndef COMMON_CONFIG_DATADIR_H
#define COMMON_CONFIG_DATADIR_H

#include <limits.h>

#include "common/base/err.h"

/* The directory that holds elements.xml: `given` unless it is NULL; else schemas/ of the
 * source tree, if the program is still in its build/VARIANT/; else share/flowpair beside
 * the program's bin/; else that of the prefix it was built for.  0, or -ENOENT with the
 * sentence. */
int datadir_find(const char *given, char ret[static PATH_MAX], struct err *e);

#endif
