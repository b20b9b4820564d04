#include "common/base/utf8.h"

#include <stdbool.h>
#include <string.h>

static bool
is_continuation(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

size_t
utf8_length(const uint8_t *p, size_t left)
{
	static const struct {
		uint8_t mask, lead, low, high; /* bounds of the second byte */
		uint8_t length;
	} forms[] = {{0xff, 0xe0, 0xa0, 0xbf, 3}, {0xff, 0xed, 0x80, 0x9f, 3},
	    {0xf0, 0xe0, 0x80, 0xbf, 3}, {0xff, 0xf0, 0x90, 0xbf, 4},
	    {0xff, 0xf4, 0x80, 0x8f, 4}, {0xfc, 0xf0, 0x80, 0xbf, 4},
	    {0xe0, 0xc0, 0x80, 0xbf, 2}};

	if (p[0] < 0x80) {
		return 1;
	}
	if (p[0] == 0xc0 || p[0] == 0xc1) {
		return 0;
	}
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		if ((p[0] & forms[i].mask) != forms[i].lead) {
			continue;
		}
		if (forms[i].length > left || p[1] < forms[i].low ||
		    p[1] > forms[i].high) {
			return 0;
		}
		for (size_t k = 2; k < forms[i].length; k++) {
			if (!is_continuation(p[k])) {
				return 0;
			}
		}
		return forms[i].length;
	}
	return 0;
}

uint32_t
utf8_point(const uint8_t *p, size_t n)
{
	uint32_t v = n == 1 ? p[0] : p[0] & (0x7fu >> n);

	for (size_t i = 1; i < n; i++) {
		v = v << 6 | (p[i] & 0x3f);
	}
	return v;
}

size_t
utf8_cut(const char *text, size_t most)
{
	size_t n = strnlen(text, most + 1);

	if (n <= most) {
		return n;
	}
	n = most;
	while (n > 0 && most - n < UTF8_MAX && is_continuation((uint8_t)text[n])) {
		n--;
	}
	return n;
}
