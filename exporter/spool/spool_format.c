#include "exporter/spool/spool_format.h"

#include <errno.h>
#include <string.h>

#include "common/base/cursor.h"
#include "common/base/hash.h"
#include "common/ipfix/message.h"

#define HEADER_MAGIC 0x4650737067310a00u   /* "FPspg1\n" */
#define LEDGER_MAGIC 0x46506c6564310a00u   /* "FPled1\n" */
#define ENTRY_MAGIC  0x4650656eu           /* "FPen" */
#define COUNT_MAX    ((uint64_t)INT64_MAX) /* nobody counts so far */
#define LEDGER_USED  112u                  /* bytes of a slot before its hash */

enum { HAS_SENT = 1, IS_RUNNING = 2 };

void
spool_write_header(const struct spool_header *h, const uint8_t *preamble,
    uint8_t out[static SPOOL_HEADER])
{
	store_u64(out, HEADER_MAGIC);
	memcpy(out + 8, h->id, 16);
	store_u64(out + 24, h->first);
	store_u64(out + 32, h->total);
	store_u32(out + 40, h->preamble_length);
	store_u32(out + 44, h->preamble_records);
	store_u64(out + 48, hash_bytes(preamble, h->preamble_length, 0));
	store_u64(out + 56, hash_bytes(out, 56, 0));
}

size_t
spool_header_size(const uint8_t bytes[static SPOOL_HEADER])
{
	if (load_u64(bytes) != HEADER_MAGIC ||
	    load_u64(bytes + 56) != hash_bytes(bytes, 56, 0) ||
	    load_u32(bytes + 40) > SPOOL_PREAMBLE_MAX) {
		return 0;
	}
	return SPOOL_HEADER + load_u32(bytes + 40);
}

int
spool_read_header(const uint8_t *bytes, size_t n, struct spool_header *ret,
    const uint8_t **ret_preamble)
{
	size_t size = n < SPOOL_HEADER ? 0 : spool_header_size(bytes);
	const uint8_t *preamble = bytes + SPOOL_HEADER;

	if (size == 0 || size > n ||
	    load_u64(bytes + 48) != hash_bytes(preamble, size - SPOOL_HEADER, 0) ||
	    spool_count_preamble(preamble, size - SPOOL_HEADER) < 0) {
		return -EBADMSG;
	}
	memcpy(ret->id, bytes + 8, 16);
	ret->first = load_u64(bytes + 24);
	ret->total = load_u64(bytes + 32);
	ret->preamble_length = load_u32(bytes + 40);
	ret->preamble_records = load_u32(bytes + 44);
	*ret_preamble = preamble;
	return ret->first <= COUNT_MAX && ret->total <= COUNT_MAX ? 0 : -EBADMSG;
}

/* Of header and message; the sequence number stands in no hash, for it belongs to a
 * connection. */
static uint64_t
hash_entry(
    const uint8_t header[static SPOOL_ENTRY], const uint8_t *message, size_t length)
{
	uint64_t hash = hash_bytes(header, SPOOL_ENTRY - 8, 0);

	hash = hash_bytes(message, 8, hash);
	return hash_bytes(message + 12, length - 12, hash);
}

void
spool_write_entry(const struct spool_entry *x, const uint8_t *message,
    uint8_t out[static SPOOL_ENTRY])
{
	store_u32(out, ENTRY_MAGIC);
	store_u32(out + 4, x->length);
	store_u64(out + 8, x->number);
	store_u64(out + 16, x->total);
	store_u32(out + 24, x->records);
	store_u32(out + 28, 0);
	store_u64(out + 32, hash_entry(out, message, x->length));
}

int
spool_read_entry(const uint8_t *bytes, size_t n, struct spool_entry *ret)
{
	const uint8_t *message = bytes + SPOOL_ENTRY;
	uint32_t length;

	if (n < SPOOL_ENTRY) {
		return 0;
	}
	length = load_u32(bytes + 4);
	if (load_u32(bytes) != ENTRY_MAGIC || length < MESSAGE_HEADER ||
	    length > MESSAGE_MAX) {
		return -EBADMSG;
	}
	if (n < SPOOL_ENTRY + length) {
		return 0;
	}
	if (load_u64(bytes + 32) != hash_entry(bytes, message, length) ||
	    message_length(message, length) != (int)length) {
		return -EBADMSG;
	}
	*ret = (struct spool_entry){
	    .number = load_u64(bytes + 8),
	    .total = load_u64(bytes + 16),
	    .records = load_u32(bytes + 24),
	    .length = length,
	};
	return (int)(SPOOL_ENTRY + length);
}

size_t
spool_write_ledger(const struct spool_ledger *l, uint8_t out[static SPOOL_SLOT])
{
	memset(out, 0, SPOOL_SLOT);
	store_u64(out, LEDGER_MAGIC);
	store_u64(out + 8, l->generation);
	memcpy(out + 16, l->id, 16);
	store_u64(out + 32, l->first);
	store_u64(out + 40, l->next);
	store_u64(out + 48, l->total);
	store_u64(out + 56, l->delivered_messages);
	store_u64(out + 64, l->delivered_records);
	store_u64(out + 72, l->sent);
	store_u64(
	    out + 80, (l->has_sent ? HAS_SENT : 0) | (l->is_running ? IS_RUNNING : 0));
	store_u64(out + 88, l->target);
	store_u64(out + LEDGER_USED, hash_bytes(out, LEDGER_USED, 0));
	return l->generation % 2 * SPOOL_SLOT;
}

static bool
read_slot(const uint8_t slot[static SPOOL_SLOT], struct spool_ledger *ret)
{
	uint64_t flags = load_u64(slot + 80);

	if (load_u64(slot) != LEDGER_MAGIC ||
	    load_u64(slot + LEDGER_USED) != hash_bytes(slot, LEDGER_USED, 0)) {
		return false;
	}
	memcpy(ret->id, slot + 16, 16);
	ret->generation = load_u64(slot + 8);
	ret->first = load_u64(slot + 32);
	ret->next = load_u64(slot + 40);
	ret->total = load_u64(slot + 48);
	ret->delivered_messages = load_u64(slot + 56);
	ret->delivered_records = load_u64(slot + 64);
	ret->sent = load_u64(slot + 72);
	ret->target = load_u64(slot + 88);
	ret->has_sent = (flags & HAS_SENT) != 0;
	ret->is_running = (flags & IS_RUNNING) != 0;
	return ret->next <= COUNT_MAX && ret->total <= COUNT_MAX &&
	       ret->first <= ret->next && ret->delivered_messages <= ret->next &&
	       ret->delivered_records <= ret->total;
}

int
spool_read_ledger(const uint8_t bytes[static SPOOL_LEDGER], struct spool_ledger *ret)
{
	struct spool_ledger slots[2];
	bool whole[2] = {
	    read_slot(bytes, &slots[0]), read_slot(bytes + SPOOL_SLOT, &slots[1])};

	if (!whole[0] && !whole[1]) {
		return -EBADMSG;
	}
	*ret = whole[1] && (!whole[0] || slots[1].generation > slots[0].generation)
		   ? slots[1]
		   : slots[0];
	return 0;
}

int
spool_count_preamble(const uint8_t *preamble, size_t length)
{
	int count = 0;

	for (size_t at = 0; at < length; count++) {
		int n = message_length(preamble + at, length - at);
		if (n <= 0 || (size_t)n > length - at) {
			return -EBADMSG;
		}
		at += (size_t)n;
	}
	return count;
}

/* Export time and sequence number are the second and third word of a message. */
uint64_t
spool_preamble_key(const uint8_t *preamble, size_t length)
{
	uint64_t key = length;

	for (size_t at = 0; at < length; at += load_u16(preamble + at + 2)) {
		key = hash_bytes(preamble + at, 4, key);
		key = hash_bytes(
		    preamble + at + 12, load_u16(preamble + at + 2) - 12u, key);
	}
	return key;
}
