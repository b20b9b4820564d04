#include "common/config/option_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SHOWN 80 /* of a value in a sentence */

struct unit {
	const char *name;
	uint64_t factor;
};

/* Ascending, so that a search from the end finds the largest exact unit; the synonym to
 * print comes last. */
static const struct unit number_units[] = {
    {"", 1}, {"K", 1000}, {"k", 1000}, {"M", 1000000}, {"G", 1000000000}};
static const struct unit size_units[] = {
    {"B", 1},
    {"", 1},
    {"K", 1 << 10},
    {"k", 1 << 10},
    {"KiB", 1 << 10},
    {"M", 1 << 20},
    {"MiB", 1 << 20},
    {"G", 1 << 30},
    {"GiB", 1 << 30},
    {"T", 1ULL << 40},
    {"TiB", 1ULL << 40},
};
static const struct unit duration_units[] = {
    {"ns", 1},
    {"us", NS_PER_US},
    {"ms", NS_PER_MS},
    {"", NS_PER_SECOND},
    {"s", NS_PER_SECOND},
    {"m", NS_PER_MINUTE},
    {"min", NS_PER_MINUTE},
    {"h", NS_PER_HOUR},
    {"d", NS_PER_DAY},
};

struct measure {
	const struct unit *units;
	unsigned count;
	const char *what, *examples;
};
#define MEASURE(units, what, examples)                                                 \
	{                                                                              \
		units, sizeof units / sizeof units[0], what, examples                  \
	}

static const struct measure *
measure_of(enum option_kind kind)
{
	static const struct measure measures[] = {
	    MEASURE(number_units, "number", "a whole number such as 250, 10k or 2M"),
	    MEASURE(size_units, "size", "bytes such as 65536, 64KiB, 16MiB or 1GiB"),
	    MEASURE(duration_units, "duration",
		"a time such as 200ms, 15s, 30min, 2h or 1d"),
	};

	return kind == OPTION_NUMBER ? &measures[0]
	       : kind == OPTION_SIZE ? &measures[1]
				     : &measures[2];
}

static const struct unit *
find_unit(const struct measure *m, const char *name)
{
	for (unsigned i = 0; i < m->count; i++) {
		if (strcmp(m->units[i].name, name) == 0) {
			return &m->units[i];
		}
	}
	return NULL;
}

/* Digits, then a unit; a blank between is allowed.  0, -EINVAL, or -ERANGE when it does
 * not fit 64 bits. */
static int
parse_measure(const struct measure *m, const char *text, uint64_t *ret)
{
	const struct unit *unit;
	uint64_t v = 0;
	bool is_over = false;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		is_over |= __builtin_mul_overflow(v, 10, &v) ||
			   __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v);
	}
	if (p == text) {
		return -EINVAL;
	}
	unit = find_unit(m, p + (p[0] == ' ' && p[1] != '\0'));
	if (unit == NULL) {
		return -EINVAL;
	}
	is_over |= __builtin_mul_overflow(v, unit->factor, &v);
	if (is_over) {
		return -ERANGE;
	}
	*ret = v;
	return 0;
}

int
option_parse_duration(const char *text, uint64_t *ret_ns)
{
	return parse_measure(measure_of(OPTION_DURATION), text, ret_ns);
}

void
option_value_format(
    enum option_kind kind, uint64_t v, char out[static OPTION_VALUE_TEXT])
{
	const struct measure *m = measure_of(kind);
	unsigned i = m->count;

	if (v == 0) {
		snprintf(out, OPTION_VALUE_TEXT, "0");
		return;
	}
	/* counts are printed in full */
	do {
		i--;
	} while (i > 0 && (v % m->units[i].factor != 0 || kind == OPTION_NUMBER));
	snprintf(out, OPTION_VALUE_TEXT, "%" PRIu64 "%s", v / m->units[i].factor,
	    m->units[i].name);
}

static int
parse_number(const struct option *o, const char *text, uint64_t *value, struct err *e)
{
	const struct measure *m = measure_of(o->kind);
	uint64_t most_of_all =
	    o->kind == OPTION_DURATION ? OPTION_DURATION_MAX_NS : UINT64_MAX;
	uint64_t max = o->max == 0 ? most_of_all : o->max, v = 0;
	char least[OPTION_VALUE_TEXT], most[OPTION_VALUE_TEXT];
	int rc = parse_measure(m, text, &v);

	if (rc == -EINVAL) {
		return err_set(e, rc, "invalid %s '%.*s' (expected %s)", m->what, SHOWN,
		    text, m->examples);
	}
	if (rc == 0 && v >= o->min && v <= max) {
		*value = v;
		return 0;
	}
	option_value_format(o->kind, o->min, least);
	option_value_format(o->kind, max, most);
	if (rc == 0 && v < o->min) {
		return err_set(
		    e, -ERANGE, "%.*s is too small (minimum %s)", SHOWN, text, least);
	}
	return err_set(e, -ERANGE, "%.*s is too large (maximum %s)", SHOWN, text, most);
}

static int
parse_flag(const char *text, bool *value, struct err *e)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

	for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*value = i % 2 == 1;
			return 0;
		}
	}
	return err_set(
	    e, -EINVAL, "invalid value '%.*s' (expected true or false)", SHOWN, text);
}

static int
parse_choice(const struct option *o, const char *text, unsigned *value, struct err *e)
{
	char names[256] = "";
	size_t used = 0;
	const char *nearest;
	unsigned n;

	for (n = 0; o->choices[n] != NULL; n++) {
		if (strcmp(o->choices[n], text) == 0) {
			*value = n;
			return 0;
		}
	}
	nearest = err_nearest(text, o->choices, n);
	if (nearest != NULL) {
		return err_set(e, -EINVAL, "invalid value '%.*s'; did you mean '%s'?",
		    SHOWN, text, nearest);
	}
	for (unsigned i = 0; i < n && used < sizeof names; i++) {
		int w = snprintf(names + used, sizeof names - used, "%s%s",
		    i == 0       ? ""
		    : i == n - 1 ? " or "
				 : ", ",
		    o->choices[i]);
		used += w < 0 ? 0 : (size_t)w;
	}
	return err_set(
	    e, -EINVAL, "invalid value '%.*s' (expected %s)", SHOWN, text, names);
}

static int
add_item(struct option_list *list, const char *text, struct err *e)
{
	char *copy = strdup(text);
	const char **items = NULL;

	if (copy != NULL) {
		items = realloc(list->items, (list->count + 1) * sizeof items[0]);
	}
	if (items == NULL) {
		free(copy);
		return err_set(e, -ENOMEM, "out of memory");
	}
	items[list->count] = copy;
	list->items = items;
	list->count++;
	return 0;
}

static int
set_string(const char **value, const char *text, struct err *e)
{
	char *copy = strdup(text);

	if (copy == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	free((char *)*value);
	*value = copy;
	return 0;
}

int
option_value_parse(const struct option *o, const char *text, void *value, struct err *e)
{
	switch (o->kind) {
	case OPTION_FLAG:
		return parse_flag(text, value, e);
	case OPTION_STRING:
		return set_string(value, text, e);
	case OPTION_LIST:
		return add_item(value, text, e);
	case OPTION_CHOICE:
		return parse_choice(o, text, value, e);
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		return parse_number(o, text, value, e);
	}
	return err_set(e, -EINVAL, "option of an unknown kind");
}

void
option_value_clear(const struct option *o, void *value)
{
	struct option_list *list = value;
	const char **string = value;

	if (o->kind == OPTION_STRING) {
		free((char *)*string);
		*string = NULL;
	} else if (o->kind == OPTION_LIST) {
		for (unsigned i = 0; i < list->count; i++) {
			free((char *)list->items[i]);
		}
		free(list->items);
		*list = (struct option_list){0};
	}
}
