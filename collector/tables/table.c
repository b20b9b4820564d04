#include "collector/tables/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/sqlite/database_image.h"

#define DAY_BYTES    4
#define HEADER_BYTES 3 /* at most, of a value in a row of the store */

const char *
table_kind_name(enum table_kind k)
{
	static const char *const names[] = {
	    "address", "prefix", "time_ns", "date", "integer", "real", "text", "text"};
	return names[k];
}

int64_t
table_day(const struct table *t, const uint8_t *entry)
{
	(void)t;
	return load_u32(entry);
}

/* The field that `name` means for one emit: an alias stands for its field. */
static int
resolve(
    const struct table *t, const struct yaml_node *name, unsigned emit, struct err *e)
{
	const struct schema_emit *m = &t->schema->emits[emit];

	for (unsigned i = 0; i < m->alias_count; i++) {
		if (strcmp(m->aliases[i].name, name->text) == 0) {
			name = m->aliases[i].field;
			break;
		}
	}
	return layout_field(t->layout, t->schema->yaml, name, m->side, e);
}

static int
kind_of_column(const struct table *t, struct table_column *c, struct err *e)
{
	const struct layout *l = t->layout;
	static const enum table_kind kinds[] = {[KIND_ADDRESS] = TABLE_ADDRESS,
	    [KIND_TIME] = TABLE_TIME,
	    [KIND_INTEGER] = TABLE_INTEGER,
	    [KIND_REAL] = TABLE_REAL,
	    [KIND_TEXT] = TABLE_TEXT,
	    [KIND_MAC] = TABLE_MAC};
	const struct layout_field *f = &l->fields[c->fields[0]];

	for (unsigned i = 1; i < t->schema->emit_count; i++) {
		if (l->fields[c->fields[i]].kind != f->kind) {
			return yaml_complain(t->schema->yaml, c->schema->node, e,
			    "'%s' is %s in one 'emit' and %s in another", c->name,
			    layout_kind_name(f->kind),
			    layout_kind_name(l->fields[c->fields[i]].kind));
		}
	}
	c->kind = kinds[f->kind];
	if (c->schema->function == FUNCTION_DAY) {
		if (f->kind != KIND_TIME) {
			return yaml_complain(t->schema->yaml, c->schema->field, e,
			    "'day' needs a time, but '%s' is %s", f->name,
			    layout_kind_name(f->kind));
		}
		c->kind = TABLE_DATE;
	} else if (c->schema->function == FUNCTION_PREFIX) {
		if (f->kind != KIND_ADDRESS) {
			return yaml_complain(t->schema->yaml, c->schema->field, e,
			    "'prefix' needs an address, but '%s' is %s", f->name,
			    layout_kind_name(f->kind));
		}
		c->kind = TABLE_PREFIX;
		c->ipv4_bits = c->schema->ipv4_bits;
		c->ipv6_bits = c->schema->ipv6_bits;
	}
	if ((c->role == ROLE_SUM && f->kind != KIND_INTEGER && f->kind != KIND_REAL) ||
	    ((c->role == ROLE_MINIMIZE || c->role == ROLE_MAXIMIZE) &&
		(f->kind == KIND_ADDRESS || f->kind == KIND_TEXT ||
		    f->kind == KIND_MAC))) {
		return yaml_complain(t->schema->yaml, c->schema->field, e,
		    "'%s' is %s and cannot be reduced by %s", f->name,
		    layout_kind_name(f->kind), schema_role_name(c->role));
	}
	if (c->role == ROLE_KEY && f->is_list) {
		return yaml_complain(t->schema->yaml, c->schema->field, e,
		    "'%s' is a list and cannot be a key; use it as a value", f->name);
	}
	return 0;
}

static int
compile_column(struct table *t, unsigned i, struct err *e)
{
	const struct schema_column *s = &t->schema->columns[i];
	struct table_column *c = &t->columns[i];
	int rc = 0;

	c->name = s->name;
	c->role = s->role;
	c->schema = s;
	if (s->role == ROLE_COMPUTED) {
		c->kind = TABLE_REAL;
		return 0;
	}
	for (unsigned k = 0; rc >= 0 && k < t->schema->emit_count; k++) {
		rc = c->fields[k] = resolve(t, s->field, k, e);
		if (rc >= 0 && s->is_scaled) {
			rc = layout_scaled(
			    t->layout, t->schema->yaml, s->field, &c->fields[k], e);
		}
	}
	return rc < 0 ? rc : kind_of_column(t, c, e);
}

static int
compile_conditions(struct table *t, unsigned emit, struct err *e)
{
	const struct schema_conditions *lists[] = {
	    &t->schema->where, &t->schema->emits[emit].when};
	unsigned n = lists[0]->count + lists[1]->count;
	int rc = 0;

	t->where[emit] = calloc(n + 1, sizeof *t->where[emit]);
	if (t->where[emit] == NULL) {
		return err_set(e, -ENOMEM, "not enough memory");
	}
	for (unsigned k = 0; k < 2; k++) {
		for (unsigned i = 0; rc == 0 && i < lists[k]->count; i++) {
			rc = resolve(t, lists[k]->items[i].field, emit, e);
			if (rc >= 0) {
				struct filter *f =
				    &t->where[emit][t->where_count[emit]++];
				f->field = rc;
				rc = filter_compile(f, &lists[k]->items[i], t->layout,
				    t->schema->yaml, e);
			}
		}
	}
	return rc;
}

int
table_new(const struct schema_table *schema, struct layout *l, struct table **ret,
    struct err *e)
{
	struct table *t = calloc(1, sizeof *t);
	int rc = 0;

	if (t == NULL) {
		return err_set(e, -ENOMEM, "not enough memory");
	}
	t->schema = schema;
	t->layout = l;
	t->key_count = schema->key_count;
	t->column_count = schema->column_count;
	for (unsigned i = 0; rc == 0 && i < t->column_count; i++) {
		rc = compile_column(t, i, e);
	}
	for (unsigned i = 0; rc == 0 && i < schema->emit_count; i++) {
		rc = compile_conditions(t, i, e);
	}
	if (rc < 0) {
		table_free(t);
		return rc;
	}
	*ret = t;
	return 0;
}

void
table_free(struct table *t)
{
	if (t == NULL) {
		return;
	}
	for (unsigned k = 0; k < SCHEMA_MAX_EMITS; k++) {
		for (unsigned i = 0; i < t->where_count[k]; i++) {
			filter_done(&t->where[k][i]);
		}
		free(t->where[k]);
	}
	reduce_free(t->reduce);
	free(t);
}

/* Key columns lie packed in their order, behind the day where days are partitions. */
static int
shape_key(struct table *t, struct err *e)
{
	struct reduce_shape *s = &t->shape;

	s->key_length = t->schema->partition == PARTITION_DAY ? DAY_BYTES : 0;
	for (unsigned i = 0; i < t->key_count; i++) {
		struct table_column *c = &t->columns[i];
		c->width = 0;
		for (unsigned k = 0; k < t->schema->emit_count; k++) {
			const struct layout_field *f = &t->layout->fields[c->fields[k]];
			c->width = f->width > c->width ? f->width : c->width;
			c->is_signed |= f->is_signed || f->kind == KIND_TIME;
		}
		c->width = c->kind == TABLE_DATE ? DAY_BYTES : c->width;
		c->width = c->kind == TABLE_REAL || c->is_signed ? 8 : c->width;
		if (c->kind == TABLE_DATE) {
			c->width = DAY_BYTES;
		}
		c->offset = s->key_length;
		c->bit = i;
		s->key_length += c->width;
		if (c->kind == TABLE_TEXT) {
			if (s->text_count == REDUCE_MAX_TEXTS) {
				return yaml_complain(t->schema->yaml, c->schema->node,
				    e, "a key has at most %d text columns",
				    REDUCE_MAX_TEXTS);
			}
			s->texts[s->text_count++] = (uint16_t)c->offset;
		}
		if (s->key_length > REDUCE_MAX_KEY - (t->key_count + 7) / 8) {
			return yaml_complain(t->schema->yaml, c->schema->node, e,
			    "the key is longer than %d bytes", REDUCE_MAX_KEY);
		}
	}
	t->null_offset = s->key_length;
	s->key_length += (t->key_count + 7) / 8;
	return 0;
}

static unsigned
value_size(const struct table_column *c)
{
	switch (c->role) {
	case ROLE_FIRST:
	case ROLE_LAST:
		return sizeof(struct reduce_timed);
	case ROLE_VALUE:
		return c->kind == TABLE_ADDRESS ? 16 : 8;
	default:
		return 8;
	}
}

/* Values lie grouped by how they merge, in the order that reduce.h wants. */
static int
shape_values(struct table *t, struct err *e)
{
	enum { GROUPS = 7 };
	struct reduce_shape *s = &t->shape;
	unsigned *counts[GROUPS] = {
	    &s->sums, &s->mins, &s->maxes, &s->reals, &s->firsts, &s->lasts, NULL};
	unsigned values = 0, bytes = 0;

	for (unsigned group = 0; group < GROUPS; group++) {
		for (unsigned i = t->key_count; i < t->column_count; i++) {
			struct table_column *c = &t->columns[i];
			unsigned own = c->role == ROLE_SUM
					   ? (c->kind == TABLE_REAL ? 3 : 0)
				       : c->role == ROLE_MINIMIZE ? 1
				       : c->role == ROLE_MAXIMIZE ? 2
				       : c->role == ROLE_FIRST    ? 4
				       : c->role == ROLE_LAST     ? 5
				       : c->role == ROLE_VALUE    ? 6
								  : GROUPS;
			if (own != group) {
				continue;
			}
			if (values == REDUCE_MAX_VALUES) {
				return yaml_complain(t->schema->yaml, c->schema->node,
				    e, "a table has at most %d stored values",
				    REDUCE_MAX_VALUES);
			}
			c->bit = values++;
			c->offset = bytes;
			bytes += value_size(c);
			if (counts[group] != NULL) {
				++*counts[group];
			}
		}
	}
	reduce_shape_finish(s, values, bytes);
	for (unsigned i = t->key_count; i < t->column_count; i++) {
		t->columns[i].offset += s->header;
	}
	return 0;
}

/* A row of the store has bounded room: what other columns need at most is theirs, and
 * lists share the rest.  A field that swaps may lie in its partner's column. */
static void
bound_lists(struct table *t)
{
	size_t room = DATABASE_IMAGE_ROW - 2 * HEADER_BYTES;
	size_t others = 0, lists = 0, most;

	for (unsigned i = 0; i < t->column_count; i++) {
		const struct table_column *c = &t->columns[i];
		if (c->role == ROLE_COMPUTED) {
			continue;
		}
		others += HEADER_BYTES + TABLE_STATE_PREFIX;
		if (t->layout->fields[c->fields[0]].is_list) {
			lists++;
		} else {
			others += c->kind == TABLE_TEXT ? INTERN_MAX : RECORD_ROOM;
		}
	}
	most = lists == 0 ? 0 : (room - others) / lists;
	for (unsigned i = t->key_count; lists > 0 && i < t->column_count; i++) {
		const struct table_column *c = &t->columns[i];
		for (unsigned k = 0;
		     c->role != ROLE_COMPUTED && k < t->schema->emit_count; k++) {
			layout_bound_text(t->layout, c->fields[k], most);
		}
	}
}

int
table_start(struct table *t, uint64_t max_keys, uint64_t seed, struct err *e)
{
	int rc;

	t->shape.is_append = t->schema->storage == STORAGE_APPEND;
	rc = shape_key(t, e);
	if (rc == 0) {
		rc = shape_values(t, e);
	}
	if (rc < 0) {
		return rc;
	}
	bound_lists(t);
	t->reduce = reduce_new(&t->shape, max_keys, seed);
	if (t->reduce == NULL) {
		return err_set(e, -ENOMEM,
		    "not enough memory for table %s with max_keys %llu (%zu bytes each)",
		    t->schema->name, (unsigned long long)max_keys, t->shape.entry);
	}
	return 0;
}

struct table_filed
table_file_times(const struct batch *b, const struct table_moment *m,
    struct table_bounds bounds, int64_t out[static BATCH_ROWS])
{
	int64_t lateness = (int64_t)bounds.lateness_ns, skew = (int64_t)bounds.skew_ns;
	int64_t arrival = m->arrival_ns;
	int64_t low = arrival > lateness ? arrival - lateness : 0;
	int64_t high = arrival < INT64_MAX - skew ? arrival + skew : INT64_MAX;
	int start = b->layout->start;
	struct table_filed counts = {0};

	for (unsigned i = 0; i < b->count; i++) {
		out[i] = arrival;
	}
	/* Times never swap, so one group speaks for both. */
	if (start < 0 || nulls_has(b->nulls[0], start)) {
		counts.undated = start < 0 ? 0 : b->count;
		return counts;
	}
	memcpy(out, batch_values(b, start), b->count * sizeof *out);
	for (unsigned i = 0; m->is_live && i < b->count; i++) {
		if (out[i] < low || out[i] > high) {
			counts.late += out[i] < low;
			counts.early += out[i] > high;
			out[i] = arrival;
		}
	}
	return counts;
}
