/* Where something is sent from or to: an address and a port.  Binary inside, from the
 * socket to the row; text only on disk and for people. */
#ifndef COMMON_BASE_ENDPOINT_H
#define COMMON_BASE_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/base/address.h"

struct endpoint { /* without padding: memcmp() compares, hash_bytes() hashes it */
	struct address address;
	uint16_t port; /* 0: any, or unknown */
};

static inline bool
endpoint_is_same(const struct endpoint *a, const struct endpoint *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

/* "192.0.2.1:5000", "[2001:db8::1]:5000"; port 0: "192.0.2.1", "[2001:db8::1]". */
#define ENDPOINT_TEXT (ADDRESS_TEXT + 8) /* longest text and NUL */
void endpoint_format(const struct endpoint *x, char out[static ENDPOINT_TEXT]);

/* What endpoint_format() writes, or an address alone; whole string.  0 or -EINVAL. */
int endpoint_parse(const char *text, struct endpoint *ret);

/* Of a struct sockaddr of IPv4 or IPv6, aligned or not; others give all zeros. */
void endpoint_from_sockaddr(const void *sockaddr, struct endpoint *ret);

#endif
