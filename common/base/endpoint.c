#include "common/base/endpoint.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

void
endpoint_format(const struct endpoint *x, char out[static ENDPOINT_TEXT])
{
	bool is_ipv4 = address_is_ipv4(&x->address);
	char text[ADDRESS_TEXT];

	address_format(&x->address, text);
	if (x->port == 0) {
		snprintf(out, ENDPOINT_TEXT, is_ipv4 ? "%s" : "[%s]", text);
	} else {
		snprintf(out, ENDPOINT_TEXT, is_ipv4 ? "%s:%u" : "[%s]:%u", text,
		    (unsigned)x->port);
	}
}

/* What follows the address: nothing, or a colon and a port. */
static int
parse_rest(const char *text, uint16_t *ret)
{
	const char *rest = text;
	unsigned long n = 0;
	char *end;

	if (text[0] == ':' && text[1] >= '0' && text[1] <= '9') {
		n = strtoul(text + 1, &end, 10);
		rest = end;
	}
	if (*rest != '\0' || n > UINT16_MAX) {
		return -EINVAL;
	}
	*ret = (uint16_t)n;
	return 0;
}

int
endpoint_parse(const char *text, struct endpoint *ret)
{
	bool is_bracketed = text[0] == '[';
	const char *host = text + is_bracketed;
	size_t n = strcspn(host, is_bracketed ? "]" : ":");
	struct endpoint x = {.port = 0};
	char alone[ADDRESS_TEXT];

	if (address_parse(text, &x.address) == 0) {
		*ret = x;
		return 0;
	}
	if (n >= sizeof alone || (is_bracketed && host[n] == '\0')) {
		return -EINVAL;
	}
	memcpy(alone, host, n);
	alone[n] = '\0';
	if (address_parse(alone, &x.address) < 0 ||
	    parse_rest(host + n + is_bracketed, &x.port) < 0) {
		return -EINVAL;
	}
	*ret = x;
	return 0;
}

void
endpoint_from_sockaddr(const void *sockaddr, struct endpoint *ret)
{
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;
	sa_family_t family;
	uint8_t bytes[4];

	*ret = (struct endpoint){.port = 0};
	memcpy(&family, sockaddr, sizeof family); /* its first member */
	if (family == AF_INET6) {
		memcpy(&v6, sockaddr, sizeof v6);
		memcpy(ret->address.bytes, &v6.sin6_addr, sizeof ret->address.bytes);
		ret->port = ntohs(v6.sin6_port);
	} else if (family == AF_INET) {
		memcpy(&v4, sockaddr, sizeof v4);
		memcpy(bytes, &v4.sin_addr, sizeof bytes);
		address_from_ipv4(&ret->address, bytes);
		ret->port = ntohs(v4.sin_port);
	}
}
