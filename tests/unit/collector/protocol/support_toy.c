/* Toy: "TY", length, domain (16 bits each), seconds since 1970, the message's number;
 * then records of two IPv4 addresses and a count of packets. */
#include "tests/unit/collector/protocol/support_toy.h"

#include <errno.h>

#include "common/base/clock.h"

#define HEADER 14
#define RECORD 12

static int
read_header(const uint8_t *bytes, size_t length, struct protocol_header *ret)
{
	struct cursor c = cursor_of(bytes, length);
	struct protocol_header h = {.sequence = 0};

	(void)cursor_take(&c, 4); /* "TY", length */
	h.domain = cursor_u16(&c);
	h.clock.export_ns = cursor_u32(&c) * NS_PER_SECOND;
	h.sequence = cursor_u32(&c);
	h.body = c;
	if (c.failed) {
		return -EPROTO;
	}
	*ret = h;
	return 0;
}

static int
length_of(const uint8_t *bytes, size_t available)
{
	unsigned length = load_u16(bytes + 2);

	(void)available;
	return length < HEADER ? -EPROTO : (int)length;
}

static size_t
in_datagram(const uint8_t *bytes, size_t length)
{
	return length >= HEADER && load_u16(bytes + 2) == length ? length : 0;
}

static struct cursor
template_set(void)
{
	/* Template 256: sourceIPv4Address, destinationIPv4Address, packetDeltaCount. */
	static const uint8_t set[] = {1, 0, 0, 3, 0, 8, 0, 4, 0, 12, 0, 4, 0, 2, 0, 4};

	return cursor_of(set, sizeof set);
}

const struct protocol support_toy = {
    .name = "Toy",
    .number = 'T' << 8 | 'Y',
    .begins = 'T' << 8 | 'Y',
    .read_header = read_header,
    .length = length_of,
    .in_datagram = in_datagram,
    .is_framed = true,
    .body = PROTOCOL_RECORDS,
    .sequence = PROTOCOL_COUNTS_MESSAGES,
    .time = PROTOCOL_TIME_EXPORT,
    .built_in = template_set,
    .record_template = 256,
    .record_least = RECORD,
};
