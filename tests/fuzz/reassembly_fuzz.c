/* Packets of a capture, each with two bytes of length before it, through the reassembly
 * of UDP datagrams.  The first byte picks the link type. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collector/import/reassembly.h"
#include "common/base/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static volatile uint8_t touched; /* so that the bytes are read indeed */

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static const int links[] = {101, 1, 113, 0, 276};
	struct reassembly *d = reassembly_new();
	struct cursor c = cursor_of(bytes, length);
	int link = links[cursor_u8(&c) % 5];

	while (cursor_left(&c) > 2) {
		size_t n = cursor_u16(&c);
		struct capture_packet p = {.link_type = link};
		struct datagram got;
		uint8_t *exact;
		if (n > cursor_left(&c)) {
			n = cursor_left(&c);
		}
		/* A copy of its own, so that a read beyond it shows. */
		exact = malloc(n + 1);
		memcpy(exact, cursor_take(&c, n), n);
		p.bytes = exact;
		p.captured = p.wire = (uint32_t)n;
		if (reassembly_take(d, &p, &got) == REASSEMBLY_WHOLE) {
			for (size_t i = 0; i < got.length; i++) {
				touched ^= got.payload[i];
			}
		}
		free(exact);
	}
	reassembly_free(d);
	return 0;
}
