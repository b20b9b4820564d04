/* The kernel's SCTP, through libsctp. */
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/sctp/sctp_api.h"
#include "common/sctp/sctp_stack.h"
#include "common/transport/socket.h"

static int
kernel_check(const struct sctp_settings *settings, const struct transport_uri *uri,
    struct err *e)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP);

	(void)settings;
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT) {
		return err_set(e, -EINVAL,
		    "%s: this kernel has no SCTP; load it (modprobe sctp), or carry it "
		    "in UDP packets (?encapsulation=udp)",
		    uri->text);
	}
	return err_set(e, -errno, "%s: cannot open an SCTP socket: %s", uri->text,
	    strerror(errno));
}

static int
set(const struct sctp_socket *s, int name, const void *value, socklen_t n)
{
	return setsockopt(s->fd, IPPROTO_SCTP, name, value, n) < 0 ? -errno : 0;
}

static void
kernel_close(struct sctp_socket *s)
{
	if (s->fd >= 0) {
		close(s->fd);
	}
	s->fd = -1;
}

static int
kernel_open(struct sctp_socket *s, int family, const struct sctp_settings *settings)
{
	const struct sctp_assoc_value on = {.assoc_value = 1};
	int zero = 0, one = 1, rc;
	int fd =
	    socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_SCTP);

	if (fd < 0) {
		return -errno;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
	}
	*s = (struct sctp_socket){.fd = fd};
	/* For kernels that are told not to by default (net.sctp.auth_enable); those
	 * before 5.4 do not know it. */
	if (settings->has_auth) {
		(void)set(s, SCTP_AUTH_SUPPORTED, &on, sizeof on);
	}
	rc = sctp_api_set_up(s, set, settings);
	if (rc < 0) {
		kernel_close(s);
	}
	return rc;
}

/* What sctp_bindx() and sctp_connectx() take: addresses back to back. */
static void
pack(const struct sockaddr_storage *list, unsigned n, uint8_t *out)
{
	for (unsigned i = 0; i < n; i++) {
		size_t length = list[i].ss_family == AF_INET6
				    ? sizeof(struct sockaddr_in6)
				    : sizeof(struct sockaddr_in);
		memcpy(out, &list[i], length);
		out += length;
	}
}

static int
kernel_bind(struct sctp_socket *s, const struct sockaddr_storage *list, unsigned n)
{
	_Alignas(struct sockaddr_storage)
	    uint8_t packed[(SCTP_ADDRESSES + 1) * sizeof *list];

	pack(list, n, packed);
	return sctp_bindx(
		   s->fd, (struct sockaddr *)packed, (int)n, SCTP_BINDX_ADD_ADDR) < 0
		   ? -errno
		   : 0;
}

static int
kernel_listen(struct sctp_socket *s)
{
	return listen(s->fd, SOMAXCONN) < 0 ? -errno : 0;
}

static int
kernel_port(struct sctp_socket *s, uint16_t *ret)
{
	struct sockaddr_storage at = {0};
	socklen_t n = sizeof at;

	if (getsockname(s->fd, (struct sockaddr *)&at, &n) < 0) {
		return -errno;
	}
	*ret = transport_port(&at);
	return 0;
}

static int
kernel_accept(struct sctp_socket *from, struct sctp_socket *ret,
    struct sockaddr_storage *ret_peer)
{
	socklen_t n = sizeof *ret_peer;
	int fd = accept4(
	    from->fd, (struct sockaddr *)ret_peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		return -errno;
	}
	*ret = (struct sctp_socket){.fd = fd};
	return 0;
}

static int
kernel_connect(struct sctp_socket *s, const struct sockaddr_storage *list, unsigned n)
{
	_Alignas(struct sockaddr_storage)
	    uint8_t packed[(SCTP_ADDRESSES + 1) * sizeof *list];

	pack(list, n, packed);
	if (sctp_connectx(s->fd, (struct sockaddr *)packed, (int)n, NULL) >= 0 ||
	    errno == EINPROGRESS) {
		return 0;
	}
	return -errno;
}

static int
error_of(int fd, int otherwise)
{
	socklen_t n = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0 || error == 0) {
		return otherwise;
	}
	return -error;
}

static int
kernel_connected(struct sctp_socket *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};
	int rc;

	if (poll(&p, 1, 0) <= 0) {
		return -EAGAIN;
	}
	rc = error_of(s->fd, 0);
	if (rc == 0 && ((p.revents & POLLOUT) == 0 || transport_is_self(s->fd))) {
		rc = -ECONNREFUSED;
	}
	return rc;
}

static int
kernel_streams(struct sctp_socket *s, uint16_t *ret)
{
	struct sctp_status status = {0};
	socklen_t n = sizeof status;

	if (getsockopt(s->fd, IPPROTO_SCTP, SCTP_STATUS, &status, &n) < 0) {
		return -errno;
	}
	*ret = status.sstat_outstrms;
	return 0;
}

static int
kernel_receive(struct sctp_socket *s, void *bytes, size_t n, struct sctp_piece *ret)
{
	struct iovec v = {.iov_base = bytes, .iov_len = n};
	struct sctp_rcvinfo info = {0};
	socklen_t info_n = sizeof info;
	unsigned kind = 0;
	int flags = 0;
	int got = sctp_recvv(s->fd, &v, 1, NULL, NULL, &info, &info_n, &kind, &flags);
	int rc;

	if (got < 0) {
		return errno == EINTR ? -EAGAIN : -errno;
	}
	if (got == 0) {
		return 0;
	}
	*ret = (struct sctp_piece){.length = (size_t)got};
	rc = sctp_api_piece(
	    bytes, flags, kind == SCTP_RECVV_RCVINFO ? &info : NULL, ret);
	return rc < 0 ? error_of(s->fd, rc) : rc;
}

static void
put_control(struct msghdr *m, int type, const void *value, size_t n)
{
	struct cmsghdr *c =
	    (struct cmsghdr *)(void *)((uint8_t *)m->msg_control + m->msg_controllen);

	c->cmsg_level = IPPROTO_SCTP;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(n);
	memcpy(CMSG_DATA(c), value, n);
	m->msg_controllen += CMSG_SPACE(n);
}

/* Not by sctp_sendv(), which forgets MSG_NOSIGNAL. */
static int
kernel_send(
    struct sctp_socket *s, const void *bytes, size_t n, const struct sctp_send *how)
{
	_Alignas(struct cmsghdr)
	    uint8_t control[CMSG_SPACE(sizeof(struct sctp_sndinfo)) +
			    CMSG_SPACE(sizeof(struct sctp_prinfo))] = {0};
	struct sctp_sndinfo info = sctp_api_sndinfo(how);
	struct sctp_prinfo given_up = sctp_api_prinfo(how);
	struct iovec v = {.iov_len = n};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control};

	memcpy(&v.iov_base, &bytes, sizeof bytes); /* which it does not write to */
	put_control(&m, SCTP_SNDINFO, &info, sizeof info);
	if (how->reliability != SCTP_FULL) {
		put_control(&m, SCTP_PRINFO, &given_up, sizeof given_up);
	}
	if (sendmsg(s->fd, &m, MSG_NOSIGNAL) >= 0) {
		return 0;
	}
	return errno == EINTR ? -EAGAIN : -errno;
}

/* Chunks stay on the socket's account until they are acknowledged.  Asked for the
 * notification while everything is, the kernel sends it at once. */
static int
kernel_drained(struct sctp_socket *s)
{
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	socklen_t n = sizeof memory;
	int rc;

	for (int i = 0; i < 2; i++) {
		if (getsockopt(s->fd, SOL_SOCKET, SO_MEMINFO, memory, &n) < 0) {
			return -errno;
		}
		if (memory[SK_MEMINFO_WMEM_QUEUED] == 0) {
			return 0;
		}
		rc = i == 0 ? sctp_api_hear(s, set, SCTP_SENDER_DRY_EVENT) : 0;
		if (rc < 0) {
			return rc;
		}
	}
	return -EAGAIN;
}

static int
kernel_add_key(struct sctp_socket *s, uint16_t id, const uint8_t *key, size_t n)
{
	return sctp_api_add_key(s, set, id, key, n);
}

static int
kernel_activate_key(struct sctp_socket *s, uint16_t id)
{
	return sctp_api_choose_key(s, set, SCTP_AUTH_ACTIVE_KEY, id);
}

static int
kernel_drop_key(struct sctp_socket *s, uint16_t id)
{
	return sctp_api_choose_key(s, set, SCTP_AUTH_DELETE_KEY, id);
}

static int
kernel_shutdown(struct sctp_socket *s)
{
	return shutdown(s->fd, SHUT_WR) < 0 ? -errno : 0;
}

static uint32_t
kernel_wants(const struct sctp_socket *s, bool to_read, bool to_write)
{
	(void)s;
	return (to_read ? EPOLLIN : 0) | (to_write ? EPOLLOUT : 0);
}

const struct sctp_stack sctp_kernel = {
    .check = kernel_check,
    .open = kernel_open,
    .bind = kernel_bind,
    .listen = kernel_listen,
    .port = kernel_port,
    .accept = kernel_accept,
    .connect = kernel_connect,
    .connected = kernel_connected,
    .streams = kernel_streams,
    .receive = kernel_receive,
    .send = kernel_send,
    .drained = kernel_drained,
    .add_key = kernel_add_key,
    .activate_key = kernel_activate_key,
    .drop_key = kernel_drop_key,
    .shutdown = kernel_shutdown,
    .wants = kernel_wants,
    .close = kernel_close,
};
