/* NetFlow v5: a fixed header and 1 to 30 records of 48 bytes.  They are records of a
 * template that every domain of version 5 knows from the start; the wire's bytes are
 * read as they are. */
#include <errno.h>

#include "collector/protocol/protocol.h"
#include "common/base/clock.h"

#define VERSION       5
#define HEADER        24
#define RECORD        48
#define MAX_RECORDS   30
#define TEMPLATE      256    /* id of the built-in template */
#define SAMPLING_BITS 0x3fff /* the two above say the mode */
#define FIELDS        20

enum { /* IANA elements */
	OCTETS = 1,
	PACKETS = 2,
	PROTOCOL = 4,
	CLASS_OF_SERVICE = 5,
	TCP_FLAGS = 6,
	SOURCE_PORT = 7,
	SOURCE_ADDRESS = 8,
	SOURCE_PREFIX = 9,
	INGRESS_INTERFACE = 10,
	DESTINATION_PORT = 11,
	DESTINATION_ADDRESS = 12,
	DESTINATION_PREFIX = 13,
	EGRESS_INTERFACE = 14,
	NEXT_HOP = 15,
	SOURCE_AS = 16,
	DESTINATION_AS = 17,
	END_UPTIME = 21,
	START_UPTIME = 22,
	PADDING = 210,
};

static int
read_header(const uint8_t *bytes, size_t length, struct protocol_header *ret)
{
	struct cursor c = cursor_of(bytes, length);
	struct protocol_header h = {.clock.has_uptime = true};
	size_t count, room;
	uint64_t seconds;

	(void)cursor_u16(&c); /* version */
	count = cursor_u16(&c);
	h.clock.uptime_ms = cursor_u32(&c);
	seconds = cursor_u32(&c);
	h.clock.export_ns = seconds * NS_PER_SECOND + cursor_u32(&c) % NS_PER_SECOND;
	h.sequence = cursor_u32(&c);
	h.domain = cursor_u16(&c); /* engine type and id */
	h.sampling = cursor_u16(&c) & SAMPLING_BITS;
	if (c.failed) {
		return -EPROTO;
	}
	/* Some headers count more than there is. */
	room = cursor_left(&c) / RECORD;
	h.body = cursor_sub(&c, (count < room ? count : room) * RECORD);
	*ret = h;
	return 0;
}

static int
length_in_file(const uint8_t *bytes, size_t available)
{
	size_t count = load_u16(bytes + 2);

	if (count == 0) {
		return -EPROTO;
	}
	if (count <= MAX_RECORDS) {
		return (int)(HEADER + count * RECORD);
	}
	/* No exporter sends more: takes what is there, at most what a packet holds. */
	count = available < HEADER ? 0 : (available - HEADER) / RECORD;
	count = count < MAX_RECORDS ? count : MAX_RECORDS;
	return (int)(HEADER + count * RECORD);
}

static size_t
in_datagram(const uint8_t *bytes, size_t length)
{
	struct protocol_header h;

	return read_header(bytes, length, &h) == 0 && load_u16(bytes + 2) > 0 ? length
									      : 0;
}

static struct cursor
template_set(void)
{
	static const uint8_t record[] = {
	    PROTOCOL_TEMPLATE(TEMPLATE, FIELDS),
	    PROTOCOL_FIELD(SOURCE_ADDRESS, 4),
	    PROTOCOL_FIELD(DESTINATION_ADDRESS, 4),
	    PROTOCOL_FIELD(NEXT_HOP, 4),
	    PROTOCOL_FIELD(INGRESS_INTERFACE, 2),
	    PROTOCOL_FIELD(EGRESS_INTERFACE, 2),
	    PROTOCOL_FIELD(PACKETS, 4),
	    PROTOCOL_FIELD(OCTETS, 4),
	    PROTOCOL_FIELD(START_UPTIME, 4),
	    PROTOCOL_FIELD(END_UPTIME, 4),
	    PROTOCOL_FIELD(SOURCE_PORT, 2),
	    PROTOCOL_FIELD(DESTINATION_PORT, 2),
	    PROTOCOL_FIELD(PADDING, 1),
	    PROTOCOL_FIELD(TCP_FLAGS, 1),
	    PROTOCOL_FIELD(PROTOCOL, 1),
	    PROTOCOL_FIELD(CLASS_OF_SERVICE, 1),
	    PROTOCOL_FIELD(SOURCE_AS, 2),
	    PROTOCOL_FIELD(DESTINATION_AS, 2),
	    PROTOCOL_FIELD(SOURCE_PREFIX, 1),
	    PROTOCOL_FIELD(DESTINATION_PREFIX, 1),
	    PROTOCOL_FIELD(PADDING, 2),
	};
	_Static_assert(sizeof record == 4 + 4 * FIELDS, "every field is in it");

	return cursor_of(record, sizeof record);
}

const struct protocol protocol_netflow5 = {
    .name = "NetFlow v5",
    .number = VERSION,
    .begins = VERSION,
    .read_header = read_header,
    .length = length_in_file,
    .in_datagram = in_datagram,
    .has_sampling = true,
    .body = PROTOCOL_RECORDS,
    .sequence = PROTOCOL_COUNTS_RECORDS,
    .time = PROTOCOL_TIME_UPTIME,
    .built_in = template_set,
    .record_template = TEMPLATE,
    .record_least = RECORD,
};
