/* Who may send, as which exporter, in which observation domains: the file of --peers.
 * A peer that proved its identity by a certificate is looked up by that identity and by
 * nothing else; others by their address.  Read whole, then never changed.
 * Threads: the receiving thread. */
#ifndef COLLECTOR_DOOR_ROSTER_H
#define COLLECTOR_DOOR_ROSTER_H

#include <stdbool.h>
#include <stddef.h>

#include "collector/journal/frame.h"
#include "common/base/address.h"
#include "common/base/err.h"

struct roster;

/* 0, or a negative code with "file:line:column: sentence" in e. */
int roster_load(const char *path, struct roster **ret, struct err *e);
int roster_parse(const char *name, const void *bytes, size_t length,
    struct roster **ret, struct err *e);
void roster_free(struct roster *r);

bool roster_has_identity(const struct roster *r, const char *identity);
bool roster_has_address(const struct roster *r, const struct address *a);
/* Completes what is known of a peer by its identity, else its address: name and
 * domains.  False: it is not on the roster.  Without a roster (NULL) all are let in. */
bool roster_introduce(const struct roster *r, struct session_identity *who);

#endif
