/* What layouts need beside the fields that tables name. */
#include <errno.h>
#include <string.h>

#include "collector/rows/layout_private.h"

#define COUNT(a) (unsigned)(sizeof(a) / sizeof(a)[0])

/* "sourceAddress" <-> "destinationAddress", "X" <-> "reverseX": the name of the same
 * thing at the other end, or false. */
static bool
other_end(const char *name, char out[static 160])
{
	static const char *const ends[][2] = {{"source", "destination"},
	    {"destination", "source"}, {"Source", "Destination"},
	    {"Destination", "Source"}};

	if (strlen(name) > 120) {
		return false;
	}
	for (unsigned i = 0; i < COUNT(ends); i++) {
		const char *at = strstr(name, ends[i][0]);
		bool is_first = i < 2;
		if (at != NULL && (is_first == (at == name))) {
			*(char *)mempcpy(out, name, (size_t)(at - name)) = '\0';
			strcat(out, ends[i][1]);
			strcat(out, at + strlen(ends[i][0]));
			return true;
		}
	}
	return false;
}

/* X of reverseX, or reverseX of X (RFC 5103). */
static const struct element *
reverse_element(const struct layout *l, const struct element *element)
{
	const struct element *found;

	if (!element->is_reverse) {
		return elements_reverse(l->elements, element);
	}
	for (size_t i = 0; i < elements_count(l->elements); i++) {
		found = elements_at(l->elements, i);
		if (!found->is_reverse &&
		    elements_reverse(l->elements, found) == element) {
			return found;
		}
	}
	return NULL;
}

/* Finds or adds the field that this one is swapped with; -ENOENT: none, else negative
 * with e.  Sides, and sources with destinations, always swap.  A plain element swaps
 * with its reverse only where both are sent: alone it speaks of both directions (RFC
 * 5103 section 3).  Times and what the layout computes with stay. */
static int
find_partner(struct layout *l, unsigned i, struct err *e)
{
	const struct layout_field f = l->fields[i];
	const struct element *element = NULL;
	char name[160];
	int rc = -ENOENT;

	if (f.side[0] != '\0' && f.source != SOURCE_SCALED) {
		return layout_add_side(
		    l, layout_find_side(l, f.name), f.side[0] == 'f', e);
	}
	if (f.source == SOURCE_SCALED) {
		rc = find_partner(l, (unsigned)f.scaled_of, e);
		return rc < 0 ? rc : layout_add_scaled(l, rc, e);
	}
	if (f.source != SOURCE_ELEMENTS) {
		return -ENOENT;
	}
	if (other_end(f.name, name)) {
		rc = layout_add_own(l, name, e);
		if (rc != -ENOENT) {
			return rc;
		}
		element = elements_find_name(l->elements, name);
	} else if (f.kind != KIND_TIME && strcmp(f.name, f.from[0]->name) == 0 &&
		   (int)i != l->direction && (int)i != l->end_reason &&
		   (int)i != l->event) {
		element = reverse_element(l, f.from[0]);
		l->fields[i].swaps_if_both = true;
	}
	if (element == NULL ||
	    elements_find_name(l->elements, element->name) != element) {
		return -ENOENT;
	}
	rc = layout_add_element(l, element, NULL, NULL, e);
	if (rc >= 0 && l->fields[rc].kind != f.kind) {
		return -ENOENT;
	}
	return rc;
}

static int
find_partners(struct layout *l, struct err *e)
{
	for (unsigned i = 0; i < l->count; i++) {
		int k;
		if (l->fields[i].partner >= 0) {
			continue;
		}
		k = find_partner(l, i, e);
		if (k < 0 && k != -ENOENT) {
			return k;
		}
		if (k >= 0 && k != (int)i && l->fields[k].partner < 0) {
			l->fields[i].partner = k;
			l->fields[k].partner = (int)i;
			l->fields[k].swaps_if_both = l->fields[i].swaps_if_both;
		}
	}
	return 0;
}

int
layout_add_named(struct layout *l, const char *name, struct err *e)
{
	const struct element *element;
	int rc = layout_add_own(l, name, e);

	if (rc == -ENOENT) {
		element = elements_find_name(l->elements, name);
		rc = element == NULL ? rc
				     : layout_add_element(l, element, NULL, NULL, e);
	}
	return rc;
}

/* The number of a field with a meaning of its own; -1 where the record has none. */
static int
learn_meaning(
    struct layout *l, const char *name, enum layout_kind kind, int *ret, struct err *e)
{
	int rc = layout_add_named(l, name, e);

	if (rc < 0 && rc != -ENOENT) {
		return rc;
	}
	*ret = rc >= 0 && l->fields[rc].kind == kind ? rc : -1;
	return 0;
}

struct meaning {
	const char *name;
	enum layout_kind kind;
	size_t place; /* of the number in struct layout */
};

static int
learn_meanings(struct layout *l, const struct meaning *list, unsigned n, struct err *e)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < n; i++) {
		rc = learn_meaning(l, list[i].name, list[i].kind,
		    (int *)(void *)((char *)l + list[i].place), e);
	}
	return rc;
}

/* What tells the rate, where something is scaled. */
static int
learn_sampling(struct layout *l, struct err *e)
{
	static const struct meaning keys[] = {
	    {"samplerId", KIND_INTEGER, offsetof(struct layout, sampler)},
	    {"selectorId", KIND_INTEGER, offsetof(struct layout, selector)},
	    {"ingressInterface", KIND_INTEGER, offsetof(struct layout, ingress)},
	    {"egressInterface", KIND_INTEGER, offsetof(struct layout, egress)},
	};
	int rc = 0;

	if (!l->is_scaling) {
		return 0;
	}
	for (unsigned i = 0; rc == 0 && i < SAMPLING_INPUTS; i++) {
		rc = learn_meaning(l, sampling_input_names[i],
		    i == SAMPLING_PROBABILITY ? KIND_REAL : KIND_INTEGER,
		    &l->rate_inputs[i], e);
	}
	rc = rc == 0 ? learn_meanings(l, keys, COUNT(keys), e) : rc;
	rc = rc == 0 ? layout_new_field(l, "sampling rate", "", e) : rc;
	if (rc < 0) {
		return rc;
	}
	l->rate = rc;
	l->fields[rc].source = SOURCE_RATE;
	l->fields[rc].kind = KIND_REAL;
	l->fields[rc].width = 8;
	return 0;
}

int
layout_finish(struct layout *l, struct err *e)
{
	static const struct meaning meanings[] = {
	    {"flowStart", KIND_TIME, offsetof(struct layout, start)},
	    {"flowEnd", KIND_TIME, offsetof(struct layout, end)},
	    {"flowEndReason", KIND_INTEGER, offsetof(struct layout, end_reason)},
	    {"biflowDirection", KIND_INTEGER, offsetof(struct layout, direction)},
	    {"firewallEvent", KIND_INTEGER, offsetof(struct layout, event)},
	};
	int rc = 0;

	if (l->record != NULL) {
		rc = learn_meanings(l, meanings, COUNT(meanings), e);
		rc = rc == 0 ? find_partners(l, e) : rc;
		rc = rc == 0 ? learn_sampling(l, e) : rc;
	}
	if (rc < 0) {
		return rc;
	}
	l->bytes = 0;
	for (unsigned i = 0; i < l->count; i++) {
		struct layout_field *f = &l->fields[i];
		f->offset = l->bytes;
		l->bytes += (size_t)BATCH_ROWS *
			    (f->kind == KIND_ADDRESS ? sizeof(struct address) : 8);
	}
	return 0;
}

void
layout_bound_text(struct layout *l, int field, size_t most)
{
	int both[2] = {field, l->fields[field].partner};

	for (unsigned i = 0; i < 2; i++) {
		struct layout_field *f = both[i] < 0 ? NULL : &l->fields[both[i]];
		if (f != NULL && f->is_list && f->text_bytes > most) {
			f->text_bytes = most;
		}
	}
}
