/* IP addresses: 16 bytes inside, IPv4 as v4-mapped (::ffff:a.b.c.d), canonical text
 * outside.  Byte order of comparison is memcmp's, so IPv4 sorts numerically. */
#ifndef COMMON_BASE_ADDRESS_H
#define COMMON_BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct address {
	uint8_t bytes[16];
};

#define ADDRESS_TEXT 46 /* longest text and NUL */

static inline bool
address_is_ipv4(const struct address *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	return memcmp(a->bytes, mapped, sizeof mapped) == 0;
}

static inline void
address_from_ipv4(struct address *a, const uint8_t bytes[static 4])
{
	memset(a->bytes, 0, 10);
	memset(a->bytes + 10, 0xff, 2);
	memcpy(a->bytes + 12, bytes, 4);
}

/* Canonical text (RFC 5952; IPv4 dotted), table-driven: no libc call.  Returns its
 * length; NUL-terminated. */
size_t address_format(const struct address *a, char out[static ADDRESS_TEXT]);

/* IPv4 or IPv6 text, whole string.  0 or -EINVAL. */
int address_parse(const char *text, struct address *ret);

/* "10.0.0.0/8", "2001:db8::/32", or an address alone (full length).  *ret_bits counts
 * in the 128-bit form (IPv4 /8 gives 104).  Bits beyond the prefix must be zero.  0 or
 * -EINVAL. */
int address_parse_prefix(const char *text, struct address *ret, unsigned *ret_bits);

/* Clears the bits beyond the prefix length: ipv4_bits for IPv4, else ipv6_bits. */
void address_mask(struct address *a, unsigned ipv4_bits, unsigned ipv6_bits);

/* Whether a lies in prefix/bits (bits of the 128-bit form). */
bool address_in_prefix(
    const struct address *a, const struct address *prefix, unsigned bits);

#endif
