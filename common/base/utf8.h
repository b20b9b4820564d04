/* UTF-8 from the wire (RFC 3629): what is valid and what is not.
 * Threads: any. */
#ifndef COMMON_BASE_UTF8_H
#define COMMON_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The length of the sequence at p, 1 to 4, or 0 when it is none.  left is at least 1.
 */
size_t utf8_length(const uint8_t *p, size_t left);

#endif
