#include "collector/query/runs.h"

#include "collector/query/selection.h"

#define BOUND_ROWS 10000 /* a longer top is read with all rows */

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

static bool
has_key_conditions_only(const struct question *q)
{
	for (unsigned i = 0; i < q->condition_count; i++) {
		if (q->conditions[i].column->role != COLUMN_KEY) {
			return false;
		}
	}
	return true;
}

/* Sums, least and greatest values may be taken of parts of rows as well as of whole
 * ones.  Conditions on anything but the key, and spans within the day, look at whole
 * rows. */
static bool
may_take_parts(const struct question *q, const struct catalog_scan *scan)
{
	if (q->by_count == 0 || !selection_is_inside(q, scan->file) ||
	    !has_key_conditions_only(q)) {
		return false;
	}
	for (unsigned i = 0; i < q->by_count; i++) {
		if (q->table->columns[q->by[i]].role != COLUMN_KEY) {
			return false;
		}
	}
	for (unsigned i = 0; i < q->table->count; i++) {
		if (scan->missing[i]) {
			return false;
		}
	}
	return true;
}

/* How many runs there are: in one run every key is there once. */
static int
count_runs(const struct table *t, struct database *d, int64_t *ret, struct err *e)
{
	struct sql *s = sql_new();

	sql_add(s, "SELECT count(*) FROM ");
	sql_part_name(s, t->name, "_extent");
	return sql_number(s, d, ret, e);
}

int
runs_find(const struct question *q, const struct catalog_scan *scan, bool needs_rows,
    enum runs_use *ret, struct err *e)
{
	int64_t runs = 0;
	int rc = 0;

	*ret = RUNS_NONE;
	if (q->table->storage != TABLE_RUNS || q->table->is_view) {
		return 0;
	}
	if (!needs_rows && may_take_parts(q, scan)) {
		*ret = RUNS_ANY;
	} else if (is_plain(q->table, scan->missing)) {
		rc = count_runs(q->table, scan->database, &runs, e);
		*ret = runs == 1 ? RUNS_ONE : RUNS_NONE;
	}
	return rc;
}

static bool
is_top_of_sums(const struct question *q, const struct catalog_scan *scan)
{
	const struct table *t = q->table;

	return t->storage == TABLE_RUNS && !t->is_view && q->by_count == 0 &&
	       q->sort >= 0 && q->is_descending && q->limit <= BOUND_ROWS &&
	       t->columns[q->sort].role == COLUMN_SUM &&
	       t->columns[q->sort].kind == COLUMN_INTEGER &&
	       is_plain(t, scan->missing) && has_key_conditions_only(q) &&
	       selection_is_inside(q, scan->file);
}

static void
add_keys(const struct table *t, struct sql *s)
{
	bool is_first = true;

	for (unsigned i = 0; i < t->count; i++) {
		if (t->columns[i].role == COLUMN_KEY) {
			selection_comma(s, &is_first);
			sql_name(s, t->columns[i].name);
		}
	}
}

/* FROM the runs, rows that may matter: conditions, and the value above the bound. */
static void
add_candidates(const struct question *q, const struct catalog_scan *scan, int64_t bound,
    struct sql *s)
{
	struct sql_value v = {.type = DATABASE_INTEGER, .integer = bound};

	sql_add(s, " FROM ");
	sql_part_name(s, q->table->name, "_runs");
	selection_where(q, scan->file, s);
	sql_add(s, q->condition_count > 0 ? " AND " : " WHERE ");
	sql_name(s, q->table->columns[q->sort].name);
	sql_add(s, " >= ");
	sql_bind(s, &v);
}

/* A condition, after `word`, that holds where any key column is NULL. */
static void
add_null_keys(const struct table *t, const char *word, struct sql *s)
{
	for (unsigned i = 0; i < t->count; i++) {
		if (t->columns[i].role == COLUMN_KEY) {
			sql_add(s, "%s", word);
			sql_name(s, t->columns[i].name);
			sql_add(s, " IS NULL");
			word = " OR ";
		}
	}
}

/* Whether a candidate has no value in some column of its key: IN would not find it. */
static int
has_null_key(const struct question *q, const struct catalog_scan *scan, int64_t bound,
    int64_t *ret, struct err *e)
{
	struct sql *s = sql_new();

	sql_add(s, "SELECT 1");
	add_candidates(q, scan, bound, s);
	add_null_keys(q->table, " AND (", s);
	sql_add(s, ") LIMIT 1");
	return sql_number(s, scan->database, ret, e);
}

int
runs_bound(const struct question *q, const struct catalog_scan *scan,
    int64_t *ret_bound, struct err *e)
{
	int64_t runs = 0, value = 0, has_null = 0;
	struct sql *s = NULL;
	int rc = 0;

	*ret_bound = 0;
	if (!is_top_of_sums(q, scan)) {
		return 0;
	}
	rc = count_runs(q->table, scan->database, &runs, e);
	if (rc < 0 || runs < 2 || runs > BOUND_ROWS) {
		return rc;
	}
	s = sql_new();
	sql_add(s, "SELECT ");
	sql_name(s, q->table->columns[q->sort].name);
	add_candidates(q, scan, 1, s);
	sql_add(s, " ORDER BY 1 DESC LIMIT 1 OFFSET %lld",
	    (long long)q->limit * (long long)runs - 1);
	rc = sql_number(s, scan->database, &value, e);
	if (rc == 0 && value / runs > 0) {
		rc = has_null_key(q, scan, value / runs, &has_null, e);
		*ret_bound = has_null != 0 ? 0 : value / runs;
	}
	return rc;
}

/* Whole rows of the keys that a SELECT gives, which follows this and a parenthesis. */
static void
begin_whole_rows(const struct table *t, struct sql *s)
{
	sql_add(s, "(SELECT ");
	add_keys(t, s);
	for (unsigned i = 0; i < t->count; i++) {
		if (t->columns[i].role != COLUMN_KEY) {
			sql_add(s, ", ");
			selection_grouped(&t->columns[i], true, s);
		}
	}
	sql_add(s, " FROM ");
	sql_part_name(s, t->name, "_runs");
	sql_add(s, " WHERE (");
	add_keys(t, s);
	sql_add(s, ") IN (");
}

static void
end_whole_rows(const struct table *t, struct sql *s)
{
	sql_add(s, ") GROUP BY ");
	add_keys(t, s);
	sql_add(s, ")");
}

void
runs_add_bounded(const struct question *q, const struct catalog_scan *scan,
    int64_t bound, struct sql *s)
{
	begin_whole_rows(q->table, s);
	sql_add(s, "SELECT ");
	add_keys(q->table, s);
	add_candidates(q, scan, bound, s);
	end_whole_rows(q->table, s);
}

/* The keys of the first rows of every run. */
static void
add_first_keys(const struct question *q, const struct catalog_scan *scan,
    const struct runs *runs, struct sql *s)
{
	for (unsigned i = 0; i < runs->count; i++) {
		sql_add(s, "%sSELECT * FROM (SELECT ", i > 0 ? " UNION ALL " : "");
		add_keys(q->table, s);
		sql_add(s, " FROM ");
		sql_part_name(s, q->table->name, "_runs");
		selection_where(q, scan->file, s);
		sql_add(s, "%s rowid BETWEEN %lld AND %lld ORDER BY rowid LIMIT %llu)",
		    q->condition_count > 0 ? " AND" : " WHERE",
		    (long long)runs->first[i], (long long)runs->last[i],
		    (unsigned long long)q->limit);
	}
}

static int
read_extents(const struct table *t, struct database *d, struct runs *ret, struct err *e)
{
	struct statement *statement = NULL;
	struct sql *s = sql_new();
	int rc;

	sql_add(s, "SELECT first, last FROM ");
	sql_part_name(s, t->name, "_extent");
	rc = sql_prepare(s, d, &statement, e);
	while (rc >= 0 && ret->count < RUNS_MAX &&
	       (rc = statement_step(statement, e)) > 0) {
		ret->first[ret->count] = statement_i64(statement, 0);
		ret->last[ret->count++] = statement_i64(statement, 1);
	}
	statement_free(statement);
	sql_free(s);
	return rc < 0 ? rc : 0;
}

/* Whether one of the first rows has no value in its key: IN would not find it. */
static int
has_null_first(const struct question *q, const struct catalog_scan *scan,
    const struct runs *runs, int64_t *ret, struct err *e)
{
	struct sql *s = sql_new();

	sql_add(s, "SELECT 1 FROM (");
	add_first_keys(q, scan, runs, s);
	add_null_keys(q->table, ") WHERE ", s);
	sql_add(s, " LIMIT 1");
	return sql_number(s, scan->database, ret, e);
}

int
runs_first(const struct question *q, const struct catalog_scan *scan, struct runs *ret,
    struct err *e)
{
	const struct table *t = q->table;
	int64_t has_null = 0, count = 0;
	int rc;

	ret->count = 0;
	if (t->storage != TABLE_RUNS || t->is_view || q->by_count > 0 || q->sort >= 0 ||
	    q->limit > BOUND_ROWS || !is_plain(t, scan->missing) ||
	    !has_key_conditions_only(q) || !selection_is_inside(q, scan->file)) {
		return 0;
	}
	rc = count_runs(t, scan->database, &count, e);
	if (rc < 0 || count < 2 || count > RUNS_MAX) {
		return rc;
	}
	rc = read_extents(t, scan->database, ret, e);
	rc = rc == 0 ? has_null_first(q, scan, ret, &has_null, e) : rc;
	if (has_null != 0) {
		ret->count = 0;
	}
	return rc;
}

void
runs_add_first(const struct question *q, const struct catalog_scan *scan,
    const struct runs *runs, struct sql *s)
{
	begin_whole_rows(q->table, s);
	add_first_keys(q, scan, runs, s);
	end_whole_rows(q->table, s);
}
