/* The clauses of the SQL that a question becomes in one file.  Threads: any. */
#ifndef COLLECTOR_QUERY_SELECTION_H
#define COLLECTOR_QUERY_SELECTION_H

#include "collector/query/catalog_file.h"
#include "collector/query/question.h"
#include "collector/query/sql.h"

/* A comma before every item of a list but the first. */
void selection_comma(struct sql *s, bool *is_first);
/* The table or view to read, its name followed by suffix.  Columns that the file was
 * written without (missing: one flag per column of the table) are NULL. */
void selection_source(
    const struct question *q, const bool *missing, const char *suffix, struct sql *s);
/* WHERE: the conditions, and the span unless the file lies wholly inside it. */
void selection_where(
    const struct question *q, const struct catalog_file *f, struct sql *s);
bool selection_is_by(const struct question *q, unsigned column);
/* sum(x) AS x, by the column's meaning; is_part: over rows of the table, else over
 * parts that were put together before.  An integer sum that is too great is the
 * greatest integer. */
void selection_grouped(const struct column *c, bool is_part, struct sql *s);
void selection_group_by(const struct question *q, struct sql *s);
/* Whether this column takes part in the order that rows have when nobody asks for
 * another: a reduced table's by its key, a table of records by time, groups by their
 * fields. */
bool selection_orders_by(const struct question *q, unsigned column);
/* is_sorted: the source has its rows in that order, by rowid. */
void selection_order(const struct question *q, bool is_sorted, struct sql *s);
void selection_limit(uint64_t limit, struct sql *s);

/* Days that the span touches. */
struct catalog_days selection_days(const struct question *q);
/* Whether everything in the file lies in the span. */
bool selection_is_inside(const struct question *q, const struct catalog_file *f);

#endif
