#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "collector/rows/filter.h"

#define MOST 4

static const int64_t values[] = {INT64_MIN, INT64_MIN + 1, -256, -1, 0, 1, 5, 6, 7, 63,
    64, 255, 256, 262, 65535, INT64_MAX - 1, INT64_MAX};
#define VALUES (sizeof values / sizeof values[0])

/* What an operator means, said once more and slowly. */
static bool
means(enum schema_operator op, int64_t v, const int64_t *o, unsigned n)
{
	bool listed = false;

	for (unsigned i = 0; i < n; i++) {
		listed |= v == o[i];
	}
	switch (op) {
	case OPERATOR_EQ:
	case OPERATOR_IN:
		return listed;
	case OPERATOR_NE:
		return !listed;
	case OPERATOR_BELOW:
		return v < o[0];
	case OPERATOR_ABOVE:
		return v > o[0];
	case OPERATOR_AT_LEAST:
		return v >= o[0];
	case OPERATOR_AT_MOST:
		return v <= o[0];
	case OPERATOR_BETWEEN:
		return v >= o[0] && v <= o[1];
	case OPERATOR_PREFIX:
		break;
	}
	return false;
}

static void
check(enum schema_operator op, const int64_t *operands, unsigned n)
{
	struct layout_field field = {.name = "number", .kind = KIND_INTEGER, .is_signed = true};
	struct schema_table table = {0};
	struct layout layout = {.count = 1};
	struct layout_nulls nulls = {{0}};
	struct batch b = {.layout = &layout, .columns = (uint8_t *)(uintptr_t)values};
	struct yaml_node nodes[MOST], list = {.kind = YAML_LIST, .count = n};
	const struct yaml_node *items[MOST];
	struct schema_condition c = {.op = op, .operand = &nodes[0]};
	struct filter f;
	struct err e = {""};
	char texts[MOST][24];
	uint8_t rows[VALUES];
	unsigned kept, next = 0;

	for (unsigned i = 0; i < n; i++) {
		snprintf(texts[i], sizeof texts[i], "%" PRId64, operands[i]);
		nodes[i] = (struct yaml_node){.kind = YAML_SCALAR, .text = texts[i]};
		items[i] = &nodes[i];
	}
	list.items = items;
	c.operand = op == OPERATOR_IN || op == OPERATOR_BETWEEN ? &list : &nodes[0];
	layout.fields[0] = field;
	for (unsigned i = 0; i < VALUES; i++) {
		rows[i] = (uint8_t)i;
	}
	assert_int_equal(filter_compile(&table, &c, &layout, 0, &f, &e), 0);
	kept = filter_rows(&f, &b, &nulls, rows, VALUES);
	for (unsigned i = 0; i < VALUES; i++) {
		if (means(op, values[i], operands, n)) {
			assert_true(next < kept);
			assert_int_equal(rows[next++], i);
		}
	}
	assert_int_equal(next, kept);
	nulls_set(&nulls, 0);
	assert_int_equal(filter_rows(&f, &b, &nulls, rows, kept), 0);
	filter_done(&f);
}

static void
comparisons_hold_at_the_ends_of_the_range(void **state)
{
	(void)state;
	for (enum schema_operator op = OPERATOR_EQ; op <= OPERATOR_AT_MOST; op++) {
		for (unsigned i = 0; i < VALUES; i++) {
			check(op, &values[i], 1);
		}
	}
	for (unsigned i = 0; i < VALUES; i++) {
		for (unsigned k = 0; k < VALUES; k++) {
			const int64_t bounds[2] = {values[i], values[k]};
			check(OPERATOR_BETWEEN, bounds, 2);
		}
	}
}

static void
lists_hold_small_and_large_numbers(void **state)
{
	static const int64_t lists[][MOST] = {
	    {6, 7, 64, 255},
	    {0, 0, 0, 0},
	    {6, 256, 7, 1},
	    {-1, 6, 255, 5},
	    {INT64_MIN, INT64_MAX, 262, 65535},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		for (unsigned n = 1; n <= MOST; n++) {
			check(OPERATOR_IN, lists[i], n);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(comparisons_hold_at_the_ends_of_the_range),
	    cmocka_unit_test(lists_hold_small_and_large_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
