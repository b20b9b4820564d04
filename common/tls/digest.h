/* SHA-256 of a stream, for the identity of files.  Threads: one. */
#ifndef COMMON_TLS_DIGEST_H
#define COMMON_TLS_DIGEST_H

#include <stddef.h>

#define DIGEST_TEXT 65 /* hex digits and the end */

struct digest;

struct digest *digest_new(void); /* NULL: no memory */
void digest_free(struct digest *d);
void digest_add(struct digest *d, const void *bytes, size_t n);
/* Of all that was added so far; more may follow.  -ENOMEM. */
int digest_format(const struct digest *d, char out[static DIGEST_TEXT]);

#endif
