#include "collector/query/count_less.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether ("COLUMN" - NUMBER) begins here; *ret_end is behind it. */
static bool
match(
    const struct table *t, const char *at, struct count_less *ret, const char **ret_end)
{
	static const char minus[] = "\" - ";
	const char *name = at + 2, *quote;
	char *end;

	if (strncmp(at, "(\"", 2) != 0 || (quote = strchr(name, '"')) == NULL ||
	    strncmp(quote, minus, sizeof minus - 1) != 0) {
		return false;
	}
	at = quote + sizeof minus - 1;
	ret->number = strtoul(at, &end, 10);
	if (end == at || *end != ')') {
		return false;
	}
	for (unsigned i = 0; i < t->count; i++) {
		if (t->columns[i].group == GROUP_SUM &&
		    strlen(t->columns[i].name) == (size_t)(quote - name) &&
		    strncmp(t->columns[i].name, name, (size_t)(quote - name)) == 0) {
			ret->column = i;
			*ret_end = end + 1;
			return true;
		}
	}
	return false;
}

static bool
has(const struct count_less_list *list, const struct count_less *l)
{
	for (unsigned i = 0; i < list->count; i++) {
		if (list->items[i].column == l->column &&
		    list->items[i].number == l->number) {
			return true;
		}
	}
	return false;
}

void
count_less_find(
    const struct table *t, const char *expression, struct count_less_list *ret)
{
	const char *end;
	struct count_less l;

	for (const char *p = expression; *p != '\0'; p++) {
		if (match(t, p, &l, &end) && !has(ret, &l) && ret->count < LESS_MAX) {
			ret->items[ret->count++] = l;
		}
	}
}

void
count_less_expression(const struct table *t, const char *expression,
    const struct count_less_list *list, struct sql *s)
{
	const char *end, *p = expression;
	struct count_less l;

	while (*p != '\0') {
		if (match(t, p, &l, &end) && has(list, &l)) {
			count_less_name(t, &l, s);
			p = end;
		} else {
			sql_add(s, "%c", *p++);
		}
	}
}

void
count_less_name(const struct table *t, const struct count_less *l, struct sql *s)
{
	char suffix[32];

	snprintf(suffix, sizeof suffix, " - %lu", l->number);
	sql_part_name(s, t->columns[l->column].name, suffix);
}

void
count_less_sum(
    const struct table *t, const struct count_less *l, bool is_part, struct sql *s)
{
	if (is_part) {
		sql_add(s, "sum_clipped(max(");
		sql_name(s, t->columns[l->column].name);
		sql_add(s, " - %lu, 0))", l->number);
	} else {
		sql_add(s, "sum_clipped(");
		count_less_name(t, l, s);
		sql_add(s, ")");
	}
	sql_add(s, " AS ");
	count_less_name(t, l, s);
}
