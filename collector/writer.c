#include "collector/writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ddl.h"
#include "common/clock.h"
#include "common/cursor.h"

#define AHEAD 16 /* rows whose entries are fetched before they are needed */

/* How one stored column is read out of an entry. */
struct column {
	const struct table_column *column;
	char name[96]; /* as stored */
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
	struct column columns[SCHEMA_MAX_COLUMNS];
	unsigned column_count;
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
give_address(struct column *o, const uint8_t *bytes, struct database_value *v)
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
give_mac(struct column *o, uint64_t mac, struct database_value *v)
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
give_key(const struct writer *w, struct column *o, const uint8_t *entry,
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
give_plain(const struct writer *w, struct column *o, const uint8_t *p,
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
give_state(const struct writer *w, struct column *o, const uint8_t *p,
    struct database_value *v)
{
	struct database_value value = {.type = DATABASE_NULL};
	struct column inner = {.column = o->column};
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
	struct column *o = &w->columns[i];
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

/* Upsert tables are merged into, row by row; the others grow at their end. */
static int
upsert(struct writer *w, struct database *d, const struct database_rows *rows,
    struct err *e)
{
	char *sql = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&sql, &length);
	int rc;

	if (out == NULL) {
		return err_set(e, -ENOMEM, "no memory");
	}
	ddl_upsert(w->table, out);
	if (fclose(out) != 0) {
		free(sql);
		return err_set(e, -ENOMEM, "no memory");
	}
	rc = database_insert_rows(d, sql, rows, e);
	free(sql);
	return rc;
}

int
writer_write(struct writer *w, struct database *d, struct err *e)
{
	struct database_rows rows = {.count = w->count,
	    .columns = w->column_count,
	    .column = give_column,
	    .data = w};
	const char *names[SCHEMA_MAX_COLUMNS];
	char stored[80];

	if (w->table->schema->storage == STORAGE_UPSERT) {
		return upsert(w, d, &rows, e);
	}
	for (unsigned i = 0; i < w->column_count; i++) {
		names[i] = w->columns[i].name;
	}
	ddl_stored_name(w->table, stored);
	return database_append_rows(d, stored, names, &rows, e);
}

struct writer *
writer_new(const struct table *table, const struct intern *intern,
    const uint32_t *order, size_t count)
{
	struct writer *w = calloc(1, sizeof *w);

	if (w == NULL) {
		return NULL;
	}
	w->table = table;
	w->intern = intern;
	w->order = order;
	w->count = count;
	for (unsigned i = 0; i < table->column_count; i++) {
		if (ddl_is_stored(&table->columns[i])) {
			struct column *c = &w->columns[w->column_count++];
			c->column = &table->columns[i];
			ddl_column_name(c->column, c->name);
		}
	}
	return w;
}

void
writer_free(struct writer *w)
{
	free(w);
}
