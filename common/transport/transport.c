#include "common/transport/transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/address.h"

#define SCHEMES                                                                        \
	"tcp://HOST[:PORT], tls://HOST[:PORT], sctp://HOST[:PORT], "                   \
	"dtls+sctp://HOST[:PORT], udp://HOST[:PORT], dtls+udp://HOST[:PORT] and "      \
	"file:PATH"

static const struct transport_ops *const schemes[] = {&transport_tcp, &transport_tls,
    &transport_sctp, &transport_dtls_sctp, &transport_udp, &transport_dtls_udp,
    &transport_file};
#define COUNT (sizeof schemes / sizeof *schemes)

static int
complain_scheme(const char *text, const char *scheme, struct err *e)
{
	const char *names[COUNT], *nearest;

	for (size_t i = 0; i < COUNT; i++) {
		names[i] = schemes[i]->scheme;
	}
	nearest = err_nearest(scheme, names, COUNT);
	if (nearest != NULL) {
		return err_set(e, -EINVAL,
		    "\"%s\": there is no transport \"%s\", did you mean \"%s\"?  There "
		    "are " SCHEMES,
		    text, scheme, nearest);
	}
	return err_set(e, -EINVAL,
	    "\"%s\": there is no transport \"%s\"; there are " SCHEMES, text, scheme);
}

static int
parse_port(const char *text, const char *port, uint16_t *ret, struct err *e)
{
	char *end = NULL;
	unsigned long n = 0;

	if (*port >= '0' && *port <= '9') {
		n = strtoul(port, &end, 10);
	}
	if (end == NULL || *end != '\0' || n > 65535) {
		return err_set(e, -EINVAL,
		    "\"%s\": \"%s\" is no port; a number from 1 to 65535 would be",
		    text, port);
	}
	*ret = (uint16_t)n;
	return 0;
}

/* "host", "host:port", "[v6]", "[v6]:port"; the host may be empty or "*". */
static int
parse_authority(struct transport_uri *u, const char *authority, struct err *e)
{
	const char *host = authority, *after;
	struct in6_addr v6;
	size_t n;

	if (*host == '[') {
		host++;
		n = strcspn(host, "]");
		after = host + n + 1;
		if (host[n] == '\0' || (*after != '\0' && *after != ':')) {
			return err_set(e, -EINVAL,
			    "\"%s\": an IPv6 address ends with \"]\" and perhaps "
			    "\":PORT\", as in [::1]:4740",
			    u->text);
		}
	} else {
		after = strrchr(host, ':');
		if (after != NULL && strchr(host, ':') != after) {
			return err_set(e, -EINVAL,
			    "\"%s\": IPv6 addresses stand in brackets, as in "
			    "[::1]:4740",
			    u->text);
		}
		n = after != NULL ? (size_t)(after - host) : strlen(host);
		after = host + n;
	}
	if (n >= sizeof u->host) {
		return err_set(
		    e, -EINVAL, "\"%s\": the host name is too long", u->text);
	}
	memcpy(u->host, host, n);
	u->host[n] = '\0';
	if (*authority == '[') {
		char bare[sizeof u->host];
		snprintf(
		    bare, sizeof bare, "%.*s", (int)strcspn(u->host, "%"), u->host);
		if (inet_pton(AF_INET6, bare, &v6) != 1) {
			return err_set(e, -EINVAL, "\"%s\": [%s] is no IPv6 address",
			    u->text, u->host);
		}
	} else if (strpbrk(u->host, "/?#@ \t") != NULL) {
		return err_set(e, -EINVAL,
		    "\"%s\": after %s:// there is only HOST[:PORT], no path and no "
		    "user",
		    u->text, u->ops->scheme);
	}
	u->port = u->ops->port;
	return *after == ':' ? parse_port(u->text, after + 1, &u->port, e) : 0;
}

static bool
is_known(const char *const *names, const char *name, size_t n)
{
	for (; names != NULL && *names != NULL; names++) {
		if (strlen(*names) == n && memcmp(*names, name, n) == 0) {
			return true;
		}
	}
	return false;
}

/* "name=value&name=value"; takes what follows "?" off the authority. */
static int
parse_options(struct transport_uri *u, char *authority, struct err *e)
{
	char *at = strchr(authority, '?');
	size_t n;

	if (at == NULL) {
		return 0;
	}
	*at++ = '\0';
	if (strlen(at) >= sizeof u->options) {
		return err_set(
		    e, -EINVAL, "\"%s\": what follows \"?\" is too long", u->text);
	}
	strcpy(u->options, at);
	for (; *at != '\0'; at += n + (at[n] == '&')) {
		size_t name = strcspn(at, "=&");
		n = strcspn(at, "&");
		if (name >= n || !is_known(u->ops->options, at, name)) {
			return err_set(e, -EINVAL,
			    "\"%s\": %s:// knows no option \"%.*s\"", u->text,
			    u->ops->scheme, (int)n, at);
		}
	}
	return 0;
}

uint32_t
transport_message_size(const struct transport_uri *uri, uint32_t most)
{
	uint32_t fits = uri->ops->message_max < most ? uri->ops->message_max : most;

	return uri->ops->message_size == NULL ? fits
					      : uri->ops->message_size(uri, fits);
}

int
transport_uri_option(
    const struct transport_uri *uri, const char *name, const char **ret)
{
	size_t length = strlen(name), n;

	for (const char *at = uri->options; *at != '\0'; at += n + (at[n] == '&')) {
		n = strcspn(at, "&");
		if (n > length && at[length] == '=' && memcmp(at, name, length) == 0) {
			*ret = at + length + 1;
			return (int)(n - length - 1);
		}
	}
	return -ENOENT;
}

int
transport_parse_uri(const char *text, struct transport_uri *ret, struct err *e)
{
	struct transport_uri u = {0};
	char scheme[16], authority[sizeof u.text];
	size_t n = strcspn(text, ":");
	int rc = 0;

	if (text[n] != ':') {
		return err_set(
		    e, -EINVAL, "\"%s\" names no transport; there are " SCHEMES, text);
	}
	snprintf(scheme, sizeof scheme, "%.*s", (int)n, text);
	for (size_t i = 0; i < COUNT; i++) {
		if (strcasecmp(scheme, schemes[i]->scheme) == 0) {
			u.ops = schemes[i];
		}
	}
	if (u.ops == NULL) {
		return complain_scheme(text, scheme, e);
	}
	if (strlen(text) >= sizeof u.text) {
		return err_set(e, -EINVAL, "\"%.60s...\" is longer than %zu characters",
		    text, sizeof u.text - 1);
	}
	strcpy(u.text, text);
	text += n + 1;
	if (u.ops->is_file) {
		if (*text == '\0' || strlen(text) >= sizeof u.host) {
			return err_set(e, -EINVAL,
			    "\"%s\": file: needs a path of at most %zu characters, or "
			    "- "
			    "for standard output",
			    u.text, sizeof u.host - 1);
		}
		strcpy(u.host, text);
	} else if (strncmp(text, "//", 2) != 0) {
		return err_set(e, -EINVAL, "\"%s\": write %s://HOST[:PORT]", u.text,
		    u.ops->scheme);
	} else {
		strcpy(authority, text + 2);
		rc = parse_options(&u, authority, e);
		rc = rc == 0 ? parse_authority(&u, authority, e) : rc;
	}
	if (rc == 0) {
		*ret = u;
	}
	return rc;
}

static bool
is_everywhere(const struct transport_uri *uri)
{
	return uri->host[0] == '\0' || strcmp(uri->host, "*") == 0;
}

int
transport_check_target(const struct transport_uri *uri, struct err *e)
{
	if (!uri->ops->is_file && (is_everywhere(uri) || uri->port == 0)) {
		return err_set(e, -EINVAL,
		    "\"%s\" is no place to connect to: it needs a host, and a port "
		    "that "
		    "is not 0",
		    uri->text);
	}
	return uri->ops->check == NULL ? 0 : uri->ops->check(uri, e);
}

/* One listening socket at this address; negative errno. */
static int
listen_at(const struct addrinfo *a, int protocol, bool is_dual)
{
	int one = 1, zero = 0, rc;
	bool is_datagram = protocol == IPPROTO_UDP;
	int fd = socket(a->ai_family,
	    (is_datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    protocol);

	if (fd < 0) {
		return -errno;
	}
	if (!is_datagram) { /* there it would let another program take the port over */
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	}
	if (a->ai_family == AF_INET6) {
		setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, is_dual ? &zero : &one, sizeof one);
	}
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 &&
	    (is_datagram || listen(fd, SOMAXCONN) == 0)) {
		return fd;
	}
	rc = -errno;
	close(fd);
	return rc;
}

static int
bind_somewhere(const struct transport_uri *uri, int protocol, struct err *e)
{
	bool is_any = is_everywhere(uri);
	struct addrinfo hints = {
	    .ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	struct addrinfo *list = NULL;
	char port[8];
	int rc;

	snprintf(port, sizeof port, "%u", uri->port);
	rc = getaddrinfo(is_any ? "::" : uri->host, port, &hints, &list);
	if (rc != 0) {
		return err_set(e, -EADDRNOTAVAIL, "cannot listen at %s: %s", uri->text,
		    rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
	}
	rc = -EADDRNOTAVAIL;
	for (const struct addrinfo *a = list; a != NULL && rc < 0; a = a->ai_next) {
		rc = listen_at(a, protocol, is_any);
	}
	freeaddrinfo(list);
	if (rc == -EAFNOSUPPORT && is_any) { /* a kernel without IPv6 */
		struct sockaddr_in v4 = {
		    .sin_family = AF_INET, .sin_port = htons(uri->port)};
		rc = listen_at(&(struct addrinfo){.ai_family = AF_INET,
				   .ai_addr = (struct sockaddr *)&v4,
				   .ai_addrlen = sizeof v4},
		    protocol, false);
	}
	return rc >= 0 ? rc
		       : err_set(e, rc, "cannot listen at %s: %s", uri->text,
			     strerror(-rc));
}

void
transport_format_peer(const struct sockaddr_storage *from, char out[static 128])
{
	char text[ADDRESS_TEXT];
	struct address a = {0};
	unsigned port = 0;

	if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
		memcpy(a.bytes, &v6->sin6_addr, sizeof a.bytes);
		port = ntohs(v6->sin6_port);
	} else {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
		uint8_t bytes[4];
		memcpy(bytes, &v4->sin_addr, sizeof bytes);
		address_from_ipv4(&a, bytes);
		port = ntohs(v4->sin_port);
	}
	address_format(&a, text);
	snprintf(out, 128, address_is_ipv4(&a) ? "%s:%u" : "[%s]:%u", text, port);
}

int
transport_listen_socket(struct transport_listener *l, const struct transport_uri *uri,
    int protocol, struct err *e)
{
	struct sockaddr_storage at = {0};
	socklen_t n = sizeof at;

	l->fd = bind_somewhere(uri, protocol, e);
	if (l->fd < 0) {
		return l->fd;
	}
	getsockname(l->fd, (struct sockaddr *)&at, &n);
	l->port = ntohs(at.ss_family == AF_INET6
			    ? ((const struct sockaddr_in6 *)&at)->sin6_port
			    : ((const struct sockaddr_in *)&at)->sin_port);
	return 0;
}

int
transport_accept_socket(struct transport_listener *l, struct transport *t,
    struct tls_context *tls, struct err *e)
{
	struct sockaddr_storage from = {0};
	socklen_t n = sizeof from;
	int fd =
	    accept4(l->fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		/* Errors of a connection that died in the queue are not the listener's.
		 */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM || errno == EBADF || errno == EINVAL) {
			int code = -errno;
			return err_set(
			    e, code, "cannot accept connections: %s", strerror(-code));
		}
		return -EAGAIN;
	}
	*t = (struct transport){.ops = l->ops};
	transport_format_peer(&from, t->peer);
	return l->ops->accepted(t, fd, tls, e) < 0 ? -ECONNABORTED : 0;
}

void
transport_close_listener(struct transport_listener *l)
{
	close(l->fd);
	l->fd = -1;
}

int
transport_listen(
    const struct transport_uri *uri, struct transport_listener *ret, struct err *e)
{
	struct transport_listener l = {.ops = uri->ops, .fd = -1};
	int rc;

	if (uri->ops->listen == NULL) {
		return err_set(
		    e, -EINVAL, "\"%s\" is no place to listen at", uri->text);
	}
	memcpy(l.text, uri->text, sizeof l.text);
	rc = uri->ops->listen(&l, uri, e);
	if (rc == 0) {
		*ret = l;
	}
	return rc;
}

int
transport_accept(struct transport_listener *l, struct transport *t,
    struct tls_context *tls, struct err *e)
{
	return l->ops->accept(l, t, tls, e);
}

void
transport_unlisten(struct transport_listener *l)
{
	if (l->ops != NULL) {
		l->ops->unlisten(l);
	}
	*l = (struct transport_listener){.fd = -1};
}

uint64_t
transport_timeout(const struct transport *t)
{
	return t->ops->timeout == NULL ? UINT64_MAX : t->ops->timeout(t);
}

enum tls_refusal
transport_refusal(const struct transport *t)
{
	return t->ops->refusal == NULL ? TLS_REFUSED_NONE : t->ops->refusal(t);
}

int
transport_judge_anew(struct transport *t, struct tls_context *tls, struct err *e)
{
	return t->ops->judge_anew == NULL ? 0 : t->ops->judge_anew(t, tls, e);
}
