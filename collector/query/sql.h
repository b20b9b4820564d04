/* One SQL statement under construction: text, and the values that go with its `?`s.
 * Values are always bound and names always quoted, so nothing that an operator types
 * becomes SQL.  When memory runs out while building (sql_new() may return NULL, which
 * all functions accept), sql_prepare() reports it.  Threads: one. */
#ifndef COLLECTOR_QUERY_SQL_H
#define COLLECTOR_QUERY_SQL_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/sqlite/database.h"

/* A value to bind; its maker owns the text. */
struct sql_value {
	enum database_type type;
	int64_t integer;
	double real;
	const char *text;
};

struct sql;

struct sql *sql_new(void);
void sql_free(struct sql *s);
void sql_add(struct sql *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A name in double quotes, and with a suffix ("pairs_runs"). */
void sql_name(struct sql *s, const char *name);
void sql_part_name(struct sql *s, const char *name, const char *suffix);
/* Adds `?` and binds the value, whose text must live until sql_prepare(). */
void sql_bind(struct sql *s, const struct sql_value *v);
int sql_prepare(
    struct sql *s, struct database *d, struct statement **ret, struct err *e);
/* Runs a statement that has no results. */
int sql_run(struct sql *s, struct database *d, struct err *e);
/* Runs a statement and frees it.  *ret is its first value, untouched where it has none.
 */
int sql_number(struct sql *s, struct database *d, int64_t *ret, struct err *e);

#endif
