/* Names of IP protocols (IANA "Assigned Internet Protocol Numbers") as people write
 * them in schemas and questions, in any case.  Threads: any. */
#ifndef COMMON_BASE_PROTOCOL_NAMES_H
#define COMMON_BASE_PROTOCOL_NAMES_H

/* 6 for "tcp" or "TCP"; -1: unknown. */
int protocol_names_find(const char *name);
/* The known name that is nearest to an unknown one; NULL: none is near. */
const char *protocol_names_nearest(const char *name);

#endif
