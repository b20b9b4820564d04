#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/tables/tables_private.h"
#include "common/base/hash.h"

#define APPEND_DIVISOR 4 /* rows of append tables are wider, and all distinct */

static int
is_yaml(const struct dirent *d)
{
	size_t n = strlen(d->d_name);
	return d->d_name[0] != '.' && n > 5 && strcmp(d->d_name + n - 5, ".yaml") == 0;
}

static int
load_record(struct tables *t, const char *path, struct err *e)
{
	struct tables_source *s = &t->sources[t->source_count];
	int rc;

	if (t->source_count == TABLES_MAX_SOURCES - 1) { /* one stays for exporter */
		return err_set(
		    e, -E2BIG, "%s: at most %d records", path, TABLES_MAX_SOURCES - 1);
	}
	rc = schema_record_load(path, &s->record, e);
	if (rc < 0) {
		return rc;
	}
	t->source_count++;
	for (unsigned i = 0; i + 1 < t->source_count; i++) {
		if (strcmp(t->sources[i].record->name, s->record->name) == 0) {
			return err_set(e, -EINVAL,
			    "%s: record '%s' is already defined in %s", path,
			    s->record->name, yaml_name(t->sources[i].record->yaml));
		}
	}
	return 0;
}

static int
load_table(struct tables *t, const char *path, struct err *e)
{
	struct schema_table *s = NULL;
	int rc;

	if (t->table_count == TABLES_MAX) {
		return err_set(e, -E2BIG, "%s: at most %d tables", path, TABLES_MAX);
	}
	rc = schema_table_load(path, &s, e);
	if (rc < 0) {
		return rc;
	}
	t->schemas[t->table_count++] = s;
	return 0;
}

/* Calls each() for every .yaml file of a folder, by name. */
static int
load_folder(struct tables *t, const char *folder,
    int (*each)(struct tables *t, const char *path, struct err *e), struct err *e)
{
	struct dirent **list = NULL;
	char path[4096];
	int n, rc = 0;

	snprintf(path, sizeof path, "%s/%s", t->settings.schema_directory, folder);
	n = scandir(path, &list, is_yaml, alphasort);
	if (n < 0) {
		return err_set(e, -errno, "%s: %s; expected a folder of schemas", path,
		    strerror(errno));
	}
	if (n == 0) {
		rc = err_set(e, -ENOENT, "%s: contains no schemas (*.yaml)", path);
	}
	for (int i = 0; i < n; i++) {
		if (rc == 0 && snprintf(path, sizeof path, "%s/%s/%s",
				   t->settings.schema_directory, folder,
				   list[i]->d_name) < (int)sizeof path) {
			rc = each(t, path, e);
		}
		free(list[i]);
	}
	free(list);
	return rc;
}

static int
complain_no_table(const struct tables *t, const char *name, struct err *e)
{
	char path[4096], *names[TABLES_MAX];
	const char *nearest;
	struct dirent **list = NULL;
	unsigned count = 0;
	int n, rc;

	snprintf(path, sizeof path, "%s/tables", t->settings.schema_directory);
	n = scandir(path, &list, is_yaml, alphasort);
	for (int i = 0; i < n; i++) {
		if (count < TABLES_MAX) {
			list[i]->d_name[strlen(list[i]->d_name) - 5] = '\0';
			names[count++] = list[i]->d_name;
		}
	}
	nearest = err_nearest(name, (const char *const *)names, count);
	if (nearest != NULL) {
		rc = err_set(e, -EINVAL, "%s: unknown table '%s'; did you mean '%s'?",
		    path, name, nearest);
	} else {
		rc = err_set(e, -EINVAL,
		    "%s: unknown table '%s' (there is no file %s.yaml)", path, name,
		    name);
	}
	for (int i = 0; i < n; i++) {
		free(list[i]);
	}
	free(list);
	return rc;
}

static int
load_named(struct tables *t, struct err *e)
{
	char path[4096];
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < t->settings.name_count; i++) {
		const char *name = t->settings.names[i];
		FILE *f;
		snprintf(path, sizeof path, "%s/tables/%s.yaml",
		    t->settings.schema_directory, name);
		f = strchr(name, '/') == NULL ? fopen(path, "r") : NULL;
		if (f == NULL) {
			return complain_no_table(t, name, e);
		}
		fclose(f);
		rc = load_table(t, path, e);
	}
	return rc;
}

/* The source that a table names, made on first use. */
static struct tables_source *
find_source(struct tables *t, const struct schema_table *s, struct err *e)
{
	const char *names[TABLES_MAX_SOURCES + 1], *nearest;
	unsigned n = 0;

	for (unsigned i = 0; i < t->source_count; i++) {
		const char *name = t->sources[i].record != NULL
				       ? t->sources[i].record->name
				       : "exporter";
		if (strcmp(name, s->from) == 0) {
			return &t->sources[i];
		}
		names[n++] = name;
	}
	if (strcmp(s->from, "exporter") == 0) {
		return &t->sources[t->source_count++];
	}
	names[n++] = "exporter";
	nearest = err_nearest(s->from, names, n);
	yaml_complain(s->yaml, s->from_node, e,
	    "unknown record '%s'; did you mean '%s'?", s->from,
	    nearest != NULL ? nearest : names[0]);
	return NULL;
}

/* No two tables, views or ISO views have one name. */
static int
check_names(const struct tables *t, struct err *e)
{
	const char *names[TABLES_MAX * 8];
	unsigned n = 0;

	for (unsigned i = 0; i < t->table_count; i++) {
		const struct schema_table *s = t->schemas[i];
		for (unsigned k = 0; k <= s->view_count && n < TABLES_MAX * 8; k++) {
			const char *name = k == 0 ? s->name : s->views[k - 1].name;
			for (unsigned j = 0; j < n; j++) {
				size_t a = strlen(name), b = strlen(names[j]);
				if (strcmp(names[j], name) == 0 ||
				    (a == b + 4 && memcmp(name, names[j], b) == 0 &&
					strcmp(name + b, "_iso") == 0) ||
				    (b == a + 4 && memcmp(name, names[j], a) == 0 &&
					strcmp(names[j] + a, "_iso") == 0)) {
					return err_set(e, -EINVAL,
					    "%s: the name '%s' is already in use (each table T also has a view "
					    "T_iso)",
					    yaml_name(s->yaml), name);
				}
			}
			names[n++] = name;
		}
	}
	return 0;
}

static int
compile_tables(struct tables *t, struct err *e)
{
	int rc = check_names(t, e);

	for (unsigned i = 0; rc == 0 && i < t->table_count; i++) {
		struct tables_source *s = find_source(t, t->schemas[i], e);
		if (s == NULL) {
			return -EINVAL;
		}
		if (s->layout == NULL) {
			rc = layout_new(s->record, t->elements, &s->layout, e);
		}
		if (rc == 0) {
			rc = table_new(t->schemas[i], s->layout, &t->tables[i], e);
		}
		if (rc == 0 && t->schemas[i]->stitch_node != NULL) {
			rc = stitch_declare(s->layout, e);
		}
		if (rc == -ENOENT) {
			rc = yaml_complain(t->schemas[i]->yaml,
			    t->schemas[i]->stitch_node, e,
			    "'stitch' needs flow records with sourceAddress, destinationAddress "
			    "and sides, which '%s' does not have",
			    t->schemas[i]->from);
		}
	}
	return rc;
}

/* How many keys a table may hold. */
static uint64_t
keys_of(const struct tables *t, const struct table *table)
{
	uint64_t keys = t->settings.max_keys;

	if (table->schema->max_keys != 0) {
		return table->schema->max_keys;
	}
	if (table->schema->storage == STORAGE_APPEND) {
		keys = keys / APPEND_DIVISOR;
	}
	return keys > 0 ? keys : 1;
}

static bool
is_base(const struct tables *t, const struct table *table)
{
	for (unsigned i = 0; i < t->table_count; i++) {
		if (t->derives[i] != NULL && t->derives[i]->base == table) {
			return true;
		}
	}
	return false;
}

static int
feed_table(struct tables *t, struct tables_source *s, unsigned i, struct err *e)
{
	struct table *table = t->tables[i];
	int rc = 0;

	if (table->schema->stitch_node != NULL) {
		rc = tables_stitch_table(t, s, table, e);
	} else if (t->derives[i] == NULL) {
		s->tables[s->table_count++] = table;
	}
	return rc;
}

/* Finds a base for each table; the others are fed by their source.  What is derived is
 * never a base itself. */
static int
plan_feeding(struct tables *t, struct err *e)
{
	struct derive *d = malloc(sizeof *d);
	int rc = 0;

	for (unsigned i = 0; d != NULL && i < t->table_count; i++) {
		for (unsigned k = 0; d != NULL && k < t->table_count; k++) {
			if (t->derives[k] == NULL && t->derives[i] == NULL &&
			    !is_base(t, t->tables[i]) &&
			    derive_compile(t->tables[i], t->tables[k], d)) {
				t->derives[i] = d;
				d = malloc(sizeof *d);
			}
		}
	}
	if (d == NULL) {
		return err_set(e, -ENOMEM, "not enough memory");
	}
	free(d);
	for (unsigned i = 0; rc == 0 && i < t->table_count; i++) {
		for (unsigned k = 0; rc == 0 && k < t->source_count; k++) {
			struct tables_source *s = &t->sources[k];
			if (s->layout == t->tables[i]->layout) {
				rc = feed_table(t, s, i, e);
			}
		}
	}
	return rc;
}

static int
start_table(struct tables *t, unsigned i, struct err *e)
{
	struct table *table = t->tables[i];
	uint64_t keys = keys_of(t, table);

	/* Each entry of a base may make one in every emit. */
	if (t->derives[i] != NULL) {
		keys = keys_of(t, t->derives[i]->base) * table->schema->emit_count;
	}
	keys += tables_stitch_room(table) * table->schema->emit_count;
	return table_start(table, keys, hash_seed(), e);
}

static void
set_lateness(struct tables *t, struct table *table)
{
	const struct schema_table *s = table->schema;

	table->has_own_lateness = s->has_lateness;
	table->bounds.lateness_ns = s->lateness_ns;
	table->bounds.skew_ns = t->settings.skew_ns;
}

static int
start(struct tables *t, struct err *e)
{
	int rc = 0;

	t->intern = intern_new();
	if (t->intern == NULL) {
		return err_set(e, -ENOMEM, "not enough memory");
	}
	for (unsigned i = 0; rc == 0 && i < t->source_count; i++) {
		struct tables_source *s = &t->sources[i];
		if (s->layout == NULL) {
			continue;
		}
		rc = layout_finish(s->layout, e);
		if (rc == 0 && (batch_init(&s->batch, s->layout, t->intern) < 0 ||
				   batch_init(&s->derived, s->layout, t->intern) < 0)) {
			rc = err_set(e, -ENOMEM, "not enough memory");
		}
	}
	for (unsigned i = 0; i < t->table_count; i++) {
		set_lateness(t, t->tables[i]);
	}
	if (rc == 0) {
		rc = plan_feeding(t, e);
	}
	for (unsigned i = 0; rc == 0 && i < t->table_count; i++) {
		rc = start_table(t, i, e);
	}
	return rc < 0 ? rc : tables_stitch_start(t, e);
}

int
tables_new(const struct tables_settings *s, const struct elements *elements,
    struct tables **ret, struct err *e)
{
	struct tables *t = calloc(1, sizeof *t);
	int rc;

	if (t == NULL) {
		return err_set(e, -ENOMEM, "not enough memory");
	}
	t->settings = *s;
	t->elements = elements;
	rc = load_folder(t, "records", load_record, e);
	if (rc == 0) {
		rc = s->names != NULL ? load_named(t, e)
				      : load_folder(t, "tables", load_table, e);
	}
	if (rc == 0) {
		rc = compile_tables(t, e);
	}
	if (rc == 0) {
		rc = start(t, e);
	}
	if (rc < 0) {
		tables_free(t);
		return rc;
	}
	*ret = t;
	return 0;
}

void
tables_free(struct tables *t)
{
	if (t == NULL) {
		return;
	}
	tables_stitch_done(t);
	tables_plans_done(t);
	for (unsigned i = 0; i < t->table_count; i++) {
		table_free(t->tables[i]);
		free(t->derives[i]);
		schema_table_free(t->schemas[i]);
	}
	for (unsigned i = 0; i < t->source_count; i++) {
		batch_done(&t->sources[i].batch);
		batch_done(&t->sources[i].derived);
		layout_free(t->sources[i].layout);
		schema_record_free(t->sources[i].record);
	}
	intern_free(t->intern);
	reduce_scratch_free(&t->scratch);
	free(t);
}
