#include "collector/query/selection.h"

#include "common/base/clock.h"

bool
selection_is_by(const struct question *q, unsigned column)
{
	for (unsigned i = 0; i < q->by_count; i++) {
		if (q->by[i] == column) {
			return true;
		}
	}
	return false;
}

void
selection_comma(struct sql *s, bool *is_first)
{
	sql_add(s, "%s", *is_first ? "" : ", ");
	*is_first = false;
}

void
selection_source(
    const struct question *q, const bool *missing, const char *suffix, struct sql *s)
{
	const struct table *t = q->table;
	bool is_whole = true;

	for (unsigned i = 0; i < t->count; i++) {
		if (missing[i] && t->columns[i].group != GROUP_COUNT) {
			sql_add(s, is_whole ? "(SELECT *, NULL AS " : ", NULL AS ");
			sql_name(s, t->columns[i].name);
			is_whole = false;
		}
	}
	sql_add(s, is_whole ? "" : " FROM ");
	sql_part_name(s, t->name, suffix);
	sql_add(s, is_whole ? "" : ")");
}

static void
add_order_column(const struct column *c, struct sql *s, bool *is_first)
{
	if (c->kind == COLUMN_ADDRESS || c->kind == COLUMN_PREFIX) {
		selection_comma(s, is_first);
		sql_add(s, "ip_order(");
		sql_name(s, c->name);
		sql_add(s, ")");
	}
	selection_comma(s, is_first);
	sql_name(s, c->name);
}

bool
selection_orders_by(const struct question *q, unsigned i)
{
	const struct column *c = &q->table->columns[i];

	if (q->by_count > 0) {
		return selection_is_by(q, i);
	}
	if (q->table->storage == TABLE_APPEND || q->table->is_view) {
		return c->group != GROUP_COUNT && c->role != COLUMN_COMPUTED;
	}
	return c->role == COLUMN_KEY;
}

void
selection_order(const struct question *q, bool is_sorted, struct sql *s)
{
	const struct table *t = q->table;
	bool is_first = true, is_time_first = q->by_count == 0 && q->sort < 0 &&
					      t->storage == TABLE_APPEND;

	sql_add(s, " ORDER BY ");
	if (q->sort >= 0) {
		const struct column *c = &t->columns[q->sort];
		bool is_address = c->kind == COLUMN_ADDRESS || c->kind == COLUMN_PREFIX;
		sql_add(s, is_address ? "ip_order(" : "");
		sql_name(s, c->name);
		sql_add(s, is_address ? ")" : "");
		sql_add(s, q->is_descending ? " DESC NULLS LAST" : " NULLS LAST");
		is_first = false;
	}
	if (is_sorted && q->by_count == 0) {
		selection_comma(s, &is_first);
		sql_add(s, "rowid");
		return;
	}
	for (unsigned i = 0; is_time_first && i < t->count; i++) {
		if (t->columns[i].kind == COLUMN_TIME_NS) {
			add_order_column(&t->columns[i], s, &is_first);
			break;
		}
	}
	for (unsigned i = 0; i < t->count; i++) {
		if (selection_orders_by(q, i)) {
			add_order_column(&t->columns[i], s, &is_first);
		}
	}
	sql_add(s, is_first ? "1" : "");
}

void
selection_limit(uint64_t limit, struct sql *s)
{
	if (limit <= INT64_MAX) {
		sql_add(s, " LIMIT %llu", (unsigned long long)limit);
	}
}

/* The first and last time columns of a row, or -1. */
static int
time_column(const struct table *t, bool is_end)
{
	int found = -1;

	for (unsigned i = 0; i < t->count && found < 0; i++) {
		const struct column *c = &t->columns[i];
		if (c->kind == COLUMN_TIME_NS && c->role != COLUMN_COMPUTED &&
		    (!is_end || c->group == GROUP_MAXIMIZE)) {
			found = (int)i;
		}
	}
	return found;
}

static int
date_column(const struct table *t)
{
	for (unsigned i = 0; i < t->count; i++) {
		if (t->columns[i].kind == COLUMN_DATE) {
			return (int)i;
		}
	}
	return -1;
}

struct catalog_days
selection_days(const struct question *q)
{
	return (struct catalog_days){(int64_t)(q->from_ns / NS_PER_DAY),
	    q->to_ns == UINT64_MAX ? INT64_MAX
				   : (int64_t)((q->to_ns - 1) / NS_PER_DAY)};
}

bool
selection_is_inside(const struct question *q, const struct catalog_file *f)
{
	uint64_t begin = (uint64_t)f->day * NS_PER_DAY;

	if (q->from_ns == 0 && q->to_ns == UINT64_MAX) {
		return true;
	}
	return f->day >= 0 && q->from_ns <= begin && q->to_ns >= begin + NS_PER_DAY;
}

static void
bind_time(struct sql *s, uint64_t ns)
{
	struct sql_value v = {.type = DATABASE_INTEGER,
	    .integer = ns > INT64_MAX ? INT64_MAX : (int64_t)ns};
	sql_bind(s, &v);
}

/* Rows of the span: records by their start; reduced rows, which stand for many records,
 * when any of it may lie inside; daily rows by their day. */
static void
add_span(const struct question *q, struct sql *s)
{
	const struct table *t = q->table;
	int date = date_column(t), start = time_column(t, false),
	    end = time_column(t, true);
	struct catalog_days days = selection_days(q);
	char day[11];

	if (date >= 0) {
		clock_format_day(days.first, day);
		sql_name(s, t->columns[date].name);
		sql_add(s, " >= '%s'", day);
		if (days.last != INT64_MAX) {
			clock_format_day(days.last, day);
			sql_add(s, " AND ");
			sql_name(s, t->columns[date].name);
			sql_add(s, " <= '%s'", day);
		}
		return;
	}
	if (start < 0) {
		sql_add(s, "1");
		return;
	}
	if (t->storage == TABLE_APPEND || end < 0) {
		end = start;
	}
	sql_name(s, t->columns[end].name);
	sql_add(s, " >= ");
	bind_time(s, q->from_ns);
	sql_add(s, " AND ");
	sql_name(s, t->columns[start].name);
	sql_add(s, " < ");
	bind_time(s, q->to_ns);
}

void
selection_where(const struct question *q, const struct catalog_file *f, struct sql *s)
{
	const char *word = " WHERE ";

	for (unsigned i = 0; i < q->condition_count; i++) {
		sql_add(s, "%s", word);
		condition_add(&q->conditions[i], s);
		word = " AND ";
	}
	if (!selection_is_inside(q, f)) {
		sql_add(s, "%s", word);
		add_span(q, s);
	}
}

void
selection_grouped(const struct column *c, bool is_part, struct sql *s)
{
	static const char *const functions[] = {[GROUP_SUM] = "sum(",
	    [GROUP_MINIMIZE] = "min(",
	    [GROUP_MAXIMIZE] = "max(",
	    [GROUP_COUNT] = "sum("};

	if (c->group == GROUP_COUNT && is_part) {
		sql_add(s, "count(*)");
	} else {
		sql_add(s, "%s",
		    c->group == GROUP_SUM && c->kind == COLUMN_INTEGER
			? "sum_clipped("
			: functions[c->group]);
		sql_name(s, c->name);
		sql_add(s, ")");
	}
	sql_add(s, " AS ");
	sql_name(s, c->name);
}

void
selection_group_by(const struct question *q, struct sql *s)
{
	bool is_first = true;

	if (q->by_count > 0) {
		sql_add(s, " GROUP BY ");
	}
	for (unsigned i = 0; i < q->by_count; i++) {
		selection_comma(s, &is_first);
		sql_name(s, q->table->columns[q->by[i]].name);
	}
}
