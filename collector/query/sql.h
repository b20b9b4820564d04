/* One SQL statement under construction: text, and the values that go with its `?`s.
 * Values are always bound and names always quoted, so nothing that an operator types
 * becomes SQL. Memory that runs out while building is reported once, by sql_prepare().
 */
#ifndef COLLECTOR_QUERY_SQL_H
#define COLLECTOR_QUERY_SQL_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/sqlite/database.h"

/* A value to bind; text is owned by whoever made it. */
struct sql_value {
	enum database_type type;
	int64_t integer;
	double real;
	const char *text;
};

struct sql;

struct sql *sql_new(void); /* NULL: no memory */
void sql_free(struct sql *s);
void sql_add(struct sql *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A name in double quotes. */
void sql_name(struct sql *s, const char *name);
/* Adds `?` and binds the value, whose text must live until sql_prepare(). */
void sql_bind(struct sql *s, const struct sql_value *v);
int sql_prepare(
    struct sql *s, struct database *d, struct statement **ret, struct err *e);
/* Runs a statement that has no results. */
int sql_run(struct sql *s, struct database *d, struct err *e);

#endif
