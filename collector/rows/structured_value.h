/* One value of structured data as JSON, in the forms that flowpair-query prints:
 * numbers, addresses, ISO 8601 times; what cannot be read as its type is octets.
 * Threads: any. */
#ifndef COLLECTOR_ROWS_STRUCTURED_VALUE_H
#define COLLECTOR_ROWS_STRUCTURED_VALUE_H

#include "collector/rows/json_text.h"
#include "common/base/cursor.h"
#include "common/ipfix/element.h"

/* No list.  NULL: an element that no registry knows. */
void structured_value_write(
    struct json_text *out, const struct element *element, struct cursor value);

#endif
