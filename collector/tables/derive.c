#include "collector/tables/derive.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/cursor.h"

/* The base column that has a field unchanged: a key for keys and conditions, else the
 * value that is merged in the same way. */
static const struct table_column *
find_column(const struct table *base, int field, enum schema_role role)
{
	for (unsigned i = 0; i < base->column_count; i++) {
		const struct table_column *c = &base->columns[i];
		if (c->role == role && role != ROLE_COMPUTED && c->fields[0] == field &&
		    c->schema->function == FUNCTION_NONE) {
			return c;
		}
	}
	return NULL;
}

/* What `field` needs in the given role, added where it is new; NULL: the base does not
 * have it. */
static struct derive_field *
need(struct derive *d, int field, enum schema_role role)
{
	const struct table_column *c = find_column(d->base, field, role);
	unsigned i = 0;

	if (c == NULL) {
		return NULL;
	}
	while (i < d->count && d->fields[i].field != field) {
		i++;
	}
	if (i == d->count) {
		d->fields[d->count++] =
		    (struct derive_field){.field = field, .column = c};
	}
	return d->fields[i].column == c ? &d->fields[i] : NULL;
}

static bool
need_for_emit(struct derive *d, int field, enum schema_role role, unsigned emit)
{
	struct derive_field *f = need(d, field, role);

	if (f != NULL) {
		f->emits |= 1u << emit;
	}
	return f != NULL;
}

static bool
need_for_condition(struct derive *d, int field)
{
	struct derive_field *f = need(d, field, ROLE_KEY);

	if (f != NULL) {
		f->is_condition = true;
	}
	return f != NULL;
}

static bool
need_column(struct derive *d, const struct table *t, const struct table_column *c,
    unsigned emit)
{
	int field = c->fields[emit];

	switch (c->role) {
	case ROLE_KEY:
		/* The day is the base's own partition. */
		return (c->kind == TABLE_DATE && field == t->layout->start) ||
		       need_for_emit(d, field, ROLE_KEY, emit);
	case ROLE_SUM:
		/* Sums of reals would round differently. */
		return c->kind == TABLE_INTEGER &&
		       need_for_emit(d, field, c->role, emit);
	case ROLE_MINIMIZE:
	case ROLE_MAXIMIZE:
		return need_for_emit(d, field, c->role, emit);
	case ROLE_COMPUTED:
		return true;
	default:
		return false;
	}
}

bool
derive_compile(const struct table *t, const struct table *base, struct derive *ret)
{
	const struct schema_table *s = base->schema;

	*ret = (struct derive){.base = base};
	if (t->schema->stitch_ns != s->stitch_ns ||
	    t->schema->max_waiting != s->max_waiting) {
		return false; /* their rows are not the same */
	}
	if (t == base || t->layout != base->layout || s->storage != STORAGE_RUNS ||
	    t->schema->storage == STORAGE_APPEND || s->emit_count != 1 ||
	    base->where_count[0] != 0 || t->has_own_lateness ||
	    base->has_own_lateness) {
		return false;
	}
	for (unsigned emit = 0; emit < t->schema->emit_count; emit++) {
		for (unsigned i = 0; i < t->column_count; i++) {
			if (!need_column(ret, t, &t->columns[i], emit)) {
				return false;
			}
		}
		for (unsigned i = 0; i < t->where_count[emit]; i++) {
			if (!need_for_condition(ret, t->where[emit][i].field)) {
				return false;
			}
		}
	}
	return true;
}

/* A number in the key of n entries, `stride` bytes apart. */
static void
read_key(const struct table_column *c, const uint8_t *p, size_t stride, unsigned n,
    int64_t *values)
{
	bool is_real = c->kind == TABLE_REAL;
	uint64_t flip = is_real || c->is_signed ? (uint64_t)INT64_MIN : 0;

	switch (c->width) {
	case 1:
		for (unsigned i = 0; i < n; i++, p += stride) {
			values[i] = *p;
		}
		break;
	case 2:
		for (unsigned i = 0; i < n; i++, p += stride) {
			values[i] = load_u16(p);
		}
		break;
	case 4:
		for (unsigned i = 0; i < n; i++, p += stride) {
			values[i] = load_u32(p);
		}
		break;
	default:
		for (unsigned i = 0; i < n; i++, p += stride) {
			values[i] = (int64_t)(load_uint(p, c->width) ^ flip);
		}
	}
	/* Reals lie in keys as numbers that order the same. */
	for (unsigned i = 0; is_real && i < n; i++) {
		values[i] = layout_order_real(values[i]);
	}
}

static void
read_column(const struct derive *d, const struct derive_field *f, uint64_t first,
    unsigned n, const struct batch *b)
{
	const struct table_column *c = f->column;
	const uint8_t *p = reduce_entry(d->base->reduce, first) + c->offset;
	size_t stride = d->base->shape.entry;
	int64_t *values = batch_values(b, f->field);
	struct address *addresses = batch_addresses(b, f->field);

	if (c->kind == TABLE_ADDRESS) {
		for (unsigned i = 0; i < n; i++, p += stride) {
			memcpy(&addresses[i], p, sizeof *addresses);
		}
	} else if (c->role == ROLE_KEY) {
		read_key(c, p, stride, n, values);
	} else {
		for (unsigned i = 0; i < n; i++, p += stride) {
			memcpy(&values[i], p, sizeof values[i]);
		}
		for (unsigned i = 0; c->kind == TABLE_REAL && i < n; i++) {
			values[i] = layout_order_real(values[i]);
		}
	}
}

static void
read_nulls(const struct derive *d, const uint8_t *entry, struct layout_nulls *ret)
{
	const struct table *t = d->base;
	const uint8_t *mask = entry + t->shape.header - t->shape.mask_bytes;

	*ret = (struct layout_nulls){{0}};
	for (unsigned i = 0; i < d->count; i++) {
		const struct table_column *c = d->fields[i].column;
		bool is_null =
		    c->role == ROLE_KEY
			? (entry[t->null_offset + c->bit / 8] >> c->bit % 8 & 1) != 0
			: (mask[c->bit / 8] >> c->bit % 8 & 1) == 0;
		if (is_null) {
			nulls_set(ret, d->fields[i].field);
		}
	}
}

/* First what conditions look at, then what the emits need that take any row: the others
 * are most. */
static void
add_batch(struct table *t, const struct derive *d, uint64_t first,
    const struct batch *b, const struct table_moment *m)
{
	struct taken taken;
	uint32_t taking = 0;

	for (unsigned i = 0; i < d->count; i++) {
		if (d->fields[i].is_condition) {
			read_column(d, &d->fields[i], first, b->row_count[0], b);
		}
	}
	table_take(t, b, 0, &taken);
	for (unsigned emit = 0; emit < t->schema->emit_count; emit++) {
		taking |= taken.count[emit] > 0 ? 1u << emit : 0;
	}
	for (unsigned i = 0; i < d->count; i++) {
		if (!d->fields[i].is_condition && (d->fields[i].emits & taking) != 0) {
			read_column(d, &d->fields[i], first, b->row_count[0], b);
		}
	}
	table_add_taken(t, b, 0, &taken, m);
}

void
derive_run(struct table *t, struct derive *d, struct batch *b)
{
	const struct reduce *from = d->base->reduce;
	uint64_t count = reduce_count(from), first = 0;
	int64_t filed[BATCH_ROWS];
	struct table_moment m = {.filed_ns = filed};
	struct layout_nulls nulls;

	reduce_clear(t->reduce);
	t->rows = d->rows;
	t->filtered = d->filtered;
	b->nulls[0] = b->nulls[1] = &nulls;
	while (first < count) {
		const uint8_t *entry = reduce_entry(from, first);
		unsigned n = 0;
		for (; n < BATCH_ROWS && first + n < count; n++) {
			const uint8_t *next = reduce_entry(from, first + n);
			if (n > 0 && !table_same_nulls(d->base, entry, next)) {
				break;
			}
			filed[n] = table_day(d->base, next) * (int64_t)NS_PER_DAY;
			b->rows[0][n] = (uint8_t)n;
		}
		read_nulls(d, entry, &nulls);
		b->count = b->row_count[0] = n;
		add_batch(t, d, first, b, &m);
		first += n;
	}
	reduce_settle(t->reduce);
}

void
derive_written(const struct table *t, struct derive *d)
{
	d->rows = t->rows;
	d->filtered = t->filtered;
}
