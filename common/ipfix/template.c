#include "common/ipfix/template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/ipfix/message.h"

/* Templates are found through an open-addressing table of pointers, at most half full,
 * scattered by a secret factor so that a peer cannot choose ids that collide. */

#define FIRST_SLOTS 16

struct templates {
	unsigned max_templates, max_fields;
	uint64_t now_ns;
	unsigned count;
	size_t bytes;
	unsigned slots; /* power of two */
	uint32_t factor;
	struct template **table;
};

struct templates *
templates_new(unsigned max_templates, unsigned max_fields)
{
	struct templates *s = calloc(1, sizeof *s);
	struct template **table = calloc(FIRST_SLOTS, sizeof(struct template *));
	if (s == NULL || table == NULL) {
		free(s);
		free(table);
		return NULL;
	}
	s->max_templates = max_templates;
	s->max_fields = max_fields;
	s->slots = FIRST_SLOTS;
	s->factor = (uint32_t)hash_seed() | 1;
	s->table = table;
	return s;
}

static size_t
size_of(const struct template *t)
{
	size_t repeats = t->repeats == NULL ? 0 : t->field_count * sizeof *t->repeats;

	return sizeof *t + t->field_count * sizeof t->fields[0] + t->raw_length +
	       repeats;
}

static void
reader_drop(struct template *t)
{
	if (t->reader != NULL) {
		t->reader_free(t->reader);
	}
	t->reader = NULL;
}

static void
template_free(struct template *t)
{
	if (t != NULL) {
		reader_drop(t);
		free((void *)t->repeats);
		free(t);
	}
}

void
templates_free(struct templates *s)
{
	if (s == NULL) {
		return;
	}
	for (unsigned i = 0; i < s->slots; i++) {
		template_free(s->table[i]);
	}
	free(s->table);
	free(s);
}

unsigned
templates_count(const struct templates *s)
{
	return s->count;
}

size_t
templates_bytes(const struct templates *s)
{
	return s->bytes;
}

void
templates_set_time(struct templates *s, uint64_t now_ns)
{
	s->now_ns = now_ns;
}

static unsigned
first_slot(const struct templates *s, uint16_t id)
{
	return (unsigned)((id * s->factor) >> 16) & (s->slots - 1);
}

/* The slot that holds id, or the free one where it belongs. */
static unsigned
slot_of(const struct templates *s, uint16_t id)
{
	unsigned i = first_slot(s, id);
	while (s->table[i] != NULL && s->table[i]->id != id) {
		i = (i + 1) & (s->slots - 1);
	}
	return i;
}

struct template *
templates_find(const struct templates *s, uint16_t id)
{
	return s->table[slot_of(s, id)];
}

static int
double_slots(struct templates *s)
{
	struct template **old = s->table;
	unsigned old_slots = s->slots;
	struct template **table = calloc((size_t)old_slots * 2, sizeof *table);
	if (table == NULL) {
		return -ENOMEM;
	}
	s->table = table;
	s->slots = old_slots * 2;
	for (unsigned i = 0; i < old_slots; i++) {
		if (old[i] != NULL) {
			s->table[slot_of(s, old[i]->id)] = old[i];
		}
	}
	free(old);
	return 0;
}

/* Empties a slot and moves those that were pushed beyond it back (no tombstones). */
static void
remove_slot(struct templates *s, unsigned hole)
{
	s->bytes -= size_of(s->table[hole]);
	template_free(s->table[hole]);
	s->table[hole] = NULL;
	s->count--;
	unsigned mask = s->slots - 1;
	for (unsigned i = (hole + 1) & mask; s->table[i] != NULL; i = (i + 1) & mask) {
		unsigned home = first_slot(s, s->table[i]->id);
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			s->table[hole] = s->table[i];
			s->table[i] = NULL;
			hole = i;
		}
	}
}

/* Withdraws every template of one kind. */
static unsigned
remove_all(struct templates *s, bool options)
{
	unsigned removed = 0;
	unsigned i = 0;
	while (i < s->slots) {
		const struct template *t = s->table[i];
		if (t != NULL && t->is_options == options) {
			remove_slot(s, i);
			removed++;
			/* Whatever moved into slot i has not been looked at yet. */
		} else {
			i++;
		}
	}
	return removed;
}

void
templates_remove_older(struct templates *s, uint64_t before_ns)
{
	unsigned i = 0;
	while (i < s->slots) {
		if (s->table[i] != NULL && s->table[i]->seen_ns < before_ns) {
			remove_slot(s, i);
		} else {
			i++;
		}
	}
}

static void
withdraw(
    struct templates *s, uint16_t set_id, uint16_t id, struct template_counts *counts)
{
	bool options = set_id == OPTIONS_TEMPLATE_SET_ID;
	if (id == set_id) {
		counts->withdrawn += remove_all(s, options);
		return;
	}
	unsigned slot = slot_of(s, id);
	const struct template *t = s->table[slot];
	if (t == NULL || t->is_options != options) {
		counts->bad++;
		return;
	}
	remove_slot(s, slot);
	counts->withdrawn++;
}

/* Whether the registry has come to know an element that t was read without. */
static bool
has_learned(const struct template *t, const struct elements *elements)
{
	for (unsigned i = 0; i < t->field_count; i++) {
		const struct template_field *f = &t->fields[i];
		if (f->element == NULL &&
		    elements_find(elements, f->pen, f->id) != NULL) {
			return true;
		}
	}
	return false;
}

static void
learn_fields(struct template *t, const struct elements *elements)
{
	bool is_new = false;
	for (unsigned i = 0; i < t->field_count; i++) {
		struct template_field *f = &t->fields[i];
		if (f->element == NULL) {
			f->element = elements_find(elements, f->pen, f->id);
			is_new |= f->element != NULL;
		}
	}
	if (is_new) {
		reader_drop(t);
	}
}

void
templates_learn(struct templates *s, const struct elements *elements)
{
	for (unsigned i = 0; i < s->slots; i++) {
		if (s->table[i] != NULL) {
			learn_fields(s->table[i], elements);
		}
	}
}

static unsigned
count_unknown(const struct template *t)
{
	unsigned n = 0;
	for (unsigned i = 0; i < t->field_count; i++) {
		n += t->fields[i].element == NULL;
	}
	return n;
}

/* Takes t. */
static void
define(struct templates *s, struct template *t, const struct elements *elements,
    struct template_counts *counts)
{
	unsigned slot = slot_of(s, t->id);
	struct template *old = s->table[slot];
	if (old != NULL) {
		bool same = old->is_options == t->is_options &&
			    old->scope_count == t->scope_count &&
			    old->raw_length == t->raw_length &&
			    memcmp(old->raw, t->raw, t->raw_length) == 0;
		counts->repeated += same;
		counts->redefined += !same;
		counts->options += t->is_options;
		if (same && !has_learned(old, elements)) {
			old->seen_ns = s->now_ns;
			template_free(t);
			return;
		}
		counts->unknown += same ? 0 : count_unknown(t);
		s->bytes += size_of(t) - size_of(old);
		template_free(old);
		s->table[slot] = t;
		return;
	}
	if (s->count >= s->max_templates) {
		counts->refused++;
		template_free(t);
		return;
	}
	if ((s->count + 1) * 2 > s->slots && double_slots(s) < 0) {
		counts->no_memory++;
		template_free(t);
		return;
	}
	s->table[slot_of(s, t->id)] = t;
	s->count++;
	s->bytes += size_of(t);
	counts->added++;
	counts->unknown += count_unknown(t);
	counts->options += t->is_options;
}

/* A template record: where it lies, and what its field specifiers add up to. */
struct span {
	const uint8_t *record, *end;
	struct cursor fields;
	uint16_t id, count, scope_count;
	uint32_t length; /* of a data record, at least */
	unsigned empty;  /* fields of length 0 */
	bool is_options, is_variable;
};

static struct template_field
read_field(struct cursor *c)
{
	struct template_field f = {.id = cursor_u16(c)};

	f.length = cursor_u16(c);
	if ((f.id & ELEMENT_ENTERPRISE) != 0) {
		f.id &= (uint16_t)~ELEMENT_ENTERPRISE;
		f.pen = cursor_u32(c);
	}
	return f;
}

/* Steps over the field specifiers.  -EPROTO: they do not lie within the set. */
static int
measure(struct cursor *c, struct span *ret)
{
	if (c->failed || cursor_left(c) < (size_t)ret->count * 4) {
		return -EPROTO;
	}
	ret->fields = *c;
	for (unsigned i = 0; i < ret->count; i++) {
		struct template_field f = read_field(c);
		bool is_variable = f.length == ELEMENT_VARIABLE;
		if (c->failed) {
			return -EPROTO;
		}
		ret->empty += f.length == 0;
		ret->length += is_variable ? 1 : f.length;
		ret->is_variable |= is_variable;
	}
	ret->end = c->at;
	return 0;
}

/* Records without length would never end, nor would any message hold too long ones. */
static bool
is_sound(const struct span *r)
{
	return r->id >= TEMPLATE_MIN_ID && r->scope_count <= r->count &&
	       r->length > 0 && r->length <= MESSAGE_MAX_RECORD;
}

static int
compare_keys(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Fields in the order of their elements, those of one element in theirs: equal
 * neighbours are repeats.  0 or -ENOMEM. */
static int
number_repeats(struct template *t)
{
	uint64_t *keys = malloc(t->field_count * sizeof *keys);
	uint16_t *repeats = NULL;
	int rc = keys == NULL ? -ENOMEM : 0;

	for (unsigned i = 0; rc == 0 && i < t->field_count; i++) {
		const struct template_field *f = &t->fields[i];
		keys[i] = (uint64_t)f->pen << 31 | (uint64_t)f->id << 16 | i;
	}
	if (rc == 0) {
		qsort(keys, t->field_count, sizeof *keys, compare_keys);
	}
	for (unsigned i = 1, n = 0; rc == 0 && i < t->field_count; i++) {
		n = keys[i] >> 16 == keys[i - 1] >> 16 ? n + 1 : 0;
		if (n > 0 && repeats == NULL) {
			repeats = calloc(t->field_count, sizeof *repeats);
			rc = repeats == NULL ? -ENOMEM : 0;
		}
		if (n > 0 && rc == 0) {
			repeats[keys[i] & 0xffff] = (uint16_t)n;
		}
	}
	free(keys);
	t->repeats = repeats;
	return rc;
}

static void
read_template(struct templates *s, const struct span *r,
    const struct elements *elements, struct template_counts *counts)
{
	size_t raw_length = (size_t)(r->end - r->record);
	struct cursor fields = r->fields;
	struct template *t;
	if (r->count > s->max_fields || r->empty > TEMPLATE_MAX_EMPTY) {
		counts->refused++;
		return;
	}
	t = calloc(1, sizeof *t + r->count * sizeof t->fields[0] + raw_length);
	if (t == NULL) {
		counts->no_memory++;
		return;
	}
	t->id = r->id;
	t->is_options = r->is_options;
	t->seen_ns = s->now_ns;
	t->scope_count = r->scope_count;
	t->field_count = r->count;
	t->record_length = (uint16_t)r->length;
	t->is_variable = r->is_variable;
	t->raw_length = raw_length;
	t->raw = (uint8_t *)&t->fields[r->count];
	memcpy(t->raw, r->record, raw_length);
	for (unsigned i = 0; i < r->count; i++) {
		struct template_field f = read_field(&fields);
		f.element = elements_find(elements, f.pen, f.id);
		t->fields[i] = f;
	}
	if (number_repeats(t) < 0) {
		counts->no_memory++;
		template_free(t);
		return;
	}
	define(s, t, elements, counts);
}

/* A malformed record costs only itself while it is certain where it ends.  It is not
 * where its fields reach beyond the set, nor in zeros that something follows. */
void
templates_read_set(struct templates *s, const struct elements *elements,
    uint16_t set_id, struct cursor body, bool allow_withdrawal,
    struct template_counts *counts)
{
	struct cursor *c = &body;
	while (cursor_left(c) >= 4 && !cursor_is_zero(*c)) {
		struct span r = {.record = c->at};
		r.id = cursor_u16(c);
		r.count = cursor_u16(c);
		if (r.count == 0 && (r.id == set_id || r.id >= TEMPLATE_MIN_ID)) {
			if (allow_withdrawal) {
				withdraw(s, set_id, r.id, counts);
			} else {
				counts->ignored++;
			}
			continue;
		}
		r.is_options = set_id == OPTIONS_TEMPLATE_SET_ID;
		if (r.is_options && r.count > 0) {
			r.scope_count = cursor_u16(c);
		}
		if ((r.id == 0 && r.count == 0) || measure(c, &r) < 0) {
			counts->bad++;
			return;
		}
		if (is_sound(&r)) {
			read_template(s, &r, elements, counts);
		} else {
			counts->bad++;
		}
	}
}

void
templates_each(const struct templates *s,
    void (*each)(const struct template *t, void *data), void *data)
{
	uint64_t present[65536 / 64] = {0};
	for (unsigned i = 0; i < s->slots; i++) {
		if (s->table[i] != NULL) {
			unsigned id = s->table[i]->id;
			present[id / 64] |= UINT64_C(1) << id % 64;
		}
	}
	for (unsigned word = 0; word < 65536 / 64; word++) {
		while (present[word] != 0) {
			unsigned bit = (unsigned)__builtin_ctzll(present[word]);
			present[word] &= present[word] - 1;
			each(templates_find(s, (uint16_t)(word * 64 + bit)), data);
		}
	}
}

int
template_find_field(const struct template *t, uint32_t pen, uint16_t id)
{
	for (unsigned i = 0; i < t->field_count; i++) {
		if (t->fields[i].id == id && t->fields[i].pen == pen) {
			return (int)i;
		}
	}
	return -1;
}
