#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/schema/schema_private.h"

#define ONCE "_once" /* as <table>_iso */

static int
read_declared(struct schema_table *t, const struct yaml_node *map, struct err *e)
{
	int rc = 0;

	if (map == NULL) {
		t->views = calloc(1, sizeof *t->views);
		return t->views == NULL ? err_set(e, -ENOMEM, "out of memory") : 0;
	}
	if (map->kind != YAML_MAP) {
		return yaml_complain(
		    t->yaml, map, e, "'views' must be { NAME: SELECT ... }");
	}
	t->views = calloc(map->count + 2, sizeof *t->views);
	if (t->views == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	for (unsigned i = 0; rc == 0 && i < map->count; i++) {
		rc = schema_check_name(t->yaml, map->keys[i], "view", e);
		if (rc == 0 && map->items[i]->kind != YAML_SCALAR) {
			rc = yaml_complain(t->yaml, map->items[i], e,
			    "a view must be the text of a SELECT");
		}
		if (rc == 0) {
			t->views[t->view_count++] = (struct schema_view){
			    .name = map->keys[i]->text, .sql = map->items[i]->text};
		}
	}
	return rc;
}

/* The column that holds the field of this name unchanged. */
static const struct schema_column *
find_field(const struct schema_table *t, const char *field)
{
	for (unsigned i = 0; i < t->column_count; i++) {
		const struct schema_column *c = &t->columns[i];
		if ((c->role == ROLE_KEY || c->role == ROLE_VALUE) &&
		    c->function == FUNCTION_NONE &&
		    strcmp(c->field->text, field) == 0) {
			return c;
		}
	}
	return NULL;
}

/* A column named in `by`: of the key, or of an append table. */
static int
find_by(const struct schema_table *t, const struct yaml_node *node,
    const struct schema_column **ret, struct err *e)
{
	const char *names[SCHEMA_MAX_COLUMNS], *nearest;
	unsigned n = 0;

	if (node->kind != YAML_SCALAR) {
		return yaml_complain(t->yaml, node, e, "expected the name of a column");
	}
	for (unsigned i = 0; i < t->column_count; i++) {
		const struct schema_column *c = &t->columns[i];
		if (c->role != ROLE_KEY && c->role != ROLE_VALUE) {
			continue;
		}
		if (strcmp(c->name, node->text) == 0) {
			*ret = c;
			return 0;
		}
		names[n++] = c->name;
	}
	nearest = err_nearest(node->text, names, n);
	return yaml_complain(t->yaml, node, e,
	    "no column '%s' that distinguishes rows; did you mean '%s'?", node->text,
	    nearest != NULL ? nearest : names[0]);
}

static void
write_text(const char *text, FILE *out)
{
	fputc('\'', out);
	for (; *text != '\0'; text++) {
		fputs(*text == '\'' ? "''" : (char[]){*text, '\0'}, out);
	}
	fputc('\'', out);
}

/* PARTITION BY: the columns of `by`, or else the key without exporter and domain. */
static int
write_by(const struct schema_table *t, const struct yaml_node *by,
    const struct schema_column *exporter, FILE *out, struct err *e)
{
	const struct schema_column *domain = find_field(t, "observationDomain");
	const struct schema_column *c = NULL;
	unsigned n = 0;
	int rc;

	for (unsigned i = 0; by == NULL && i < t->key_count; i++) {
		c = &t->columns[i];
		if (c != exporter && c != domain) {
			fprintf(out, "%s\"%s\"", n++ > 0 ? ", " : "", c->name);
		}
	}
	for (unsigned i = 0; by != NULL && i < by->count; i++) {
		rc = find_by(t, by->items[i], &c, e);
		if (rc == 0 && c == exporter) {
			rc = yaml_complain(t->yaml, by->items[i], e,
			    "'%s' must not be in 'by': 'deduplicate' chooses among its "
			    "values",
			    c->name);
		}
		if (rc < 0) {
			return rc;
		}
		fprintf(out, "%s\"%s\"", n++ > 0 ? ", " : "", c->name);
	}
	return (int)n;
}

static int
write_prefer(const struct schema_table *t, const struct yaml_node *prefer, FILE *out,
    struct err *e)
{
	for (unsigned i = 0; i < prefer->count; i++) {
		const struct yaml_node *name = prefer->items[i];
		if (name->kind != YAML_SCALAR || name->text[0] == '\0') {
			return yaml_complain(
			    t->yaml, name, e, "expected the name of an exporter");
		}
		for (unsigned k = 0; k < i; k++) {
			if (strcmp(prefer->items[k]->text, name->text) == 0) {
				return yaml_complain(t->yaml, name, e,
				    "duplicate exporter '%s'", name->text);
			}
		}
		fputs(" WHEN ", out);
		write_text(name->text, out);
		fprintf(out, " THEN %u", i);
	}
	fprintf(out, " ELSE %u END", prefer->count);
	return 0;
}

/* Among rows that differ only in their exporter, those of the first exporter that has
 * any. */
static int
write_once(const struct schema_table *t, const struct yaml_node *node, FILE *out,
    struct err *e)
{
	const struct yaml_node *by = yaml_get(node, "by");
	const struct yaml_node *prefer = yaml_get(node, "prefer");
	const struct schema_column *exporter = find_field(t, "exporter");
	int rc;

	if (prefer == NULL || prefer->kind != YAML_LIST || prefer->count == 0 ||
	    (by != NULL && by->kind != YAML_LIST)) {
		return yaml_complain(t->yaml, node, e,
		    "'deduplicate' must be { prefer: [EXPORTERS, best first], by: "
		    "[COLUMNS] }");
	}
	if (exporter == NULL) {
		return yaml_complain(t->yaml, node, e,
		    "'deduplicate' needs a column that names the exporter (exporter: "
		    "exporter)");
	}
	fputs("SELECT ", out);
	for (unsigned i = 0; i < t->column_count; i++) {
		fprintf(out, "%s\"%s\"", i > 0 ? ", " : "", t->columns[i].name);
	}
	fputs(" FROM (SELECT *, rank() OVER (PARTITION BY ", out);
	rc = write_by(t, by, exporter, out, e);
	if (rc == 0) {
		rc = yaml_complain(t->yaml, by != NULL ? by : node, e,
		    "'by' must name the columns that distinguish flows");
	}
	fprintf(out, " ORDER BY CASE \"%s\"", exporter->name);
	rc = rc < 0 ? rc : write_prefer(t, prefer, out, e);
	fprintf(out, ", \"%s\") AS flowpair_rank FROM \"%s\") WHERE flowpair_rank = 1",
	    exporter->name, t->name);
	return rc;
}

/* deduplicate: { prefer: [exporters], by: [columns] } */
static int
read_deduplicate(struct schema_table *t, const struct yaml_node *node, struct err *e)
{
	static const char *const known[] = {"prefer", "by"};
	size_t length = 0, name_length = strlen(t->name) + sizeof ONCE;
	FILE *out;
	int rc;

	if (node == NULL) {
		return 0;
	}
	if (node->kind != YAML_MAP) {
		return yaml_complain(t->yaml, node, e,
		    "'deduplicate' must be { prefer: [EXPORTERS, best first], by: "
		    "[COLUMNS] }");
	}
	rc = yaml_check_keys(t->yaml, node, known, 2, e);
	if (rc < 0) {
		return rc;
	}
	out = open_memstream(&t->once, &length);
	if (out == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	fprintf(out, "%s" ONCE "%c", t->name, '\0');
	rc = write_once(t, node, out, e);
	if (fclose(out) != 0 && rc == 0) {
		rc = err_set(e, -ENOMEM, "out of memory");
	}
	if (rc == 0) {
		t->views[t->view_count++] =
		    (struct schema_view){.name = t->once, .sql = t->once + name_length};
	}
	return rc;
}

int
schema_read_views(struct schema_table *t, const struct yaml_node *root, struct err *e)
{
	int rc = read_declared(t, yaml_get(root, "views"), e);

	return rc < 0 ? rc : read_deduplicate(t, yaml_get(root, "deduplicate"), e);
}
