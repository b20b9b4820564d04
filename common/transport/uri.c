#include "common/transport/uri.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/transport/scheme.h"

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
		    "\"%s\": invalid port \"%s\" (expected 1 to 65535)", text, port);
	}
	*ret = (uint16_t)n;
	return 0;
}

/* Where the host stands in "host", "host:port", "[v6]" or "[v6]:port"; *ret_after is
 * what follows it. */
static int
find_host(const struct transport_uri *u, const char *authority, const char **ret_host,
    const char **ret_after, struct err *e)
{
	const char *host = authority, *after;

	if (*host == '[') {
		host++;
		after = host + strcspn(host, "]");
		if (*after == '\0' || (after[1] != '\0' && after[1] != ':')) {
			return err_set(e, -EINVAL,
			    "\"%s\": an IPv6 address ends with \"]\", then \":PORT\" or "
			    "nothing, as in [::1]:4740",
			    u->text);
		}
	} else {
		after = strrchr(host, ':');
		if (after != NULL && strchr(host, ':') != after) {
			return err_set(e, -EINVAL,
			    "\"%s\": an IPv6 address must be in brackets, as in "
			    "[::1]:4740",
			    u->text);
		}
		after = after != NULL ? after : host + strlen(host);
	}
	*ret_host = host;
	*ret_after = after;
	return 0;
}

/* "host", "host:port", "[v6]", "[v6]:port"; the host may be empty or "*". */
static int
parse_authority(struct transport_uri *u, const char *authority, struct err *e)
{
	const char *host = NULL, *after = NULL;
	struct in6_addr v6;
	size_t n;
	int rc = find_host(u, authority, &host, &after, e);

	if (rc < 0) {
		return rc;
	}
	n = (size_t)(after - host);
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
			return err_set(e, -EINVAL, "\"%s\": invalid IPv6 address [%s]",
			    u->text, u->host);
		}
		after++;
	} else if (strpbrk(u->host, "/?#@ \t") != NULL) {
		return err_set(e, -EINVAL,
		    "\"%s\": only HOST[:PORT] can follow %s://, without a path or user",
		    u->text, u->scheme->name);
	}
	u->port = u->scheme->port;
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
		return err_set(e, -EINVAL,
		    "\"%s\": the options after \"?\" are too long", u->text);
	}
	strcpy(u->options, at);
	for (; *at != '\0'; at += n + (at[n] == '&')) {
		size_t name = strcspn(at, "=&");
		n = strcspn(at, "&");
		if (name >= n || !is_known(u->scheme->options, at, name)) {
			return err_set(e, -EINVAL,
			    "\"%s\": %s:// does not have the option \"%.*s\"", u->text,
			    u->scheme->name, (int)n, at);
		}
	}
	return 0;
}

static int
parse_path(struct transport_uri *u, const char *path, struct err *e)
{
	if (*path == '\0' || strlen(path) >= sizeof u->host) {
		return err_set(e, -EINVAL,
		    "\"%s\": file: needs a path of at most %zu characters, or - for "
		    "standard output",
		    u->text, sizeof u->host - 1);
	}
	strcpy(u->host, path);
	return 0;
}

int
transport_uri_read(const struct transport_scheme *scheme, const char *text,
    struct transport_uri *ret, struct err *e)
{
	const char *rest = text + strcspn(text, ":") + 1;
	struct transport_uri u = {.scheme = scheme};
	char authority[sizeof u.text];
	int rc;

	if (strlen(text) >= sizeof u.text) {
		return err_set(e, -EINVAL, "\"%.60s...\" is longer than %zu characters",
		    text, sizeof u.text - 1);
	}
	strcpy(u.text, text);
	if (scheme->is_file) {
		rc = parse_path(&u, rest, e);
	} else if (strncmp(rest, "//", 2) != 0) {
		rc = err_set(
		    e, -EINVAL, "\"%s\": write %s://HOST[:PORT]", u.text, scheme->name);
	} else {
		strcpy(authority, rest + 2);
		rc = parse_options(&u, authority, e);
		rc = rc == 0 ? parse_authority(&u, authority, e) : rc;
	}
	if (rc == 0) {
		*ret = u;
	}
	return rc;
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

bool
transport_is_everywhere(const struct transport_uri *uri)
{
	return uri->host[0] == '\0' || strcmp(uri->host, "*") == 0;
}

int
transport_check_target(const struct transport_uri *uri, struct err *e)
{
	const struct transport_scheme *s = uri->scheme;

	if (!s->is_file && (transport_is_everywhere(uri) || uri->port == 0)) {
		return err_set(e, -EINVAL,
		    "cannot connect to \"%s\": it needs a host, and a port that is not 0",
		    uri->text);
	}
	return s->dialer->check == NULL ? 0 : s->dialer->check(uri, e);
}

uint32_t
transport_message_size(const struct transport_uri *uri, uint32_t most)
{
	const struct transport_scheme *s = uri->scheme;
	uint32_t fits = s->message_max < most ? s->message_max : most;

	return s->dialer->message_size == NULL ? fits
					       : s->dialer->message_size(uri, fits);
}
