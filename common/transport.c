#include "common/transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/address.h"

#define SCHEMES "tcp://HOST[:PORT], tls://HOST[:PORT] and file:PATH"

static const struct transport_ops *const schemes[] = {
    &transport_tcp, &transport_tls, &transport_file};

/* Known to the design, not to this version: worth another sentence than a typing error.
 */
static const char *const later[] = {"sctp", "dtls+sctp", "udp", "dtls+udp"};

static int
complain_scheme(const char *text, const char *scheme, struct err *e)
{
	const char *names[] = {"tcp", "tls", "file"};
	const char *nearest = NULL;

	for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
		if (strcasecmp(scheme, later[i]) == 0) {
			return err_set(e, -EINVAL,
			    "\"%s\": %s is not in this version; it has " SCHEMES, text,
			    later[i]);
		}
	}
	nearest = err_nearest(scheme, names, 3);
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

int
transport_parse_uri(const char *text, struct transport_uri *ret, struct err *e)
{
	struct transport_uri u = {0};
	char scheme[16];
	size_t n = strcspn(text, ":");
	int rc = 0;

	if (text[n] != ':') {
		return err_set(
		    e, -EINVAL, "\"%s\" names no transport; there are " SCHEMES, text);
	}
	snprintf(scheme, sizeof scheme, "%.*s", (int)n, text);
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
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
		rc = parse_authority(&u, text + 2, e);
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
	return 0;
}

/* One listening socket at this address; negative errno. */
static int
listen_at(const struct addrinfo *a, bool is_dual)
{
	int one = 1, zero = 0, rc;
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		return -errno;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (a->ai_family == AF_INET6) {
		setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, is_dual ? &zero : &one, sizeof one);
	}
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0) {
		return fd;
	}
	rc = -errno;
	close(fd);
	return rc;
}

int
transport_listen(const struct transport_uri *uri, struct err *e)
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
		rc = listen_at(a, is_any);
	}
	freeaddrinfo(list);
	if (rc == -EAFNOSUPPORT && is_any) { /* a kernel without IPv6 */
		struct sockaddr_in v4 = {
		    .sin_family = AF_INET, .sin_port = htons(uri->port)};
		rc = listen_at(&(struct addrinfo){.ai_family = AF_INET,
				   .ai_addr = (struct sockaddr *)&v4,
				   .ai_addrlen = sizeof v4},
		    false);
	}
	return rc >= 0 ? rc
		       : err_set(e, rc, "cannot listen at %s: %s", uri->text,
			     strerror(-rc));
}

/* "192.0.2.1:51234" or "[2001:db8::1]:51234"; IPv4 also where an IPv6 socket took it.
 */
static void
format_peer(const struct sockaddr_storage *from, char out[static 128])
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
transport_accept(int listen_fd, int *ret_fd, char ret_peer[static 128], struct err *e)
{
	struct sockaddr_storage from = {0};
	socklen_t n = sizeof from;
	int one = 1;
	int fd = accept4(
	    listen_fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

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
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	format_peer(&from, ret_peer);
	*ret_fd = fd;
	return 0;
}
