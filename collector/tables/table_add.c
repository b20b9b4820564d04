#include <string.h>

#include "collector/tables/table.h"
#include "common/base/clock.h"
#include "common/base/cursor.h"

/* Rows of a batch that become entries of one table: n of them, by number. */
struct selection {
	const struct batch *batch;
	const struct layout_nulls *nulls;
	const int64_t *filed;
	int64_t place;         /* of row 0 */
	const int64_t *places; /* of each row, instead; or NULL */
	const uint8_t *rows;
	unsigned n;
	unsigned emit;
	uint8_t *images;
	size_t stride;
};

static void
store_numbers(const struct selection *s, const int64_t *values, uint8_t *to,
    unsigned width, uint64_t flip)
{
	switch (width) {
	case 1:
		for (unsigned i = 0; i < s->n; i++, to += s->stride) {
			*to = (uint8_t)values[s->rows[i]];
		}
		break;
	case 2:
		for (unsigned i = 0; i < s->n; i++, to += s->stride) {
			store_u16(to, (uint16_t)values[s->rows[i]]);
		}
		break;
	case 4:
		for (unsigned i = 0; i < s->n; i++, to += s->stride) {
			store_u32(to, (uint32_t)values[s->rows[i]]);
		}
		break;
	case 8:
		for (unsigned i = 0; i < s->n; i++, to += s->stride) {
			store_u64(to, (uint64_t)values[s->rows[i]] ^ flip);
		}
		break;
	default:
		for (unsigned i = 0; i < s->n; i++, to += s->stride) {
			uint64_t v = (uint64_t)values[s->rows[i]];
			for (unsigned k = width; k > 0; k--, v >>= 8) {
				to[k - 1] = (uint8_t)v;
			}
		}
	}
}

static void
store_days(const struct selection *s, const int64_t *times, uint8_t *to)
{
	uint32_t day = 0;
	int64_t from = 0,
		until = 0; /* the day's bounds: a division per day, not per row */

	for (unsigned i = 0; i < s->n; i++, to += s->stride) {
		int64_t t = times[s->rows[i]];
		if (t < from || t >= until) {
			day = (uint32_t)((uint64_t)t / NS_PER_DAY);
			from = (int64_t)(day * NS_PER_DAY);
			until = INT64_MAX - from > (int64_t)NS_PER_DAY
				    ? from + (int64_t)NS_PER_DAY
				    : INT64_MAX;
		}
		store_u32(to, day);
	}
}

static void
store_addresses(
    const struct selection *s, const struct table_column *c, int field, uint8_t *to)
{
	const struct address *values = batch_addresses(s->batch, field);

	if (c->kind == TABLE_ADDRESS) {
		for (unsigned i = 0; i < s->n; i++, to += s->stride) {
			memcpy(to, &values[s->rows[i]], sizeof *values);
		}
		return;
	}
	for (unsigned i = 0; i < s->n; i++, to += s->stride) {
		struct address a = values[s->rows[i]];
		address_mask(&a, c->ipv4_bits, c->ipv6_bits);
		memcpy(to, &a, sizeof a);
	}
}

static void
store_reals(const struct selection *s, const int64_t *values, uint8_t *to)
{
	for (unsigned i = 0; i < s->n; i++, to += s->stride) {
		store_u64(to, (uint64_t)layout_order_real(values[s->rows[i]]) ^
				  (uint64_t)INT64_MIN);
	}
}

static void
store_null_key(const struct selection *s, const struct table_column *c, uint8_t *to)
{
	for (unsigned i = 0; i < s->n; i++, to += s->stride) {
		memset(to, 0, c->width);
	}
}

/* Rows are filed under the day of their arrival where they have no start. */
static bool
is_filed_day(const struct table *t, const struct table_column *c, int field)
{
	return c->kind == TABLE_DATE && field == t->layout->start;
}

static void
store_key(
    const struct table *t, const struct selection *s, const struct table_column *c)
{
	int field = c->fields[s->emit];
	const int64_t *values = batch_values(s->batch, field);
	uint8_t *to = s->images + c->offset;

	if (is_filed_day(t, c, field)) {
		store_days(s, s->filed, to);
	} else if (nulls_has(s->nulls, field)) {
		store_null_key(s, c, to);
	} else if (c->kind == TABLE_DATE) {
		store_days(s, values, to);
	} else if (c->kind == TABLE_ADDRESS || c->kind == TABLE_PREFIX) {
		store_addresses(s, c, field, to);
	} else if (c->kind == TABLE_REAL) {
		store_reals(s, values, to);
	} else {
		store_numbers(
		    s, values, to, c->width, c->is_signed ? (uint64_t)INT64_MIN : 0);
	}
}

static void
store_timed(const struct selection *s, const struct table_column *c, bool is_null)
{
	int field = c->fields[s->emit];
	const int64_t *values = batch_values(s->batch, field);
	const struct address *addresses = batch_addresses(s->batch, field);
	int64_t none = c->role == ROLE_FIRST ? INT64_MAX : INT64_MIN;
	uint8_t *to = s->images + c->offset;

	for (unsigned i = 0; i < s->n; i++, to += s->stride) {
		uint8_t row = s->rows[i];
		struct reduce_timed v = {.start = none, .place = none, .value = {0, 0}};
		if (!is_null) {
			v.start = s->filed[row];
			v.place = s->places != NULL ? s->places[row] : s->place + row;
			if (c->kind == TABLE_ADDRESS) {
				memcpy(v.value, &addresses[row], 16);
			} else {
				v.value[0] = values[row];
			}
		}
		memcpy(to, &v, sizeof v);
	}
}

static int64_t
null_value(const struct table_column *c)
{
	return c->role == ROLE_MINIMIZE   ? INT64_MAX
	       : c->role == ROLE_MAXIMIZE ? INT64_MIN
					  : 0;
}

static void
store_value(const struct selection *s, const struct table_column *c)
{
	int field = c->fields[s->emit];
	bool is_null = nulls_has(s->nulls, field);
	bool orders = c->kind == TABLE_REAL &&
		      (c->role == ROLE_MINIMIZE || c->role == ROLE_MAXIMIZE);
	const int64_t *values = batch_values(s->batch, field);
	const struct address *addresses = batch_addresses(s->batch, field);
	uint8_t *to = s->images + c->offset;
	int64_t v = null_value(c);

	if (c->role == ROLE_FIRST || c->role == ROLE_LAST) {
		store_timed(s, c, is_null);
	} else if (is_null) {
		for (unsigned i = 0; i < s->n; i++, to += s->stride) {
			memcpy(to, &v, sizeof v);
		}
	} else if (c->kind == TABLE_ADDRESS) {
		for (unsigned i = 0; i < s->n; i++, to += s->stride) {
			memcpy(to, &addresses[s->rows[i]], 16);
		}
	} else if (orders) {
		for (unsigned i = 0; i < s->n; i++, to += s->stride) {
			v = layout_order_real(values[s->rows[i]]);
			memcpy(to, &v, sizeof v);
		}
	} else {
		for (unsigned i = 0; i < s->n; i++, to += s->stride) {
			memcpy(to, &values[s->rows[i]], sizeof v);
		}
	}
}

/* What is NULL is the same for all rows of a group: the bits of the key and the mask,
 * in whole words.  Key columns come into the first word afterwards. */
static void
store_nulls(const struct table *t, const struct selection *s)
{
	unsigned mask = t->shape.header - t->shape.mask_bytes;
	unsigned first = t->null_offset / 8 * 8;
	uint8_t header[REDUCE_MAX_HEADER];

	memset(header + first, 0, t->shape.header - first);
	for (unsigned i = 0; i < t->column_count; i++) {
		const struct table_column *c = &t->columns[i];
		bool is_key = i < t->key_count;
		uint8_t *bits = header + (is_key ? t->null_offset : mask);
		int field = c->fields[s->emit];
		if (c->role == ROLE_COMPUTED || is_filed_day(t, c, field)) {
			continue;
		}
		/* A key's bit says that it is NULL, a value's that it is not. */
		if (nulls_has(s->nulls, field) == is_key) {
			bits[c->bit / 8] |= (uint8_t)(1u << c->bit % 8);
		}
	}
	for (unsigned at = first; at < t->shape.header; at += 8) {
		uint8_t *to = s->images + at;
		for (unsigned i = 0; i < s->n; i++, to += s->stride) {
			memcpy(to, header + at, 8);
		}
	}
}

static void
make_images(const struct table *t, const struct selection *s)
{
	store_nulls(t, s);
	if (t->schema->partition == PARTITION_DAY) {
		store_days(s, s->filed, s->images);
	}
	for (unsigned i = 0; i < t->key_count; i++) {
		store_key(t, s, &t->columns[i]);
	}
	for (unsigned i = t->key_count; i < t->column_count; i++) {
		if (t->columns[i].role != ROLE_COMPUTED) {
			store_value(s, &t->columns[i]);
		}
	}
}

void
table_take(struct table *t, const struct batch *b, unsigned group, struct taken *ret)
{
	unsigned count = b->row_count[group], taken = 0;

	for (unsigned emit = 0; emit < t->schema->emit_count; emit++) {
		uint8_t *rows = ret->rows[emit];
		unsigned n = count;
		memcpy(rows, b->rows[group], n);
		for (unsigned i = 0; n > 0 && i < t->where_count[emit]; i++) {
			n = filter_rows(
			    &t->where[emit][i], b, b->nulls[group], rows, n);
		}
		ret->count[emit] = n;
		taken += n;
	}
	t->rows += taken;
	t->filtered += taken < count ? count - taken : 0;
}

void
table_add_taken(struct table *t, const struct batch *b, unsigned group,
    const struct taken *taken, const struct table_moment *m)
{
	struct selection s = {.batch = b,
	    .nulls = b->nulls[group],
	    .filed = m->filed_ns,
	    .place = m->place,
	    .places = m->places,
	    .stride = t->shape.entry};

	for (s.emit = 0; s.emit < t->schema->emit_count; s.emit++) {
		s.rows = taken->rows[s.emit];
		s.n = taken->count[s.emit];
		if (s.n > 0) {
			s.images = reduce_images(t->reduce);
			make_images(t, &s);
			reduce_add(t->reduce, s.n);
		}
	}
}

void
table_add(struct table *t, const struct batch *b, const struct table_moment *m)
{
	int64_t filed[BATCH_ROWS];
	struct table_moment own = *m;
	struct taken taken;

	if (t->has_own_lateness && !m->is_filed) {
		(void)table_file_times(b, m, t->bounds, filed);
		own.filed_ns = filed;
	}
	for (unsigned group = 0; group < 2; group++) {
		if (b->row_count[group] > 0) {
			table_take(t, b, group, &taken);
			table_add_taken(t, b, group, &taken, &own);
		}
	}
}
