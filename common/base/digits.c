#include "common/base/digits.h"

#include <inttypes.h>
#include <stdio.h>

const char *
digits_grouped(char out[static 32], uint64_t n)
{
	char digits[24];
	int length = snprintf(digits, sizeof digits, "%" PRIu64, n), at = 0;

	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0) {
			out[at++] = ' ';
		}
		out[at++] = digits[i];
	}
	out[at] = '\0';
	return out;
}
