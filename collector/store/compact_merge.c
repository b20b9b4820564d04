#include "collector/store/compact_merge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/ddl.h"
#include "common/base/address.h"
#include "common/base/cursor.h"
#include "common/sqlite/database_load.h"

#define MEMORY     (48u << 20) /* for rows of all runs that wait to be merged */
#define ROW_BYTES  256u        /* texts and key of a row, about */
#define OUT_BYTES  (8u << 20)  /* of rows that go out together, about */
#define CHUNK_MOST 256u        /* rows of a run that are read at a time */
#define BATCH      2048u       /* rows that are appended at a time */

struct value {
	enum database_type type;
	int64_t integer; /* of a text: where it lies in the rows' bytes */
	double real;
	size_t length;
};

/* Rows in memory.  Texts lie in `bytes`. */
struct rows {
	struct value *values;
	struct row_key {
		size_t at, length;
	} * keys;
	uint8_t *bytes;
	size_t length, capacity;
	unsigned columns, count, most;
	size_t most_bytes; /* about: rows with long texts are fewer */
};

struct cursor_run {
	int64_t next, last; /* rowids that are still to be read */
	struct rows rows;
	unsigned at;
};

struct merge {
	const struct table *table;
	struct database_load *load; /* where merged rows go */
	struct statement *read;
	struct ddl_stored stored;
	struct cursor_run *runs;
	size_t run_count;
	size_t *heap; /* numbers of runs that have rows, the least key first */
	size_t heap_count;
	struct rows out;
};

static int
rows_new(struct rows *r, unsigned columns, unsigned most, size_t most_bytes)
{
	r->columns = columns;
	r->most = most;
	r->most_bytes = most_bytes;
	r->values = calloc((size_t)columns * most, sizeof *r->values);
	r->keys = calloc(most, sizeof *r->keys);
	return r->values == NULL || r->keys == NULL ? -ENOMEM : 0;
}

static void
rows_done(struct rows *r)
{
	free(r->values);
	free(r->keys);
	free(r->bytes);
	*r = (struct rows){.values = NULL};
}

static void
rows_clear(struct rows *r)
{
	r->count = 0;
	r->length = 0;
}

static struct value *
row_values(const struct rows *r, unsigned row)
{
	return r->values + (size_t)row * r->columns;
}

static int
rows_put(struct rows *r, const void *bytes, size_t n)
{
	if (r->capacity - r->length < n) {
		size_t capacity = (r->capacity + n) * 2;
		uint8_t *p = realloc(r->bytes, capacity);
		if (p == NULL) {
			return -ENOMEM;
		}
		r->bytes = p;
		r->capacity = capacity;
	}
	if (n > 0) {
		memcpy(r->bytes + r->length, bytes, n);
	}
	r->length += n;
	return 0;
}

static int
put_text(struct rows *r, struct value *v, const void *text, size_t n)
{
	v->type = DATABASE_TEXT;
	v->integer = (int64_t)r->length;
	v->length = n;
	return rows_put(r, text, n);
}

/* Text as bytes that memcmp() orders as the text, whatever follows. */
static int
put_key_text(struct rows *r, const struct value *v)
{
	static const uint8_t end[2] = {0, 0}, zero[2] = {0, 1};
	size_t n = v->type == DATABASE_TEXT ? v->length : 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		uint8_t b = r->bytes[(size_t)v->integer + i];
		rc = b == 0 ? rows_put(r, zero, 2) : rows_put(r, &b, 1);
	}
	return rc == 0 ? rows_put(r, end, 2) : rc;
}

static int
put_key_address(struct rows *r, const struct value *v, uint8_t *ret_bits)
{
	struct address a = {.bytes = {0}};
	char text[ADDRESS_TEXT + 8];
	unsigned bits = 0;

	if (v->type == DATABASE_TEXT) {
		if (v->length >= sizeof text) {
			return -EBADMSG;
		}
		memcpy(text, r->bytes + v->integer, v->length);
		text[v->length] = '\0';
		if (address_parse_prefix(text, &a, &bits) < 0) {
			return -EBADMSG;
		}
	}
	*ret_bits = (uint8_t)bits;
	return rows_put(r, a.bytes, sizeof a.bytes);
}

static int
put_key_number(struct rows *r, const struct table_column *c, const struct value *v)
{
	uint64_t n = 0;
	uint8_t bytes[8];

	if (v->type == DATABASE_NULL) {
		n = 0;
	} else if (c->kind == TABLE_REAL) {
		int64_t bits;
		memcpy(&bits, &v->real, sizeof bits);
		n = (uint64_t)layout_order_real(bits) ^ (uint64_t)INT64_MIN;
	} else {
		n = (uint64_t)v->integer ^ (c->is_signed ? (uint64_t)INT64_MIN : 0);
	}
	store_u64(bytes, n);
	return rows_put(r, bytes, sizeof bytes);
}

/* The key of the row that comes next, as bytes in the order of reduce_sort(): a column
 * without a value is zero or empty, and which have none comes behind all columns.  Last
 * are prefix lengths, which a schema may have changed between runs. */
static int
put_key(const struct merge *m, struct rows *r)
{
	const struct value *values = row_values(r, r->count);
	uint8_t nulls[SCHEMA_MAX_COLUMNS / 8 + 1] = {0}, bits[SCHEMA_MAX_COLUMNS];
	unsigned n = m->table->key_count, bit_count = 0;
	size_t at = r->length;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < n; i++) {
		const struct table_column *c = m->stored.columns[i];
		if (values[i].type == DATABASE_NULL) {
			nulls[i / 8] |= (uint8_t)(1u << i % 8);
		}
		switch (c->kind) {
		case TABLE_ADDRESS:
		case TABLE_PREFIX:
			rc = put_key_address(r, &values[i], &bits[bit_count++]);
			break;
		case TABLE_TEXT:
		case TABLE_DATE:
		case TABLE_MAC:
			rc = put_key_text(r, &values[i]);
			break;
		default:
			rc = put_key_number(r, c, &values[i]);
		}
	}
	if (rc == 0) {
		rc = rows_put(r, nulls, (n + 7) / 8);
	}
	if (rc == 0) {
		rc = rows_put(r, bits, bit_count);
	}
	r->keys[r->count] = (struct row_key){.at = at, .length = r->length - at};
	return rc;
}

static int
take_row(const struct merge *m, struct rows *r, struct err *e)
{
	struct value *values = row_values(r, r->count);
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < m->stored.count; i++) {
		struct value *v = &values[i];
		v->type = statement_type(m->read, (int)i);
		if (v->type == DATABASE_INTEGER) {
			v->integer = statement_i64(m->read, (int)i);
		} else if (v->type == DATABASE_REAL) {
			v->real = statement_f64(m->read, (int)i);
		} else if (v->type == DATABASE_TEXT) {
			const char *text = statement_text(m->read, (int)i);
			rc = put_text(r, v, text, statement_length(m->read, (int)i));
		}
	}
	if (rc == 0) {
		rc = put_key(m, r);
	}
	if (rc < 0) {
		return err_set(e, rc,
		    rc == -EBADMSG ? "table %s has a row with an invalid address"
				   : "not enough memory to compact table %s",
		    m->table->schema->name);
	}
	r->count++;
	return 0;
}

static int
compare_keys(const struct rows *a, unsigned i, const struct rows *b, unsigned k)
{
	const struct row_key *x = &a->keys[i], *y = &b->keys[k];
	size_t n = x->length < y->length ? x->length : y->length;
	int order = memcmp(a->bytes + x->at, b->bytes + y->at, n);

	return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

/* Reads on in a run.  What was read may be read over. */
static int
fill(struct merge *m, struct cursor_run *run, struct err *e)
{
	struct rows *r = &run->rows;
	int64_t end;
	int rc = 0;

	rows_clear(r);
	run->at = 0;
	while (r->count == 0 && run->next <= run->last) {
		end = run->last - run->next < r->most ? run->last
						      : run->next + r->most - 1;
		statement_reset(m->read);
		statement_bind_i64(m->read, 1, run->next);
		statement_bind_i64(m->read, 2, end);
		run->next = end + 1;
		while ((rc = statement_step(m->read, e)) > 0) {
			rc = take_row(m, r, e);
			if (rc < 0 || r->length > r->most_bytes) {
				run->next =
				    1 + statement_i64(m->read, (int)m->stored.count);
				break;
			}
		}
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

static bool
comes_before(const struct merge *m, size_t a, size_t b)
{
	const struct cursor_run *x = &m->runs[a], *y = &m->runs[b];
	int order = compare_keys(&x->rows, x->at, &y->rows, y->at);

	/* Sums of reals depend on their order: runs in order of arrival. */
	return order != 0 ? order < 0 : a < b;
}

static void
sift_down(struct merge *m, size_t i)
{
	for (;;) {
		size_t least = i, left = 2 * i + 1, moved = m->heap[i];
		for (size_t k = left; k < left + 2 && k < m->heap_count; k++) {
			least = comes_before(m, m->heap[k], m->heap[least]) ? k : least;
		}
		if (least == i) {
			return;
		}
		m->heap[i] = m->heap[least];
		m->heap[least] = moved;
		i = least;
	}
}

/* As SQL compares values of one column. */
static int
compare_values(const struct rows *a, const struct value *x, const struct rows *b,
    const struct value *y)
{
	size_t n;
	int order;

	if (x->type == DATABASE_TEXT && y->type == DATABASE_TEXT) {
		n = x->length < y->length ? x->length : y->length;
		order = n == 0
			    ? 0
			    : memcmp(a->bytes + x->integer, b->bytes + y->integer, n);
		return order != 0 ? order
				  : (x->length > y->length) - (x->length < y->length);
	}
	if (x->type == DATABASE_REAL && y->type == DATABASE_REAL) {
		return (x->real > y->real) - (x->real < y->real);
	}
	if (x->type == DATABASE_INTEGER && y->type == DATABASE_INTEGER) {
		return (x->integer > y->integer) - (x->integer < y->integer);
	}
	return (x->type > y->type) - (x->type < y->type);
}

static int
copy_value(
    struct rows *to, struct value *v, const struct rows *from, const struct value *w)
{
	if (w->type == DATABASE_TEXT) {
		return put_text(to, v, from->bytes + w->integer, w->length);
	}
	*v = *w;
	return 0;
}

/* What the row that is last in `to` and one more of its key come to. */
static int
merge_row(const struct merge *m, struct rows *to, const struct rows *from, unsigned row)
{
	struct value *mine = row_values(to, to->count - 1);
	const struct value *theirs = row_values(from, row);
	int rc = 0;

	for (unsigned i = m->table->key_count; rc == 0 && i < m->stored.count; i++) {
		struct value *v = &mine[i];
		const struct value *w = &theirs[i];
		enum schema_role role = m->stored.columns[i]->role;
		if (w->type == DATABASE_NULL) {
			continue;
		}
		if (v->type == DATABASE_NULL) {
			rc = copy_value(to, v, from, w);
		} else if (role == ROLE_SUM && v->type == DATABASE_REAL) {
			v->real += w->real;
		} else if (role == ROLE_SUM) {
			reduce_sum(&v->integer, w->integer);
		} else {
			int order = compare_values(from, w, to, v);
			bool is_least = role == ROLE_MINIMIZE || role == ROLE_FIRST;
			if (is_least ? order < 0 : order > 0) {
				rc = copy_value(to, v, from, w);
			}
		}
	}
	return rc;
}

static int
copy_row(struct rows *to, const struct rows *from, unsigned row)
{
	struct value *mine = row_values(to, to->count);
	const struct value *theirs = row_values(from, row);
	struct row_key key = from->keys[row];
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < to->columns; i++) {
		rc = copy_value(to, &mine[i], from, &theirs[i]);
	}
	to->keys[to->count] = (struct row_key){.at = to->length, .length = key.length};
	if (rc == 0) {
		rc = rows_put(to, from->bytes + key.at, key.length);
	}
	to->count++;
	return rc;
}

/* A value of the rows that go out, into the record that takes them there. */
static void
write_value(const struct rows *rows, const struct value *v, struct database_record *to)
{
	switch (v->type) {
	case DATABASE_INTEGER:
		record_integer(to, v->integer);
		break;
	case DATABASE_REAL:
		record_real(to, v->real);
		break;
	case DATABASE_TEXT:
		record_text(to, (const char *)rows->bytes + v->integer, v->length);
		break;
	case DATABASE_NULL:
		record_null(to);
		break;
	}
}

static int
append(struct merge *m, struct err *e)
{
	unsigned columns = database_load_columns(m->load);
	int rc = 0;

	for (unsigned row = 0; rc == 0 && row < m->out.count; row++) {
		const struct value *values = row_values(&m->out, row);
		struct database_record *record = database_load_record(m->load);
		for (unsigned i = 0; i < columns; i++) {
			int from = database_load_order(m->load, i);
			if (from < 0) {
				record_null(record);
			} else {
				write_value(&m->out, &values[from], record);
			}
		}
		rc = database_load_row(m->load, e);
	}
	return rc;
}

/* The least row of all runs goes out, or into the row that went out last. */
static int
take_least(struct merge *m, struct err *e)
{
	const struct cursor_run *run = &m->runs[m->heap[0]];
	struct rows *out = &m->out;
	const char *name = m->table->schema->name;
	int rc = 0, order = -1;

	if (out->count > 0) {
		order = compare_keys(out, out->count - 1, &run->rows, run->at);
	}
	if (order > 0) { /* a key would be there twice */
		return err_set(e, -EBADMSG,
		    "a run of table %s is not sorted by the table's present key", name);
	}
	if (order == 0) {
		rc = merge_row(m, out, &run->rows, run->at);
	} else {
		if (out->count == out->most || out->length > out->most_bytes) {
			rc = append(m, e);
			if (rc < 0) {
				return rc;
			}
			rows_clear(out);
		}
		rc = copy_row(out, &run->rows, run->at);
	}
	return rc < 0 ? err_set(e, rc, "not enough memory to compact table %s", name)
		      : 0;
}

static int
advance(struct merge *m, struct err *e)
{
	struct cursor_run *run = &m->runs[m->heap[0]];
	int rc = 0;

	if (++run->at == run->rows.count) {
		rc = fill(m, run, e);
		if (rc == 0 && run->rows.count == 0) {
			rows_done(&run->rows);
			m->heap[0] = m->heap[--m->heap_count];
		}
	}
	if (rc == 0 && m->heap_count > 0) {
		sift_down(m, 0);
	}
	return rc;
}

static int
prepare(struct merge *m, struct database *from, struct database *to, struct err *e)
{
	const struct ddl_stored *stored = &m->stored;
	char *sql = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&sql, &length);
	int rc;

	if (out == NULL) {
		return err_set(e, -ENOMEM, "not enough memory");
	}
	ddl_stored(m->table, &m->stored);
	fputs("SELECT ", out);
	for (unsigned i = 0; i < stored->count; i++) {
		fprintf(out, "\"%s\", ", stored->names[i]);
	}
	fprintf(out, "rowid FROM \"%s\" WHERE rowid BETWEEN ? AND ? ORDER BY rowid",
	    stored->table);
	rc = fclose(out) != 0 ? err_set(e, -ENOMEM, "not enough memory")
			      : statement_new(from, sql, &m->read, e);
	free(sql);
	return rc < 0 ? rc
		      : database_load_append(to,
			    &(struct database_columns){
				stored->table, stored->names, stored->count},
			    &m->load, e);
}

static int
start(struct merge *m, const struct compact_runs *runs, struct err *e)
{
	size_t count = runs->count;
	size_t row = m->stored.count * sizeof(struct value) + ROW_BYTES;
	size_t chunk = MEMORY / row / count;
	int rc = 0;

	chunk = chunk < 1 ? 1 : chunk > CHUNK_MOST ? CHUNK_MOST : chunk;
	m->runs = calloc(count, sizeof *m->runs);
	m->heap = calloc(count, sizeof *m->heap);
	if (m->runs == NULL || m->heap == NULL ||
	    rows_new(&m->out, m->stored.count, BATCH, OUT_BYTES) < 0) {
		return err_set(
		    e, -ENOMEM, "not enough memory to merge %zu runs", count);
	}
	m->run_count = count;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		struct cursor_run *run = &m->runs[i];
		run->next = runs->items[i].first;
		run->last = runs->items[i].last;
		if (rows_new(&run->rows, m->stored.count, (unsigned)chunk,
			MEMORY / count) < 0) {
			return err_set(
			    e, -ENOMEM, "not enough memory to merge %zu runs", count);
		}
		rc = fill(m, run, e);
		if (run->rows.count > 0) {
			m->heap[m->heap_count++] = i;
		} else {
			rows_done(&run->rows);
		}
	}
	for (size_t i = m->heap_count / 2; rc == 0 && i-- > 0;) {
		sift_down(m, i);
	}
	return rc;
}

int
compact_merge(const struct table *t, const struct compact_runs *runs,
    struct database *from, struct database *to, struct err *e)
{
	struct merge m = {.table = t};
	int rc = prepare(&m, from, to, e);

	if (rc == 0) {
		rc = start(&m, runs, e);
	}
	while (rc == 0 && m.heap_count > 0) {
		rc = take_least(&m, e);
		if (rc == 0) {
			rc = advance(&m, e);
		}
	}
	if (rc == 0) {
		rc = append(&m, e);
	}
	if (rc == 0) {
		rc = database_load_finish(m.load, e);
	}
	database_load_free(m.load);
	statement_free(m.read);
	for (size_t i = 0; i < m.run_count; i++) {
		rows_done(&m.runs[i].rows);
	}
	rows_done(&m.out);
	free(m.runs);
	free(m.heap);
	return rc;
}
