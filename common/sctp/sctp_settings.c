#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/sctp/sctp.h"
#include "common/sctp/sctp_stack.h"

#define HEARTBEAT_S 15

const char *const sctp_option_names[] = {"streams", "reliability", "addresses", "local",
    "heartbeat", "encapsulation", "udp-port", "local-udp-port", NULL};
const char *const sctp_secure_option_names[] = {"addresses", "local", "heartbeat",
    "encapsulation", "udp-port", "local-udp-port", NULL};

/* The option as a string of its own; false: it is not there, or longer than anything
 * that would be right. */
static bool
take(const struct transport_uri *uri, const char *name, char *out, size_t capacity)
{
	const char *at;
	int n = transport_uri_option(uri, name, &at);

	if (n < 0) {
		return false;
	}
	snprintf(out, capacity, "%.*s", n, at);
	return true;
}

static bool
is_number(const char *text, unsigned long least, unsigned long most, unsigned long *ret)
{
	char *end = NULL;
	unsigned long n;

	if (*text < '0' || *text > '9') {
		return false;
	}
	n = strtoul(text, &end, 10);
	if (*end != '\0' || n < least || n > most) {
		return false;
	}
	*ret = n;
	return true;
}

/* *value stays what it is where the option is not given. */
static int
read_number(const struct transport_uri *uri, const char *name, unsigned long least,
    unsigned long most, unsigned long *value, struct err *e)
{
	char text[16];

	if (!take(uri, name, text, sizeof text) ||
	    is_number(text, least, most, value)) {
		return 0;
	}
	return err_set(e, -EINVAL,
	    "\"%s\": %s=%s; a number from %lu to %lu would be right", uri->text, name,
	    text, least, most);
}

static int
read_numbers(const struct transport_uri *uri, struct sctp_settings *s, struct err *e)
{
	unsigned long streams = 1, heartbeat = HEARTBEAT_S, port = SCTP_UDP_PORT,
		      local = 0;
	int rc = read_number(uri, "streams", 1, SCTP_STREAMS_MOST, &streams, e);

	if (rc == 0) {
		rc = read_number(uri, "heartbeat", 1, 3600, &heartbeat, e);
	}
	if (rc == 0) {
		rc = read_number(uri, "udp-port", 1, 65535, &port, e);
	}
	if (rc == 0) {
		rc = read_number(uri, "local-udp-port", 1, 65535, &local, e);
	}
	s->streams = (uint16_t)streams;
	s->heartbeat_ms = (uint32_t)heartbeat * 1000;
	s->udp_port = (uint16_t)port;
	s->local_udp_port = (uint16_t)local;
	return rc;
}

static int
read_reliability(
    const struct transport_uri *uri, struct sctp_settings *s, struct err *e)
{
	char text[32] = "full";
	unsigned long limit = 0;

	take(uri, "reliability", text, sizeof text);
	if (strncmp(text, "timed:", 6) == 0 &&
	    is_number(text + 6, 1, 3600000, &limit)) {
		s->reliability = SCTP_TIMED;
	} else if (strncmp(text, "attempts:", 9) == 0 &&
		   is_number(text + 9, 0, 1000, &limit)) {
		s->reliability = SCTP_ATTEMPTS;
	} else if (strcmp(text, "full") != 0) {
		return err_set(e, -EINVAL,
		    "\"%s\": reliability=%s; full, timed:MILLISECONDS or attempts:N "
		    "(retransmissions) would be right",
		    uri->text, text);
	}
	s->limit = (uint32_t)limit;
	if (s->reliability != SCTP_FULL && s->streams < 2) {
		return err_set(e, -EINVAL,
		    "\"%s\": reliability=%s needs streams=2 or more: templates, which "
		    "must arrive, have stream 0 to themselves then",
		    uri->text, text);
	}
	return 0;
}

static int
read_address(const char *text, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
		memcpy(ret, &v4, sizeof v4);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
		memcpy(ret, &v6, sizeof v6);
		return 0;
	}
	return -EINVAL;
}

/* "192.0.2.1,2001:db8::1", each with this port. */
static int
read_addresses(const struct transport_uri *uri, const char *name, uint16_t port,
    struct sockaddr_storage list[SCTP_ADDRESSES], unsigned *count, struct err *e)
{
	char text[sizeof uri->options], *rest = text, *one;

	if (!take(uri, name, text, sizeof text)) {
		return 0;
	}
	while ((one = strsep(&rest, ",")) != NULL) {
		if (*count == SCTP_ADDRESSES) {
			return err_set(e, -EINVAL,
			    "\"%s\": %s= takes at most %d addresses", uri->text, name,
			    SCTP_ADDRESSES);
		}
		if (read_address(one, port, &list[*count]) < 0) {
			return err_set(e, -EINVAL,
			    "\"%s\": %s=: \"%s\" is no address; write some as in "
			    "%s=192.0.2.1,2001:db8::1",
			    uri->text, name, one, name);
		}
		(*count)++;
	}
	return 0;
}

static int
choose_stack(const struct transport_uri *uri, struct sctp_settings *s, struct err *e)
{
	char text[16] = "none";

	take(uri, "encapsulation", text, sizeof text);
	if (strcmp(text, "none") == 0) {
		s->stack = &sctp_kernel;
		return 0;
	}
	if (strcmp(text, "udp") != 0) {
		return err_set(e, -EINVAL,
		    "\"%s\": encapsulation=%s; udp or none would be right", uri->text,
		    text);
	}
#ifdef FLOWPAIR_USRSCTP
	s->stack = &sctp_user;
	return 0;
#else
	return err_set(e, -EINVAL,
	    "\"%s\": this flowpair was built without libusrsctp, which carries SCTP in "
	    "UDP; install libusrsctp-dev and build it again",
	    uri->text);
#endif
}

int
sctp_settings_read(
    const struct transport_uri *uri, struct sctp_settings *ret, struct err *e)
{
	struct sctp_settings s = {0};
	int rc = choose_stack(uri, &s, e);

	if (rc == 0) {
		rc = read_numbers(uri, &s, e);
	}
	if (rc == 0) {
		rc = read_reliability(uri, &s, e);
	}
	if (rc == 0) {
		rc = read_addresses(
		    uri, "addresses", uri->port, s.address, &s.addresses, e);
	}
	if (rc == 0) {
		rc = read_addresses(uri, "local", 0, s.local, &s.locals, e);
	}
	if (rc == 0) {
		*ret = s;
	}
	return rc;
}
