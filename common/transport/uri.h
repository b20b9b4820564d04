/* The URI of a transport: scheme://host:port?name=value&name=value, or file:path.
 * Ports default to 4739 plain and 4740 secured; IPv6 addresses stand in brackets.
 * common/schemes/schemes.h finds the scheme and calls transport_uri_read(). */
#ifndef COMMON_TRANSPORT_URI_H
#define COMMON_TRANSPORT_URI_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

struct transport_scheme;

struct transport_uri {
	const struct transport_scheme *scheme;
	char host[256]; /* or the path of a file */
	uint16_t port;
	char options[256]; /* after "?": "streams=4&x=y"; the scheme knows the names */
	char text[320];    /* as given, for sentences */
	/* Over plain UDP: which of the host's addresses is dialled first, counted round
	 * and round; see struct transport. */
	unsigned turn;
};

/* Reads text, a URI of this scheme.  0 or -EINVAL. */
int transport_uri_read(const struct transport_scheme *scheme, const char *text,
    struct transport_uri *ret, struct err *e);
/* The value of an option of the URI: its length with *ret (not terminated), or -ENOENT.
 */
int transport_uri_option(
    const struct transport_uri *uri, const char *name, const char **ret);
/* The host is "" or "*": every address of this machine. */
bool transport_is_everywhere(const struct transport_uri *uri);
/* Whether it can be dialled: it names a host and a port, or is a file, and this machine
 * can.  0 or negative. */
int transport_check_target(const struct transport_uri *uri, struct err *e);
/* The best length of messages to this target: `most`, or less. */
uint32_t transport_message_size(const struct transport_uri *uri, uint32_t most);

#endif
