/* SCTP in user space, its packets carried in UDP (RFC 6951): for machines whose kernel
 * has no SCTP.  libusrsctp has threads of its own, which only signal here: every socket
 * has an eventfd that they make readable whenever something happens, and that is
 * cleared when an operation finds nothing to do (and tries once more, lest a signal be
 * lost). It has one UDP port for a process, for all that listens and dials. */
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <usrsctp.h>

#include "common/sctp_stack.h"

#define CHUNK_DATA        0   /* RFC 9260 section 3.2 */
#define CHUNK_FORWARD_TSN 192 /* RFC 3758 section 3.2 */
#define BACKLOG           128

/* As the kernel's (sctp_kernel.c). */
#define RTO_INITIAL_MS 1000
#define RTO_MOST_MS    10000
#define INIT_ATTEMPTS  2
#define PATH_ATTEMPTS  4
#define PEER_ATTEMPTS  7

struct user {
	struct socket *so;
	int bell;
	size_t slot;
};

/* The library's threads know a socket by its slot and turn only: one may be about to
 * signal while the socket is closed. */
struct slot {
	uint32_t turn;
	int bell; /* -1: free */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot *slots;
static size_t slot_count;
static uint16_t udp_port; /* 0: the library is not running */

/* Signals. */

static void
ring(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof one);

	(void)n; /* can only say that it has rung already */
}

static void
quieten(int fd)
{
	uint64_t ignored;
	ssize_t n = read(fd, &ignored, sizeof ignored);

	(void)n;
}

static void
something_happened(struct socket *so, void *arg, int flags)
{
	size_t slot = (uint32_t)(uintptr_t)arg;
	uint32_t turn = (uint32_t)((uintptr_t)arg >> 32);

	(void)so;
	(void)flags;
	pthread_mutex_lock(&lock);
	if (slot < slot_count && slots[slot].turn == turn && slots[slot].bell >= 0) {
		ring(slots[slot].bell);
	}
	pthread_mutex_unlock(&lock);
}

static int
take_slot(int bell, size_t *ret)
{
	size_t i = 0;
	int rc = 0;

	pthread_mutex_lock(&lock);
	while (i < slot_count && slots[i].bell >= 0) {
		i++;
	}
	if (i == slot_count) {
		size_t more = slot_count == 0 ? 16 : slot_count * 2;
		struct slot *larger = reallocarray(slots, more, sizeof *slots);
		rc = larger == NULL ? -ENOMEM : 0;
		for (size_t k = slot_count; rc == 0 && k < more; k++) {
			larger[k] = (struct slot){.bell = -1};
		}
		if (rc == 0) {
			slots = larger;
			slot_count = more;
		}
	}
	if (rc == 0) {
		slots[i].bell = bell;
		slots[i].turn++;
		*ret = i;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

static void
leave_slot(size_t slot)
{
	pthread_mutex_lock(&lock);
	close(slots[slot].bell);
	slots[slot].bell = -1;
	pthread_mutex_unlock(&lock);
}

static void *
ticket(size_t slot)
{
	uintptr_t turn = slots[slot].turn; /* changes only in the owner's hands */

	return (void *)(turn << 32 | slot);
}

/* Starting the library. */

/* As root the library would also open raw sockets, and end by ABORT what associations
 * the kernel has.  Its threads come from this one; so this thread is without the right
 * while they start. */
static int
set_capabilities(struct __user_cap_data_struct data[2], int call)
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(call, &header, data) < 0 ? -errno : 0;
}

static void
start_unprivileged(uint16_t port)
{
	struct __user_cap_data_struct before[2] = {0}, during[2];
	sigset_t all, mask;
	bool changes = set_capabilities(before, SYS_capget) == 0;

	memcpy(during, before, sizeof during);
	during[0].effective &= ~(1u << CAP_NET_RAW);
	changes = changes && set_capabilities(during, SYS_capset) == 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask); /* signals are not for its threads */
	usrsctp_init(port, NULL, NULL);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	if (changes) {
		set_capabilities(before, SYS_capset);
	}
}

/* Whether the port (0: any) is free for UDP on every address; *ret is it. */
static int
try_port(uint16_t port, uint16_t *ret)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t n = sizeof at;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0) {
		return -errno;
	}
	if (bind(fd, (struct sockaddr *)&at, n) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &n) < 0) {
		rc = -errno;
	}
	close(fd);
	*ret = ntohs(at.sin_port);
	return rc;
}

static int
start(uint16_t port, struct err *e)
{
	uint16_t found = 0;
	int rc = try_port(port, &found);

	if (rc < 0) {
		return err_set(
		    e, rc, "cannot carry SCTP in UDP port %u: %s", port, strerror(-rc));
	}
	start_unprivileged(found);
	usrsctp_sysctl_set_sctp_ecn_enable(0); /* UDP sockets show no ECN bits */
	udp_port = found;
	return 0;
}

static int
user_check(const struct sctp_settings *settings, const struct transport_uri *uri,
    struct err *e)
{
	uint16_t port =
	    settings->is_listening ? settings->udp_port : settings->local_udp_port;
	int rc = 0;

	pthread_mutex_lock(&lock);
	if (udp_port == 0) {
		rc = start(port, e);
	} else if (port != 0 && port != udp_port) {
		rc = err_set(e, -EINVAL,
		    "this process carries SCTP in UDP port %u already, and has one",
		    udp_port);
	}
	pthread_mutex_unlock(&lock);
	return rc < 0 ? err_prefix(e, rc, "%s", uri->text) : 0;
}

/* Sockets. */

static int
set(struct socket *so, int name, const void *value, socklen_t n)
{
	return usrsctp_setsockopt(so, IPPROTO_SCTP, name, value, n) < 0 ? -errno : 0;
}

static int
hear(struct socket *so, uint16_t what)
{
	struct sctp_event event = {.se_type = what, .se_on = 1};

	return set(so, SCTP_EVENT, &event, sizeof event);
}

static int
authenticate(struct socket *so)
{
	struct sctp_authchunk data = {CHUNK_DATA}, forward = {CHUNK_FORWARD_TSN};
	int rc = set(so, SCTP_AUTH_CHUNK, &data, sizeof data);

	return rc < 0 ? rc : set(so, SCTP_AUTH_CHUNK, &forward, sizeof forward);
}

static int
set_up(struct socket *so, const struct sctp_settings *settings)
{
	struct sctp_initmsg init = {
	    .sinit_num_ostreams = settings->streams,
	    .sinit_max_instreams = SCTP_STREAMS_MOST,
	    .sinit_max_attempts = INIT_ATTEMPTS,
	};
	struct sctp_rtoinfo rto = {
	    .srto_initial = RTO_INITIAL_MS, .srto_max = RTO_MOST_MS};
	struct sctp_assocparams peer = {.sasoc_asocmaxrxt = PEER_ATTEMPTS};
	struct sctp_paddrparams path = {
	    .spp_hbinterval = settings->heartbeat_ms,
	    .spp_pathmaxrxt = PATH_ATTEMPTS,
	    .spp_flags = SPP_HB_ENABLE,
	};
	struct sctp_udpencaps to = {.sue_port = htons(settings->udp_port)};
	int one = 1;
	int rc = usrsctp_set_non_blocking(so, 1) < 0 ? -errno : 0;

	if (rc == 0) {
		rc = set(so, SCTP_INITMSG, &init, sizeof init);
	}
	if (rc == 0) {
		rc = set(so, SCTP_RECVRCVINFO, &one, sizeof one);
	}
	if (rc == 0) {
		rc = hear(so, SCTP_ASSOC_CHANGE);
	}
	if (rc == 0) {
		rc = hear(so, SCTP_PARTIAL_DELIVERY_EVENT);
	}
	if (rc == 0 && settings->has_auth) {
		rc = authenticate(so);
	}
	if (rc == 0 && !settings->is_listening) { /* who listens learns it */
		rc = set(so, SCTP_REMOTE_UDP_ENCAPS_PORT, &to, sizeof to);
	}
	/* Without these it works, too, only not as promptly. */
	set(so, SCTP_RTOINFO, &rto, sizeof rto);
	set(so, SCTP_ASSOCINFO, &peer, sizeof peer);
	set(so, SCTP_PEER_ADDR_PARAMS, &path, sizeof path);
	set(so, SCTP_NODELAY, &one, sizeof one);
	return rc;
}

static int
epoll_of(int bell)
{
	struct epoll_event when = {.events = EPOLLIN};
	int fd = epoll_create1(EPOLL_CLOEXEC), rc;

	if (fd < 0) {
		return -errno;
	}
	if (epoll_ctl(fd, EPOLL_CTL_ADD, bell, &when) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

/* Takes so over, also on failure. */
static int
adopt(struct socket *so, struct sctp_socket *s)
{
	struct user *u = calloc(1, sizeof *u);
	int bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), fd = -1, rc = -ENOMEM;

	if (bell < 0) {
		rc = -errno;
		goto out;
	}
	fd = epoll_of(bell);
	if (fd < 0) {
		rc = fd;
		goto out;
	}
	if (u == NULL || (rc = take_slot(bell, &u->slot)) < 0) {
		goto out;
	}
	*u = (struct user){.so = so, .bell = bell, .slot = u->slot};
	usrsctp_set_upcall(so, something_happened, ticket(u->slot));
	ring(bell); /* for what happened before */
	*s = (struct sctp_socket){.fd = fd, .state = u};
	return 0;
out:
	free(u);
	if (fd >= 0) {
		close(fd);
	}
	if (bell >= 0) {
		close(bell);
	}
	usrsctp_close(so);
	return rc;
}

static int
user_open(struct sctp_socket *s, int family, const struct sctp_settings *settings)
{
	struct socket *so =
	    usrsctp_socket(family, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
	int rc;

	if (so == NULL) {
		return -errno;
	}
	rc = set_up(so, settings);
	if (rc < 0) {
		usrsctp_close(so);
		return rc;
	}
	return adopt(so, s);
}

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
user_bind(struct sctp_socket *s, const struct sockaddr_storage *list, unsigned n)
{
	_Alignas(struct sockaddr_storage)
	    uint8_t packed[(SCTP_ADDRESSES + 1) * sizeof *list];
	struct user *u = s->state;

	pack(list, n, packed);
	return usrsctp_bindx(
		   u->so, (struct sockaddr *)packed, (int)n, SCTP_BINDX_ADD_ADDR) < 0
		   ? -errno
		   : 0;
}

static int
user_listen(struct sctp_socket *s)
{
	struct user *u = s->state;

	return usrsctp_listen(u->so, BACKLOG) < 0 ? -errno : 0;
}

static int
user_port(struct sctp_socket *s, uint16_t *ret)
{
	struct user *u = s->state;
	struct sockaddr *list = NULL;

	if (usrsctp_getladdrs(u->so, 0, &list) <= 0) {
		return -errno;
	}
	*ret = ntohs(list->sa_family == AF_INET6
			 ? ((const struct sockaddr_in6 *)(const void *)list)->sin6_port
			 : ((const struct sockaddr_in *)(const void *)list)->sin_port);
	usrsctp_freeladdrs(list);
	return 0;
}

static int
user_accept(struct sctp_socket *from, struct sctp_socket *ret,
    struct sockaddr_storage *ret_peer)
{
	struct user *u = from->state;
	struct socket *so = NULL;

	for (int i = 0; i < 2 && so == NULL; i++) {
		socklen_t n = sizeof *ret_peer;
		so = usrsctp_accept(u->so, (struct sockaddr *)ret_peer, &n);
		if (so == NULL && errno != EWOULDBLOCK) {
			return -errno;
		}
		if (so == NULL && i == 0) {
			quieten(u->bell);
		}
	}
	if (so == NULL) {
		return -EAGAIN;
	}
	usrsctp_set_non_blocking(so, 1);
	return adopt(so, ret);
}

static int
user_connect(struct sctp_socket *s, const struct sockaddr_storage *list, unsigned n)
{
	_Alignas(struct sockaddr_storage)
	    uint8_t packed[(SCTP_ADDRESSES + 1) * sizeof *list];
	struct user *u = s->state;

	pack(list, n, packed);
	if (usrsctp_connectx(u->so, (struct sockaddr *)packed, (int)n, NULL) >= 0 ||
	    errno == EINPROGRESS) {
		return 0;
	}
	return -errno;
}

static int
user_connected(struct sctp_socket *s)
{
	struct user *u = s->state;
	int events, error = 0;
	socklen_t n = sizeof error;

	quieten(u->bell);
	events = usrsctp_get_events(u->so);
	if ((events & SCTP_EVENT_ERROR) != 0) {
		usrsctp_getsockopt(u->so, SOL_SOCKET, SO_ERROR, &error, &n);
		return error == 0 ? -ECONNREFUSED : -error;
	}
	return (events & SCTP_EVENT_WRITE) != 0 ? 0 : -EAGAIN;
}

static int
status_of(const struct user *u, struct sctp_status *ret)
{
	socklen_t n = sizeof *ret;

	return usrsctp_getsockopt(u->so, IPPROTO_SCTP, SCTP_STATUS, ret, &n) < 0
		   ? -errno
		   : 0;
}

static int
user_streams(struct sctp_socket *s, uint16_t *ret)
{
	struct sctp_status status = {0};
	int rc = status_of(s->state, &status);

	if (rc == 0) {
		*ret = status.sstat_outstrms;
	}
	return rc;
}

/* Messages. */

static int
judge(const void *bytes, struct sctp_piece *ret)
{
	union sctp_notification note = {0};

	memcpy(&note, bytes, ret->length < sizeof note ? ret->length : sizeof note);
	ret->kind = SCTP_PIECE_NOTE;
	if (note.sn_header.sn_type == SCTP_PARTIAL_DELIVERY_EVENT) {
		ret->kind = SCTP_PIECE_CUT;
	}
	if (note.sn_header.sn_type != SCTP_ASSOC_CHANGE) {
		return 1;
	}
	switch (note.sn_assoc_change.sac_state) {
	case SCTP_RESTART:
		ret->kind = SCTP_PIECE_RESTART;
		return 1;
	case SCTP_SHUTDOWN_COMP:
		return 0;
	case SCTP_COMM_LOST:
	case SCTP_CANT_STR_ASSOC:
		return -ECONNRESET;
	default:
		return 1;
	}
}

static int
user_receive(struct sctp_socket *s, void *bytes, size_t n, struct sctp_piece *ret)
{
	struct user *u = s->state;
	struct sctp_rcvinfo info = {0};
	unsigned kind = 0;
	int flags = 0;
	ssize_t got = -1;

	for (int i = 0; i < 2 && got < 0; i++) {
		socklen_t info_n = sizeof info, from_n = 0;
		flags = 0;
		got = usrsctp_recvv(
		    u->so, bytes, n, NULL, &from_n, &info, &info_n, &kind, &flags);
		if (got < 0 && errno != EWOULDBLOCK && errno != EINTR) {
			return -errno;
		}
		if (got < 0 && i == 0) {
			quieten(u->bell);
		}
	}
	if (got <= 0) {
		return got < 0 ? -EAGAIN : 0;
	}
	*ret = (struct sctp_piece){
	    .kind = SCTP_PIECE_DATA,
	    .length = (size_t)got,
	    .is_last = (flags & MSG_EOR) != 0,
	};
	if ((flags & MSG_NOTIFICATION) != 0) {
		return judge(bytes, ret);
	}
	if (kind == SCTP_RECVV_RCVINFO) {
		ret->stream = info.rcv_sid;
		ret->protocol = ntohl(info.rcv_ppid);
	}
	return 1;
}

static int
user_send(
    struct sctp_socket *s, const void *bytes, size_t n, const struct sctp_send *how)
{
	struct user *u = s->state;
	struct sctp_sendv_spa spa = {
	    .sendv_flags = SCTP_SEND_SNDINFO_VALID,
	    .sendv_sndinfo = {.snd_sid = how->stream, .snd_ppid = htonl(how->protocol)},
	};

	if (how->reliability != SCTP_FULL) {
		spa.sendv_flags |= SCTP_SEND_PRINFO_VALID;
		spa.sendv_prinfo = (struct sctp_prinfo){
		    .pr_policy = how->reliability == SCTP_TIMED ? SCTP_PR_SCTP_TTL
								: SCTP_PR_SCTP_RTX,
		    .pr_value = how->limit,
		};
	}
	for (int i = 0; i < 2; i++) {
		if (usrsctp_sendv(u->so, bytes, n, NULL, 0, &spa, sizeof spa,
			SCTP_SENDV_SPA, 0) >= 0) {
			return 0;
		}
		if (errno != EWOULDBLOCK && errno != EINTR) {
			return -errno;
		}
		if (i == 0) {
			quieten(u->bell);
		}
	}
	if ((usrsctp_get_events(u->so) & (SCTP_EVENT_READ | SCTP_EVENT_ERROR)) != 0) {
		ring(u->bell);
	}
	return -EAGAIN;
}

static int
user_drained(struct sctp_socket *s)
{
	struct user *u = s->state;
	struct sctp_status status = {0};
	int rc = 0;

	for (int i = 0; i < 2 && rc == 0; i++) {
		rc = status_of(u, &status);
		if (rc == 0 && status.sstat_unackdata == 0 &&
		    status.sstat_penddata == 0) {
			return 0;
		}
		if (rc == 0 && i == 0) {
			rc = hear(u->so, SCTP_SENDER_DRY_EVENT);
		}
	}
	return rc < 0 ? rc : -EAGAIN;
}

/* For DTLS. */

static int
user_add_key(struct sctp_socket *s, uint16_t id, const uint8_t *key, size_t n)
{
	struct user *u = s->state;
	struct sctp_authkey *k = calloc(1, sizeof *k + n);
	int rc;

	if (k == NULL) {
		return -ENOMEM;
	}
	k->sca_keynumber = id;
	k->sca_keylength = (uint16_t)n;
	memcpy(k->sca_key, key, n);
	rc = set(u->so, SCTP_AUTH_KEY, k, (socklen_t)(sizeof *k + n));
	explicit_bzero(k, sizeof *k + n);
	free(k);
	return rc;
}

static int
user_activate_key(struct sctp_socket *s, uint16_t id)
{
	struct user *u = s->state;
	struct sctp_authkeyid k = {.scact_keynumber = id};

	return set(u->so, SCTP_AUTH_ACTIVE_KEY, &k, sizeof k);
}

static int
user_drop_key(struct sctp_socket *s, uint16_t id)
{
	struct user *u = s->state;
	struct sctp_authkeyid k = {.scact_keynumber = id};

	return set(u->so, SCTP_AUTH_DELETE_KEY, &k, sizeof k);
}

/* Ending. */

static int
user_shutdown(struct sctp_socket *s)
{
	struct user *u = s->state;

	return usrsctp_shutdown(u->so, SHUT_WR) < 0 ? -errno : 0;
}

static uint32_t
user_wants(const struct sctp_socket *s, bool to_read, bool to_write)
{
	(void)s;
	(void)to_read;
	(void)to_write;
	return EPOLLIN; /* the bell, whatever happens */
}

static void
user_close(struct sctp_socket *s)
{
	struct user *u = s->state;

	if (u != NULL) {
		usrsctp_set_upcall(u->so, NULL, NULL);
		usrsctp_close(u->so);
		leave_slot(u->slot);
		close(s->fd);
		free(u);
	}
	*s = (struct sctp_socket){.fd = -1};
}

const struct sctp_stack sctp_user = {
    .name = "user space, in UDP",
    .check = user_check,
    .open = user_open,
    .bind = user_bind,
    .listen = user_listen,
    .port = user_port,
    .accept = user_accept,
    .connect = user_connect,
    .connected = user_connected,
    .streams = user_streams,
    .receive = user_receive,
    .send = user_send,
    .drained = user_drained,
    .add_key = user_add_key,
    .activate_key = user_activate_key,
    .drop_key = user_drop_key,
    .shutdown = user_shutdown,
    .wants = user_wants,
    .close = user_close,
};
