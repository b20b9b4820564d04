/* RFC 5610: options records that describe information elements in-band. */
#ifndef COLLECTOR_PROTOCOL_TYPE_RECORD_H
#define COLLECTOR_PROTOCOL_TYPE_RECORD_H

#include <stdbool.h>

#include "common/base/cursor.h"
#include "common/ipfix/element.h"
#include "common/ipfix/template.h"

/* Whether records of this options template describe elements. */
bool type_record_is(const struct template *t);
/* Adds what one record (fields as record_span_next() gives them) describes.  Only
 * enterprise elements that nobody described before, with a plain name; the registry and
 * what operators loaded stay as they are.  *ret: the element.  0, -EEXIST, -ENOMEM, or
 * -EBADMSG for what cannot be one. */
int type_record_learn(const struct template *t, const struct cursor *fields,
    struct elements *elements, const struct element **ret);

/* The natural length of a type: 65535 for variable ones. */
uint16_t type_record_length(enum element_type type);

#endif
