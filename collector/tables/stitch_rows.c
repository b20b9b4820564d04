/* What waits, as bytes and with its texts.
 *   chunk  u16 fields, then of each: kind, source (a byte each), name, side
 *          rows up to the end
 *   row    u64 arrival, filed, place, domain; the exporter's name; u16 fields that are
 *          not NULL, then of each: u16 number in the chunk's list, value
 *   value  an address 16 bytes, a text u16 length and bytes, anything else 8 bytes
 * Fields go by what they are, not by their place: a layout may have others tomorrow. */
#include <errno.h>
#include <string.h>

#include "collector/tables/stitch_private.h"
#include "common/base/cursor.h"

#define CHUNK     262144u /* at least, if a row has no more */
#define ROW_HEAD  (4 * 8 + 2 + INTERN_MAX + 2)
#define NAME_MOST 255u
#define LIST_MOST (2u + LAYOUT_MAX_FIELDS * (6u + 2u * NAME_MOST))

/* Of a row at most. */
static size_t
row_most(const struct layout *l)
{
	size_t n = ROW_HEAD;

	for (unsigned i = 0; i < l->count; i++) {
		const struct layout_field *f = &l->fields[i];
		n += 2 + (f->is_list                ? 2u + INTERN_LONG_MAX
			     : f->kind == KIND_TEXT ? 2u + INTERN_MAX
						    : stitch_width(f));
	}
	return n;
}

size_t
stitch_rows_room(const struct stitch *s)
{
	size_t n = LIST_MOST + row_most(s->layout);

	return n > CHUNK ? n : CHUNK;
}

static void
put_text(struct write_cursor *out, const char *text, size_t length)
{
	cursor_put_u16(out, (uint16_t)length);
	cursor_put_bytes(out, text, length);
}

static void
put_fields(const struct layout *l, struct write_cursor *out)
{
	cursor_put_u16(out, (uint16_t)l->count);
	for (unsigned i = 0; i < l->count; i++) {
		const struct layout_field *f = &l->fields[i];
		cursor_put_u8(out, (uint8_t)f->kind);
		cursor_put_u8(out, (uint8_t)f->source);
		put_text(out, f->name, strnlen(f->name, NAME_MOST));
		put_text(out, f->side, strnlen(f->side, NAME_MOST));
	}
}

static void
put_value(const struct layout *l, const struct stitch_waiting *w, unsigned field,
    const struct intern *texts, struct write_cursor *out)
{
	const struct layout_field *f = &l->fields[field];
	int64_t n;

	if (f->kind == KIND_ADDRESS) {
		cursor_put_bytes(
		    out, w->row + f->offset / BATCH_ROWS, sizeof(struct address));
		return;
	}
	n = stitch_number(l, w->row, (int)field);
	if (f->kind == KIND_TEXT) {
		size_t length;
		const char *text = intern_text(texts, (uint32_t)n, &length);
		put_text(out, text, length);
	} else {
		cursor_put_u64(out, (uint64_t)n);
	}
}

static void
put_row(const struct layout *l, const struct stitch_waiting *w,
    const struct intern *texts, struct write_cursor *out)
{
	uint16_t n = 0;
	size_t length;
	const char *name = intern_text(texts, (uint32_t)w->key.exporter, &length);

	cursor_put_u64(out, w->arrival);
	cursor_put_u64(out, (uint64_t)w->filed);
	cursor_put_u64(out, (uint64_t)w->place);
	cursor_put_u64(out, (uint64_t)w->key.domain);
	put_text(out, name, length);
	for (unsigned i = 0; i < l->count; i++) {
		n += !nulls_has(&w->nulls, (int)i);
	}
	cursor_put_u16(out, n);
	for (unsigned i = 0; i < l->count; i++) {
		if (!nulls_has(&w->nulls, (int)i)) {
			cursor_put_u16(out, (uint16_t)i);
			put_value(l, w, i, texts, out);
		}
	}
}

unsigned
stitch_write_rows(const struct stitch *s, const struct intern *texts, uint64_t *next,
    struct write_cursor *out)
{
	size_t most = row_most(s->layout);
	uint32_t i = *next == 0 ? s->oldest : (uint32_t)(*next - 1);
	unsigned rows = 0;

	put_fields(s->layout, out);
	for (; i != STITCH_NONE && out->capacity - cursor_written(out) >= most;
	     i = stitch_at(s, i)->newer) {
		put_row(s->layout, stitch_at(s, i), texts, out);
		rows++;
	}
	*next = (uint64_t)i + 1;
	return rows;
}

/* A field of a chunk, and what it is here. */
struct stored_field {
	enum layout_kind kind;
	unsigned source;
	struct cursor name, side;
	int field; /* -1: nothing */
};

struct stored_fields {
	struct stored_field items[LAYOUT_MAX_FIELDS];
	unsigned count;
};

static bool
is_text(struct cursor c, const char *text)
{
	return strnlen(text, NAME_MOST) == cursor_left(&c) &&
	       memcmp(text, c.at, cursor_left(&c)) == 0;
}

static bool
is_same(const struct layout_field *f, const struct stored_field *s)
{
	return f->kind == s->kind && f->source == s->source &&
	       is_text(s->name, f->name) && is_text(s->side, f->side);
}

/* Mostly nothing has changed: first at its old place. */
static int
find_field(const struct layout *l, unsigned place, const struct stored_field *s)
{
	if (place < l->count && is_same(&l->fields[place], s)) {
		return (int)place;
	}
	for (unsigned i = 0; i < l->count; i++) {
		if (is_same(&l->fields[i], s)) {
			return (int)i;
		}
	}
	return -1;
}

static void
read_fields(const struct layout *l, struct cursor *in, struct stored_fields *ret)
{
	unsigned count = cursor_u16(in);

	ret->count = 0;
	if (count > LAYOUT_MAX_FIELDS) {
		in->failed = true;
	}
	while (!in->failed && ret->count < count) {
		struct stored_field *f = &ret->items[ret->count];
		f->kind = (enum layout_kind)cursor_u8(in);
		f->source = cursor_u8(in);
		f->name = cursor_sub(in, cursor_u16(in));
		f->side = cursor_sub(in, cursor_u16(in));
		f->field = in->failed ? -1 : find_field(l, ret->count, f);
		ret->count++;
	}
}

/* Of a field's texts at most. */
static size_t
text_most(const struct layout_field *f)
{
	return f->is_list ? f->text_bytes : INTERN_MAX;
}

static void
read_value(const struct layout *l, const struct stored_field *f, struct cursor *in,
    struct intern *texts, struct stitch_waiting *w)
{
	const uint8_t *address = NULL;
	struct cursor text = {.at = NULL};
	int64_t n = 0;

	if (f->kind == KIND_ADDRESS) {
		address = cursor_take(in, sizeof(struct address));
	} else if (f->kind == KIND_TEXT) {
		text = cursor_sub(in, cursor_u16(in));
	} else {
		n = (int64_t)cursor_u64(in);
	}
	/* A text that has no room any more, and that nobody could cut, is NULL. */
	if (in->failed || f->field < 0 ||
	    cursor_left(&text) > text_most(&l->fields[f->field])) {
		return;
	}
	if (f->kind == KIND_TEXT) {
		n = intern_add_long(texts, text.at, cursor_left(&text));
		in->failed = n == INTERN_NONE;
	}
	w->nulls.words[f->field / 64] &= ~((uint64_t)1 << (f->field % 64));
	if (address != NULL) {
		memcpy(w->row + l->fields[f->field].offset / BATCH_ROWS, address,
		    sizeof(struct address));
	} else {
		stitch_set_number(l, w->row, f->field, n);
	}
}

/* Returns the number of the exporter's name. */
static uint32_t
read_row(const struct layout *l, struct cursor *in, const struct stored_fields *fields,
    struct intern *texts, struct stitch_waiting *w)
{
	struct cursor name;
	uint32_t exporter;
	unsigned count;

	memset(w->row, 0, stitch_row_bytes(l));
	memset(&w->nulls, 0, sizeof w->nulls);
	for (unsigned i = 0; i < l->count; i++) {
		nulls_set(&w->nulls, (int)i);
	}
	w->arrival = cursor_u64(in);
	w->filed = (int64_t)cursor_u64(in);
	w->place = (int64_t)cursor_u64(in);
	w->key.domain = (int64_t)cursor_u64(in);
	name = cursor_sub(in, cursor_u16(in));
	exporter = in->failed ? 0 : intern_add(texts, name.at, cursor_left(&name));
	in->failed |= exporter == INTERN_NONE;
	count = cursor_u16(in);
	for (unsigned i = 0; i < count && !in->failed; i++) {
		unsigned number = cursor_u16(in);
		if (number >= fields->count) {
			in->failed = true;
		} else {
			read_value(l, &fields->items[number], in, texts, w);
		}
	}
	w->start = l->start >= 0 ? stitch_number(l, w->row, l->start) : 0;
	return exporter;
}

int
stitch_read_rows(struct stitch *s, struct intern *texts, const uint8_t *bytes, size_t n)
{
	struct stored_fields fields;
	struct cursor in = cursor_of(bytes, n);
	uint64_t failures = intern_failures(texts);

	read_fields(s->layout, &in, &fields);
	while (!in.failed && cursor_left(&in) > 0) {
		uint32_t exporter, i = stitch_take_entry(s);
		struct stitch_waiting *w = stitch_at(s, i);
		int64_t domain;
		exporter = read_row(s->layout, &in, &fields, texts, w);
		domain = w->key.domain;
		if (in.failed) {
			stitch_give_back(s, i);
		} else if (!stitch_make_key(s, w, &w->key)) {
			stitch_put_alone(s, i);
		} else {
			w->key.exporter = exporter;
			w->key.domain = domain;
			s->counts.rows++;
			stitch_link(s, i);
		}
	}
	stitch_send(s);
	return intern_failures(texts) != failures ? -ENOMEM : in.failed ? -EBADMSG : 0;
}

void
stitch_mark_texts(const struct stitch *s, uint32_t *marks)
{
	const struct layout *l = s->layout;

	for (uint32_t i = s->oldest; i != STITCH_NONE; i = stitch_at(s, i)->newer) {
		const struct stitch_waiting *w = stitch_at(s, i);
		marks[w->key.exporter] = 1;
		for (unsigned k = 0; k < l->count; k++) {
			if (l->fields[k].kind == KIND_TEXT &&
			    !nulls_has(&w->nulls, (int)k)) {
				marks[stitch_number(l, w->row, (int)k)] = 1;
			}
		}
	}
}

void
stitch_renumber_texts(struct stitch *s, const uint32_t *numbers)
{
	const struct layout *l = s->layout;

	for (uint32_t i = s->oldest; i != STITCH_NONE; i = stitch_at(s, i)->newer) {
		struct stitch_waiting *w = stitch_at(s, i);
		w->key.exporter = numbers[w->key.exporter];
		for (unsigned k = 0; k < l->count; k++) {
			if (l->fields[k].kind == KIND_TEXT &&
			    !nulls_has(&w->nulls, (int)k)) {
				stitch_set_number(l, w->row, (int)k,
				    numbers[stitch_number(l, w->row, (int)k)]);
			}
		}
	}
	stitch_relink(s);
}
