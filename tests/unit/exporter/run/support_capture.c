#include "tests/unit/exporter/run/support_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#define FRAME 52u /* Ethernet, IPv4, UDP, 10 octets */

void
capture_write(const char *path, unsigned n)
{
	static const uint32_t head[6] = {0xa1b2c3d4, 4 << 16 | 2, 0, 0, 65535, 1};
	FILE *out = fopen(path, "wb");
	assert_non_null(out);
	assert_int_equal(fwrite(head, sizeof head, 1, out), 1);
	for (unsigned i = 0; i < n; i++) {
		uint8_t frame[FRAME] = {[12] = 8,
		    [14] = 0x45,
		    [17] = FRAME - 14,
		    [22] = 64,
		    17,
		    [26] = 10,
		    0,
		    0,
		    1,
		    10,
		    0,
		    0,
		    2,
		    [35] = 99,
		    [37] = 53,
		    [39] = 18};
		uint32_t record[4] = {
		    1700000000 + i / 10, i % 10 * 100000, FRAME, FRAME};
		frame[13] = i % 10 == 9 ? 6 : 0;
		assert_int_equal(fwrite(record, sizeof record, 1, out), 1);
		assert_int_equal(fwrite(frame, sizeof frame, 1, out), 1);
	}
	assert_int_equal(fclose(out), 0);
}
