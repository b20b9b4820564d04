#include "common/ipfix/delivery.h"

#include <errno.h>
#include <string.h>

#include "common/base/cursor.h"

#define HELLO_MAGIC 0x46503168u /* "FP1h" */
#define WORD_MAGIC  0x46503177u /* "FP1w" */

void
delivery_write_hello(const struct delivery_hello *h, uint8_t out[static DELIVERY_HELLO])
{
	memset(out, 0, DELIVERY_HELLO);
	store_u32(out, HELLO_MAGIC);
	store_u32(out + 4, h->preamble);
	memcpy(out + 8, h->spool, sizeof h->spool);
	store_u64(out + 24, h->first);
	store_u64(out + 32, h->next);
	store_u64(out + 40, h->lost_messages);
	store_u64(out + 48, h->lost_records);
}

int
delivery_read_hello(
    const uint8_t bytes[static DELIVERY_HELLO], struct delivery_hello *ret)
{
	struct delivery_hello h = {
	    .preamble = load_u32(bytes + 4),
	    .first = load_u64(bytes + 24),
	    .next = load_u64(bytes + 32),
	    .lost_messages = load_u64(bytes + 40),
	    .lost_records = load_u64(bytes + 48),
	};

	memcpy(h.spool, bytes + 8, sizeof h.spool);
	if (load_u32(bytes) != HELLO_MAGIC || h.first > h.next) {
		return -EPROTO;
	}
	*ret = h;
	return 0;
}

void
delivery_write_word(const struct delivery_word *w, uint8_t out[static DELIVERY_WORD])
{
	store_u32(out, WORD_MAGIC);
	store_u32(out + 4, (uint32_t)w->status);
	store_u64(out + 8, w->number);
}

int
delivery_read_word(const uint8_t bytes[static DELIVERY_WORD], struct delivery_word *ret)
{
	uint32_t status = load_u32(bytes + 4);

	if (load_u32(bytes) != WORD_MAGIC || status < DELIVERY_WELCOME ||
	    status > DELIVERY_FULL) {
		return -EPROTO;
	}
	ret->status = (enum delivery_status)status;
	ret->number = load_u64(bytes + 8);
	return 0;
}
