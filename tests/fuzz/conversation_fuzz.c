/* The conversation table under packets of any time, flags and size: whatever comes,
 * every packet is in a record once, and the counts agree.  Input: a byte of settings,
 * then 8 bytes a packet. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cursor.h"
#include "exporter/conversation/conversation.h"

static uint64_t packets, octets;

static void
take(const struct flow_record *r, void *data)
{
	uint64_t n = r->side[0].packets + r->side[1].packets;

	(void)data;
	if (n == 0 || r->has_reverse != (r->side[1].packets > 0)) {
		abort();
	}
	packets += n;
	octets += r->side[0].octets + r->side[1].octets;
}

/* Small steps, large ones, and times at the ends of what 64 bits hold. */
static uint64_t
step(uint64_t now, uint8_t kind, uint8_t amount)
{
	switch (kind % 8) {
	case 0:
		return now + (uint64_t)amount * 1000000000;
	case 1:
		return now - (uint64_t)amount * 100000000;
	case 2:
		return now + (uint64_t)amount * 3600000000000;
	case 3:
		return amount > 250 ? UINT64_MAX - amount : now + amount;
	case 4:
		return amount > 250 ? amount - 251u : now;
	default:
		return now + amount * 1000u;
	}
}

static struct packet
make(struct cursor *in, uint64_t *now)
{
	const uint8_t *b = cursor_take(in, 8);
	struct packet p = {0};

	*now = step(*now, b[0], b[1]);
	p.time_ns = *now;
	address_from_ipv4(&p.key.low, (uint8_t[]){10, 0, 0, b[2] & 3});
	address_from_ipv4(&p.key.high, (uint8_t[]){10, 0, 1, 0});
	p.key.protocol = (uint8_t[]){6, 17, 1, 58}[b[2] >> 2 & 3];
	p.from_high = b[2] >> 4 & 1;
	p.tcp_flags = p.key.protocol == 6 ? b[3] : 0;
	p.tcp_sequence = b[4];
	p.payload = b[5] == 255 ? UINT16_MAX : b[5];
	p.octets = b[6] == 255 ? UINT32_MAX : b[6];
	p.ttl = b[7];
	return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct cursor in = cursor_of(bytes, length);
	uint8_t how = cursor_u8(&in);
	struct conversations_settings s = {
	    .max_conversations = how & 1 ? 2 : 100,
	    .idle_ns = 15000000000,
	    .active_ns = how & 2 ? 60000000000 : UINT64_MAX,
	    .close_grace_ns = 2000000000,
	    .is_adaptive = how & 4,
	    .adaptive_min_ns = 1000000000,
	    .adaptive_max_ns = 30000000000,
	    .adaptive_factor = 3,
	};
	struct conversations *c = conversations_new(&s, take, NULL);
	struct conversations_counts counts;
	uint64_t now = 1700000000000000000;

	packets = octets = 0;
	while (c != NULL && cursor_left(&in) >= 8) {
		struct packet p = make(&in, &now);
		conversations_add(c, &p, 1);
		if (p.ttl & 1) {
			conversations_tick(c, now);
		}
	}
	if (c == NULL) {
		return 0;
	}
	conversations_flush(c);
	conversations_counts(c, &counts);
	if (counts.live != 0 || counts.packets != packets + counts.refused ||
	    counts.octets != octets) {
		abort();
	}
	conversations_free(c);
	return 0;
}
