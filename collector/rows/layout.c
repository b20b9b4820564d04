#include "collector/rows/layout_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/protocol/drop.h"
#include "collector/rows/intern.h"
#include "collector/rows/structured_data.h"

#define COUNT(a)       (unsigned)(sizeof(a) / sizeof(a)[0])
#define MAX_CANDIDATES 512

static const struct {
	const char *name;
	enum layout_kind kind;
	unsigned width;
} exporter_fields[] = {
#define DROPPED(reason, name) [EXPORTER_DROPPED + (reason)] = {name, KIND_INTEGER, 8}
    [EXPORTER_NAME] = {"exporter", KIND_TEXT, 4},
    [EXPORTER_PEER] = {"peer", KIND_TEXT, 4},
    [EXPORTER_TRANSPORT] = {"transport", KIND_TEXT, 4},
    [EXPORTER_IDENTITY] = {"identity", KIND_TEXT, 4},
    [EXPORTER_PROTOCOL] = {"protocol", KIND_TEXT, 4},
    [EXPORTER_DOMAIN] = {"observationDomain", KIND_INTEGER, 4},
    [EXPORTER_FIRST_SEEN] = {"firstSeen", KIND_TIME, 8},
    [EXPORTER_LAST_SEEN] = {"lastSeen", KIND_TIME, 8},
    [EXPORTER_MESSAGES] = {"messages", KIND_INTEGER, 8},
    [EXPORTER_OCTETS] = {"octets", KIND_INTEGER, 8},
    [EXPORTER_TEMPLATES] = {"templates", KIND_INTEGER, 8},
    [EXPORTER_OPTION_TEMPLATES] = {"optionTemplates", KIND_INTEGER, 8},
    [EXPORTER_UNKNOWN] = {"unknownElements", KIND_INTEGER, 8},
    [EXPORTER_LAST_ERROR] = {"lastError", KIND_TEXT, 4},
    [EXPORTER_RECORDS] = {"records", KIND_INTEGER, 8},
    [EXPORTER_OPTIONS] = {"options", KIND_INTEGER, 8},
    [EXPORTER_COUNTER_SAMPLES] = {"counterSamples", KIND_INTEGER, 8},
    [EXPORTER_LOST] = {"lost", KIND_INTEGER, 8},
    [EXPORTER_REORDERED] = {"reordered", KIND_INTEGER, 8},
    DROPPED(DROP_NO_TEMPLATE, "droppedNoTemplate"),
    DROPPED(DROP_BAD_MESSAGE, "droppedBadMessage"),
    DROPPED(DROP_BAD_TEMPLATE, "droppedBadTemplate"),
    DROPPED(DROP_BAD_RECORD, "droppedBadRecord"),
    DROPPED(DROP_REFUSED_TEMPLATE, "droppedRefusedTemplate"),
    DROPPED(DROP_UNKNOWN_SESSION, "droppedUnknownSession"),
    DROPPED(DROP_REFUSED_DOMAIN, "droppedRefusedDomain"),
    DROPPED(DROP_FORBIDDEN_DOMAIN, "droppedForbiddenDomain"),
    DROPPED(DROP_IGNORED_WITHDRAWAL, "ignoredWithdrawals"),
    DROPPED(DROP_REPEATED, "droppedRepeated"),
    DROPPED(DROP_BAD_SAMPLE, "droppedBadSample"),
    DROPPED(DROP_UNKNOWN_SAMPLE, "droppedUnknownSample"),
    DROPPED(DROP_BAD_LIST, "badLists"),
    DROPPED(DROP_LIST_TEMPLATE, "listsWithoutTemplate"),
    DROPPED(DROP_LONG_LIST, "longLists"),
    DROPPED(DROP_NO_MEMORY, "droppedNoMemory"),
#undef DROPPED
};
_Static_assert(COUNT(exporter_fields) == EXPORTER_DROPPED + DROPS,
    "every reason to drop is a field");

static const struct {
	const char *name;
	enum layout_source source;
	enum layout_kind kind;
	unsigned width;
} computed_fields[] = {
    {"flows", SOURCE_FLOWS, KIND_INTEGER, 8},
    {"duration_ms", SOURCE_DURATION, KIND_INTEGER, 8},
    {"exporter", SOURCE_EXPORTER, KIND_TEXT, 4},
    {"observationDomain", SOURCE_DOMAIN, KIND_INTEGER, 4},
};

const char *
layout_kind_name(enum layout_kind k)
{
	static const char *const names[] = {
	    "address", "time", "integer", "real", "text", "mac"};
	return names[k];
}

int
layout_new_field(struct layout *l, const char *name, const char *side, struct err *e)
{
	if (l->count == LAYOUT_MAX_FIELDS) {
		return err_set(e, -E2BIG,
		    "the tables name more than %d different fields; load fewer tables",
		    LAYOUT_MAX_FIELDS);
	}
	l->fields[l->count] = (struct layout_field){
	    .name = name, .side = side, .forward = -1, .partner = -1};
	return (int)l->count++;
}

static int
find_field(const struct layout *l, const char *name, const char *side)
{
	for (unsigned i = 0; i < l->count; i++) {
		if (strcmp(l->fields[i].name, name) == 0 &&
		    strcmp(l->fields[i].side, side) == 0) {
			return (int)i;
		}
	}
	return -1;
}

/* What an element's values become; false: its type is unknown. */
static bool
kind_of(const struct element *element, enum layout_kind *ret, unsigned *ret_width,
    bool *ret_signed)
{
	*ret_width = 8;
	*ret_signed = false;
	switch (element->type) {
	case ELEMENT_I8:
	case ELEMENT_I16:
	case ELEMENT_I32:
	case ELEMENT_I64:
		*ret_signed = true;
		*ret = KIND_INTEGER;
		return true;
	case ELEMENT_U8:
	case ELEMENT_U16:
	case ELEMENT_U32:
	case ELEMENT_U64:
	case ELEMENT_BOOL:
		*ret_width =
		    element->length >= 1 && element->length <= 8 ? element->length : 8;
		*ret = KIND_INTEGER;
		return true;
	case ELEMENT_F32:
	case ELEMENT_F64:
		*ret = KIND_REAL;
		return true;
	case ELEMENT_MAC:
		*ret_width = 6;
		*ret = KIND_MAC;
		return true;
	case ELEMENT_OCTETS:
	case ELEMENT_STRING:
	case ELEMENT_BASIC_LIST:
	case ELEMENT_SUB_TEMPLATE_LIST:
	case ELEMENT_SUB_TEMPLATE_MULTI_LIST:
		*ret_width = 4;
		*ret = KIND_TEXT;
		return true;
	case ELEMENT_TIME_S:
	case ELEMENT_TIME_MS:
	case ELEMENT_TIME_US:
	case ELEMENT_TIME_NS:
		*ret = KIND_TIME;
		return true;
	case ELEMENT_IPV4:
	case ELEMENT_IPV6:
		*ret_width = 16;
		*ret = KIND_ADDRESS;
		return true;
	default:
		return false;
	}
}

static const struct yaml_node *
name_at(const struct yaml_node *names, unsigned i)
{
	return names->kind == YAML_LIST ? names->items[i] : names;
}

static unsigned
name_count(const struct yaml_node *names)
{
	return names->kind == YAML_LIST ? names->count : 1;
}

static const struct element *
find_element(const struct layout *l, const struct yaml *y, const struct yaml_node *node,
    struct err *e)
{
	const struct element *element = elements_find_name(l->elements, node->text);
	const char *nearest;

	if (element == NULL) {
		nearest = elements_nearest(l->elements, node->text);
		if (nearest != NULL) {
			yaml_complain(y, node, e,
			    "unknown information element '%s'; did you mean '%s'?",
			    node->text, nearest);
		} else {
			yaml_complain(
			    y, node, e, "unknown information element '%s'", node->text);
		}
	}
	return element;
}

enum layout_relative
layout_relative(const struct element *element)
{
	if (element->pen != 0) {
		return RELATIVE_NONE;
	}
	switch (element->id) {
	case 21: /* flowEndSysUpTime */
	case 22:
		return RELATIVE_UPTIME;
	case 158: /* flowStartDeltaMicroseconds */
	case 159:
		return RELATIVE_EXPORT;
	default:
		return RELATIVE_NONE;
	}
}

/* Takes one more element into a field; all of its elements are of one kind. */
static int
feed(struct layout_field *f, const struct element *element, const struct yaml *y,
    const struct yaml_node *node, struct err *e)
{
	enum layout_kind kind;
	bool is_signed;
	unsigned width;

	if (!kind_of(element, &kind, &width, &is_signed)) {
		return yaml_complain(y, node, e,
		    "a column cannot store the type of '%s'", element->name);
	}
	if (f->is_time && layout_relative(element) != RELATIVE_NONE) {
		kind = KIND_TIME;
		width = 8;
	}
	if (f->from_count > 0 && kind != f->kind) {
		return yaml_complain(y, node, e,
		    "'%s' (%s) and '%s' (%s) cannot feed one field", element->name,
		    layout_kind_name(kind), f->from[0]->name,
		    layout_kind_name(f->kind));
	}
	f->kind = kind;
	if (structured_data_is(element->type)) {
		f->is_list = true;
		f->text_bytes = INTERN_LONG_MAX;
	}
	f->is_signed |= is_signed;
	f->width = f->from_count > 0 && f->width > width ? f->width : width;
	f->width = f->is_signed ? 8 : f->width;
	f->from[f->from_count++] = element;
	return 0;
}

static int
feed_all(struct layout *l, int index, const struct yaml_node *names, const char *type,
    struct err *e)
{
	const struct yaml *y = l->record->yaml;
	struct layout_field *f = &l->fields[index];
	const struct element *element;
	int rc;

	f->is_time = type != NULL && strcmp(type, layout_kind_name(KIND_TIME)) == 0;
	f->from = calloc(name_count(names), sizeof(*f->from));
	if (f->from == NULL) {
		return err_set(e, -ENOMEM, "no memory for the fields of tables");
	}
	for (unsigned i = 0; i < name_count(names); i++) {
		element = find_element(l, y, name_at(names, i), e);
		if (element == NULL) {
			return -EINVAL;
		}
		rc = feed(f, element, y, name_at(names, i), e);
		if (rc < 0) {
			return rc;
		}
	}
	if (type != NULL && strcmp(type, layout_kind_name(f->kind)) != 0) {
		return yaml_complain(y, names, e, "'%s' is of kind %s, not %s",
		    name_at(names, 0)->text, layout_kind_name(f->kind), type);
	}
	return index;
}

int
layout_add_side(
    struct layout *l, const struct schema_field *side, bool is_reverse, struct err *e)
{
	const char *name = is_reverse ? "reverse" : "forward";
	int forward = -1, index = find_field(l, side->name, name);

	if (index >= 0) {
		return index;
	}
	if (is_reverse && side->has_one_way) {
		forward = layout_add_side(l, side, false, e);
		if (forward < 0) {
			return forward;
		}
	}
	index = layout_new_field(l, side->name, name, e);
	if (index < 0) {
		return index;
	}
	l->fields[index].forward = forward;
	l->fields[index].has_one_way = is_reverse && side->has_one_way;
	l->fields[index].one_way = (int64_t)side->one_way;
	return feed_all(l, index, is_reverse ? side->reverse : side->from, NULL, e);
}

int
layout_add_element(struct layout *l, const struct element *element,
    const struct yaml *y, const struct yaml_node *node, struct err *e)
{
	int rc, index = find_field(l, element->name, "");

	if (index >= 0) {
		return index;
	}
	index = layout_new_field(l, element->name, "", e);
	if (index < 0) {
		return index;
	}
	l->fields[index].from = calloc(1, sizeof(*l->fields[index].from));
	if (l->fields[index].from == NULL) {
		return err_set(e, -ENOMEM, "no memory for the fields of tables");
	}
	rc = feed(&l->fields[index], element, y, node, e);
	return rc < 0 ? rc : index;
}

/* A field of the record's own by name: declared, computed or given.  -ENOENT without a
 * sentence when there is none. */
int
layout_add_own(struct layout *l, const char *name, struct err *e)
{
	const struct schema_record *r = l->record;
	const struct yaml_node *what;
	int index = find_field(l, name, "");

	if (index >= 0) {
		return index;
	}
	for (unsigned i = 0; r != NULL && i < r->field_count; i++) {
		if (strcmp(r->fields[i].name, name) == 0) {
			index = layout_new_field(l, r->fields[i].name, "", e);
			return index < 0 ? index
					 : feed_all(l, index, r->fields[i].from,
					       r->fields[i].type, e);
		}
	}
	what = r != NULL && r->computed != NULL ? yaml_get(r->computed, name) : NULL;
	if (what == NULL) {
		return -ENOENT;
	}
	for (unsigned i = 0; i < COUNT(computed_fields); i++) {
		if (what->kind != YAML_SCALAR ||
		    strcmp(computed_fields[i].name, what->text) != 0) {
			continue;
		}
		index = layout_new_field(l, what->text, "", e);
		if (index >= 0) {
			l->fields[index].source = computed_fields[i].source;
			l->fields[index].kind = computed_fields[i].kind;
			l->fields[index].width = computed_fields[i].width;
		}
		return index;
	}
	return yaml_complain(r->yaml, what, e,
	    "cannot compute '%s' (expected flows, duration_ms, exporter or "
	    "observationDomain)",
	    what->kind == YAML_SCALAR ? what->text : "");
}

const struct schema_field *
layout_find_side(const struct layout *l, const char *name)
{
	for (unsigned i = 0; l->record != NULL && i < l->record->side_count; i++) {
		if (strcmp(l->record->sides[i].name, name) == 0) {
			return &l->record->sides[i];
		}
	}
	return NULL;
}

/* No such name: complains with the nearest one of everything that could stand here. */
static int
complain_unknown(const struct layout *l, const struct yaml *y,
    const struct yaml_node *node, struct err *e)
{
	static const char *const prefixes[] = {"forward.", "reverse.", "side."};
	const char *names[MAX_CANDIDATES], *nearest = NULL;
	const struct schema_record *r = l->record;
	char sides[MAX_CANDIDATES / 2][80];
	unsigned n = 0, k = 0;

	for (unsigned i = 0; r == NULL && i < l->count; i++) {
		names[n++] = l->fields[i].name;
	}
	for (unsigned i = 0; r != NULL && i < r->field_count && n < 128; i++) {
		names[n++] = r->fields[i].name;
	}
	for (unsigned i = 0;
	     r != NULL && r->computed != NULL && i < r->computed->count && n < 192;
	     i++) {
		names[n++] = r->computed->keys[i]->text;
	}
	for (unsigned i = 0; r != NULL && i < 3 * r->side_count && n < MAX_CANDIDATES &&
			     k < MAX_CANDIDATES / 2;
	     i++) {
		strcpy(sides[k], prefixes[i % 3]);
		strncat(sides[k], r->sides[i / 3].name, 64);
		names[n++] = sides[k++];
	}
	nearest = err_nearest(node->text, names, n);
	if (nearest == NULL && r != NULL) {
		nearest = elements_nearest(l->elements, node->text);
	}
	if (nearest != NULL) {
		return yaml_complain(y, node, e,
		    "unknown field or element '%s'; did you mean '%s'?", node->text,
		    nearest);
	}
	return yaml_complain(y, node, e, "unknown field or element '%s'", node->text);
}

int
layout_field(struct layout *l, const struct yaml *y, const struct yaml_node *name,
    enum schema_side side, struct err *e)
{
	const char *dot = strchr(name->text, '.');
	size_t n = dot != NULL ? (size_t)(dot - name->text) : 0;
	const struct schema_field *s =
	    dot != NULL ? layout_find_side(l, dot + 1) : NULL;
	const struct element *element = NULL;
	int rc = -ENOENT;

	if (s != NULL && n == 4 && memcmp(name->text, "side", n) == 0) {
		if (side == SIDE_NONE) {
			return yaml_complain(y, name, e,
			    "'%s' needs an 'emit' that says side: forward or reverse",
			    name->text);
		}
		rc = layout_add_side(l, s, side == SIDE_REVERSE, e);
	} else if (s != NULL && n == 7 && memcmp(name->text, "forward", n) == 0) {
		rc = layout_add_side(l, s, false, e);
	} else if (s != NULL && n == 7 && memcmp(name->text, "reverse", n) == 0) {
		rc = layout_add_side(l, s, true, e);
	} else if (dot == NULL) {
		rc = layout_add_own(l, name->text, e);
		if (rc == -ENOENT && l->record != NULL) {
			element = elements_find_name(l->elements, name->text);
			rc = element == NULL
				 ? rc
				 : layout_add_element(l, element, y, name, e);
		}
	}
	return rc == -ENOENT ? complain_unknown(l, y, name, e) : rc;
}

/* The field that is another one times the rate, made on first use. */
int
layout_add_scaled(struct layout *l, int of, struct err *e)
{
	int index;

	for (unsigned i = 0; i < l->count; i++) {
		if (l->fields[i].source == SOURCE_SCALED &&
		    l->fields[i].scaled_of == of) {
			return (int)i;
		}
	}
	index = layout_new_field(l, l->fields[of].name, l->fields[of].side, e);
	if (index >= 0) {
		l->fields[index].source = SOURCE_SCALED;
		l->fields[index].kind = KIND_INTEGER;
		l->fields[index].width = 8;
		l->fields[index].scaled_of = of;
		l->is_scaling = true;
	}
	return index;
}

int
layout_scaled(struct layout *l, const struct yaml *y, const struct yaml_node *node,
    int *field, struct err *e)
{
	int rc;

	if (l->record == NULL || l->fields[*field].kind != KIND_INTEGER) {
		return yaml_complain(y, node, e,
		    "'%s' is not a counter and cannot be scaled", node->text);
	}
	rc = layout_add_scaled(l, *field, e);
	if (rc < 0) {
		return rc;
	}
	*field = rc;
	return 0;
}

static int
learn_reverse(struct layout *l, struct err *e)
{
	const struct schema_record *r = l->record;
	unsigned n = 0;

	for (unsigned i = 0; i < r->side_count; i++) {
		n += name_count(r->sides[i].reverse);
	}
	l->reverse = calloc(n + 1, sizeof(*l->reverse));
	if (l->reverse == NULL) {
		return err_set(e, -ENOMEM, "no memory for the fields of tables");
	}
	for (unsigned i = 0; i < r->side_count; i++) {
		const struct yaml_node *names = r->sides[i].reverse;
		for (unsigned k = 0; k < name_count(names); k++) {
			const struct element *element =
			    find_element(l, r->yaml, name_at(names, k), e);
			if (element == NULL) {
				return -EINVAL;
			}
			l->reverse[l->reverse_count++] = element;
		}
	}
	return 0;
}

static int
learn_required(struct layout *l, struct err *e)
{
	const struct schema_record *r = l->record;
	int rc = 0;

	if (r->requires == NULL) {
		return 0;
	}
	if (name_count(r->requires) > COUNT(l->required)) {
		return yaml_complain(r->yaml, r->requires, e,
		    "too many names (at most %u)", COUNT(l->required));
	}
	for (unsigned i = 0; rc >= 0 && i < name_count(r->requires); i++) {
		rc = layout_field(l, r->yaml, name_at(r->requires, i), SIDE_NONE, e);
		l->required[l->required_count++] = rc;
	}
	return rc < 0 ? rc : 0;
}

int
layout_new(const struct schema_record *record, const struct elements *elements,
    struct layout **ret, struct err *e)
{
	struct layout *l = calloc(1, sizeof *l);
	int rc = 0;

	if (l == NULL) {
		return err_set(e, -ENOMEM, "no memory for the fields of tables");
	}
	l->record = record;
	l->elements = elements;
	l->start = l->end = l->end_reason = l->direction = l->event = -1;
	l->ends[0] = l->ends[1] = l->ports[0] = l->ports[1] = l->protocol = -1;
	l->rate = l->sampler = l->selector = l->ingress = l->egress = -1;
	for (unsigned i = 0; i < SAMPLING_INPUTS; i++) {
		l->rate_inputs[i] = -1;
	}
	if (record != NULL) {
		rc = learn_reverse(l, e);
		if (rc == 0) {
			rc = learn_required(l, e);
		}
	} else {
		for (unsigned i = 0; i < COUNT(exporter_fields); i++) {
			int k = layout_new_field(l, exporter_fields[i].name, "", e);
			l->fields[k].source = SOURCE_GIVEN;
			l->fields[k].kind = exporter_fields[i].kind;
			l->fields[k].width = exporter_fields[i].width;
		}
		l->start = EXPORTER_FIRST_SEEN;
	}
	if (rc < 0) {
		layout_free(l);
		return rc;
	}
	*ret = l;
	return 0;
}

void
layout_free(struct layout *l)
{
	if (l != NULL) {
		for (unsigned i = 0; i < l->count; i++) {
			free(l->fields[i].from);
		}
		free(l->reverse);
		free(l);
	}
}
