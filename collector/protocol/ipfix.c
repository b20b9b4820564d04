/* IPFIX (RFC 7011). */
#include <errno.h>

#include "collector/protocol/protocol.h"
#include "common/base/clock.h"
#include "common/ipfix/message.h"
#include "common/ipfix/template.h"

static int
read_header(const uint8_t *bytes, size_t length, struct protocol_header *ret)
{
	struct cursor c = cursor_of(bytes, length);
	struct message_header h;

	if (message_read_header(&c, &h) < 0) {
		return -EPROTO;
	}
	c.end = bytes + h.length;
	*ret = (struct protocol_header){
	    .domain = h.domain,
	    .sequence = h.sequence,
	    .clock = {.export_ns = h.export_time * NS_PER_SECOND},
	    .body = c,
	};
	return 0;
}

/* Whole messages. */
static size_t
in_datagram(const uint8_t *bytes, size_t length)
{
	size_t at = 0;

	while (at < length) {
		int n = message_length(bytes + at, length - at);
		if (n <= 0 || (size_t)n > length - at) {
			break;
		}
		at += (size_t)n;
	}
	return at;
}

const struct protocol protocol_ipfix = {
    .name = "IPFIX",
    .number = MESSAGE_VERSION,
    .begins = MESSAGE_VERSION,
    .read_header = read_header,
    .length = message_length,
    .in_datagram = in_datagram,
    .is_framed = true,
    .body = PROTOCOL_SETS,
    .sequence = PROTOCOL_COUNTS_RECORDS,
    .time = PROTOCOL_TIME_EXPORT,
    .has_withdrawals = true,
    .template_set = TEMPLATE_SET_ID,
    .options_set = OPTIONS_TEMPLATE_SET_ID,
};
