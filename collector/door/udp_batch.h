/* Datagrams received by one system call.  Their beginnings, which is all there is of
 * those that fit a packet, lie close together in the cache; the rests of longer ones
 * lie elsewhere, in memory that is touched only when they arrive.
 * Threads: the receiving thread. */
#ifndef COLLECTOR_DOOR_UDP_BATCH_H
#define COLLECTOR_DOOR_UDP_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/endpoint.h"

#define UDP_BATCH 64

struct udp_batch;

struct udp_batch *udp_batch_new(void); /* NULL: no memory */
void udp_batch_free(struct udp_batch *b);
/* Receives the next ones.  Their number, or a negative errno (-EAGAIN: none). */
int udp_batch_receive(struct udp_batch *b, int fd);
/* The i-th's length; at *ret_head its first bytes, UDP_BATCH_HEAD at most. */
#define UDP_BATCH_HEAD 2048u
size_t udp_batch_length(
    const struct udp_batch *b, unsigned i, const uint8_t **ret_head);
/* Copies all of it. */
void udp_batch_copy(const struct udp_batch *b, unsigned i, uint8_t *out);
/* Who sent it. */
void udp_batch_source(const struct udp_batch *b, unsigned i, struct endpoint *ret);

#endif
