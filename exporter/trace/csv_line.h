/* One line of comma-separated values (RFC 4180) and what its fields mean. */
#ifndef EXPORTER_TRACE_CSV_LINE_H
#define EXPORTER_TRACE_CSV_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/address.h"

/* Part of a line, without the blanks and quotes around it; not NUL-terminated. */
struct csv_field {
	const char *at;
	size_t length;
};

/* Removes blanks and tabs at both ends. */
void csv_trim(struct csv_field *f);
/* Takes one field and the comma after it from *line; blanks around quotes are allowed.
 * False: unbalanced quotes. */
bool csv_take_field(struct csv_field *line, struct csv_field *ret, bool *ret_is_last);

/* Decimal digits that fit, optionally with a zero fraction ("45523.0", as written by
 * tools that keep all numbers as floats). */
bool csv_number(const struct csv_field *f, uint64_t max, uint64_t *ret);
bool csv_address(const struct csv_field *f, struct address *ret);
/* DD/MM/YYYYhh:mm:ss in UTC, optionally with blanks or a T before the hours.  Hours go
 * from 0 to 23; no AM or PM. */
bool csv_time(const struct csv_field *f, uint64_t *ret_ns);

#endif
