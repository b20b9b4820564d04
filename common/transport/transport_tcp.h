/* TCP, for what is built on it (TLS) and for tests that bring a socket of their own. */
#ifndef COMMON_TRANSPORT_TRANSPORT_TCP_H
#define COMMON_TRANSPORT_TRANSPORT_TCP_H

#include "common/transport/transport.h"

/* Makes t the open connection of this socket, which the other end dialled; takes fd.
 * t->peer stays as it is. */
void transport_tcp_take(struct transport *t, int fd);

#endif
