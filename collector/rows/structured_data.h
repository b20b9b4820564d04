/* Structured data (RFC 6313): basicList, subTemplateList and subTemplateMultiList of
 * one record, checked and written as JSON.
 *
 *   {"semantic":"allOf","element":"tcpControlBits","values":[2,18,16]}
 *   {"semantic":"ordered","template":258,"records":[{"dnsName":"a.example"}]}
 *   {"semantic":"allOf","templates":[{"template":258,"records":[...]},...]}
 *
 * A list in a list is written where its value stands.  Elements that no registry knows
 * are "PEN:ID" and octets; of several of one element in a record the second is
 * "name#2".  An unknown template is {"template":258,"length":24}.  A malformed list,
 * alone of those around it, is {"malformed":"...","length":24}.  Where the text has no
 * room for more items it says "omitted":7.  An empty field is {}.
 *
 * Lengths on the wire are never trusted, lists nest STRUCTURED_DATA_DEPTH deep at most,
 * and the work is linear in the bytes.
 * Threads: the processing thread.  Memory: the stack. */
#ifndef COLLECTOR_ROWS_STRUCTURED_DATA_H
#define COLLECTOR_ROWS_STRUCTURED_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/rows/json_text.h"
#include "common/base/cursor.h"
#include "common/ipfix/element.h"
#include "common/ipfix/template.h"

#define STRUCTURED_DATA_DEPTH 8
#define STRUCTURED_DATA_LEAST 160 /* bytes of text that tell at least what is wrong */

/* What happened to structured data (RFC 6313) in records that are kept. */
struct structured_data_counts {
	uint64_t malformed;   /* lists */
	uint64_t no_template; /* lists, and parts of multi-lists */
	uint64_t cut;         /* texts that do not have all of their lists */
};

/* What lists refer to, and what became of them. */
struct structured_data {
	const struct elements *elements;
	const struct templates *templates; /* of the domain; NULL: none are known */
	uint64_t oldest_ns;                /* templates that came before have expired */
	struct structured_data_counts counts; /* only grow */
};

static inline bool
structured_data_is(enum element_type type)
{
	return type == ELEMENT_BASIC_LIST || type == ELEMENT_SUB_TEMPLATE_LIST ||
	       type == ELEMENT_SUB_TEMPLATE_MULTI_LIST;
}

/* Writes the lists of one element in a record, one alone as it is, several as an array.
 * ret->capacity is at least STRUCTURED_DATA_LEAST. */
void structured_data_write(struct structured_data *s, enum element_type type,
    const struct cursor *lists, unsigned count, struct json_text *ret);

#endif
