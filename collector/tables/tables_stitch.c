/* Tables that stitch, between their source's batches and table_add(). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/tables/tables_private.h"
#include "common/base/hash.h"

/* Whether a column, stored or summed, has this field in any emit. */
static bool
has_field(const struct table *t, int field)
{
	for (unsigned i = t->key_count; i < t->column_count; i++) {
		const struct table_column *c = &t->columns[i];
		for (unsigned k = 0;
		     c->role != ROLE_COMPUTED && k < t->schema->emit_count; k++) {
			if (c->fields[k] == field) {
				return true;
			}
		}
	}
	return false;
}

/* A stitched record has the other direction's counters in its reverse side: a table
 * without would lose them. */
static int
check_sides(const struct table *t, struct err *e)
{
	for (unsigned i = t->key_count; i < t->column_count; i++) {
		const struct table_column *c = &t->columns[i];
		for (unsigned k = 0;
		     c->role != ROLE_COMPUTED && k < t->schema->emit_count; k++) {
			const struct layout_field *f = &t->layout->fields[c->fields[k]];
			if (f->side[0] == 'f' &&
			    (c->role == ROLE_SUM || c->role == ROLE_VALUE) &&
			    f->partner >= 0 && !has_field(t, f->partner)) {
				return yaml_complain(t->schema->yaml, c->schema->field,
				    e,
				    "'stitch' moves the other direction to 'reverse.%s', but '%s' has no "
				    "column for it: add one, or remove 'stitch'",
				    f->name, t->schema->name);
			}
		}
	}
	return 0;
}

static bool
is_alike(const struct tables_stitch *x, const struct table *t)
{
	return x->window_ns == t->schema->stitch_ns &&
	       x->max_waiting == t->schema->max_waiting &&
	       x->has_own_lateness == t->has_own_lateness &&
	       (!t->has_own_lateness || x->bounds.lateness_ns == t->bounds.lateness_ns);
}

static bool
is_derived(const struct tables *t, const struct table *table)
{
	for (unsigned i = 0; i < t->table_count; i++) {
		if (t->tables[i] == table) {
			return t->derives[i] != NULL;
		}
	}
	return false;
}

int
tables_stitch_table(
    struct tables *t, struct tables_source *s, struct table *table, struct err *e)
{
	struct tables_stitch *x = s->stitches;
	int rc = check_sides(table, e);

	if (rc < 0 || is_derived(t, table)) {
		return rc;
	}
	while (x < s->stitches + s->stitch_count && !is_alike(x, table)) {
		x++;
	}
	if (x == s->stitches + TABLES_MAX_STITCHES) {
		return yaml_complain(table->schema->yaml, table->schema->stitch_node, e,
		    "one record allows at most %d different settings of 'stitch' and "
		    "'lateness'",
		    TABLES_MAX_STITCHES);
	}
	if (x == s->stitches + s->stitch_count) {
		s->stitch_count++;
		x->window_ns = table->schema->stitch_ns;
		x->max_waiting = table->schema->max_waiting;
		x->has_own_lateness = table->has_own_lateness;
		x->bounds = table->bounds;
	}
	x->tables[x->table_count++] = table;
	return 0;
}

static void
add_to_tables(const struct batch *b, const struct table_moment *m, void *data)
{
	const struct tables_stitch *x = data;

	for (unsigned i = 0; i < x->table_count; i++) {
		table_add(x->tables[i], b, m);
	}
}

/* Whether rows that wait are for this table, by itself or through another one. */
static bool
is_fed(const struct tables *t, const struct tables_stitch *x, unsigned table)
{
	for (unsigned i = 0; i < x->table_count; i++) {
		if (x->tables[i] == t->tables[table] ||
		    (t->derives[table] != NULL &&
			t->derives[table]->base == x->tables[i])) {
			return true;
		}
	}
	return false;
}

static char *
make_words(const struct tables *t, const struct tables_source *s,
    const struct tables_stitch *x)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL) {
		return NULL;
	}
	fprintf(out, "%s:", s->record->name);
	for (unsigned i = 0; i < t->table_count; i++) {
		if (is_fed(t, x, i)) {
			fprintf(out, " %s", t->schemas[i]->name);
		}
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static int
start_pool(const struct tables *t, const struct tables_source *s,
    struct tables_stitch *x, struct err *e)
{
	const struct stitch_settings settings = {.window_ns = x->window_ns,
	    .max_waiting = x->max_waiting,
	    .seed = hash_seed()};

	x->words = make_words(t, s, x);
	x->stitch = stitch_new(s->layout, &settings, add_to_tables, x);
	if (x->words == NULL || x->stitch == NULL) {
		return err_set(e, -ENOMEM,
		    "not enough memory to stitch %llu one-way flows",
		    (unsigned long long)x->max_waiting);
	}
	return 0;
}

int
tables_stitch_start(struct tables *t, struct err *e)
{
	int rc = 0;

	for (unsigned i = 0; i < t->source_count; i++) {
		struct tables_source *s = &t->sources[i];
		for (unsigned k = 0; rc == 0 && k < s->stitch_count; k++) {
			rc = start_pool(t, s, &s->stitches[k], e);
		}
	}
	return rc;
}

void
tables_stitch_done(struct tables *t)
{
	for (unsigned i = 0; i < t->source_count; i++) {
		for (unsigned k = 0; k < t->sources[i].stitch_count; k++) {
			stitch_free(t->sources[i].stitches[k].stitch);
			free(t->sources[i].stitches[k].words);
		}
	}
}

void
tables_stitch_add(
    struct tables_source *s, const struct table_moment *m, bool is_one_way)
{
	for (unsigned k = 0; k < s->stitch_count; k++) {
		struct tables_stitch *x = &s->stitches[k];
		int64_t filed[BATCH_ROWS];
		struct table_moment own = *m;
		if (!is_one_way) {
			add_to_tables(&s->batch, m, x);
			continue;
		}
		if (x->has_own_lateness) {
			(void)table_file_times(&s->batch, m, x->bounds, filed);
			own.filed_ns = filed;
		}
		stitch_add(x->stitch, &s->batch, &own);
	}
}

bool
tables_pass_time(struct tables *t, uint64_t now_ns)
{
	/* What waits keeps its texts over a flush. */
	bool is_short = intern_bytes(t->intern) > TABLES_TEXT_BYTES / 2;
	bool any = false;

	for (unsigned i = 0; i < t->source_count; i++) {
		for (unsigned k = 0; k < t->sources[i].stitch_count; k++) {
			struct stitch *s = t->sources[i].stitches[k].stitch;
			any |= stitch_pass(s, now_ns);
			if (is_short && stitch_waiting(s) > 0) {
				stitch_evict(s);
				any = true;
			}
		}
	}
	return any;
}

bool
tables_release(struct tables *t)
{
	bool any = tables_stitch_waiting(t) > 0;

	for (unsigned i = 0; i < t->source_count; i++) {
		for (unsigned k = 0; k < t->sources[i].stitch_count; k++) {
			stitch_finish(t->sources[i].stitches[k].stitch);
		}
	}
	return any;
}

uint64_t
tables_stitch_waiting(const struct tables *t)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < t->source_count; i++) {
		for (unsigned k = 0; k < t->sources[i].stitch_count; k++) {
			uint64_t n = stitch_waiting(t->sources[i].stitches[k].stitch);
			sum = n > sum ? n : sum;
		}
	}
	return sum;
}

uint64_t
tables_stitch_room(const struct table *table)
{
	return table->schema->stitch_node != NULL ? table->schema->max_waiting : 0;
}

void
tables_stitch_keep_texts(struct tables *t, uint32_t *marks)
{
	for (unsigned i = 0; i < t->source_count; i++) {
		for (unsigned k = 0; k < t->sources[i].stitch_count; k++) {
			stitch_mark_texts(t->sources[i].stitches[k].stitch, marks);
		}
	}
	intern_keep(t->intern, marks);
	for (unsigned i = 0; i < t->source_count; i++) {
		for (unsigned k = 0; k < t->sources[i].stitch_count; k++) {
			stitch_renumber_texts(t->sources[i].stitches[k].stitch, marks);
		}
	}
}

bool
tables_stitches(const struct tables *t)
{
	for (unsigned i = 0; i < t->source_count; i++) {
		if (t->sources[i].stitch_count > 0) {
			return true;
		}
	}
	return false;
}
