/* Large tables: zeroed memory straight from the kernel, given page by page as it is
 * first touched, aligned so that huge pages (2 MiB) can serve it. */
#ifndef COMMON_BASE_PAGES_H
#define COMMON_BASE_PAGES_H

#include <stddef.h>

/* NULL: no memory. */
void *pages_new(size_t bytes);
void pages_free(void *pages, size_t bytes); /* the same bytes; NULL accepted */

#endif
