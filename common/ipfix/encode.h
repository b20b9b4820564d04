/* Compiled encode plans: values at offsets in a struct of ours become the record bytes
 * of a template.  A plan is a list of ops {kind, from, length}; bounds are proved when
 * it is compiled.
 * Threads: a plan is read-only once compiled.  Memory: encode_free(). */
#ifndef COMMON_IPFIX_ENCODE_H
#define COMMON_IPFIX_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/ipfix/element.h"

/* How a value lies in the struct it is taken from. */
enum encode_source {
	ENCODE_U8,
	ENCODE_U16,
	ENCODE_U32,
	ENCODE_U64,
	ENCODE_F64,
	ENCODE_TIME_NS, /* uint64_t, ns since 1970, for every time type */
	ENCODE_ADDRESS, /* struct address; IPv4 elements take its last 4 bytes */
	ENCODE_STRING, /* const char *, NUL-terminated (NULL: empty), variable length */
};

struct encode_field {
	const struct element *element;
	uint16_t length; /* on the wire; 0: the element's own (strings: variable) */
	enum encode_source source;
	size_t offset; /* in the struct */
};

struct encode_layout { /* of a template's records */
	const struct encode_field *fields;
	unsigned count;
	uint16_t template_id;
	unsigned scope_count; /* options: how many of the first fields are the scope */
};

struct encode_plan;

/* Refuses sources that do not fit the element's type: -EINVAL.  -ENOMEM. */
int encode_compile(
    const struct encode_layout *l, struct encode_plan **ret, struct err *e);
void encode_free(struct encode_plan *p);

uint16_t encode_template_id(const struct encode_plan *p);
/* Longest record in bytes (strings count 3 + 255). */
size_t encode_max_length(const struct encode_plan *p);
/* Writes the record of `from`; out has encode_max_length() bytes.  Integers that do not
 * fit the wire length saturate.  Returns the bytes written. */
size_t encode_record(const struct encode_plan *p, const void *from, uint8_t *out);
/* Writes the template record (id, field count, scope, field specifiers).  Returns its
 * length; out == NULL: only counts. */
size_t encode_template(const struct encode_plan *p, uint8_t *out);

#endif
