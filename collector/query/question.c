#include "collector/query/question.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/query/time_argument.h"
#include "common/base/clock.h"

static int
add_column(unsigned **list, unsigned *count, unsigned column)
{
	unsigned *more = reallocarray(*list, *count + 1, sizeof *more);

	if (more == NULL) {
		return -ENOMEM;
	}
	*list = more;
	more[(*count)++] = column;
	return 0;
}

static bool
has_column(const unsigned *list, unsigned count, unsigned column)
{
	for (unsigned i = 0; i < count; i++) {
		if (list[i] == column) {
			return true;
		}
	}
	return false;
}

/* "a,b" -> columns, each once. */
static int
read_columns(const struct table *t, const char *names, unsigned **list, unsigned *count,
    struct err *e)
{
	char *copy = strdup(names), *save = NULL;
	int rc = copy == NULL ? -ENOMEM : 0;

	for (char *name = rc == 0 ? strtok_r(copy, ", ", &save) : NULL;
	     rc == 0 && name != NULL; name = strtok_r(NULL, ", ", &save)) {
		int i = table_require(t, name, e);
		if (i < 0) {
			rc = i;
		} else if (!has_column(*list, *count, (unsigned)i)) {
			rc = add_column(list, count, (unsigned)i);
		}
	}
	free(copy);
	if (rc == 0 && *count == 0) {
		rc =
		    err_set(e, -EINVAL, "\"%s\" names no column of %s", names, t->name);
	}
	return rc;
}

static int
read_by(struct question *q, const struct request *r, struct err *e)
{
	int rc;

	if (r->by == NULL) {
		return 0;
	}
	rc = read_columns(q->table, r->by, &q->by, &q->by_count, e);
	for (unsigned i = 0; rc == 0 && i < q->by_count; i++) {
		const struct column *c = &q->table->columns[q->by[i]];
		if (c->group == GROUP_COMPUTED || c->group == GROUP_COUNT) {
			rc = err_set(e, -EINVAL,
			    "--by %s: the column is computed from others; group by one "
			    "that is stored",
			    c->name);
		}
	}
	return rc;
}

/* Whether rows of the answer can have this column. */
static int
check_grouped(
    const struct question *q, unsigned column, const char *option, struct err *e)
{
	const struct column *c = &q->table->columns[column];

	if (q->by_count == 0 && c->group == GROUP_COUNT) {
		return err_set(e, -EINVAL,
		    "%s %s: the column counts the rows of a group; give --by too",
		    option, c->name);
	}
	if (q->by_count > 0 && c->group == GROUP_NONE &&
	    !has_column(q->by, q->by_count, column)) {
		return err_set(e, -EINVAL,
		    "%s %s: rows grouped by --by have no single %s; add it to "
		    "--by",
		    option, c->name, c->name);
	}
	return 0;
}

static int
read_shown(struct question *q, const struct request *r, struct err *e)
{
	const struct table *t = q->table;
	unsigned *given = NULL, given_count = 0;
	int rc = 0;

	if (r->columns != NULL) {
		rc = read_columns(t, r->columns, &given, &given_count, e);
	}
	for (unsigned i = 0; rc == 0 && i < given_count; i++) {
		rc = check_grouped(q, given[i], "--columns", e);
	}
	for (unsigned i = 0; rc == 0 && i < q->by_count; i++) {
		if (!has_column(given, given_count, q->by[i])) {
			rc = add_column(&q->columns, &q->column_count, q->by[i]);
		}
	}
	for (unsigned i = 0; rc == 0 && i < given_count; i++) {
		rc = add_column(&q->columns, &q->column_count, given[i]);
	}
	for (unsigned i = 0; rc == 0 && r->columns == NULL && i < t->count; i++) {
		bool wanted = q->by_count > 0 ? t->columns[i].group != GROUP_NONE &&
						    !has_column(q->by, q->by_count, i)
					      : t->columns[i].group != GROUP_COUNT;
		rc = wanted ? add_column(&q->columns, &q->column_count, i) : 0;
	}
	free(given);
	return rc;
}

/* What --top orders by when nobody says: octets before bytes before packets, the plain
 * word before the words that end in it. */
static int
first_measure(const struct table *t)
{
	static const char *const words[] = {"octets", "bytes", "packets"};
	int best = -1;

	for (unsigned w = 0; w < 3; w++) {
		for (unsigned i = 0; i < t->count; i++) {
			if (t->columns[i].group == GROUP_SUM &&
			    strcmp(t->columns[i].name, words[w]) == 0) {
				return (int)i;
			}
		}
	}
	for (unsigned w = 0; w < 3 && best < 0; w++) {
		for (unsigned i = 0; i < t->count && best < 0; i++) {
			const char *name = t->columns[i].name;
			size_t n = strlen(name), m = strlen(words[w]);
			if (t->columns[i].group == GROUP_SUM && n > m &&
			    strcmp(name + n - m, words[w]) == 0) {
				best = (int)i;
			}
		}
	}
	for (unsigned i = 0; i < t->count && best < 0; i++) {
		best = t->columns[i].group == GROUP_SUM ? (int)i : -1;
	}
	return best;
}

static int
read_order(struct question *q, const struct request *r, struct err *e)
{
	const char *name = r->sort;

	q->sort = -1;
	q->limit = r->limit > 0 ? r->limit : UINT64_MAX;
	if (r->top > 0) {
		q->limit = r->top < q->limit ? r->top : q->limit;
		q->is_descending = true;
		q->sort = first_measure(q->table);
		if (name == NULL && q->sort < 0) {
			return err_set(e, -EINVAL,
			    "table %s has no measure that --top could order by; name a "
			    "column with --sort",
			    q->table->name);
		}
	}
	if (name == NULL) {
		return 0;
	}
	if (*name == '-' || *name == '+') {
		q->is_descending = *name == '-';
		name++;
	}
	q->sort = table_require(q->table, name, e);
	return q->sort < 0 ? q->sort : check_grouped(q, (unsigned)q->sort, "--sort", e);
}

/* --to names an instant that is not included, or a day that is. */
static int
read_span(struct question *q, const struct request *r, struct err *e)
{
	const struct table *t = q->table;
	bool has_time = t->by_day, is_day;
	int rc = 0;

	q->to_ns = UINT64_MAX;
	for (unsigned i = 0; i < t->count; i++) {
		has_time = has_time || t->columns[i].kind == COLUMN_TIME_NS ||
			   t->columns[i].kind == COLUMN_DATE;
	}
	if ((r->from != NULL || r->to != NULL) && !has_time) {
		return err_set(e, -EINVAL,
		    "table %s has no times, so --from and --to do not apply", t->name);
	}
	if (r->from != NULL) {
		rc = time_argument_parse(r->from, r->now_ns, &q->from_ns, &is_day, e);
	}
	if (rc == 0 && r->to != NULL) {
		rc = time_argument_parse(r->to, r->now_ns, &q->to_ns, &is_day, e);
		if (rc == 0 && is_day) {
			q->to_ns += NS_PER_DAY;
		}
	}
	if (rc == 0 && q->from_ns >= q->to_ns) {
		rc = err_set(e, -EINVAL,
		    "--from %s is not before --to %s, so no time lies between",
		    r->from != NULL ? r->from : "1970-01-01", r->to);
	}
	return rc;
}

int
question_new(const struct table *t, const struct request *r, struct question **ret,
    struct err *e)
{
	struct question *q = calloc(1, sizeof *q);
	int rc = -ENOMEM;

	err_set(e, rc, "no memory to build the query");
	if (q == NULL) {
		goto out;
	}
	q->table = t;
	q->conditions = calloc(r->where_count + 1, sizeof *q->conditions);
	rc = q->conditions == NULL ? -ENOMEM : 0;
	for (unsigned i = 0; rc == 0 && i < r->where_count; i++) {
		rc = condition_parse(t, r->where[i], &q->conditions[i], e);
		q->condition_count += rc == 0;
	}
	rc = rc == 0 ? read_span(q, r, e) : rc;
	rc = rc == 0 ? read_by(q, r, e) : rc;
	rc = rc == 0 ? read_shown(q, r, e) : rc;
	rc = rc == 0 ? read_order(q, r, e) : rc;
	if (rc < 0) {
		goto out;
	}
	*ret = q;
	q = NULL;
out:
	question_free(q);
	return rc;
}

void
question_free(struct question *q)
{
	if (q == NULL) {
		return;
	}
	for (unsigned i = 0; i < q->condition_count; i++) {
		condition_done(&q->conditions[i]);
	}
	free(q->conditions);
	free(q->by);
	free(q->columns);
	free(q);
}
