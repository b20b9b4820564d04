#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/schema/schema.h"
#include "collector/schema/schema_private.h"

#define COUNT(a) (unsigned)(sizeof(a) / sizeof(a)[0])

static bool
is_names(const struct yaml_node *node)
{
	if (node == NULL || (node->kind == YAML_LIST && node->count == 0)) {
		return false;
	}
	for (unsigned i = 0; node->kind == YAML_LIST && i < node->count; i++) {
		if (node->items[i]->kind != YAML_SCALAR) {
			return false;
		}
	}
	return node->kind != YAML_MAP;
}

/* NAME: { type: address, from: [elements] } */
static int
read_field(const struct schema_record *r, const struct yaml_node *map,
    struct schema_field *f, struct err *e)
{
	static const char *const known[] = {"type", "from"};
	static const char *const types[] = {"address", "time"};
	const struct yaml_node *type = yaml_get(map, "type");
	int rc = yaml_check_keys(r->yaml, map, known, COUNT(known), e);

	if (rc < 0) {
		return rc;
	}
	if (type != NULL) {
		if (type->kind != YAML_SCALAR ||
		    (strcmp(type->text, types[0]) != 0 &&
			strcmp(type->text, types[1]) != 0)) {
			return yaml_complain(r->yaml, type, e,
			    "unknown type (expected address or time)");
		}
		f->type = type->text;
	}
	f->from = yaml_get(map, "from");
	if (!is_names(f->from)) {
		return yaml_complain(r->yaml, map, e,
		    "a field must name the elements that feed it: { from: [NAME, ...] "
		    "}");
	}
	return 0;
}

/* NAME: { forward: [elements], reverse: [elements], one_way: 0 } */
static int
read_side(const struct schema_record *r, const struct yaml_node *map,
    struct schema_field *f, struct err *e)
{
	static const char *const known[] = {"forward", "reverse", "one_way"};
	const struct yaml_node *one_way = yaml_get(map, "one_way");
	int rc = yaml_check_keys(r->yaml, map, known, COUNT(known), e);

	if (rc < 0) {
		return rc;
	}
	f->from = yaml_get(map, "forward");
	f->reverse = yaml_get(map, "reverse");
	if (!is_names(f->from) || !is_names(f->reverse)) {
		return yaml_complain(r->yaml, map, e,
		    "a side must name the elements that feed it: { forward: [NAME, "
		    "...], reverse: [NAME, ...] }");
	}
	f->has_one_way = one_way != NULL;
	return one_way == NULL ? 0
			       : yaml_u64(r->yaml, one_way, INT64_MAX, &f->one_way, e);
}

static int
read_fields(
    struct schema_record *r, const struct yaml_node *map, bool is_sides, struct err *e)
{
	struct schema_field **ret = is_sides ? &r->sides : &r->fields;
	unsigned *ret_count = is_sides ? &r->side_count : &r->field_count;
	int rc = 0;

	if (map == NULL) {
		return 0;
	}
	if (map->kind != YAML_MAP) {
		return yaml_complain(r->yaml, map, e, "expected a map");
	}
	*ret = calloc(map->count + 1, sizeof **ret);
	if (*ret == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	for (unsigned i = 0; rc == 0 && i < map->count; i++) {
		struct schema_field *f = &(*ret)[i];
		f->name = map->keys[i]->text;
		f->node = map->keys[i];
		if (map->items[i]->kind != YAML_MAP) {
			return yaml_complain(r->yaml, map->items[i], e,
			    "expected { from: [NAME, ...] }");
		}
		rc = is_sides ? read_side(r, map->items[i], f, e)
			      : read_field(r, map->items[i], f, e);
		*ret_count = i + 1;
	}
	return rc;
}

static int
read_record(struct schema_record *r, struct err *e)
{
	static const char *const known[] = {
	    "record", "fields", "sides", "computed", "requires", "options"};
	const struct yaml_node *root = yaml_root(r->yaml), *name, *options;
	int rc;

	if (root == NULL || root->kind != YAML_MAP) {
		return err_set(e, -EINVAL,
		    "%s: not a record (expected a map with the key 'record')",
		    yaml_name(r->yaml));
	}
	rc = yaml_check_keys(r->yaml, root, known, COUNT(known), e);
	if (rc < 0) {
		return rc;
	}
	name = yaml_get(root, "record");
	if (name == NULL) {
		return yaml_complain(r->yaml, root, e, "'record' is missing");
	}
	rc = schema_check_name(r->yaml, name, "record", e);
	if (rc < 0) {
		return rc;
	}
	r->name = name->text;
	rc = read_fields(r, yaml_get(root, "fields"), false, e);
	if (rc == 0) {
		rc = read_fields(r, yaml_get(root, "sides"), true, e);
	}
	r->computed = yaml_get(root, "computed");
	if (rc == 0 && r->computed != NULL && r->computed->kind != YAML_MAP) {
		rc = yaml_complain(r->yaml, r->computed, e, "'computed' must be a map");
	}
	options = yaml_get(root, "options");
	if (rc == 0 && options != NULL) {
		rc = yaml_bool(r->yaml, options, &r->is_options, e);
	}
	r->requires = yaml_get(root, "requires");
	if (rc == 0 && r->requires != NULL && !is_names(r->requires)) {
		rc = yaml_complain(r->yaml, r->requires, e,
		    "'requires' must be a list of field names");
	}
	return rc;
}

/* Takes yaml. */
static int
record_of(struct yaml *yaml, struct schema_record **ret, struct err *e)
{
	struct schema_record *r = calloc(1, sizeof *r);
	int rc;

	if (r == NULL) {
		yaml_unload(yaml);
		return err_set(e, -ENOMEM, "out of memory");
	}
	r->yaml = yaml;
	rc = read_record(r, e);
	if (rc < 0) {
		schema_record_free(r);
		return rc;
	}
	*ret = r;
	return 0;
}

int
schema_record_load(const char *path, struct schema_record **ret, struct err *e)
{
	struct yaml *yaml = NULL;
	int rc = yaml_load(path, &yaml, e);
	return rc < 0 ? rc : record_of(yaml, ret, e);
}

int
schema_record_parse(const char *name, const void *bytes, size_t length,
    struct schema_record **ret, struct err *e)
{
	struct yaml *yaml = NULL;
	int rc = yaml_parse(name, bytes, length, &yaml, e);
	return rc < 0 ? rc : record_of(yaml, ret, e);
}

void
schema_record_free(struct schema_record *r)
{
	if (r != NULL) {
		yaml_unload(r->yaml);
		free(r->fields);
		free(r->sides);
		free(r);
	}
}
