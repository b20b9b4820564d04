#include "collector/store/store_rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/ddl.h"
#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/sqlite/database_load.h"

#define AHEAD 16 /* rows whose entries are fetched before they are needed */

/* How a value lies in an entry and what is stored of it. */
enum form {
	FORM_VALUE,
	FORM_VALUE_REAL,
	FORM_VALUE_ORDERED, /* a real that minimize or maximize keeps as an integer */
	FORM_VALUE_MAC,
	FORM_VALUE_TEXT,
	FORM_ADDRESS,
	FORM_STATE,
	FORM_KEY, /* a number of column.width bytes, big-endian */
	FORM_KEY_1,
	FORM_KEY_2,
	FORM_KEY_4,
	FORM_KEY_SIGNED,
	FORM_KEY_REAL,
	FORM_KEY_MAC,
	FORM_KEY_TEXT,
	FORM_KEY_DATE,
	FORM_NULL,
	FORM_EMPTY, /* NULL, in a key of an upsert table: in SQL it cannot be NULL */
};

/* One stored column, compiled: everything about it that is the same for all rows. */
struct form_column {
	enum form form;
	unsigned offset, width;
	/* The bit that tells NULL: 1 does for keys, 0 for values. */
	unsigned null_at, null_bit, null_when;
	enum form when_null;
	const struct table_column *column;
};

/* A table's rows as one of its databases has them. */
struct writer {
	const struct table *table;
	const struct intern *intern;
	struct form_column columns[RECORD_COLUMNS];
	unsigned column_count;
	/* The columns' forms in rows that have the same NULLs as this header. */
	uint8_t forms[RECORD_COLUMNS];
	uint8_t header[REDUCE_MAX_HEADER];
};

static void
put_address(
    const struct form_column *o, const uint8_t *bytes, struct database_record *r)
{
	const struct table_column *c = o->column;
	char *text = record_room(r);
	struct address a;
	size_t n;

	memcpy(a.bytes, bytes, 16);
	n = address_format(&a, text);
	if (c->kind == TABLE_PREFIX) {
		n += (size_t)sprintf(
		    text + n, "/%u", address_is_ipv4(&a) ? c->ipv4_bits : c->ipv6_bits);
	}
	record_text_written(r, n);
}

static size_t
format_mac(uint64_t mac, char *out)
{
	return (size_t)sprintf(out, "%02x:%02x:%02x:%02x:%02x:%02x",
	    (unsigned)(mac >> 40 & 255), (unsigned)(mac >> 32 & 255),
	    (unsigned)(mac >> 24 & 255), (unsigned)(mac >> 16 & 255),
	    (unsigned)(mac >> 8 & 255), (unsigned)(mac & 255));
}

static void
put_mac(uint64_t mac, struct database_record *r)
{
	record_text_written(r, format_mac(mac, record_room(r)));
}

static void
put_interned(const struct writer *w, uint32_t id, struct database_record *r)
{
	size_t length = 0;
	const char *text = intern_text(w->intern, id, &length);

	record_text(r, text, length);
}

static void
put_date(uint32_t day, struct database_record *r)
{
	char text[16];

	clock_format_day(day, text);
	record_text(r, text, 10);
}

static double
real_of(int64_t bits)
{
	double v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

/* The state of firstWriteWins and lastWriteWins as a text that sorts by (start, place)
 * and ends with the value: min() and max() merge it. */
static void
put_state(const struct writer *w, const struct table_column *c, const uint8_t *p,
    struct database_record *r)
{
	char text[TABLE_STATE_PREFIX + INTERN_LONG_MAX + 64];
	struct reduce_timed timed;
	struct address a;
	const char *interned;
	size_t length = 0;
	int n;

	memcpy(&timed, p, sizeof timed);
	n = sprintf(text, "%016llx%016llx", (unsigned long long)timed.start,
	    (unsigned long long)timed.place);
	switch (c->kind) {
	case TABLE_ADDRESS:
		memcpy(a.bytes, timed.value, sizeof a.bytes);
		n += (int)address_format(&a, text + n);
		break;
	case TABLE_TEXT:
		interned = intern_text(w->intern, (uint32_t)timed.value[0], &length);
		memcpy(text + n, interned, length);
		n += (int)length;
		break;
	case TABLE_REAL:
		n += sprintf(text + n, "%.17g", real_of(timed.value[0]));
		break;
	case TABLE_MAC:
		n += (int)format_mac((uint64_t)timed.value[0], text + n);
		break;
	default:
		n += sprintf(text + n, "%lld", (long long)timed.value[0]);
	}
	record_text(r, text, (size_t)n);
}

/* A value at p that is not an integer. */
static void
put_value(const struct writer *w, const struct form_column *o, enum form form,
    const uint8_t *p, struct database_record *r)
{
	int64_t n;

	switch (form) {
	case FORM_VALUE_REAL:
		memcpy(&n, p, sizeof n);
		record_real(r, real_of(n));
		break;
	case FORM_VALUE_ORDERED:
		memcpy(&n, p, sizeof n);
		record_real(r, real_of(layout_order_real(n)));
		break;
	case FORM_VALUE_MAC:
		memcpy(&n, p, sizeof n);
		put_mac((uint64_t)n, r);
		break;
	case FORM_VALUE_TEXT:
		memcpy(&n, p, sizeof n);
		put_interned(w, (uint32_t)n, r);
		break;
	case FORM_ADDRESS:
		put_address(o, p, r);
		break;
	case FORM_STATE:
		put_state(w, o->column, p, r);
		break;
	case FORM_KEY_REAL:
		n = (int64_t)(load_uint(p, o->width) ^ (uint64_t)INT64_MIN);
		record_real(r, real_of(layout_order_real(n)));
		break;
	case FORM_KEY_MAC:
		put_mac(load_uint(p, o->width), r);
		break;
	case FORM_KEY_TEXT:
		put_interned(w, load_u32(p), r);
		break;
	case FORM_KEY_DATE:
		put_date(load_u32(p), r);
		break;
	case FORM_EMPTY:
		record_text(r, "", 0);
		break;
	default:
		record_null(r);
	}
}

/* Most rows have the same NULLs as the one before. */
static void
choose_forms(struct writer *w, const uint8_t *entry)
{
	memcpy(w->header, entry, w->table->shape.header);
	for (unsigned i = 0; i < w->column_count; i++) {
		const struct form_column *o = &w->columns[i];
		bool is_null = (entry[o->null_at] >> o->null_bit & 1u) == o->null_when;
		w->forms[i] = (uint8_t)(is_null ? o->when_null : o->form);
	}
}

/* The row of an entry.  Most columns are integers. */
static void
put_entry(const struct writer *w, const uint8_t *entry, struct database_record *r)
{
	struct record_end end = record_end(r);
	int64_t n;

	for (unsigned i = 0; i < w->column_count; i++) {
		const struct form_column *o = &w->columns[i];
		const uint8_t *p = entry + o->offset;
		switch ((enum form)w->forms[i]) {
		case FORM_VALUE:
			memcpy(&n, p, sizeof n);
			break;
		case FORM_KEY:
			n = (int64_t)load_uint(p, o->width);
			break;
		case FORM_KEY_1:
			n = *p;
			break;
		case FORM_KEY_2:
			n = load_u16(p);
			break;
		case FORM_KEY_4:
			n = load_u32(p);
			break;
		case FORM_KEY_SIGNED:
			n = (int64_t)(load_u64(p) ^ (uint64_t)INT64_MIN);
			break;
		default:
			record_end_at(r, end);
			put_value(w, o, w->forms[i], p, r);
			end = record_end(r);
			continue;
		}
		end = record_integer_at(end, n);
	}
	record_end_at(r, end);
}

static enum form
form_of(const struct table_column *c)
{
	bool is_key = c->role == ROLE_KEY;

	if (ddl_is_state(c)) {
		return FORM_STATE;
	}
	switch (c->kind) {
	case TABLE_ADDRESS:
	case TABLE_PREFIX:
		return FORM_ADDRESS;
	case TABLE_DATE:
		return is_key ? FORM_KEY_DATE : FORM_VALUE;
	case TABLE_TEXT:
		return is_key ? FORM_KEY_TEXT : FORM_VALUE_TEXT;
	case TABLE_MAC:
		return is_key ? FORM_KEY_MAC : FORM_VALUE_MAC;
	case TABLE_REAL:
		return is_key ? FORM_KEY_REAL
		       : c->role == ROLE_MINIMIZE || c->role == ROLE_MAXIMIZE
			   ? FORM_VALUE_ORDERED
			   : FORM_VALUE_REAL;
	default:
		return !is_key         ? FORM_VALUE
		       : c->is_signed  ? FORM_KEY_SIGNED
		       : c->width == 1 ? FORM_KEY_1
		       : c->width == 2 ? FORM_KEY_2
		       : c->width == 4 ? FORM_KEY_4
				       : FORM_KEY;
	}
}

static void
compile_column(
    const struct table *t, const struct table_column *c, struct form_column *o)
{
	bool is_key = c->role == ROLE_KEY;

	*o = (struct form_column){.form = form_of(c),
	    .offset = c->offset,
	    .width = c->width,
	    .null_at =
		(is_key ? t->null_offset : t->shape.header - t->shape.mask_bytes) +
		c->bit / 8,
	    .null_bit = c->bit % 8,
	    .null_when = is_key,
	    .when_null =
		is_key && t->schema->storage == STORAGE_UPSERT ? FORM_EMPTY : FORM_NULL,
	    .column = c};
}

/* Upsert tables are merged into, row by row. */
static int
open_upsert(const struct table *t, struct database *d, unsigned count,
    struct database_load **ret, struct err *e)
{
	char *sql = ddl_text(t, ddl_upsert);
	int rc = sql == NULL ? err_set(e, -ENOMEM, "not enough memory")
			     : database_load_sql(d, sql, count, ret, e);

	free(sql);
	return rc;
}

static int
compile(struct writer *w, struct database *d, struct database_load **ret, struct err *e)
{
	/* The table has a column that the schema does not: a bit beyond a byte is 0. */
	static const struct form_column always_null = {
	    .null_bit = 8, .when_null = FORM_NULL};
	const struct table *t = w->table;
	struct ddl_stored stored;
	int rc;

	ddl_stored(t, &stored);
	rc = t->schema->storage == STORAGE_UPSERT
		 ? open_upsert(t, d, stored.count, ret, e)
		 : database_load_append(d,
		       &(struct database_columns){
			   stored.table, stored.names, stored.count},
		       ret, e);
	if (rc < 0) {
		return rc;
	}
	w->column_count = database_load_columns(*ret);
	for (unsigned i = 0; i < w->column_count; i++) {
		int from = database_load_order(*ret, i);
		if (from >= 0) {
			compile_column(t, stored.columns[from], &w->columns[i]);
		} else {
			w->columns[i] = always_null;
		}
	}
	return 0;
}

int
store_rows_write(const struct store_rows *rows, struct database *d, struct err *e)
{
	const struct table *t = rows->table;
	const uint32_t *order = rows->order;
	size_t count = rows->count;
	struct writer w = {.table = t, .intern = rows->intern};
	struct database_load *load = NULL;
	int rc = compile(&w, d, &load, e);

	for (size_t i = 0; rc == 0 && i < count; i++) {
		const uint8_t *entry = reduce_entry(t->reduce, order[i]);
		if (i + AHEAD < count) {
			const uint8_t *next = reduce_entry(t->reduce, order[i + AHEAD]);
			for (size_t k = 0; k < t->shape.entry; k += 64) {
				__builtin_prefetch(next + k);
			}
		}
		if (i == 0 || !table_same_nulls(t, entry, w.header)) {
			choose_forms(&w, entry);
		}
		put_entry(&w, entry, database_load_record(load));
		rc = database_load_row(load, e);
	}
	if (rc == 0) {
		rc = database_load_finish(load, e);
	}
	database_load_free(load);
	return rc;
}
