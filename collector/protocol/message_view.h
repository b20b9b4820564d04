/* A message that was walked once: its header, and where its sets are.  The question how
 * many records it may bring and the reading of them both use the view.
 * Threads: the owner's.  Memory: the caller's, about 100 KiB; nothing is allocated. */
#ifndef COLLECTOR_PROTOCOL_MESSAGE_VIEW_H
#define COLLECTOR_PROTOCOL_MESSAGE_VIEW_H

#include "collector/protocol/protocol.h"
#include "common/ipfix/message.h"

struct message_set {
	uint16_t id; /* TEMPLATE_SET_ID, OPTIONS_TEMPLATE_SET_ID, or of its template */
	uint16_t at, length; /* of its body in the message */
};

struct message_view {
	const uint8_t *bytes; /* borrowed */
	size_t length;
	const struct protocol *protocol; /* NULL: not a message */
	struct protocol_header header;
	/* Samples are not in it, nor sets with reserved ids (RFC 7011 section 3.3.2). */
	bool has_templates;
	bool is_broken; /* a length is wrong: only the sets before it are there */
	unsigned set_count;
	struct message_set sets[MESSAGE_MAX / MESSAGE_SET_HEADER];
};

void message_view_read(const uint8_t *bytes, size_t length, struct message_view *ret);

static inline struct cursor
message_view_set(const struct message_view *v, unsigned i)
{
	return cursor_of(v->bytes + v->sets[i].at, v->sets[i].length);
}

#endif
