/* JSON (RFC 8259) into bounded memory.  What does not fit sets is_full, and nothing
 * more is written until the writer goes back to where it did fit.  Room for what must
 * be written in any case, closing brackets above all, is held in reserve.
 * Threads: the owner's.  Memory: the owner's. */
#ifndef COLLECTOR_ROWS_JSON_TEXT_H
#define COLLECTOR_ROWS_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_TEXT_STRING 1024 /* bytes of a string that are kept, before escaping */

struct json_text {
	char *out;
	size_t used, capacity;
	size_t reserved; /* bytes at the end that are not to be used yet */
	bool is_full;
	bool is_cut; /* a string was longer than JSON_TEXT_STRING */
};

/* As it stands: punctuation, numbers, names that need no escapes. */
void json_raw(struct json_text *t, const char *text);
void json_unsigned(struct json_text *t, uint64_t v);
void json_signed(struct json_text *t, int64_t v);
/* The shortest decimal that reads back as the same number; null where it is not finite.
 */
void json_real(struct json_text *t, double v);
/* With its quotes.  Invalid UTF-8 becomes U+FFFD; longer ones than
 * JSON_TEXT_STRING end in an ellipsis. */
void json_string(struct json_text *t, const void *bytes, size_t length);
/* Octets as a string of hexadecimal digits, with the same bound on their digits. */
void json_octets(struct json_text *t, const uint8_t *bytes, size_t length);

#endif
