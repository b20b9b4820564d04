/* UDP sockets whose packets are not fragmented, for DTLS too. */
#ifndef COMMON_TRANSPORT_TRANSPORT_UDP_H
#define COMMON_TRANSPORT_TRANSPORT_UDP_H

#include "common/transport/transport.h"

/* Packets that do not fit the path are refused (EMSGSIZE)... */
void transport_forbid_fragments(int fd);
/* ... but this one is sent, and counted.  n, or -1 with errno. */
ssize_t transport_send_fragmented(struct transport *t, const void *message, size_t n);

#endif
