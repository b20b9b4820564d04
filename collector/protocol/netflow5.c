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
#define SAMPLING_BITS 0x3fff /* below the two of its mode, which matters less */
#define FIELDS        20

/* One field specifier of a template. */
#define FIELD(id, length) (id) >> 8, (id)&0xff, 0, (length)

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
	/* Nobody sends more: what is there, as many as a packet holds. */
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
	    TEMPLATE >> 8,
	    TEMPLATE & 0xff,
	    0,
	    FIELDS,
	    FIELD(SOURCE_ADDRESS, 4),
	    FIELD(DESTINATION_ADDRESS, 4),
	    FIELD(NEXT_HOP, 4),
	    FIELD(INGRESS_INTERFACE, 2),
	    FIELD(EGRESS_INTERFACE, 2),
	    FIELD(PACKETS, 4),
	    FIELD(OCTETS, 4),
	    FIELD(START_UPTIME, 4),
	    FIELD(END_UPTIME, 4),
	    FIELD(SOURCE_PORT, 2),
	    FIELD(DESTINATION_PORT, 2),
	    FIELD(PADDING, 1),
	    FIELD(TCP_FLAGS, 1),
	    FIELD(PROTOCOL, 1),
	    FIELD(CLASS_OF_SERVICE, 1),
	    FIELD(SOURCE_AS, 2),
	    FIELD(DESTINATION_AS, 2),
	    FIELD(SOURCE_PREFIX, 1),
	    FIELD(DESTINATION_PREFIX, 1),
	    FIELD(PADDING, 2),
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
