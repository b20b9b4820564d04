/* Where records and their fields lie in a data set, without decoding them: counting for
 * sequence numbers, and options records that the collector itself reads. */
#ifndef COLLECTOR_PROTOCOL_RECORD_SPAN_H
#define COLLECTOR_PROTOCOL_RECORD_SPAN_H

#include <stdint.h>

#include "common/base/cursor.h"
#include "common/ipfix/template.h"

/* The next record of a set: 1, its fields' bytes in fields (t->field_count of them, or
 * NULL); 0: the end, padding included (less than the shortest record); -EBADMSG: the
 * record runs over the end. */
int record_span_next(
    const struct template *t, struct cursor *set, struct cursor *fields);
/* The field of this IANA element in a record, or NULL; and its number: 0 where it is
 * missing or longer than 8 bytes. */
const struct cursor *record_span_field(
    const struct template *t, const struct cursor *fields, uint16_t id);
uint64_t record_span_number(
    const struct template *t, const struct cursor *fields, uint16_t id);
/* Whole records in a set; *ret_is_whole: false when one runs over the end. */
uint32_t record_span_count(
    const struct template *t, struct cursor set, bool *ret_is_whole);

#endif
