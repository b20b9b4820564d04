#include "common/transport/pktinfo.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define UDP_HEADER     8
#define UDP_LONGEST_V4 65507
#define UDP_LONGEST_V6 65527

void
pktinfo_prepare(int fd)
{
	int one = 1;

	if (setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof one) < 0) {
		(void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one);
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof one);
}

static void
identify(struct pktinfo *r)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&r->peer;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&r->peer;

	memset(r->id, 0, sizeof r->id);
	if (r->peer.ss_family == AF_INET6) {
		memcpy(r->id, &v6->sin6_addr, 16);
		memcpy(r->id + 16, &v6->sin6_port, 2);
		memcpy(r->id + 18, &v6->sin6_scope_id, 4);
	} else {
		memcpy(r->id, &v4->sin_addr, 4);
		memcpy(r->id + 16, &v4->sin_port, 2);
	}
}

/* Our address as it is given to sendmsg(): without the interface, on which the route
 * decides. */
static void
set_local(struct pktinfo *r, int level, int type, const void *info, size_t n)
{
	struct cmsghdr *kept = (struct cmsghdr *)(void *)r->local;

	kept->cmsg_level = level;
	kept->cmsg_type = type;
	kept->cmsg_len = CMSG_LEN(n);
	memcpy(CMSG_DATA(kept), info, n);
	r->local_length = CMSG_SPACE(n);
}

static void
note_local(struct pktinfo *r, const struct cmsghdr *c)
{
	struct in6_pktinfo v6;
	struct in_pktinfo v4;

	if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		memcpy(&v6, CMSG_DATA(c), sizeof v6);
		v6.ipi6_ifindex = 0;
		set_local(r, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof v6);
	} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		memcpy(&v4, CMSG_DATA(c), sizeof v4);
		v4 = (struct in_pktinfo){.ipi_spec_dst = v4.ipi_addr};
		set_local(r, IPPROTO_IP, IP_PKTINFO, &v4, sizeof v4);
	}
}

void
pktinfo_make(struct pktinfo *ret, const struct sockaddr_storage *peer,
    const struct sockaddr_storage *local)
{
	memset(ret, 0, sizeof *ret);
	ret->peer = *peer;
	ret->peer_length = peer->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						       : sizeof(struct sockaddr_in);
	identify(ret);
	if (local != NULL && local->ss_family == AF_INET6) {
		struct in6_pktinfo v6 = {
		    .ipi6_addr = ((const struct sockaddr_in6 *)local)->sin6_addr};
		set_local(ret, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof v6);
	} else if (local != NULL) {
		struct in_pktinfo v4 = {
		    .ipi_spec_dst = ((const struct sockaddr_in *)local)->sin_addr};
		set_local(ret, IPPROTO_IP, IP_PKTINFO, &v4, sizeof v4);
	}
}

void
pktinfo_read(struct pktinfo *ret, struct msghdr *m, uint32_t *overflows)
{
	memset(ret, 0, sizeof *ret);
	memcpy(&ret->peer, m->msg_name, m->msg_namelen);
	ret->peer_length = m->msg_namelen;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		note_local(ret, c);
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			memcpy(overflows, CMSG_DATA(c), sizeof *overflows);
		}
	}
	identify(ret);
}

void
pktinfo_local(const struct pktinfo *r, struct sockaddr_storage *ret)
{
	const struct cmsghdr *c = (const struct cmsghdr *)(const void *)r->local;
	struct sockaddr_in6 at6 = {.sin6_family = AF_INET6};
	struct sockaddr_in at4 = {.sin_family = AF_INET};
	struct in6_pktinfo v6;
	struct in_pktinfo v4;

	memset(ret, 0, sizeof *ret);
	if (r->local_length == 0) {
		return;
	}
	if (c->cmsg_level == IPPROTO_IPV6) {
		memcpy(&v6, CMSG_DATA(c), sizeof v6);
		at6.sin6_addr = v6.ipi6_addr;
		memcpy(ret, &at6, sizeof at6);
	} else {
		memcpy(&v4, CMSG_DATA(c), sizeof v4);
		at4.sin_addr = v4.ipi_spec_dst;
		memcpy(ret, &at4, sizeof at4);
	}
}

void
pktinfo_send(int fd, const struct pktinfo *r, const void *bytes, size_t n)
{
	struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
	struct msghdr m = {
	    .msg_name = (void *)(uintptr_t)&r->peer,
	    .msg_namelen = r->peer_length,
	    .msg_iov = &part,
	    .msg_iovlen = 1,
	    .msg_control = r->local_length > 0 ? (void *)(uintptr_t)r->local : NULL,
	    .msg_controllen = r->local_length,
	};

	(void)sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

size_t
pktinfo_room(const struct pktinfo *r)
{
	bool is_v6 = r->peer.ss_family == AF_INET6;
	int fd = socket(r->peer.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), mtu = 0;
	socklen_t length = sizeof mtu;
	size_t headers = (is_v6 ? 40 : 20) + UDP_HEADER;
	size_t most = is_v6 ? UDP_LONGEST_V6 : UDP_LONGEST_V4;
	size_t room;

	if (fd < 0) {
		return 0;
	}
	if (connect(fd, (const struct sockaddr *)&r->peer, r->peer_length) < 0 ||
	    getsockopt(fd, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_MTU : IP_MTU,
		&mtu, &length) < 0) {
		mtu = 0;
	}
	close(fd);
	room = mtu > (int)headers ? (size_t)mtu - headers : 0;
	return room < most ? room : most;
}
