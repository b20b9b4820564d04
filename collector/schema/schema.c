#include "collector/schema/schema_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (unsigned)(sizeof(a) / sizeof(a)[0])

static const char *const role_names[] = {
    [ROLE_KEY] = "key",
    [ROLE_SUM] = "sum",
    [ROLE_MINIMIZE] = "minimize",
    [ROLE_MAXIMIZE] = "maximize",
    [ROLE_FIRST] = "first",
    [ROLE_LAST] = "last",
    [ROLE_VALUE] = "value",
    [ROLE_COMPUTED] = "computed",
};
static const char *const storage_names[] = {
    [STORAGE_UPSERT] = "upsert",
    [STORAGE_RUNS] = "runs",
    [STORAGE_APPEND] = "append",
    NULL,
};
static const char *const partition_names[] = {
    [PARTITION_NONE] = "none",
    [PARTITION_DAY] = "day",
    NULL,
};

const char *
schema_role_name(enum schema_role role)
{
	return role_names[role];
}

const char *
schema_storage_name(enum schema_storage s)
{
	return storage_names[s];
}

const char *
schema_partition_name(enum schema_partition p)
{
	return partition_names[p];
}

static const struct yaml_node *
need(const struct schema_table *t, const struct yaml_node *map, const char *key,
    enum yaml_kind kind, struct err *e)
{
	static const char *const kinds[] = {"a word", "a list", "a map"};
	const struct yaml_node *node = yaml_get(map, key);

	if (node == NULL) {
		yaml_complain(t->yaml, map, e, "'%s' is missing", key);
	} else if (node->kind != kind) {
		yaml_complain(t->yaml, node, e, "'%s' must be %s", key, kinds[kind]);
		node = NULL;
	}
	return node;
}

static struct schema_column *
add_column(struct schema_table *t, const struct yaml_node *name, struct err *e)
{
	struct schema_column *c;

	if (schema_check_name(t->yaml, name, "column", e) < 0) {
		return NULL;
	}
	for (unsigned i = 0; i < t->column_count; i++) {
		if (strcmp(t->columns[i].name, name->text) == 0) {
			yaml_complain(t->yaml, name, e,
			    "duplicate column '%s' (first in line %u)", name->text,
			    t->columns[i].node->line);
			return NULL;
		}
	}
	if (t->column_count == SCHEMA_MAX_COLUMNS) {
		yaml_complain(t->yaml, name, e, "a table may have at most %d columns",
		    SCHEMA_MAX_COLUMNS);
		return NULL;
	}
	c = &t->columns[t->column_count++];
	c->name = name->text;
	c->node = name;
	return c;
}

static int
read_bits(const struct schema_table *t, const struct yaml_node *map,
    struct schema_column *c, struct err *e)
{
	const struct yaml_node *ipv4 = yaml_get(map, "ipv4");
	const struct yaml_node *ipv6 = yaml_get(map, "ipv6");
	uint64_t bits4 = 32, bits6 = 128;
	int rc = ipv4 == NULL ? 0 : yaml_u64(t->yaml, ipv4, bits4, &bits4, e);

	if (rc == 0 && ipv6 != NULL) {
		rc = yaml_u64(t->yaml, ipv6, bits6, &bits6, e);
	}
	c->ipv4_bits = (unsigned)bits4;
	c->ipv6_bits = (unsigned)bits6;
	return rc;
}

/* key: NAME: field | {day: field} | {prefix: field, ipv4: bits, ipv6: bits} */
static int
read_key(struct schema_table *t, const struct yaml_node *name,
    const struct yaml_node *value, struct err *e)
{
	static const char *const known[] = {"day", "prefix", "ipv4", "ipv6"};
	struct schema_column *c = add_column(t, name, e);
	int rc;

	if (c == NULL) {
		return -EINVAL;
	}
	c->role = ROLE_KEY;
	c->field = value;
	if (value->kind == YAML_MAP) {
		rc = yaml_check_keys(t->yaml, value, known, COUNT(known), e);
		if (rc < 0) {
			return rc;
		}
		c->function = FUNCTION_DAY;
		c->field = yaml_get(value, "day");
		if (c->field == NULL) {
			c->function = FUNCTION_PREFIX;
			c->field = yaml_get(value, "prefix");
			if (read_bits(t, value, c, e) < 0) {
				return -EINVAL;
			}
		} else if (value->count != 1) {
			return yaml_complain(t->yaml, value, e,
			    "'day' takes no other keys (expected { day: FIELD })");
		}
	}
	if (c->field == NULL || c->field->kind != YAML_SCALAR) {
		return yaml_complain(t->yaml, value, e,
		    "expected FIELD, { day: FIELD } or { prefix: FIELD, ipv4: BITS, "
		    "ipv6: BITS }");
	}
	return 0;
}

/* { mean: {sum:, count:, less:} } or { stddev: {sum:, sumsq:, count:, less:} }; names
 * of columns are resolved after all columns are read. */
static int
read_computed(struct schema_table *t, struct schema_column *c,
    const struct yaml_node *map, struct err *e)
{
	static const char *const mean[] = {"sum", "count", "less"};
	static const char *const stddev[] = {"sum", "sumsq", "count", "less"};
	bool is_mean = c->computed == COMPUTED_MEAN;
	int rc;

	if (map->kind != YAML_MAP) {
		return yaml_complain(t->yaml, map, e,
		    is_mean ? "expected { mean: { sum: COLUMN, count: COLUMN } }"
			    : "expected { stddev: { sum: COLUMN, sumsq: COLUMN, count: "
			      "COLUMN } }");
	}
	rc = yaml_check_keys(t->yaml, map, is_mean ? mean : stddev,
	    is_mean ? COUNT(mean) : COUNT(stddev), e);
	if (rc == 0 && yaml_get(map, "less") != NULL) {
		rc = yaml_u64(t->yaml, yaml_get(map, "less"), 1000000, &c->less, e);
	}
	c->role = ROLE_COMPUTED;
	c->field = map;
	return rc;
}

/* { STRATEGY: FIELD } | { mean: {...} } | { stddev: {...} }; `scaled` has been read. */
static int
read_strategy(struct schema_table *t, struct schema_column *c,
    const struct yaml_node *value, struct err *e)
{
	static const char *const strategies[] = {"sum", "minimize", "maximize",
	    "firstWriteWins", "lastWriteWins", "mean", "stddev", NULL};
	static const enum schema_role roles[] = {
	    ROLE_SUM, ROLE_MINIMIZE, ROLE_MAXIMIZE, ROLE_FIRST, ROLE_LAST};
	int i = schema_choose(t->yaml, value->keys[0], "strategy", strategies, e);

	if (i < 0) {
		return i;
	}
	if (i >= (int)COUNT(roles)) {
		if (c->is_scaled) {
			return yaml_complain(t->yaml, value, e,
			    "'%s' cannot be scaled: it is computed from other columns; "
			    "scale those",
			    c->name);
		}
		c->computed = i == (int)COUNT(roles) ? COMPUTED_MEAN : COMPUTED_STDDEV;
		return read_computed(t, c, value->items[0], e);
	}
	if (t->storage == STORAGE_APPEND) {
		return yaml_complain(t->yaml, value, e,
		    "storage append does not reduce: write the field without a "
		    "strategy");
	}
	c->role = roles[i];
	c->field = value->items[0];
	return c->field->kind == YAML_SCALAR ? 0
					     : yaml_complain(t->yaml, c->field, e,
						   "expected the name of one field");
}

/* values: NAME: FIELD (append) | { STRATEGY: FIELD, scaled: true } ... */
static int
read_value(struct schema_table *t, const struct yaml_node *name,
    const struct yaml_node *value, struct err *e)
{
	struct schema_column *c = add_column(t, name, e);
	int rc = 0;

	if (c == NULL) {
		return -EINVAL;
	}
	if (value->kind == YAML_SCALAR && t->storage == STORAGE_APPEND) {
		c->role = ROLE_VALUE;
		c->field = value;
		return 0;
	}
	if (value->kind == YAML_SCALAR) {
		return yaml_complain(t->yaml, value, e,
		    "no strategy for '%s' (expected { sum: %s }, or minimize, "
		    "maximize, firstWriteWins or lastWriteWins)",
		    c->name, value->text);
	}
	if (value->kind != YAML_MAP || value->count == 0 || value->count > 2 ||
	    (value->count == 2 && strcmp(value->keys[1]->text, "scaled") != 0)) {
		return yaml_complain(t->yaml, value, e,
		    "expected { STRATEGY: FIELD } with one strategy, or { STRATEGY: "
		    "FIELD, scaled: true }");
	}
	if (value->count == 2) {
		rc = yaml_bool(t->yaml, value->items[1], &c->is_scaled, e);
	}
	return rc < 0 ? rc : read_strategy(t, c, value, e);
}

static int
find_column(const struct schema_table *t, const struct yaml_node *map, const char *key,
    unsigned *ret, struct err *e)
{
	const struct yaml_node *node = yaml_get(map, key);
	const char *names[SCHEMA_MAX_COLUMNS];
	unsigned n = 0;

	if (node == NULL || node->kind != YAML_SCALAR) {
		return yaml_complain(t->yaml, node != NULL ? node : map, e,
		    "'%s' must name a column of this table", key);
	}
	for (unsigned i = t->key_count; i < t->column_count; i++) {
		const struct schema_column *c = &t->columns[i];
		if (c->role == ROLE_COMPUTED) {
			continue;
		}
		if (strcmp(c->name, node->text) == 0) {
			*ret = i;
			return 0;
		}
		names[n++] = c->name;
	}
	if (err_nearest(node->text, names, n) != NULL) {
		return yaml_complain(t->yaml, node, e,
		    "unknown value column '%s'; did you mean '%s'?", node->text,
		    err_nearest(node->text, names, n));
	}
	return yaml_complain(t->yaml, node, e, "unknown value column '%s'", node->text);
}

static int
resolve_computed(struct schema_table *t, struct err *e)
{
	int rc = 0;

	for (unsigned i = t->key_count; rc == 0 && i < t->column_count; i++) {
		struct schema_column *c = &t->columns[i];
		if (c->role != ROLE_COMPUTED) {
			continue;
		}
		rc = find_column(t, c->field, "sum", &c->sum, e);
		if (rc == 0) {
			rc = find_column(t, c->field, "count", &c->count, e);
		}
		if (rc == 0 && c->computed == COMPUTED_STDDEV) {
			rc = find_column(t, c->field, "sumsq", &c->sumsq, e);
		}
	}
	return rc;
}

static int
read_numbers(struct schema_table *t, const struct yaml_node *root, struct err *e)
{
	const struct yaml_node *node;
	int rc = 0;

	t->version = 1;
	node = yaml_get(root, "version");
	if (node != NULL) {
		rc = yaml_u64(t->yaml, node, 1000000, &t->version, e);
		if (rc == 0 && t->version == 0) {
			rc = yaml_complain(
			    t->yaml, node, e, "version must be at least 1");
		}
	}
	node = yaml_get(root, "max_keys");
	if (rc == 0 && node != NULL) {
		rc = yaml_u64(t->yaml, node, UINT32_MAX / 4, &t->max_keys, e);
		if (rc == 0 && t->max_keys == 0) {
			rc = yaml_complain(
			    t->yaml, node, e, "max_keys must be at least 1");
		}
	}
	node = yaml_get(root, "lateness");
	if (rc == 0 && node != NULL) {
		t->has_lateness = true;
		rc = schema_duration(t->yaml, node, &t->lateness_ns, e);
	}
	return rc;
}

static int
read_columns(struct schema_table *t, const struct yaml_node *root, struct err *e)
{
	const struct yaml_node *map = yaml_get(root, "key");
	int rc = 0;

	if (t->storage == STORAGE_APPEND) {
		if (map != NULL) {
			return yaml_complain(t->yaml, map, e,
			    "storage append takes no key, because it does not reduce");
		}
	} else {
		map = need(t, root, "key", YAML_MAP, e);
		if (map == NULL) {
			return -EINVAL;
		}
		for (unsigned i = 0; rc == 0 && i < map->count; i++) {
			rc = read_key(t, map->keys[i], map->items[i], e);
		}
		if (rc < 0) {
			return rc;
		}
		t->key_count = t->column_count;
		if (t->key_count == 0) {
			return yaml_complain(
			    t->yaml, map, e, "'key' must name at least one column");
		}
	}
	map = need(t, root, "values", YAML_MAP, e);
	if (map == NULL) {
		return -EINVAL;
	}
	if (map->count == 0) {
		return yaml_complain(
		    t->yaml, map, e, "'values' must name at least one column");
	}
	for (unsigned i = 0; rc == 0 && i < map->count; i++) {
		rc = read_value(t, map->keys[i], map->items[i], e);
	}
	return rc < 0 ? rc : resolve_computed(t, e);
}

static int
read_head(struct schema_table *t, const struct yaml_node *root, struct err *e)
{
	const struct yaml_node *node;
	int rc;

	node = need(t, root, "table", YAML_SCALAR, e);
	if (node == NULL || schema_check_name(t->yaml, node, "table", e) < 0) {
		return -EINVAL;
	}
	t->name = node->text;
	t->from_node = need(t, root, "from", YAML_SCALAR, e);
	if (t->from_node == NULL) {
		return -EINVAL;
	}
	t->from = t->from_node->text;
	node = need(t, root, "partition", YAML_SCALAR, e);
	if (node == NULL) {
		return -EINVAL;
	}
	rc = schema_choose(t->yaml, node, "partition", partition_names, e);
	if (rc < 0) {
		return rc;
	}
	t->partition = (enum schema_partition)rc;
	node = need(t, root, "storage", YAML_SCALAR, e);
	if (node == NULL) {
		return -EINVAL;
	}
	rc = schema_choose(t->yaml, node, "storage", storage_names, e);
	if (rc < 0) {
		return rc;
	}
	t->storage = (enum schema_storage)rc;
	if ((t->storage == STORAGE_UPSERT) != (t->partition == PARTITION_NONE)) {
		return yaml_complain(t->yaml, node, e,
		    "storage upsert needs partition none; runs and append need "
		    "partition day");
	}
	return 0;
}

static int
read_table(struct schema_table *t, struct err *e)
{
	static const char *const known[] = {"table", "from", "partition", "storage",
	    "key", "values", "where", "emit", "views", "max_keys", "lateness",
	    "version", "stitch", "deduplicate"};
	const struct yaml_node *root = yaml_root(t->yaml);
	const struct yaml_node *where;
	int rc;

	if (root == NULL || root->kind != YAML_MAP) {
		return err_set(e, -EINVAL,
		    "%s: not a table (expected a map with the key 'table')",
		    yaml_name(t->yaml));
	}
	rc = yaml_check_keys(t->yaml, root, known, COUNT(known), e);
	if (rc == 0) {
		rc = read_head(t, root, e);
	}
	if (rc == 0) {
		rc = read_numbers(t, root, e);
	}
	if (rc == 0) {
		rc = read_columns(t, root, e);
	}
	rc = rc < 0 ? rc : schema_read_stitch(t, yaml_get(root, "stitch"), e);
	where = yaml_get(root, "where");
	if (rc == 0 && where != NULL) {
		rc = schema_read_conditions(t, where, &t->where, e);
	}
	if (rc == 0) {
		rc = schema_read_emits(t, yaml_get(root, "emit"), e);
	}
	return rc < 0 ? rc : schema_read_views(t, root, e);
}

/* Takes yaml. */
static int
table_of(struct yaml *yaml, struct schema_table **ret, struct err *e)
{
	struct schema_table *t = calloc(1, sizeof *t);
	int rc;

	if (t == NULL) {
		yaml_unload(yaml);
		return err_set(e, -ENOMEM, "out of memory");
	}
	t->yaml = yaml;
	rc = read_table(t, e);
	if (rc < 0) {
		schema_table_free(t);
		return rc;
	}
	*ret = t;
	return 0;
}

int
schema_table_load(const char *path, struct schema_table **ret, struct err *e)
{
	struct yaml *yaml = NULL;
	int rc = yaml_load(path, &yaml, e);
	return rc < 0 ? rc : table_of(yaml, ret, e);
}

int
schema_table_parse(const char *name, const void *bytes, size_t length,
    struct schema_table **ret, struct err *e)
{
	struct yaml *yaml = NULL;
	int rc = yaml_parse(name, bytes, length, &yaml, e);
	return rc < 0 ? rc : table_of(yaml, ret, e);
}

void
schema_table_free(struct schema_table *t)
{
	if (t != NULL) {
		yaml_unload(t->yaml);
		free(t->views);
		free(t->once);
		free(t);
	}
}
