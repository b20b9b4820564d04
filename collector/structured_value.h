/* One value of structured data as JSON, in the forms that flowpair-query prints:
 * numbers, addresses, ISO 8601 times; what cannot be read as its type is octets.
 * Threads: any. */
#ifndef COLLECTOR_STRUCTURED_VALUE_H
#define COLLECTOR_STRUCTURED_VALUE_H

#include "collector/json_text.h"
#include "common/cursor.h"
#include "common/element.h"

/* No list.  NULL: an element that no registry knows. */
void structured_value_write(
    struct json_text *out, const struct element *element, struct cursor value);

#endif
