#include "collector/query/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The code point at *text, which moves behind it; -1 for a byte that is no UTF-8
 * (RFC 3629: no overlong forms, no surrogates). */
static int32_t
next_point(const unsigned char **text)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	const unsigned char *p = *text;
	unsigned more = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
	uint32_t v = *p;

	*text = p + 1;
	if (*p >= 0x80 && (*p < 0xc2 || *p > 0xf4)) {
		return -1;
	}
	if (more > 0) {
		v = *p & (0x3fu >> more);
	}
	for (unsigned i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			return -1;
		}
		v = v << 6 | (p[i] & 0x3f);
	}
	if (v < least[more] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000)) {
		return -1;
	}
	*text = p + 1 + more;
	return (int32_t)v;
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
