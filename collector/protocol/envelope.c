#include "collector/protocol/envelope.h"

#include <errno.h>

#include "collector/protocol/netflow5.h"
#include "collector/protocol/netflow9.h"
#include "collector/protocol/sflow5.h"
#include "common/base/clock.h"
#include "common/ipfix/message.h"

const char *
envelope_name(uint16_t version)
{
	switch (version) {
	case MESSAGE_VERSION:
		return "IPFIX";
	case NETFLOW9_VERSION:
		return "NetFlow v9";
	case NETFLOW5_VERSION:
		return "NetFlow v5";
	case ENVELOPE_SFLOW:
		return "sFlow v5";
	default:
		return "unknown";
	}
}

bool
envelope_is(const uint8_t *bytes, size_t length)
{
	struct envelope ignored;

	return envelope_read(bytes, length, &ignored) == 0;
}

static int
read_ipfix(const uint8_t *bytes, size_t length, struct envelope *ret)
{
	struct cursor c = cursor_of(bytes, length);
	struct message_header h;

	if (message_read_header(&c, &h) < 0) {
		return -EPROTO;
	}
	c.end = bytes + h.length;
	*ret = (struct envelope){
	    .version = MESSAGE_VERSION,
	    .domain = h.domain,
	    .sequence = h.sequence,
	    .clock = {.export_ns = h.export_time * NS_PER_SECOND},
	    .body = c,
	};
	return 0;
}

int
envelope_read(const uint8_t *bytes, size_t length, struct envelope *ret)
{
	switch (length < 2 ? 0 : load_u16(bytes)) {
	case MESSAGE_VERSION:
		return read_ipfix(bytes, length, ret);
	case NETFLOW9_VERSION:
		return netflow9_read_header(bytes, length, ret);
	case NETFLOW5_VERSION:
		return netflow5_read_header(bytes, length, ret);
	default:
		return sflow5_read_header(bytes, length, ret);
	}
}

int
envelope_length(const uint8_t *bytes, size_t available)
{
	if (available < 4) {
		return 0;
	}
	/* Of sFlow only one is in a file. */
	if (sflow5_is(bytes, available)) {
		return available < MESSAGE_MAX ? (int)available : MESSAGE_MAX;
	}
	switch (load_u16(bytes)) {
	case NETFLOW9_VERSION:
		return netflow9_length(bytes, available);
	case NETFLOW5_VERSION:
		return netflow5_length(bytes, available);
	default:
		return message_length(bytes, available);
	}
}
