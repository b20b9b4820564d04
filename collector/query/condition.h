/* One condition of a question: "dst_port_lt=1024", "src_ip_prefix=10.0.0.0/8".  Reading
 * it checks it against the column's kind; addresses compare as addresses, times as
 * times.  Threads: any.  Memory: a condition owns its values. */
#ifndef COLLECTOR_QUERY_CONDITION_H
#define COLLECTOR_QUERY_CONDITION_H

#include "collector/query/catalog.h"
#include "collector/query/sql.h"

enum condition_operator {
	CONDITION_EQ,
	CONDITION_NE,
	CONDITION_LT,
	CONDITION_LE,
	CONDITION_GT,
	CONDITION_GE,
	CONDITION_IN,
	CONDITION_PREFIX,
	CONDITION_LIKE,
	CONDITION_OPERATORS,
};

struct condition {
	const struct column *column;
	enum condition_operator op;
	struct sql_value *values; /* one; IN: any number */
	unsigned count;
};

/* text: field=value (the same as field_eq) or field_op=value.  A condition that failed
 * to parse needs no condition_done(). */
int condition_parse(
    const struct table *t, const char *text, struct condition *ret, struct err *e);
void condition_done(struct condition *c);
/* Adds the condition as an SQL expression in parentheses. */
void condition_add(const struct condition *c, struct sql *s);

/* A time as operators write it: CONDITION_TIMES, up to 64 bits of nanoseconds.
 * expected: what to write instead of an invalid one.  0 or -EINVAL. */
#define CONDITION_TIMES                                                                \
	"2017-04-26, 2017-04-26T11:11:17Z, @seconds or nanoseconds since 1970"
int condition_parse_time(
    const char *text, const char *expected, uint64_t *ret_ns, struct err *e);

#endif
