#include "common/base/address.h"

#include <arpa/inet.h>
#include <errno.h>

#define IPV4_BITS_BEFORE 96 /* of the 128-bit form of an IPv4 prefix */

/* Every octet as decimal text with a dot after it: four bytes to copy, of which
 * length + 1 count. */
struct octet_text {
	char text[4];
	uint8_t length;
};
#define DIGIT(n) ('0' + (n) % 10)
#define OCTET(n)                                                                       \
	{                                                                              \
		{(n) >= 100     ? DIGIT((n) / 100)                                     \
		    : (n) >= 10 ? DIGIT((n) / 10)                                      \
				: DIGIT(n),                                            \
		    (n) >= 100  ? DIGIT((n) / 10)                                      \
		    : (n) >= 10 ? DIGIT(n)                                             \
				: '.',                                                 \
		    (n) >= 100 ? DIGIT(n) : '.', '.'},                                 \
		    (n) >= 100  ? 3                                                    \
		    : (n) >= 10 ? 2                                                    \
				: 1                                                    \
	}
#define OCTETS_4(n) OCTET(n), OCTET((n) + 1), OCTET((n) + 2), OCTET((n) + 3)
#define OCTETS_16(n)                                                                   \
	OCTETS_4(n), OCTETS_4((n) + 4), OCTETS_4((n) + 8), OCTETS_4((n) + 12)
#define OCTETS_64(n)                                                                   \
	OCTETS_16(n), OCTETS_16((n) + 16), OCTETS_16((n) + 32), OCTETS_16((n) + 48)
static const struct octet_text octets[256] = {
    OCTETS_64(0), OCTETS_64(64), OCTETS_64(128), OCTETS_64(192)};

static size_t
format_ipv4(const uint8_t bytes[static 4], char *out)
{
	char *p = out;

	for (int i = 0; i < 4; i++) {
		const struct octet_text *o = &octets[bytes[i]];
		memcpy(p, o->text, sizeof o->text);
		p += o->length + 1;
	}
	p[-1] = '\0'; /* the last dot */
	return (size_t)(p - 1 - out);
}

static char *
put_group(char *p, unsigned group)
{
	static const char hex[16] = "0123456789abcdef";

	if (group >= 0x1000) {
		*p++ = hex[group >> 12];
	}
	if (group >= 0x100) {
		*p++ = hex[group >> 8 & 15];
	}
	if (group >= 0x10) {
		*p++ = hex[group >> 4 & 15];
	}
	*p++ = hex[group & 15];
	return p;
}

/* RFC 5952 section 4: lower case, no leading zeros, "::" for the longest run of two or
 * more zero groups, the first of equal ones. */
static size_t
format_ipv6(const uint8_t bytes[static 16], char *out)
{
	int run_at = -1, run_length = 1, length = 0;
	char *p = out;

	for (int i = 0; i < 8; i++) {
		bool is_zero = bytes[2 * i] == 0 && bytes[2 * i + 1] == 0;
		length = is_zero ? length + 1 : 0;
		if (length > run_length) {
			run_length = length;
			run_at = i + 1 - length;
		}
	}
	for (int i = 0; i < 8; i++) {
		if (i == run_at) {
			*p++ = ':';
			*p++ = ':';
			i += run_length - 1;
			continue;
		}
		/* after "::" there is no further colon; without a run the sum is 0 */
		if (i > 0 && i != run_at + run_length) {
			*p++ = ':';
		}
		p = put_group(p, (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1]);
	}
	*p = '\0';
	return (size_t)(p - out);
}

size_t
address_format(const struct address *a, char out[static ADDRESS_TEXT])
{
	return address_is_ipv4(a) ? format_ipv4(a->bytes + 12, out)
				  : format_ipv6(a->bytes, out);
}

int
address_parse(const char *text, struct address *ret)
{
	struct address a;
	uint8_t ipv4[4];

	if (inet_pton(AF_INET, text, ipv4) == 1) {
		address_from_ipv4(ret, ipv4);
		return 0;
	}
	if (inet_pton(AF_INET6, text, a.bytes) == 1) {
		*ret = a;
		return 0;
	}
	return -EINVAL;
}

/* Clears all but the first bits. */
static void
clear_beyond(struct address *a, unsigned bits)
{
	if (bits >= 128) {
		return;
	}
	a->bytes[bits / 8] &= (uint8_t)(0xff00 >> bits % 8);
	memset(a->bytes + bits / 8 + 1, 0, 15 - bits / 8);
}

/* Decimal of at most three digits, whole string; -1 otherwise. */
static int
parse_bits(const char *text)
{
	int v = 0;

	if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0')) {
		return -1;
	}
	for (int i = 0; text[i] != '\0'; i++) {
		if (i == 3 || text[i] < '0' || text[i] > '9') {
			return -1;
		}
		v = v * 10 + (text[i] - '0');
	}
	return v;
}

int
address_parse_prefix(const char *text, struct address *ret, unsigned *ret_bits)
{
	char alone[ADDRESS_TEXT];
	const char *slash = strchr(text, '/');
	size_t length = slash == NULL ? strlen(text) : (size_t)(slash - text);
	struct address a, cleared;
	int bits, before;

	if (length >= sizeof alone) {
		return -EINVAL;
	}
	memcpy(alone, text, length);
	alone[length] = '\0';
	if (address_parse(alone, &a) < 0) {
		return -EINVAL;
	}
	before = strchr(alone, ':') == NULL ? IPV4_BITS_BEFORE : 0;
	bits = slash == NULL ? 128 - before : parse_bits(slash + 1);
	if (bits < 0 || bits + before > 128) {
		return -EINVAL;
	}
	cleared = a;
	clear_beyond(&cleared, (unsigned)(bits + before));
	if (memcmp(&cleared, &a, sizeof a) != 0) {
		return -EINVAL;
	}
	*ret = a;
	*ret_bits = (unsigned)(bits + before);
	return 0;
}

void
address_mask(struct address *a, unsigned ipv4_bits, unsigned ipv6_bits)
{
	clear_beyond(a, address_is_ipv4(a) ? IPV4_BITS_BEFORE + ipv4_bits : ipv6_bits);
}

bool
address_in_prefix(const struct address *a, const struct address *prefix, unsigned bits)
{
	unsigned whole = bits / 8;

	if (bits >= 128) {
		return memcmp(a, prefix, sizeof *a) == 0;
	}
	if (memcmp(a->bytes, prefix->bytes, whole) != 0) {
		return false;
	}
	return ((a->bytes[whole] ^ prefix->bytes[whole]) & (0xff00 >> bits % 8) &
		   0xff) == 0;
}
