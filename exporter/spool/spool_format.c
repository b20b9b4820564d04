#include "exporter/spool/spool_format.h"

#include <errno.h>
#include <string.h>

#include "common/base/cursor.h"
#include "common/base/hash.h"
#include "common/ipfix/message.h"

#define HEADER_MAGIC 0x4650737067310a00u   /* "FPspg1\n" */
#define LEDGER_MAGIC 0x46506c6564310a00u   /* "FPled1\n" */
#define ENTRY_MAGIC  0x4650656eu           /* "FPen" */
#define COUNT_MAX    ((uint64_t)INT64_MAX) /* no count gets this far */
#define LEDGER_USED  112u                  /* bytes of a slot before its hash */
#define HASH         8u                    /* bytes of one */

enum { HAS_SENT = 1, IS_RUNNING = 2 };

void
spool_write_header(const struct spool_header *h, const uint8_t *preamble,
    uint8_t out[static SPOOL_HEADER])
{
	struct write_cursor w = write_cursor_of(out, SPOOL_HEADER);

	cursor_put_u64(&w, HEADER_MAGIC);
	cursor_put_bytes(&w, h->id, sizeof h->id);
	cursor_put_u64(&w, h->first);
	cursor_put_u64(&w, h->total);
	cursor_put_u32(&w, h->preamble_length);
	cursor_put_u32(&w, h->preamble_records);
	cursor_put_u64(&w, hash_bytes(preamble, h->preamble_length, 0));
	cursor_put_u64(&w, hash_bytes(out, cursor_written(&w), 0));
}

/* False: not a header, or damaged. */
static bool
read_fixed(const uint8_t bytes[static SPOOL_HEADER], struct spool_header *ret,
    uint64_t *ret_preamble_hash)
{
	struct cursor c = cursor_of(bytes, SPOOL_HEADER);
	uint64_t magic = cursor_u64(&c);

	memcpy(ret->id, cursor_take(&c, sizeof ret->id), sizeof ret->id);
	ret->first = cursor_u64(&c);
	ret->total = cursor_u64(&c);
	ret->preamble_length = cursor_u32(&c);
	ret->preamble_records = cursor_u32(&c);
	*ret_preamble_hash = cursor_u64(&c);
	return magic == HEADER_MAGIC &&
	       cursor_u64(&c) == hash_bytes(bytes, SPOOL_HEADER - HASH, 0) &&
	       ret->preamble_length <= SPOOL_PREAMBLE_MAX;
}

size_t
spool_header_size(const uint8_t bytes[static SPOOL_HEADER])
{
	struct spool_header h;
	uint64_t hash;

	return read_fixed(bytes, &h, &hash) ? SPOOL_HEADER + h.preamble_length : 0;
}

int
spool_read_header(const uint8_t *bytes, size_t n, struct spool_header *ret,
    const uint8_t **ret_preamble)
{
	const uint8_t *preamble = bytes + SPOOL_HEADER;
	uint64_t hash;

	if (n < SPOOL_HEADER || !read_fixed(bytes, ret, &hash) ||
	    ret->preamble_length > n - SPOOL_HEADER ||
	    hash != hash_bytes(preamble, ret->preamble_length, 0) ||
	    spool_count_preamble(preamble, ret->preamble_length) < 0) {
		return -EBADMSG;
	}
	*ret_preamble = preamble;
	return ret->first <= COUNT_MAX && ret->total <= COUNT_MAX ? 0 : -EBADMSG;
}

/* Hashes header and message, but not the sequence number, which depends on the
 * connection. */
static uint64_t
hash_entry(
    const uint8_t header[static SPOOL_ENTRY], const uint8_t *message, size_t length)
{
	uint64_t hash = hash_bytes(header, SPOOL_ENTRY - HASH, 0);

	hash = hash_bytes(message, 8, hash);
	return hash_bytes(message + 12, length - 12, hash);
}

void
spool_write_entry(const struct spool_entry *x, const uint8_t *message,
    uint8_t out[static SPOOL_ENTRY])
{
	struct write_cursor w = write_cursor_of(out, SPOOL_ENTRY);

	cursor_put_u32(&w, ENTRY_MAGIC);
	cursor_put_u32(&w, x->length);
	cursor_put_u64(&w, x->number);
	cursor_put_u64(&w, x->total);
	cursor_put_u32(&w, x->records);
	cursor_put_zeros(&w, 4);
	cursor_put_u64(&w, hash_entry(out, message, x->length));
}

int
spool_read_entry(const uint8_t *bytes, size_t n, struct spool_entry *ret)
{
	struct cursor c = cursor_of(bytes, n);
	const uint8_t *message = bytes + SPOOL_ENTRY;
	struct spool_entry x;
	uint32_t magic;

	if (n < SPOOL_ENTRY) {
		return 0;
	}
	magic = cursor_u32(&c);
	x.length = cursor_u32(&c);
	x.number = cursor_u64(&c);
	x.total = cursor_u64(&c);
	x.records = cursor_u32(&c);
	(void)cursor_take(&c, 4);
	if (magic != ENTRY_MAGIC || x.length < MESSAGE_HEADER ||
	    x.length > MESSAGE_MAX) {
		return -EBADMSG;
	}
	if (n < SPOOL_ENTRY + x.length) {
		return 0;
	}
	if (cursor_u64(&c) != hash_entry(bytes, message, x.length) ||
	    message_length(message, x.length) != (int)x.length) {
		return -EBADMSG;
	}
	*ret = x;
	return (int)(SPOOL_ENTRY + x.length);
}

size_t
spool_write_ledger(const struct spool_ledger *l, uint8_t out[static SPOOL_SLOT])
{
	struct write_cursor w = write_cursor_of(out, SPOOL_SLOT);

	cursor_put_u64(&w, LEDGER_MAGIC);
	cursor_put_u64(&w, l->generation);
	cursor_put_bytes(&w, l->id, sizeof l->id);
	cursor_put_u64(&w, l->first);
	cursor_put_u64(&w, l->next);
	cursor_put_u64(&w, l->total);
	cursor_put_u64(&w, l->delivered_messages);
	cursor_put_u64(&w, l->delivered_records);
	cursor_put_u64(&w, l->sent);
	cursor_put_u64(
	    &w, (l->has_sent ? HAS_SENT : 0) | (l->is_running ? IS_RUNNING : 0));
	cursor_put_u64(&w, l->target);
	cursor_put_zeros(&w, LEDGER_USED - cursor_written(&w));
	cursor_put_u64(&w, hash_bytes(out, LEDGER_USED, 0));
	cursor_put_zeros(&w, SPOOL_SLOT - cursor_written(&w));
	return l->generation % 2 * SPOOL_SLOT;
}

static bool
read_slot(const uint8_t slot[static SPOOL_SLOT], struct spool_ledger *ret)
{
	struct cursor c = cursor_of(slot, SPOOL_SLOT);
	uint64_t magic = cursor_u64(&c), flags;

	ret->generation = cursor_u64(&c);
	memcpy(ret->id, cursor_take(&c, sizeof ret->id), sizeof ret->id);
	ret->first = cursor_u64(&c);
	ret->next = cursor_u64(&c);
	ret->total = cursor_u64(&c);
	ret->delivered_messages = cursor_u64(&c);
	ret->delivered_records = cursor_u64(&c);
	ret->sent = cursor_u64(&c);
	flags = cursor_u64(&c);
	ret->target = cursor_u64(&c);
	ret->has_sent = (flags & HAS_SENT) != 0;
	ret->is_running = (flags & IS_RUNNING) != 0;
	return magic == LEDGER_MAGIC &&
	       load_u64(slot + LEDGER_USED) == hash_bytes(slot, LEDGER_USED, 0) &&
	       ret->next <= COUNT_MAX && ret->total <= COUNT_MAX &&
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

	for (size_t at = 0; at < length; at += message_size(preamble + at)) {
		key = hash_bytes(preamble + at, 4, key);
		key = hash_bytes(
		    preamble + at + 12, message_size(preamble + at) - 12u, key);
	}
	return key;
}
