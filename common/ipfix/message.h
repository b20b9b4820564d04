/* IPFIX messages (RFC 7011 section 3): framing when reading, building when writing.
 * Lengths from the wire are never trusted. */
#ifndef COMMON_IPFIX_MESSAGE_H
#define COMMON_IPFIX_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cursor.h"
#include "common/ipfix/element.h"

#define MESSAGE_VERSION    10
#define MESSAGE_HEADER     16
#define MESSAGE_SET_HEADER 4
#define MESSAGE_MAX        65535
#define MESSAGE_MAX_RECORD (MESSAGE_MAX - MESSAGE_HEADER - MESSAGE_SET_HEADER)

struct message_header {
	uint16_t version, length;
	uint32_t export_time; /* seconds since 1970 */
	uint32_t sequence;
	uint32_t domain;
};

/* Length of the message that begins here, 16 to 65535.  0: fewer than 4 bytes, unknown
 * yet; -EPROTO: not an IPFIX message (the stream's framing is lost). */
int message_length(const uint8_t *bytes, size_t available);

/* The 16 bytes of the header.  0 or -EPROTO (version, length < 16 or > available). */
int message_read_header(struct cursor *c, struct message_header *ret);

/* The next set of a message body: its id and body.  1: a set; 0: end; -EPROTO: its
 * length is under 4 or beyond the message (what came before stays valid). */
int message_next_set(struct cursor *body, uint16_t *ret_id, struct cursor *ret_set);

/* Builds one message at a time in memory of its own:
 *
 *	message_begin, (message_reserve, message_commit)*, message_end
 *
 * Sets without records vanish; padding is never written.  The sequence number is the
 * count of data and options records sent before in this domain and session: the sender
 * patches it with message_set_sequence because only it knows when sessions begin. */
struct message {
	uint8_t *bytes;  /* capacity long; the message while it is built */
	size_t capacity; /* at most MESSAGE_MAX */
	size_t used;
	size_t set_start; /* of the open set's header; 0: none open */
	uint16_t set_id;
	uint32_t records; /* data and options records in this message */
};

int message_init(struct message *m, size_t capacity); /* 0 or -ENOMEM */
void message_done(struct message *m);
void message_begin(struct message *m, uint32_t domain, uint32_t export_time);
/* Space for n bytes of a record in a set of this id, which is opened where needed.
 * NULL: the message is full; end it, send it and begin another. */
uint8_t *message_reserve(struct message *m, uint16_t set_id, size_t n);
/* Keeps n of the reserved bytes; is_record: it was a data or options record, not a
 * template. */
void message_commit(struct message *m, size_t n, bool is_record);
/* Closes set and header; the length of the message, 0 when it holds no set. */
size_t message_end(struct message *m);

/* Of a message that is known to be whole. */
static inline uint16_t
message_size(const uint8_t *message_bytes)
{
	return load_u16(message_bytes + 2);
}

static inline uint32_t
message_sequence(const uint8_t *message_bytes)
{
	return load_u32(message_bytes + 8);
}

void message_set_export_time(uint8_t *message_bytes, uint32_t seconds);
void message_set_sequence(uint8_t *message_bytes, uint32_t sequence);

#endif
