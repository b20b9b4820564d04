/* Packet bytes of every link type.  The first two bytes choose the link type and how
 * much longer the packet was on the wire; what follows is cut into as many packets as
 * lengths (16 bits each) say, so that fragments meet. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/decode/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static const int link_types[] = {
    1, 0, 9, 12, 14, 50, 51, 101, 104, 108, 113, 204, 228, 229, 276, 127};

static void
check(const struct packet *p, const struct capture_packet *in)
{
	int order = memcmp(&p->key.low, &p->key.high, sizeof p->key.low);

	if (order > 0 || (order == 0 && p->key.low_port > p->key.high_port) ||
	    p->octets > in->wire || p->payload > p->octets || p->from_high > 1) {
		abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct decoder *d;
	struct capture_packet in = {.time_ns = 1};
	struct packet out;

	if (length < 2) {
		return 0;
	}
	d = decoder_new(bytes[0] & 0x80);
	if (d == NULL) {
		abort();
	}
	in.link_type = link_types[bytes[0] % 16];
	for (size_t at = 2; at + 2 <= length; at += in.captured) {
		size_t said = (size_t)bytes[at] << 8 | bytes[at + 1];
		uint8_t *copy;

		at += 2;
		in.captured = (uint32_t)(said < length - at ? said : length - at);
		in.wire = in.captured + bytes[1] * 16U;
		/* in memory of its own, so that a read beyond it is seen */
		copy = malloc(in.captured + 1);
		if (copy == NULL) {
			abort();
		}
		memcpy(copy + 1, bytes + at, in.captured);
		in.bytes = copy + 1;
		in.time_ns += 1000000000;
		if (decode_packet(d, &in, &out) == PACKET_KEPT) {
			check(&out, &in);
		}
		free(copy);
	}
	decoder_free(d);
	return 0;
}
