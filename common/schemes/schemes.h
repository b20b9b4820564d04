/* The transports that exist: one row each.  The only place that names all of them; a
 * new transport is one file and one row here.
 * Threads: any. */
#ifndef COMMON_SCHEMES_SCHEMES_H
#define COMMON_SCHEMES_SCHEMES_H

#include <stdbool.h>

#include "common/base/err.h"
#include "common/transport/scheme.h"

/* Reads a URI of any scheme; complains naming the schemes that exist. */
int schemes_parse_uri(const char *text, struct transport_uri *ret, struct err *e);

/* Whether any of these URIs is encrypted, and so uses certificates. */
bool schemes_any_secure(const char *const *uris, unsigned count);

/* The scheme of this name, in lower case; NULL: none. */
const struct transport_scheme *schemes_find(const char *name);

/* "tcp://HOST[:4739], tls://HOST[:4740], ... or file:PATH": where records can be sent,
 * or, with is_listening, received.  Static text, for help and manuals. */
const char *schemes_text(bool is_listening);

#endif
