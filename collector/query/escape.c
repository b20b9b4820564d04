#include "collector/query/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/base/utf8.h"

/* The code point at *text, which moves behind it; -1 for an invalid byte. */
static int32_t
next_point(const unsigned char **text)
{
	size_t n = utf8_length(*text, UTF8_MAX);
	int32_t v = n == 0 ? -1 : (int32_t)utf8_point(*text, n);

	*text += n == 0 ? 1 : n;
	return v;
}

/* C0, DEL, C1, line separators, and what turns the direction of writing. */
static bool
is_control(int32_t v)
{
	return v < 0x20 || (v >= 0x7f && v < 0xa0) || v == 0x061c ||
	       (v >= 0x200e && v <= 0x200f) || (v >= 0x2028 && v <= 0x202e) ||
	       (v >= 0x2066 && v <= 0x2069) || v == 0xfeff;
}

size_t
escape_text(FILE *to, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t written = 0;

	while (*p != '\0') {
		const unsigned char *at = p;
		int32_t v = next_point(&p);
		int n = 1;
		if (v == '\n' || v == '\t' || v == '\r') {
			n = fprintf(to, "\\%c",
			    v == '\n'   ? 'n'
			    : v == '\t' ? 't'
					: 'r');
		} else if (v < 0 || v < 0x20 || v == 0x7f) {
			n = fprintf(to, "\\x%02x", (unsigned)*at);
		} else if (is_control(v)) {
			n = fprintf(to, "\\u{%x}", (unsigned)v);
		} else {
			fwrite(at, 1, (size_t)(p - at), to);
		}
		written += n > 0 ? (size_t)n : 0;
	}
	return written;
}

void
escape_csv(FILE *to, const char *text)
{
	if (strpbrk(text, "\",\r\n") == NULL) {
		fputs(text, to);
		return;
	}
	fputc('"', to);
	for (; *text != '\0'; text++) {
		if (*text == '"') {
			fputc('"', to);
		}
		fputc(*text, to);
	}
	fputc('"', to);
}

void
escape_json(FILE *to, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	fputc('"', to);
	while (*p != '\0') {
		const unsigned char *at = p;
		int32_t v = next_point(&p);
		if (v == '"' || v == '\\') {
			fprintf(to, "\\%c", (char)v);
		} else if (v < 0) {
			fputs("\\ufffd", to);
		} else if (is_control(v)) {
			fprintf(to, "\\u%04x", (unsigned)v);
		} else {
			fwrite(at, 1, (size_t)(p - at), to);
		}
	}
	fputc('"', to);
}
