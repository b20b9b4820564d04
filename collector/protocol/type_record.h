/* RFC 5610: options records that describe information elements in-band. */
#ifndef COLLECTOR_PROTOCOL_TYPE_RECORD_H
#define COLLECTOR_PROTOCOL_TYPE_RECORD_H

#include <stdbool.h>

#include "common/base/cursor.h"
#include "common/ipfix/element.h"
#include "common/ipfix/template.h"

/* Whether records of this options template describe elements. */
bool type_record_is(const struct template *t);
/* Adds the element that one record (fields as record_span_next() gives them) describes:
 * an enterprise's, with a plain name, that is not known yet.  The registry and what
 * operators loaded never change.  *ret: the element.  0, -EEXIST, -ENOMEM, or -EBADMSG
 * where it cannot be an element. */
int type_record_learn(const struct template *t, const struct cursor *fields,
    struct elements *elements, const struct element **ret);

/* The natural length of a type: 65535 for variable ones. */
uint16_t type_record_length(enum element_type type);

#endif
