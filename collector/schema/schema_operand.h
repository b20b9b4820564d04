/* Operands of conditions (`where`, `when`) as the numbers that filters compare with.
 * An operand that does not fit is refused, never reinterpreted.
 * Threads: start-up.  All return 0, or -EINVAL with "file:line:column: sentence". */
#ifndef COLLECTOR_SCHEMA_SCHEMA_OPERAND_H
#define COLLECTOR_SCHEMA_SCHEMA_OPERAND_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/config/yaml.h"

struct schema_range {
	int64_t min, max; /* both included */
};

/* Decimal, or hexadecimal with 0x. */
int schema_operand_integer(const struct yaml *y, const struct yaml_node *node,
    const struct schema_range *range, int64_t *ret, struct err *e);
/* ISO 8601 or "@seconds", as nanoseconds since 1970; the last is in April 2262. */
int schema_operand_time(
    const struct yaml *y, const struct yaml_node *node, int64_t *ret, struct err *e);
/* Decimal and finite. */
int schema_operand_real(
    const struct yaml *y, const struct yaml_node *node, double *ret, struct err *e);
/* 00:11:22:33:44:55, as a number of 48 bits. */
int schema_operand_mac(
    const struct yaml *y, const struct yaml_node *node, int64_t *ret, struct err *e);

#endif
