/* Messages for sessions, each in a frame of its own. */
#ifndef TESTS_COLLECTOR_SESSION_SUPPORT_MESSAGE_H
#define TESTS_COLLECTOR_SESSION_SUPPORT_MESSAGE_H

#include "collector/session/session.h"

#define MESSAGE(session_number, stream_number, bytes, n, now_ns, place)                \
	(&(const struct frame){.kind = FRAME_MESSAGES,                                 \
	    .session = (session_number),                                               \
	    .stream = (stream_number),                                                 \
	    .arrival_ns = (now_ns),                                                    \
	    .position = (place),                                                       \
	    .payload = (bytes),                                                        \
	    .length = (n)})

static inline const struct message_view *
support_view(const uint8_t *bytes, size_t length)
{
	static struct message_view v;

	message_view_read(bytes, length, &v);
	return &v;
}

static inline void
support_message(struct sessions *s, const struct frame *f)
{
	sessions_message(s, f, support_view(f->payload, f->length));
}

static inline size_t
support_most_records(
    const struct sessions *s, uint32_t session, const uint8_t *bytes, size_t length)
{
	return sessions_most_records(s, session, support_view(bytes, length));
}

#endif
