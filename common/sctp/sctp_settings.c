#include "common/sctp/sctp_settings.h"

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

static const struct sctp_stack *user;

void
sctp_stack_set_user(const struct sctp_stack *stack)
{
	user = stack;
}

/* The option as a string of its own, cut to capacity; false: it is not there. */
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

/* A number in an option; it stays what it is where the option is not given. */
struct number {
	const char *name;
	unsigned long least, most, value;
};

static int
read_number(const struct transport_uri *uri, struct number *n, struct err *e)
{
	char text[16];

	if (!take(uri, n->name, text, sizeof text) ||
	    is_number(text, n->least, n->most, &n->value)) {
		return 0;
	}
	return err_set(e, -EINVAL, "\"%s\": invalid %s=%s (expected %lu to %lu)",
	    uri->text, n->name, text, n->least, n->most);
}

static int
read_numbers(const struct transport_uri *uri, struct sctp_settings *s, struct err *e)
{
	struct number streams = {"streams", 1, SCTP_STREAMS_MOST, 1};
	struct number heartbeat = {"heartbeat", 1, 3600, HEARTBEAT_S};
	struct number port = {"udp-port", 1, 65535, SCTP_UDP_PORT};
	struct number local = {"local-udp-port", 1, 65535, 0};
	struct number *const all[] = {&streams, &heartbeat, &port, &local};
	int rc = 0;

	for (unsigned i = 0; i < sizeof all / sizeof *all && rc == 0; i++) {
		rc = read_number(uri, all[i], e);
	}
	s->streams = (uint16_t)streams.value;
	s->heartbeat_ms = (uint32_t)heartbeat.value * 1000;
	s->udp_port = (uint16_t)port.value;
	s->local_udp_port = (uint16_t)local.value;
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
		    "\"%s\": invalid reliability=%s (expected full, timed:MILLISECONDS "
		    "or attempts:RETRANSMISSIONS)",
		    uri->text, text);
	}
	s->limit = (uint32_t)limit;
	if (s->reliability != SCTP_FULL && s->streams < 2) {
		return err_set(e, -EINVAL,
		    "\"%s\": reliability=%s needs streams=2 or more, because stream 0 "
		    "is reserved for templates, which must arrive",
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

/* "192.0.2.1,2001:db8::1", of the host with the port of the URI; ours with any. */
static int
read_addresses(const struct transport_uri *uri, const char *name,
    struct sockaddr_storage list[SCTP_ADDRESSES], unsigned *count, struct err *e)
{
	uint16_t port = strcmp(name, "local") == 0 ? 0 : uri->port;
	char text[sizeof uri->options], *rest = text, *one;

	if (!take(uri, name, text, sizeof text)) {
		return 0;
	}
	while ((one = strsep(&rest, ",")) != NULL) {
		if (*count == SCTP_ADDRESSES) {
			return err_set(e, -EINVAL,
			    "\"%s\": %s= can have at most %d addresses", uri->text,
			    name, SCTP_ADDRESSES);
		}
		if (read_address(one, port, &list[*count]) < 0) {
			return err_set(e, -EINVAL,
			    "\"%s\": %s=: invalid address \"%s\" (expected addresses as "
			    "in %s=192.0.2.1,2001:db8::1)",
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
		    "\"%s\": invalid encapsulation=%s (expected udp or none)",
		    uri->text, text);
	}
	s->stack = user;
	if (s->stack == NULL) {
		return err_set(e, -EINVAL,
		    "\"%s\": this flowpair was built without libusrsctp, which carries "
		    "SCTP in UDP; install libusrsctp-dev and build it again",
		    uri->text);
	}
	return 0;
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
		rc = read_addresses(uri, "addresses", s.address, &s.addresses, e);
	}
	if (rc == 0) {
		rc = read_addresses(uri, "local", s.local, &s.locals, e);
	}
	if (rc == 0) {
		*ret = s;
	}
	return rc;
}
