#include "collector/rows/json_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/digits.h"
#include "common/base/utf8.h"

#define ELLIPSIS "\xe2\x80\xa6"

static void
put(struct json_text *t, const char *bytes, size_t n)
{
	if (t->is_full || t->used + t->reserved + n > t->capacity) {
		t->is_full = true;
		return;
	}
	memcpy(t->out + t->used, bytes, n);
	t->used += n;
}

void
json_raw(struct json_text *t, const char *text)
{
	put(t, text, strlen(text));
}

void
json_unsigned(struct json_text *t, uint64_t v)
{
	char text[24], *p = text + sizeof text;

	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	put(t, p, (size_t)(text + sizeof text - p));
}

void
json_signed(struct json_text *t, int64_t v)
{
	if (v < 0) {
		put(t, "-", 1);
	}
	json_unsigned(t, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void
json_real(struct json_text *t, double v)
{
	char text[32];

	json_raw(t, isfinite(v) ? digits_real(text, v) : "null");
}

/* A character of n bytes; 0: a byte that is none. */
static void
put_character(struct json_text *t, const uint8_t *p, size_t n)
{
	char text[8];

	if (n == 0) {
		put(t, "\\ufffd", 6);
	} else if (*p == '"' || *p == '\\') {
		text[0] = '\\';
		text[1] = (char)*p;
		put(t, text, 2);
	} else if (*p < 0x20 || *p == 0x7f) {
		put(t, text, (size_t)snprintf(text, sizeof text, "\\u%04x", *p));
	} else {
		put(t, (const char *)p, n);
	}
}

/* How many bytes stand for themselves. */
static size_t
plain_length(const uint8_t *p, size_t most)
{
	size_t n = 0;

	while (n < most && p[n] >= 0x20 && p[n] < 0x7f && p[n] != '"' && p[n] != '\\') {
		n++;
	}
	return n;
}

void
json_string(struct json_text *t, const void *bytes, size_t length)
{
	const uint8_t *p = bytes;
	size_t most = length < JSON_TEXT_STRING ? length : JSON_TEXT_STRING, i = 0;

	put(t, "\"", 1);
	while (i < most && !t->is_full) {
		size_t n = plain_length(p + i, most - i);
		if (n > 0) {
			put(t, (const char *)p + i, n);
			i += n;
			continue;
		}
		n = utf8_length(p + i, length - i);
		if (i + n > most) {
			break;
		}
		put_character(t, p + i, n);
		i += n == 0 ? 1 : n;
	}
	if (i < length && !t->is_full) {
		put(t, ELLIPSIS, sizeof ELLIPSIS - 1);
		t->is_cut = true;
	}
	put(t, "\"", 1);
}

void
json_octets(struct json_text *t, const uint8_t *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	size_t most = length < JSON_TEXT_STRING / 2 ? length : JSON_TEXT_STRING / 2;
	char pair[2];

	put(t, "\"", 1);
	for (size_t i = 0; i < most && !t->is_full; i++) {
		pair[0] = digits[bytes[i] >> 4];
		pair[1] = digits[bytes[i] & 15];
		put(t, pair, 2);
	}
	if (most < length && !t->is_full) {
		put(t, ELLIPSIS, sizeof ELLIPSIS - 1);
		t->is_cut = true;
	}
	put(t, "\"", 1);
}
