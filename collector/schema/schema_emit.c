#include <errno.h>
#include <string.h>

#include "collector/schema/schema_private.h"

#define COUNT(a) (unsigned)(sizeof(a) / sizeof(a)[0])

static const char *const operator_names[] = {
    [OPERATOR_EQ] = "eq",
    [OPERATOR_NE] = "ne",
    [OPERATOR_IN] = "in",
    [OPERATOR_BELOW] = "below",
    [OPERATOR_ABOVE] = "above",
    [OPERATOR_AT_LEAST] = "at_least",
    [OPERATOR_AT_MOST] = "at_most",
    [OPERATOR_BETWEEN] = "between",
    [OPERATOR_PREFIX] = "prefix",
    NULL,
};

/* An operand has the shape that its operator needs. */
static int
check_operand(
    const struct schema_table *t, const struct schema_condition *c, struct err *e)
{
	bool is_list = c->op == OPERATOR_IN || c->op == OPERATOR_BETWEEN;
	const struct yaml_node *o = c->operand;

	if (c->op == OPERATOR_BETWEEN && (o->kind != YAML_LIST || o->count != 2)) {
		return yaml_complain(
		    t->yaml, o, e, "'between' needs two values: [LOW, HIGH]");
	}
	if (is_list != (o->kind == YAML_LIST) || (is_list && o->count == 0)) {
		return yaml_complain(t->yaml, o, e, "'%s' needs %s",
		    operator_names[c->op], is_list ? "a list of values" : "one value");
	}
	for (unsigned i = 0; is_list && i < o->count; i++) {
		if (o->items[i]->kind != YAML_SCALAR) {
			return yaml_complain(
			    t->yaml, o->items[i], e, "expected a single value");
		}
	}
	return is_list || o->kind == YAML_SCALAR
		   ? 0
		   : yaml_complain(t->yaml, o, e, "expected a single value");
}

static int
add_condition(const struct schema_table *t, struct schema_conditions *s,
    struct schema_condition c, struct err *e)
{
	if (s->count == SCHEMA_MAX_CONDITIONS) {
		return yaml_complain(t->yaml, c.field, e, "more than %d conditions",
		    SCHEMA_MAX_CONDITIONS);
	}
	s->items[s->count++] = c;
	return check_operand(t, &c, e);
}

/* { field: value | [values] | { operator: operand, ... }, ... }, all of which hold. */
int
schema_read_conditions(const struct schema_table *t, const struct yaml_node *map,
    struct schema_conditions *ret, struct err *e)
{
	int rc = 0;

	if (map->kind != YAML_MAP) {
		return yaml_complain(t->yaml, map, e,
		    "expected conditions: { FIELD: { OPERATOR: VALUE } }");
	}
	for (unsigned i = 0; rc >= 0 && i < map->count; i++) {
		const struct yaml_node *v = map->items[i];
		struct schema_condition c = {.field = map->keys[i],
		    .op = v->kind == YAML_LIST ? OPERATOR_IN : OPERATOR_EQ,
		    .operand = v};
		if (v->kind != YAML_MAP) {
			rc = add_condition(t, ret, c, e);
			continue;
		}
		for (unsigned j = 0; rc >= 0 && j < v->count; j++) {
			rc = schema_choose(
			    t->yaml, v->keys[j], "operator", operator_names, e);
			if (rc >= 0) {
				c.op = (enum schema_operator)rc;
				c.operand = v->items[j];
				rc = add_condition(t, ret, c, e);
			}
		}
	}
	return rc < 0 ? rc : 0;
}

static int
read_aliases(const struct schema_table *t, const struct yaml_node *map,
    struct schema_emit *emit, struct err *e)
{
	static const char *const sides[] = {"forward", "reverse", NULL};
	int rc;

	if (map->kind != YAML_MAP) {
		return yaml_complain(t->yaml, map, e,
		    "'as' must be { NAME: FIELD, ..., side: forward }");
	}
	for (unsigned i = 0; i < map->count; i++) {
		const struct yaml_node *name = map->keys[i], *field = map->items[i];
		if (strcmp(name->text, "side") == 0) {
			rc = schema_choose(t->yaml, field, "side", sides, e);
			if (rc < 0) {
				return rc;
			}
			emit->side = rc == 0 ? SIDE_FORWARD : SIDE_REVERSE;
			continue;
		}
		if (field->kind != YAML_SCALAR) {
			return yaml_complain(
			    t->yaml, field, e, "expected the name of one field");
		}
		if (emit->alias_count == SCHEMA_MAX_ALIASES) {
			return yaml_complain(t->yaml, name, e,
			    "more than %d names under 'as'", SCHEMA_MAX_ALIASES);
		}
		emit->aliases[emit->alias_count++] =
		    (struct schema_alias){.name = name->text, .field = field};
	}
	return 0;
}

int
schema_read_emits(struct schema_table *t, const struct yaml_node *list, struct err *e)
{
	static const char *const known[] = {"when", "as"};
	int rc = 0;

	if (list == NULL) {
		t->emit_count = 1;
		return 0;
	}
	if (list->kind != YAML_LIST || list->count == 0 ||
	    list->count > SCHEMA_MAX_EMITS) {
		return yaml_complain(t->yaml, list, e,
		    "'emit' must be a list of 1 to %d items { when: ..., as: ... }",
		    SCHEMA_MAX_EMITS);
	}
	for (unsigned i = 0; rc == 0 && i < list->count; i++) {
		const struct yaml_node *item = list->items[i];
		struct schema_emit *emit = &t->emits[t->emit_count++];
		if (item->kind != YAML_MAP) {
			return yaml_complain(t->yaml, item, e,
			    "an item of 'emit' must be { when: ..., as: ... }");
		}
		rc = yaml_check_keys(t->yaml, item, known, COUNT(known), e);
		if (rc == 0 && yaml_get(item, "when") != NULL) {
			rc = schema_read_conditions(
			    t, yaml_get(item, "when"), &emit->when, e);
		}
		if (rc == 0 && yaml_get(item, "as") != NULL) {
			rc = read_aliases(t, yaml_get(item, "as"), emit, e);
		}
	}
	return rc;
}
