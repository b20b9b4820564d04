/* Where datagrams come from, and which address of ours they came to: answers must leave
 * from there, which a UDP socket that is bound to every address has to be told. */
#ifndef COMMON_TRANSPORT_PKTINFO_H
#define COMMON_TRANSPORT_PKTINFO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <netinet/in.h>

#define ROUTE_ID      22u /* bytes: address, port, scope */
#define ROUTE_CONTROL 128u

struct pktinfo {
	struct sockaddr_storage peer;
	socklen_t peer_length;
	_Alignas(struct cmsghdr) uint8_t local[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	size_t local_length;  /* 0: the system chooses */
	uint8_t id[ROUTE_ID]; /* of the peer */
};

/* Asks for what routes need to be known; for SO_RXQ_OVFL, too. */
void pktinfo_prepare(int fd);
/* A route to peer, from this address of ours (NULL: the system chooses). */
void pktinfo_make(struct pktinfo *ret, const struct sockaddr_storage *peer,
    const struct sockaddr_storage *local);
/* Reads *ret from what recvmsg() or recvmmsg() has filled in. *overflows is set where
 * the kernel tells how many datagrams this socket has lost up to now (it counts modulo
 * 2^32), and else stays. */
void pktinfo_read(struct pktinfo *ret, struct msghdr *m, uint32_t *overflows);
/* Our address, with port 0; family AF_UNSPEC: not known. */
void pktinfo_local(const struct pktinfo *r, struct sockaddr_storage *ret);
/* Does not block. What cannot be sent at once is lost, as it might be on its way. */
void pktinfo_send(int fd, const struct pktinfo *r, const void *bytes, size_t n);
/* Bytes of payload that a datagram can carry to there in one piece as far as is known
 * now; 0: unknown. */
size_t pktinfo_room(const struct pktinfo *r);

#endif
