#include "common/ipfix/message.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int
message_length(const uint8_t *bytes, size_t available)
{
	if (available < 4) {
		return 0;
	}
	unsigned length = load_u16(bytes + 2);
	if (load_u16(bytes) != MESSAGE_VERSION || length < MESSAGE_HEADER) {
		return -EPROTO;
	}
	return (int)length;
}

int
message_read_header(struct cursor *c, struct message_header *ret)
{
	struct message_header h;
	size_t available = cursor_left(c);
	h.version = cursor_u16(c);
	h.length = cursor_u16(c);
	h.export_time = cursor_u32(c);
	h.sequence = cursor_u32(c);
	h.domain = cursor_u32(c);
	if (c->failed || h.version != MESSAGE_VERSION || h.length < MESSAGE_HEADER ||
	    h.length > available) {
		return -EPROTO;
	}
	*ret = h;
	return 0;
}

int
message_next_set(struct cursor *body, uint16_t *ret_id, struct cursor *ret_set)
{
	if (cursor_left(body) == 0) {
		return 0;
	}
	uint16_t id = cursor_u16(body);
	uint16_t length = cursor_u16(body);
	if (body->failed || length < MESSAGE_SET_HEADER ||
	    length > MESSAGE_SET_HEADER + cursor_left(body)) {
		body->at = body->end;
		return -EPROTO;
	}
	*ret_id = id;
	*ret_set = cursor_sub(body, length - MESSAGE_SET_HEADER);
	return 1;
}

int
message_init(struct message *m, size_t capacity)
{
	assert(
	    capacity > MESSAGE_HEADER + MESSAGE_SET_HEADER && capacity <= MESSAGE_MAX);
	*m = (struct message){.bytes = malloc(capacity), .capacity = capacity};
	return m->bytes == NULL ? -ENOMEM : 0;
}

void
message_done(struct message *m)
{
	free(m->bytes);
	*m = (struct message){0};
}

void
message_begin(struct message *m, uint32_t domain, uint32_t export_time)
{
	struct write_cursor out = write_cursor_of(m->bytes, MESSAGE_HEADER);

	cursor_put_u16(&out, MESSAGE_VERSION);
	cursor_put_u16(&out, 0); /* length: message_end() */
	cursor_put_u32(&out, export_time);
	cursor_put_u32(&out, 0); /* sequence: message_set_sequence() */
	cursor_put_u32(&out, domain);
	m->used = MESSAGE_HEADER;
	m->set_start = 0;
	m->set_id = 0;
	m->records = 0;
}

/* Writes the open set's length; a set in which nothing was committed vanishes. */
static void
close_set(struct message *m)
{
	if (m->set_start == 0) {
		return;
	}
	size_t length = m->used - m->set_start;
	if (length == MESSAGE_SET_HEADER) {
		m->used = m->set_start;
	} else {
		store_u16(m->bytes + m->set_start + 2, (uint16_t)length);
	}
	m->set_start = 0;
}

uint8_t *
message_reserve(struct message *m, uint16_t set_id, size_t n)
{
	if (m->set_start != 0 && m->set_id == set_id) {
		return m->capacity - m->used < n ? NULL : m->bytes + m->used;
	}
	close_set(m);
	if (m->capacity - m->used < MESSAGE_SET_HEADER + n) {
		return NULL;
	}
	m->set_start = m->used;
	m->set_id = set_id;
	store_u16(m->bytes + m->used, set_id);
	m->used += MESSAGE_SET_HEADER;
	return m->bytes + m->used;
}

void
message_commit(struct message *m, size_t n, bool is_record)
{
	assert(m->set_start != 0 && m->capacity - m->used >= n);
	m->used += n;
	m->records += is_record;
}

size_t
message_end(struct message *m)
{
	close_set(m);
	if (m->used == MESSAGE_HEADER) {
		return 0;
	}
	store_u16(m->bytes + 2, (uint16_t)m->used);
	return m->used;
}

void
message_set_export_time(uint8_t *message_bytes, uint32_t seconds)
{
	store_u32(message_bytes + 4, seconds);
}

void
message_set_sequence(uint8_t *message_bytes, uint32_t sequence)
{
	store_u32(message_bytes + 8, sequence);
}
