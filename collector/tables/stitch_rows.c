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

static uint8_t *
put_u16(uint8_t *out, size_t v)
{
	store_u16(out, (uint16_t)v);
	return out + 2;
}

static uint8_t *
put_u64(uint8_t *out, uint64_t v)
{
	store_u64(out, v);
	return out + 8;
}

static uint8_t *
put_text(uint8_t *out, const char *text, size_t length)
{
	out = put_u16(out, length);
	memcpy(out, text, length);
	return out + length;
}

static uint8_t *
put_fields(const struct layout *l, uint8_t *out)
{
	out = put_u16(out, l->count);
	for (unsigned i = 0; i < l->count; i++) {
		const struct layout_field *f = &l->fields[i];
		*out++ = (uint8_t)f->kind;
		*out++ = (uint8_t)f->source;
		out = put_text(out, f->name, strnlen(f->name, NAME_MOST));
		out = put_text(out, f->side, strnlen(f->side, NAME_MOST));
	}
	return out;
}

static uint8_t *
put_value(const struct stitch *s, const struct stitch_waiting *w, unsigned field,
    const struct intern *texts, uint8_t *out)
{
	const struct layout_field *f = &s->layout->fields[field];
	int64_t n;
	const char *text;
	size_t length;

	if (f->kind == KIND_ADDRESS) {
		memcpy(out, w->row + f->offset / BATCH_ROWS, sizeof(struct address));
		return out + sizeof(struct address);
	}
	n = stitch_number(s->layout, w->row, (int)field);
	if (f->kind != KIND_TEXT) {
		return put_u64(out, (uint64_t)n);
	}
	text = intern_text(texts, (uint32_t)n, &length);
	return put_text(out, text, length);
}

static uint8_t *
put_row(const struct stitch *s, const struct stitch_waiting *w,
    const struct intern *texts, uint8_t *out)
{
	uint8_t *count;
	size_t length;
	const char *name = intern_text(texts, (uint32_t)w->key.exporter, &length);
	unsigned n = 0;

	out = put_u64(out, w->arrival);
	out = put_u64(out, (uint64_t)w->filed);
	out = put_u64(out, (uint64_t)w->place);
	out = put_u64(out, (uint64_t)w->key.domain);
	out = put_text(out, name, length);
	count = out;
	out += 2;
	for (unsigned i = 0; i < s->layout->count; i++) {
		if (!nulls_has(&w->nulls, (int)i)) {
			out = put_value(s, w, i, texts, put_u16(out, i));
			n++;
		}
	}
	store_u16(count, (uint16_t)n);
	return out;
}

size_t
stitch_write_rows(const struct stitch *s, const struct intern *texts, uint64_t *next,
    uint8_t *out, size_t capacity, unsigned *ret_rows)
{
	uint8_t *at = put_fields(s->layout, out);
	size_t most = row_most(s->layout);
	uint32_t i = *next == 0 ? s->oldest : (uint32_t)(*next - 1);

	*ret_rows = 0;
	while (i != STITCH_NONE && capacity - (size_t)(at - out) >= most) {
		at = put_row(s, stitch_at(s, i), texts, at);
		i = stitch_at(s, i)->newer;
		++*ret_rows;
	}
	*next = (uint64_t)i + 1;
	return *ret_rows == 0 ? 0 : (size_t)(at - out);
}

/* A field of a chunk, and what it is here. */
struct stored_field {
	enum layout_kind kind;
	int field; /* -1: nothing */
};

static bool
is_same(const struct layout_field *f, enum layout_kind kind, unsigned source,
    struct cursor name, struct cursor side)
{
	return f->kind == kind && f->source == source &&
	       strnlen(f->name, NAME_MOST) == cursor_left(&name) &&
	       memcmp(f->name, name.at, cursor_left(&name)) == 0 &&
	       strnlen(f->side, NAME_MOST) == cursor_left(&side) &&
	       memcmp(f->side, side.at, cursor_left(&side)) == 0;
}

/* Mostly nothing has changed: first at its old place. */
static int
find_field(const struct layout *l, unsigned place, enum layout_kind kind,
    unsigned source, struct cursor name, struct cursor side)
{
	if (place < l->count && is_same(&l->fields[place], kind, source, name, side)) {
		return (int)place;
	}
	for (unsigned i = 0; i < l->count; i++) {
		if (is_same(&l->fields[i], kind, source, name, side)) {
			return (int)i;
		}
	}
	return -1;
}

static unsigned
read_fields(const struct layout *l, struct cursor *in,
    struct stored_field list[static LAYOUT_MAX_FIELDS])
{
	unsigned count = cursor_u16(in);

	if (count > LAYOUT_MAX_FIELDS) {
		in->failed = true;
		return 0;
	}
	for (unsigned i = 0; i < count; i++) {
		enum layout_kind kind = (enum layout_kind)cursor_u8(in);
		unsigned source = cursor_u8(in);
		struct cursor name = cursor_sub(in, cursor_u16(in));
		struct cursor side = cursor_sub(in, cursor_u16(in));
		if (in->failed) {
			return 0;
		}
		list[i] = (struct stored_field){
		    .kind = kind, .field = find_field(l, i, kind, source, name, side)};
	}
	return count;
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
read_row(const struct stitch *s, struct cursor *in, const struct stored_field *list,
    unsigned list_count, struct intern *texts, struct stitch_waiting *w)
{
	const struct layout *l = s->layout;
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
		if (number >= list_count) {
			in->failed = true;
		} else {
			read_value(l, &list[number], in, texts, w);
		}
	}
	w->start = l->start >= 0 ? stitch_number(l, w->row, l->start) : 0;
	return exporter;
}

int
stitch_read_rows(struct stitch *s, struct intern *texts, const uint8_t *bytes, size_t n)
{
	struct stored_field list[LAYOUT_MAX_FIELDS];
	struct cursor in = cursor_of(bytes, n);
	unsigned list_count = read_fields(s->layout, &in, list);
	uint64_t failures = intern_failures(texts);

	while (!in.failed && cursor_left(&in) > 0) {
		uint32_t exporter, i = stitch_take_entry(s);
		struct stitch_waiting *w = stitch_at(s, i);
		int64_t domain;
		exporter = read_row(s, &in, list, list_count, texts, w);
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
