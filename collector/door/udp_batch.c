#include "collector/door/udp_batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define REST (65536u - UDP_BATCH_HEAD) /* no datagram is longer than both */

struct udp_batch {
	uint8_t *heads, *rests;
	struct mmsghdr headers[UDP_BATCH];
	struct iovec parts[UDP_BATCH][2];
	struct sockaddr_in6 from[UDP_BATCH]; /* or sockaddr_in */
};

struct udp_batch *
udp_batch_new(void)
{
	struct udp_batch *b = calloc(1, sizeof *b);

	if (b == NULL) {
		return NULL;
	}
	b->heads = malloc((size_t)UDP_BATCH * UDP_BATCH_HEAD);
	b->rests = malloc((size_t)UDP_BATCH * REST);
	if (b->heads == NULL || b->rests == NULL) {
		udp_batch_free(b);
		return NULL;
	}
	for (unsigned i = 0; i < UDP_BATCH; i++) {
		b->parts[i][0] = (struct iovec){
		    b->heads + (size_t)i * UDP_BATCH_HEAD, UDP_BATCH_HEAD};
		b->parts[i][1] = (struct iovec){b->rests + (size_t)i * REST, REST};
		b->headers[i].msg_hdr = (struct msghdr){
		    .msg_name = &b->from[i],
		    .msg_iov = b->parts[i],
		    .msg_iovlen = 2,
		};
	}
	return b;
}

void
udp_batch_free(struct udp_batch *b)
{
	if (b != NULL) {
		free(b->heads);
		free(b->rests);
		free(b);
	}
}

int
udp_batch_receive(struct udp_batch *b, int fd)
{
	int n;

	for (unsigned i = 0; i < UDP_BATCH; i++) {
		b->headers[i].msg_hdr.msg_namelen = sizeof b->from[i];
	}
	n = recvmmsg(fd, b->headers, UDP_BATCH, MSG_DONTWAIT, NULL);
	return n >= 0 ? n : -errno;
}

size_t
udp_batch_length(const struct udp_batch *b, unsigned i, const uint8_t **ret_head)
{
	*ret_head = b->heads + (size_t)i * UDP_BATCH_HEAD;
	return b->headers[i].msg_len;
}

void
udp_batch_copy(const struct udp_batch *b, unsigned i, uint8_t *out)
{
	size_t n = b->headers[i].msg_len;
	size_t head = n < UDP_BATCH_HEAD ? n : UDP_BATCH_HEAD;

	memcpy(out, b->heads + (size_t)i * UDP_BATCH_HEAD, head);
	memcpy(out + head, b->rests + (size_t)i * REST, n - head);
}

void
udp_batch_source(const struct udp_batch *b, unsigned i, struct endpoint *ret)
{
	endpoint_from_sockaddr(&b->from[i], ret);
}
