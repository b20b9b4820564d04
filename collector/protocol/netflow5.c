#include "collector/protocol/netflow5.h"

#include <errno.h>

#include "common/base/clock.h"

#define FIELDS 20

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

int
netflow5_read_header(const uint8_t *bytes, size_t length, struct envelope *ret)
{
	struct cursor c = cursor_of(bytes, length);
	struct envelope e = {.version = cursor_u16(&c)};
	size_t count = cursor_u16(&c), room;
	uint64_t seconds;

	e.clock.uptime_ms = cursor_u32(&c);
	e.clock.has_uptime = true;
	seconds = cursor_u32(&c);
	e.clock.export_ns = seconds * NS_PER_SECOND + cursor_u32(&c) % NS_PER_SECOND;
	e.sequence = cursor_u32(&c);
	e.domain = cursor_u16(&c);
	e.sampling = cursor_u16(&c);
	if (c.failed || e.version != NETFLOW5_VERSION) {
		return -EPROTO;
	}
	/* Some headers count more than there is. */
	room = cursor_left(&c) / NETFLOW5_RECORD;
	e.body = cursor_sub(&c, (count < room ? count : room) * NETFLOW5_RECORD);
	*ret = e;
	return 0;
}

int
netflow5_length(const uint8_t *bytes, size_t available)
{
	size_t count;

	if (available < 4) {
		return 0;
	}
	count = load_u16(bytes + 2);
	if (count == 0) {
		return -EPROTO;
	}
	if (count <= NETFLOW5_MAX_RECORDS) {
		return (int)(NETFLOW5_HEADER + count * NETFLOW5_RECORD);
	}
	/* Nobody sends more: what is there, as many as a packet holds. */
	count = available < NETFLOW5_HEADER
		    ? 0
		    : (available - NETFLOW5_HEADER) / NETFLOW5_RECORD;
	count = count < NETFLOW5_MAX_RECORDS ? count : NETFLOW5_MAX_RECORDS;
	return (int)(NETFLOW5_HEADER + count * NETFLOW5_RECORD);
}

struct cursor
netflow5_template_set(void)
{
	static const uint8_t record[] = {
	    NETFLOW5_TEMPLATE >> 8,
	    NETFLOW5_TEMPLATE & 0xff,
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
