#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ddl.h"
#include "collector/store_state.h"
#include "collector/tables.h"
#include "common/clock.h"
#include "common/cursor.h"

#define AHEAD 8 /* rows whose entries are fetched before they are needed */

/* How one stored column is read out of an entry. */
struct output {
	const struct table_column *column;
	char text[ADDRESS_TEXT + 8 + DDL_STATE_PREFIX + 2 * INTERN_MAX];
	size_t length;
	uint8_t last[16]; /* the address that `text` is of */
	bool has_last;
};

/* Entries order[0..count) of a table as rows for SQLite. */
struct writer {
	const struct table *table;
	const struct intern *intern;
	const uint32_t *order;
	size_t count;
	struct output outputs[SCHEMA_MAX_COLUMNS];
	unsigned output_count;
};

static void
give_text(struct database_value *v, const char *text, size_t length)
{
	v->type = DATABASE_TEXT;
	v->text = text;
	v->length = length;
}

static void
give_integer(struct database_value *v, int64_t n)
{
	v->type = DATABASE_INTEGER;
	v->integer = n;
}

static void
give_real(struct database_value *v, int64_t bits)
{
	v->type = DATABASE_REAL;
	memcpy(&v->real, &bits, sizeof v->real);
}

/* Rows come sorted, so an address often is the one of the row before. */
static void
give_address(struct output *o, const uint8_t *bytes, struct database_value *v)
{
	const struct table_column *c = o->column;
	struct address a;

	if (!o->has_last || memcmp(o->last, bytes, 16) != 0) {
		memcpy(a.bytes, bytes, 16);
		o->length = address_format(&a, o->text);
		if (c->kind == TABLE_PREFIX) {
			o->length += (size_t)sprintf(o->text + o->length, "/%u",
			    address_is_ipv4(&a) ? c->ipv4_bits : c->ipv6_bits);
		}
		memcpy(o->last, bytes, 16);
		o->has_last = true;
	}
	give_text(v, o->text, o->length);
}

static void
give_mac(struct output *o, uint64_t mac, struct database_value *v)
{
	o->length = (size_t)sprintf(o->text, "%02x:%02x:%02x:%02x:%02x:%02x",
	    (unsigned)(mac >> 40 & 255), (unsigned)(mac >> 32 & 255),
	    (unsigned)(mac >> 24 & 255), (unsigned)(mac >> 16 & 255),
	    (unsigned)(mac >> 8 & 255), (unsigned)(mac & 255));
	give_text(v, o->text, o->length);
}

static void
give_interned(const struct writer *w, uint32_t id, struct database_value *v)
{
	size_t length = 0;
	const char *text = intern_text(w->intern, id, &length);
	give_text(v, text, length);
}

static void
give_key(const struct writer *w, struct output *o, const uint8_t *entry,
    struct database_value *v)
{
	const struct table_column *c = o->column;
	const uint8_t *p = entry + c->offset;
	uint64_t n;

	if ((entry[w->table->null_offset + c->bit / 8] >> c->bit % 8 & 1) != 0) {
		/* SQL keys cannot be NULL: an upsert key has an empty text there. */
		if (w->table->schema->storage == STORAGE_UPSERT) {
			give_text(v, "", 0);
		} else {
			v->type = DATABASE_NULL;
		}
		return;
	}
	switch (c->kind) {
	case TABLE_ADDRESS:
	case TABLE_PREFIX:
		give_address(o, p, v);
		return;
	case TABLE_TEXT:
		give_interned(w, load_u32(p), v);
		return;
	case TABLE_DATE:
		clock_format_day(load_u32(p), o->text);
		give_text(v, o->text, 10);
		return;
	default:
		break;
	}
	n = c->width == 1   ? *p
	    : c->width == 2 ? load_u16(p)
	    : c->width == 8 ? load_u64(p)
			    : load_uint(p, c->width);
	if (c->kind == TABLE_MAC) {
		give_mac(o, n, v);
	} else if (c->kind == TABLE_REAL) {
		give_real(v, reduce_order_real((int64_t)(n ^ (uint64_t)INT64_MIN)));
	} else {
		give_integer(v, (int64_t)(c->is_signed ? n ^ (uint64_t)INT64_MIN : n));
	}
}

/* A value by itself, as columns of storage append and inside states have it. */
static void
give_plain(const struct writer *w, struct output *o, const uint8_t *p,
    struct database_value *v)
{
	int64_t n;

	memcpy(&n, p, sizeof n);
	switch (o->column->kind) {
	case TABLE_ADDRESS:
		give_address(o, p, v);
		break;
	case TABLE_TEXT:
		give_interned(w, (uint32_t)n, v);
		break;
	case TABLE_REAL:
		give_real(v, n);
		break;
	case TABLE_MAC:
		give_mac(o, (uint64_t)n, v);
		break;
	default:
		give_integer(v, n);
	}
}

/* The state of firstWriteWins and lastWriteWins as a text that sorts by (start, place)
 * and ends with the value: min() and max() merge it. */
static void
give_state(const struct writer *w, struct output *o, const uint8_t *p,
    struct database_value *v)
{
	struct database_value value = {.type = DATABASE_NULL};
	struct output inner = {.column = o->column};
	struct reduce_timed timed;
	int n;

	memcpy(&timed, p, sizeof timed);
	n = sprintf(o->text, "%016llx%016llx", (unsigned long long)timed.start,
	    (unsigned long long)timed.place);
	give_plain(w, &inner, (const uint8_t *)timed.value, &value);
	switch (value.type) {
	case DATABASE_INTEGER:
		n += sprintf(o->text + n, "%lld", (long long)value.integer);
		break;
	case DATABASE_REAL:
		n += sprintf(o->text + n, "%.17g", value.real);
		break;
	case DATABASE_TEXT:
		memcpy(o->text + n, value.text, value.length);
		n += (int)value.length;
		break;
	case DATABASE_NULL:
		break;
	}
	give_text(v, o->text, (size_t)n);
}

static void
give_column(
    const struct database_rows *rows, size_t row, unsigned i, struct database_value *v)
{
	struct writer *w = rows->data;
	const struct table *t = w->table;
	const uint8_t *entry = reduce_entry(t->reduce, w->order[row]);
	struct output *o = &w->outputs[i];
	const struct table_column *c = o->column;
	const uint8_t *mask = entry + t->shape.header - t->shape.mask_bytes;

	if (i == 0 && row + AHEAD < w->count) {
		const uint8_t *next = reduce_entry(t->reduce, w->order[row + AHEAD]);
		for (size_t k = 0; k < t->shape.entry; k += 64) {
			__builtin_prefetch(next + k);
		}
	}
	if (c->role == ROLE_KEY) {
		give_key(w, o, entry, v);
	} else if ((mask[c->bit / 8] >> c->bit % 8 & 1) == 0) {
		v->type = DATABASE_NULL;
	} else if (ddl_is_state(c)) {
		give_state(w, o, entry + c->offset, v);
	} else if (c->kind == TABLE_REAL &&
		   (c->role == ROLE_MINIMIZE || c->role == ROLE_MAXIMIZE)) {
		int64_t n;
		memcpy(&n, entry + c->offset, sizeof n);
		give_real(v, reduce_order_real(n));
	} else {
		give_plain(w, o, entry + c->offset, v);
	}
}

static int
insert(struct writer *w, struct database *d, struct err *e)
{
	struct database_rows rows = {
	    .count = w->count, .column = give_column, .data = w};
	char *sql = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&sql, &length);
	int rc;

	if (out == NULL) {
		return err_set(e, -ENOMEM, "no memory");
	}
	ddl_insert(w->table, out);
	if (fclose(out) != 0) {
		free(sql);
		return err_set(e, -ENOMEM, "no memory");
	}
	for (unsigned i = 0; i < w->table->column_count; i++) {
		if (ddl_is_stored(&w->table->columns[i])) {
			w->outputs[rows.columns++].column = &w->table->columns[i];
		}
	}
	rc = database_insert_rows(d, sql, &rows, e);
	free(sql);
	return rc;
}

static struct writer *
writer_new(const struct tables *t, const struct table *table, const uint32_t *order,
    size_t count)
{
	struct writer *w = calloc(1, sizeof *w);

	if (w != NULL) {
		w->table = table;
		w->intern = t->intern;
		w->order = order;
		w->count = count;
	}
	return w;
}

/* The rowids of the run that was just appended. */
static int
write_extent(const struct table *t, struct database *d, struct err *e)
{
	const char *name = t->schema->name;

	return database_exec(d, e,
	    "INSERT INTO \"%s_extent\" SELECT coalesce((SELECT max(last) FROM "
	    "\"%s_extent\"), 0) + 1, max(rowid) FROM \"%s_runs\"",
	    name, name, name);
}

static int
write_day(struct writer *w, struct database *d, const struct source_id *source,
    uint64_t position, struct err *e)
{
	int rc = database_exec_text(d, "BEGIN IMMEDIATE", e);

	if (rc < 0) {
		return rc;
	}
	rc = insert(w, d, e);
	if (rc == 0 && w->table->schema->storage == STORAGE_RUNS) {
		rc = write_extent(w->table, d, e);
	}
	if (rc == 0) {
		rc = store_set_position(d, source, position, e);
	}
	if (rc == 0) {
		rc = database_exec_text(d, "COMMIT", e);
	}
	if (rc < 0) {
		database_exec_text(d, "ROLLBACK", NULL);
	}
	return rc;
}

/* One flush: what is being written and where to. */
struct flush {
	struct tables *tables;
	struct store *store;
	const struct source_id *source;
	uint64_t position;
	uint64_t rows;
	/* Day files that have the position now: for the catalog. */
	char (*files)[128];
	size_t file_count, file_capacity;
};

static int
note_file(struct flush *f, const char *file, struct err *e)
{
	if (f->file_count == f->file_capacity) {
		size_t n = f->file_capacity * 2 + 16;
		void *p = reallocarray(f->files, n, sizeof *f->files);
		if (p == NULL) {
			return err_set(e, -ENOMEM, "no memory");
		}
		f->files = p;
		f->file_capacity = n;
	}
	snprintf(f->files[f->file_count++], sizeof *f->files, "%s", file);
	return 0;
}

/* Writes one day's rows of a table, unless an earlier try already has. */
static int
flush_day(struct flush *f, const struct table *t, int64_t day, const uint32_t *order,
    size_t count, struct err *e)
{
	struct database *d = NULL;
	struct writer *w = NULL;
	uint64_t stored = 0;
	char file[128];
	int rc;

	store_partition_file(t, day, file);
	rc = store_partition(f->store, t, file, &d, e);
	if (rc == 0) {
		rc = store_position(d, "flowpair_progress", f->source, &stored, e);
	}
	if (rc == 0 && stored > f->position) {
		rc = err_set(e, -ESTALE,
		    "%s/%s: holds more (up to %llu) than is to be written (%llu)",
		    f->store->directory, file, (unsigned long long)stored,
		    (unsigned long long)f->position);
	}
	if (rc == 0 && stored < f->position) {
		w = writer_new(f->tables, t, order, count);
		rc = w == NULL ? err_set(e, -ENOMEM, "no memory")
			       : write_day(w, d, f->source, f->position, e);
		free(w);
		if (rc == 0) {
			f->rows += count;
			database_checkpoint(d);
		}
	}
	return rc < 0 ? rc : note_file(f, file, e);
}

/* Where the stretch of the day that begins at `begin` ends: sorted entries begin with
 * their day. */
static uint64_t
end_of_day(const struct table *t, const uint32_t *order, uint64_t begin, uint64_t count)
{
	int64_t day = table_day(t, reduce_entry(t->reduce, order[begin]));
	uint64_t low = begin + 1, high = count;

	if (table_day(t, reduce_entry(t->reduce, order[count - 1])) == day) {
		return count;
	}
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (table_day(t, reduce_entry(t->reduce, order[middle])) == day) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

static int
flush_days(struct flush *f, const struct table *t, struct err *e)
{
	uint64_t count = reduce_count(t->reduce);
	uint32_t *order = NULL;
	uint64_t begin = 0;
	int rc;

	if (count == 0) {
		return 0;
	}
	rc = reduce_sort(t->reduce, f->tables->intern, &order);
	if (rc < 0) {
		return err_set(
		    e, rc, "no memory to sort %llu rows", (unsigned long long)count);
	}
	while (rc == 0 && begin < count) {
		int64_t day = table_day(t, reduce_entry(t->reduce, order[begin]));
		uint64_t end = end_of_day(t, order, begin, count);
		rc = flush_day(f, t, day, order + begin, end - begin, e);
		begin = end;
	}
	free(order);
	return rc;
}

static int
flush_upsert(struct flush *f, const struct table *t, struct err *e)
{
	uint64_t count = reduce_count(t->reduce);
	struct writer *w = NULL;
	uint32_t *order = NULL;
	int rc;

	if (count == 0) {
		return 0;
	}
	rc = reduce_sort(t->reduce, f->tables->intern, &order);
	if (rc == 0) {
		w = writer_new(f->tables, t, order, count);
		rc = w == NULL ? -ENOMEM : 0;
	}
	rc = rc < 0 ? err_set(e, rc, "no memory to write %llu rows",
			  (unsigned long long)count)
		    : insert(w, f->store->main, e);
	free(w);
	free(order);
	f->rows += rc == 0 ? count : 0;
	return rc;
}

static int
write_catalog(struct flush *f, bool finished, struct err *e)
{
	struct database *d = f->store->main;
	struct statement *s = NULL;
	int rc = statement_new(d,
	    "INSERT INTO flowpair_sources(source, position, finished) VALUES (?, ?, ?) "
	    "ON CONFLICT(source) DO UPDATE SET position = excluded.position, finished "
	    "= "
	    "max(finished, excluded.finished)",
	    &s, e);

	if (rc < 0) {
		return rc;
	}
	statement_bind_text(s, 1, f->source->text);
	statement_bind_i64(s, 2, (int64_t)f->position);
	statement_bind_i64(s, 3, finished);
	rc = statement_step(s, e);
	statement_free(s);
	s = NULL;
	if (rc == 0) {
		rc = store_set_position(d, f->source, f->position, e);
	}
	if (rc == 0) {
		rc = statement_new(d,
		    "INSERT OR REPLACE INTO flowpair_partitions VALUES (?, ?, ?)", &s,
		    e);
	}
	for (size_t i = 0; rc == 0 && i < f->file_count; i++) {
		statement_reset(s);
		statement_bind_text(s, 1, f->files[i]);
		statement_bind_text(s, 2, f->source->text);
		statement_bind_i64(s, 3, (int64_t)f->position);
		rc = statement_step(s, e);
	}
	statement_free(s);
	return rc;
}

/* The main file comes last, in one transaction with the catalog: what it says is done
 * has been done everywhere. */
static int
flush_main(struct flush *f, bool finished, struct err *e)
{
	struct tables *t = f->tables;
	struct database *d = f->store->main;
	uint64_t stored = 0;
	int rc = database_exec_text(d, "BEGIN IMMEDIATE", e);

	if (rc < 0) {
		return rc;
	}
	rc = store_position(d, "flowpair_progress", f->source, &stored, e);
	if (rc == 0 && stored > f->position) {
		rc = err_set(e, -ESTALE,
		    "%s/%s: holds more (up to %llu) than is to be written (%llu)",
		    f->store->directory, STORE_MAIN_FILE, (unsigned long long)stored,
		    (unsigned long long)f->position);
	}
	for (unsigned i = 0; rc == 0 && i < t->table_count; i++) {
		if (t->tables[i]->schema->partition == PARTITION_NONE) {
			rc = flush_upsert(f, t->tables[i], e);
		}
	}
	if (rc == 0) {
		rc = write_catalog(f, finished, e);
	}
	if (rc == 0) {
		rc = database_exec_text(d, "COMMIT", e);
	}
	if (rc < 0) {
		database_exec_text(d, "ROLLBACK", NULL);
		return rc;
	}
	database_checkpoint(d);
	return 0;
}

static void
derive_tables(struct tables *t)
{
	for (unsigned i = 0; i < t->table_count; i++) {
		for (unsigned k = 0; t->derives[i] != NULL && k < t->source_count;
		     k++) {
			if (t->sources[k].layout == t->tables[i]->layout) {
				derive_run(t->tables[i], t->derives[i],
				    &t->sources[k].derived);
			}
		}
	}
}

static void
clear_tables(struct tables *t)
{
	for (unsigned i = 0; i < t->table_count; i++) {
		reduce_clear(t->tables[i]->reduce);
		if (t->derives[i] != NULL) {
			derive_written(t->tables[i], t->derives[i]);
		}
	}
	intern_clear(t->intern);
}

int
tables_flush(struct tables *t, struct store *s, const struct source_id *source,
    uint64_t position, bool finished, struct err *e)
{
	struct flush f = {
	    .tables = t, .store = s, .source = source, .position = position};
	int rc = 0;

	derive_tables(t);
	for (unsigned i = 0; rc == 0 && i < t->table_count; i++) {
		if (t->tables[i]->schema->partition == PARTITION_DAY) {
			rc = flush_days(&f, t->tables[i], e);
		}
	}
	if (rc == 0) {
		rc = flush_main(&f, finished, e);
	}
	free(f.files);
	if (rc < 0) {
		return rc;
	}
	clear_tables(t);
	t->counts.flushes++;
	t->counts.rows_written += f.rows;
	return 0;
}
