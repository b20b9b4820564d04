#include "collector/query/runs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/query/selection.h"
#include "collector/query/sql.h"

/* Columns that a run stores as the view shows them. */
static bool
is_plain(const struct table *t, const bool *missing)
{
	for (unsigned i = 0; i < t->count; i++) {
		enum column_role role = t->columns[i].role;
		if (missing[i] || role == COLUMN_FIRST || role == COLUMN_LAST ||
		    role == COLUMN_COMPUTED) {
			return false;
		}
	}
	return true;
}

/* Sums, least and greatest values may be taken of parts of rows as well as of whole
 * ones.  Conditions on anything but the key, and spans within the day, look at whole
 * rows. */
static bool
may_take_parts(
    const struct question *q, const struct catalog_file *f, const bool *missing)
{
	if (q->by_count == 0 || !selection_is_inside(q, f)) {
		return false;
	}
	for (unsigned i = 0; i < q->condition_count; i++) {
		if (q->conditions[i].column->role != COLUMN_KEY) {
			return false;
		}
	}
	for (unsigned i = 0; i < q->by_count; i++) {
		if (q->table->columns[q->by[i]].role != COLUMN_KEY) {
			return false;
		}
	}
	for (unsigned i = 0; i < q->table->count; i++) {
		if (missing[i]) {
			return false;
		}
	}
	return true;
}

/* How many runs there are: in one run every key is there once. */
static int
count_runs(const struct table *t, struct database *d, int64_t *ret, struct err *e)
{
	struct statement *s = NULL;
	struct sql *sql = sql_new();
	char *name = NULL;
	int rc = -ENOMEM;

	if (sql == NULL || asprintf(&name, "%s_extent", t->name) < 0) {
		err_set(e, rc, "no memory to put the question together");
		goto out;
	}
	sql_add(sql, "SELECT count(*) FROM ");
	sql_name(sql, name);
	rc = sql_prepare(sql, d, &s, e);
	rc = rc == 0 ? statement_step(s, e) : rc;
	if (rc > 0) {
		*ret = statement_i64(s, 0);
		rc = 0;
	}
out:
	statement_free(s);
	sql_free(sql);
	free(name);
	return rc;
}

int
runs_find(const struct question *q, const struct catalog_file *f, const bool *missing,
    bool needs_rows, struct database *d, enum runs_use *ret, struct err *e)
{
	int64_t runs = 0;
	int rc = 0;

	*ret = RUNS_NONE;
	if (q->table->storage != TABLE_RUNS || q->table->is_view) {
		return 0;
	}
	if (!needs_rows && may_take_parts(q, f, missing)) {
		*ret = RUNS_ANY;
	} else if (is_plain(q->table, missing)) {
		rc = count_runs(q->table, d, &runs, e);
		*ret = runs == 1 ? RUNS_ONE : RUNS_NONE;
	}
	return rc;
}
