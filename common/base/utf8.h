/* UTF-8 (RFC 3629): what is valid, one character at a time.
 * Threads: any. */
#ifndef COMMON_BASE_UTF8_H
#define COMMON_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_MAX 4 /* bytes of one character */

/* The length of the character at p, 1 to 4, or 0 when it is not valid.  left is at
 * least 1; UTF8_MAX for text that ends with NUL, which is not read past. */
size_t utf8_length(const uint8_t *p, size_t left);
/* The code point of a valid character of n bytes. */
uint32_t utf8_point(const uint8_t *p, size_t n);
/* The length of text, at most `most`, without cutting a character in two. */
size_t utf8_cut(const char *text, size_t most);

#endif
