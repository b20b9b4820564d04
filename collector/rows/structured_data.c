#include "collector/rows/structured_data.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/rows/structured_value.h"

#define PADDING_OCTETS 210
#define PART_HEADER    4u /* of a multi-list: template, length with these bytes */
#define CLOSING        24 /* bytes of ],"omitted":4294967295} */
/* Fields of length zero make a list long without a byte: so many fields a byte, and
 * some more, are all that is looked at. */
#define FIELDS_PER_BYTE 8
#define FIELDS_MORE     64

/* The lists of one field on their way into the text. */
struct walk {
	struct structured_data *s;
	struct json_text text;
	uint64_t fields; /* that may still be looked at */
	unsigned depth;
	const char *wrong; /* with the list at hand */
};

/* Items between brackets.  The first that has no room ends what is shown; those behind
 * it are checked and counted. */
struct items {
	bool was_full;
	size_t mark;
	uint32_t shown, omitted;
};

static void write_list(struct walk *w, enum element_type type, struct cursor list);

static int
complain(struct walk *w, const char *wrong)
{
	w->wrong = wrong;
	return -EBADMSG;
}

static struct items
items_begin(struct walk *w)
{
	return (struct items){.was_full = w->text.is_full};
}

static void
item_begin(struct walk *w, struct items *i)
{
	i->mark = w->text.used;
	if (i->shown > 0) {
		json_raw(&w->text, ",");
	}
}

static void
item_end(struct walk *w, struct items *i)
{
	if (w->text.is_full) {
		w->text.used = i->mark;
		i->omitted++;
	} else {
		i->shown++;
	}
}

/* Room for the closing was reserved before the items began. */
static void
items_end(struct walk *w, const struct items *i)
{
	w->text.reserved -= CLOSING;
	w->text.is_full = i->was_full;
	json_raw(&w->text, "]");
	if (i->omitted > 0) {
		json_raw(&w->text, ",\"omitted\":");
		json_unsigned(&w->text, i->omitted);
		w->text.is_cut = true;
	}
	json_raw(&w->text, "}");
}

static int
count_field(struct walk *w)
{
	if (w->fields == 0) {
		return complain(w, "more fields than bytes");
	}
	w->fields--;
	return 0;
}

/* A value of its length on the wire; 65535: the length comes first (RFC 7011 section
 * 7). */
static int
take_value(struct walk *w, struct cursor *c, uint32_t length, struct cursor *ret)
{
	int rc = count_field(w);

	if (rc < 0) {
		return rc;
	}
	if (length == ELEMENT_VARIABLE) {
		length = cursor_u8(c);
		length = length == 255 ? cursor_u16(c) : length;
	}
	*ret = cursor_sub(c, length);
	return c->failed ? complain(w, "a value runs over its end") : 0;
}

static bool
is_list(const struct element *element)
{
	return element != NULL && structured_data_is(element->type);
}

static void
write_value(struct walk *w, const struct element *element, struct cursor value)
{
	if (is_list(element)) {
		write_list(w, element->type, value);
	} else if (!w->text.is_full) {
		structured_value_write(&w->text, element, value);
	}
}

/* repeat: how many of this element came before it in the record. */
static void
write_name(struct walk *w, const struct element *element, uint32_t pen, uint16_t id,
    unsigned repeat)
{
	char text[300];
	size_t n;

	if (element != NULL) {
		n = strnlen(element->name, 256);
		memcpy(text, element->name, n);
	} else {
		n = (size_t)snprintf(text, sizeof text, "%u:%u", pen, id);
	}
	if (repeat > 0) {
		n += (size_t)snprintf(text + n, sizeof text - n, "#%u", repeat + 1);
	}
	json_string(&w->text, text, n);
}

/* The words of IANA's registry "IPFIX Structured Data Types Semantics". */
static void
write_semantic(struct walk *w, uint8_t semantic)
{
	static const char *const words[] = {
	    "noneOf", "exactlyOneOf", "oneOrMoreOf", "allOf", "ordered"};

	json_raw(&w->text, "{\"semantic\":");
	if (semantic < sizeof words / sizeof *words || semantic == 255) {
		json_raw(&w->text, "\"");
		json_raw(&w->text, semantic == 255 ? "undefined" : words[semantic]);
		json_raw(&w->text, "\"");
	} else {
		json_unsigned(&w->text, semantic);
	}
}

static int
write_record(struct walk *w, const struct template *t, struct cursor *c)
{
	bool is_first = true;

	json_raw(&w->text, "{");
	for (unsigned i = 0; i < t->field_count; i++) {
		const struct template_field *f = &t->fields[i];
		struct cursor value;
		int rc = take_value(w, c, f->length, &value);
		if (rc < 0) {
			return rc;
		}
		if ((f->pen == 0 && f->id == PADDING_OCTETS) ||
		    (w->text.is_full && !is_list(f->element))) {
			continue;
		}
		json_raw(&w->text, is_first ? "" : ",");
		is_first = false;
		write_name(w, f->element, f->pen, f->id,
		    t->repeats == NULL ? 0 : t->repeats[i]);
		json_raw(&w->text, ":");
		write_value(w, f->element, value);
	}
	json_raw(&w->text, "}");
	return 0;
}

static const struct template *
find_template(const struct walk *w, uint16_t id)
{
	const struct template *t =
	    w->s->templates == NULL ? NULL : templates_find(w->s->templates, id);

	return t == NULL || t->seen_ns < w->s->oldest_ns ? NULL : t;
}

/* From "template": to the closing bracket, for which room is reserved.  Zeros that are
 * shorter than a record are padding, as at the end of sets. */
static int
write_records(struct walk *w, uint16_t id, struct cursor c)
{
	const struct template *t = find_template(w, id);
	struct items items;
	int rc = 0;

	json_raw(&w->text, "\"template\":");
	json_unsigned(&w->text, id);
	if (t == NULL && cursor_left(&c) > 0) {
		w->s->counts.no_template++;
		json_raw(&w->text, ",\"length\":");
		json_unsigned(&w->text, cursor_left(&c));
		w->text.reserved -= CLOSING;
		json_raw(&w->text, "}");
		return 0;
	}
	json_raw(&w->text, ",\"records\":[");
	items = items_begin(w);
	while (t != NULL && cursor_left(&c) >= t->record_length) {
		item_begin(w, &items);
		rc = write_record(w, t, &c);
		if (rc < 0) {
			return rc;
		}
		item_end(w, &items);
	}
	if (!cursor_is_zero(c)) {
		return complain(w, "its last record is cut short");
	}
	items_end(w, &items);
	return 0;
}

static int
write_basic_list(struct walk *w, struct cursor c)
{
	uint8_t semantic = cursor_u8(&c);
	uint16_t id = cursor_u16(&c), length = cursor_u16(&c);
	uint32_t pen = (id & ELEMENT_ENTERPRISE) != 0 ? cursor_u32(&c) : 0;
	const struct element *element;
	struct items items;

	if (c.failed) {
		return complain(w, "its header is cut short");
	}
	if (length == 0 && cursor_left(&c) > 0) {
		return complain(w, "its values have no length");
	}
	id &= (uint16_t)~ELEMENT_ENTERPRISE;
	element = elements_find(w->s->elements, pen, id);
	write_semantic(w, semantic);
	json_raw(&w->text, ",\"element\":");
	write_name(w, element, pen, id, 0);
	json_raw(&w->text, ",\"values\":[");
	items = items_begin(w);
	while (cursor_left(&c) > 0) {
		struct cursor value;
		int rc = take_value(w, &c, length, &value);
		if (rc < 0) {
			return rc;
		}
		item_begin(w, &items);
		write_value(w, element, value);
		item_end(w, &items);
	}
	items_end(w, &items);
	return 0;
}

static int
write_sub_template_list(struct walk *w, struct cursor c)
{
	uint8_t semantic = cursor_u8(&c);
	uint16_t id = cursor_u16(&c);

	if (c.failed) {
		return complain(w, "its header is cut short");
	}
	write_semantic(w, semantic);
	json_raw(&w->text, ",");
	return write_records(w, id, c);
}

/* Parts of a template each. */
static int
write_sub_template_multi_list(struct walk *w, struct cursor c)
{
	struct items items;

	write_semantic(w, cursor_u8(&c));
	json_raw(&w->text, ",\"templates\":[");
	items = items_begin(w);
	while (cursor_left(&c) >= PART_HEADER) {
		uint16_t id = cursor_u16(&c), length = cursor_u16(&c);
		struct cursor part;
		int rc = count_field(w);
		if (rc < 0) {
			return rc;
		}
		if (length < PART_HEADER) {
			return complain(w, "a part is shorter than its header");
		}
		part = cursor_sub(&c, length - PART_HEADER);
		if (c.failed) {
			return complain(w, "a part runs over its end");
		}
		item_begin(w, &items);
		w->text.reserved += CLOSING;
		json_raw(&w->text, "{");
		rc = write_records(w, id, part);
		if (rc < 0) {
			return rc;
		}
		item_end(w, &items);
	}
	if (!cursor_is_zero(c)) {
		return complain(w, "its last part is cut short");
	}
	items_end(w, &items);
	return 0;
}

static int
write_content(struct walk *w, enum element_type type, struct cursor list)
{
	if (w->depth > STRUCTURED_DATA_DEPTH) {
		return complain(w, "lists nest more than 8 deep");
	}
	w->text.reserved += CLOSING;
	switch (type) {
	case ELEMENT_BASIC_LIST:
		return write_basic_list(w, list);
	case ELEMENT_SUB_TEMPLATE_LIST:
		return write_sub_template_list(w, list);
	default:
		return write_sub_template_multi_list(w, list);
	}
}

/* One that is malformed leaves nothing but a word of it; what it lies in goes on. */
static void
write_list(struct walk *w, enum element_type type, struct cursor list)
{
	struct json_text *text = &w->text;
	struct json_text before = *text;
	int rc;

	if (cursor_left(&list) == 0) {
		json_raw(text, "{}");
		return;
	}
	w->depth++;
	rc = write_content(w, type, list);
	w->depth--;
	if (rc < 0) {
		*text = before;
		w->s->counts.malformed++;
		json_raw(text, "{\"malformed\":\"");
		json_raw(text, w->wrong);
		json_raw(text, "\",\"length\":");
		json_unsigned(text, cursor_left(&list));
		json_raw(text, "}");
	}
}

/* A list whose own head has no room: an element's name may be long. */
static void
write_at_top(struct walk *w, enum element_type type, struct cursor list)
{
	struct json_text before = w->text;

	w->fields = FIELDS_PER_BYTE * cursor_left(&list) + FIELDS_MORE;
	write_list(w, type, list);
	if (w->text.is_full && !before.is_full) {
		w->text = before;
		w->text.is_cut = true;
		json_raw(&w->text, "{\"length\":");
		json_unsigned(&w->text, cursor_left(&list));
		json_raw(&w->text, "}");
	}
}

void
structured_data_write(struct structured_data *s, enum element_type type,
    const struct cursor *lists, unsigned count, struct json_text *ret)
{
	struct walk w = {.s = s, .text = *ret};

	if (count != 1) {
		w.text.reserved = 1;
		json_raw(&w.text, "[");
	}
	for (unsigned i = 0; i < count; i++) {
		struct json_text before = w.text;
		json_raw(&w.text, i > 0 ? "," : "");
		write_at_top(&w, type, lists[i]);
		if (w.text.is_full) {
			before.is_full = before.is_cut = true;
			w.text = before;
		}
	}
	if (count != 1) {
		w.text.reserved = 0;
		w.text.is_full = false;
		json_raw(&w.text, "]");
	}
	s->counts.cut += w.text.is_cut;
	*ret = w.text;
}
