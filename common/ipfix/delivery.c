#include "common/ipfix/delivery.h"

#include <errno.h>
#include <string.h>

#include "common/base/cursor.h"

#define HELLO_MAGIC 0x46503168u /* "FP1h" */
#define WORD_MAGIC  0x46503177u /* "FP1w" */

void
delivery_write_hello(const struct delivery_hello *h, uint8_t out[static DELIVERY_HELLO])
{
	struct write_cursor to = write_cursor_of(out, DELIVERY_HELLO);

	cursor_put_u32(&to, HELLO_MAGIC);
	cursor_put_u32(&to, h->preamble);
	cursor_put_bytes(&to, h->spool, sizeof h->spool);
	cursor_put_u64(&to, h->first);
	cursor_put_u64(&to, h->next);
	cursor_put_u64(&to, h->lost_messages);
	cursor_put_u64(&to, h->lost_records);
	cursor_put_zeros(&to, DELIVERY_HELLO - cursor_written(&to));
}

int
delivery_read_hello(
    const uint8_t bytes[static DELIVERY_HELLO], struct delivery_hello *ret)
{
	struct cursor in = cursor_of(bytes, DELIVERY_HELLO);
	bool is_hello = cursor_u32(&in) == HELLO_MAGIC;
	struct delivery_hello h;

	h.preamble = cursor_u32(&in);
	memcpy(h.spool, cursor_take(&in, sizeof h.spool), sizeof h.spool);
	h.first = cursor_u64(&in);
	h.next = cursor_u64(&in);
	h.lost_messages = cursor_u64(&in);
	h.lost_records = cursor_u64(&in);
	if (!is_hello || h.first > h.next) {
		return -EPROTO;
	}
	*ret = h;
	return 0;
}

void
delivery_write_word(const struct delivery_word *w, uint8_t out[static DELIVERY_WORD])
{
	struct write_cursor to = write_cursor_of(out, DELIVERY_WORD);

	cursor_put_u32(&to, WORD_MAGIC);
	cursor_put_u32(&to, (uint32_t)w->status);
	cursor_put_u64(&to, w->number);
}

int
delivery_read_word(const uint8_t bytes[static DELIVERY_WORD], struct delivery_word *ret)
{
	struct cursor in = cursor_of(bytes, DELIVERY_WORD);
	bool is_word = cursor_u32(&in) == WORD_MAGIC;
	uint32_t status = cursor_u32(&in);

	if (!is_word || status < DELIVERY_WELCOME || status > DELIVERY_FULL) {
		return -EPROTO;
	}
	ret->status = (enum delivery_status)status;
	ret->number = cursor_u64(&in);
	return 0;
}
