#include "common/ipfix/element.h"

#include <errno.h>
#include <fixbuf/public.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"

/* Elements live one by one, so that pointers to them stay good while the registry
 * grows.  Two open-addressing indexes (by number, by name) hold index + 1; nothing is
 * ever removed.  An element that a later registry renames keeps its place; the slot of
 * its old name then matches no name and is only stepped over. */

#define MAX_ELEMENTS  65536 /* RFC 5610 lets peers add some */
#define MAX_XML_BYTES (16u << 20)
#define REVERSE_BIT   0x4000 /* of enterprise elements (RFC 5103 section 6.2) */

struct elements {
	uint32_t own_pen;
	uint64_t seed;
	fbInfoModel_t *model;
	struct element **all;
	size_t count, capacity;
	uint32_t *by_number, *by_name;
	size_t slots; /* of each index; a power of two, more than twice count */
	char **texts; /* names and descriptions */
	size_t text_count, text_capacity;
};

/* What libfixbuf warns about while it reads one XML file.  Records of IANA's own
 * registry may hold what libfixbuf does not know (number ranges, newer types) and are
 * passed over; a warning about an enterprise's record is the operator's mistake. */
struct reading {
	const char *xml;
	size_t length;
	char complaint[256];
};

static _Thread_local struct reading *reading;

static const char *
find_last(const char *begin, const char *end, const char *what)
{
	size_t n = strlen(what);
	for (const char *p = end - n; p >= begin; p--) {
		if (memcmp(p, what, n) == 0) {
			return p;
		}
	}
	return NULL;
}

/* Whether the place line:column lies in a record that carries an enterprise number. */
static bool
is_enterprise_record(const struct reading *r, unsigned line, unsigned column)
{
	const char *at = r->xml;
	const char *end = r->xml + r->length;
	while (line > 1 && at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		if (newline == NULL) {
			break;
		}
		at = newline + 1;
		line--;
	}
	at = (size_t)(end - at) < column ? end : at + column;
	const char *begin = at - r->xml < 7 ? NULL : find_last(r->xml, at, "<record");
	if (begin == NULL) {
		return true; /* no record that could be IANA's */
	}
	const char *stop = memmem(begin, (size_t)(end - begin), "</record", 8);
	if (stop == NULL) {
		stop = end;
	}
	return memmem(begin, (size_t)(stop - begin), "enterpriseId", 12) != NULL;
}

/* libfixbuf speaks through GLib's log: keep the first complaint that counts, print
 * nothing. */
static void
take_warning(
    const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer data)
{
	(void)domain;
	(void)level;
	(void)data;
	struct reading *r = reading;
	if (r == NULL || message == NULL || r->complaint[0] != '\0') {
		return;
	}
	unsigned line = 0;
	unsigned column = 0;
	const char *place = strstr(message, "ending at ");
	const char *text = message;
	if (place != NULL) {
		sscanf(place, "ending at %u:%u", &line, &column);
	} else if ((place = strchr(message, '(')) != NULL &&
		   sscanf(place, "(%u:%u)", &line, &column) == 2) {
		const char *close = strchr(place, ')');
		text = close == NULL ? message : close + 1 + strspn(close + 1, " ");
	}
	if (line != 0 && !is_enterprise_record(r, line, column)) {
		return;
	}
	snprintf(r->complaint, sizeof r->complaint, "%u:%u: %s", line, column, text);
}

static uint64_t
hash_number(const struct elements *s, uint32_t pen, uint16_t id)
{
	uint64_t key = (uint64_t)pen << 16 | id;
	return hash_bytes(&key, sizeof key, s->seed);
}

static uint64_t
hash_name(const struct elements *s, const char *name)
{
	return hash_bytes(name, strlen(name), s->seed);
}

/* The slot that holds (pen, id), or the free one where it belongs. */
static size_t
slot_of_number(const struct elements *s, uint32_t pen, uint16_t id)
{
	size_t i = hash_number(s, pen, id) & (s->slots - 1);
	while (s->by_number[i] != 0) {
		const struct element *x = s->all[s->by_number[i] - 1];
		if (x->pen == pen && x->id == id) {
			break;
		}
		i = (i + 1) & (s->slots - 1);
	}
	return i;
}

static size_t
slot_in(const struct elements *s, const uint32_t *index, size_t slots, const char *name)
{
	size_t i = hash_name(s, name) & (slots - 1);
	while (index[i] != 0) {
		if (strcmp(s->all[index[i] - 1]->name, name) == 0) {
			break;
		}
		i = (i + 1) & (slots - 1);
	}
	return i;
}

static size_t
slot_of_name(const struct elements *s, const char *name)
{
	return slot_in(s, s->by_name, s->slots, name);
}

/* Who answers to a name that several elements have: IANA's always; else the registry
 * read last; never one learned from a peer. */
static void
index_name(struct elements *s, size_t index, bool is_learned)
{
	size_t i = slot_of_name(s, s->all[index]->name);
	if (s->by_name[i] != 0) {
		const struct element *holder = s->all[s->by_name[i] - 1];
		if (is_learned || holder->pen == 0) {
			return;
		}
	}
	s->by_name[i] = (uint32_t)index + 1;
}

static int
grow_indexes(struct elements *s)
{
	size_t slots = s->slots == 0 ? 4096 : s->slots * 2;
	uint32_t *by_number = calloc(slots, sizeof *by_number);
	uint32_t *by_name = calloc(slots, sizeof *by_name);
	if (by_number == NULL || by_name == NULL) {
		free(by_number);
		free(by_name);
		return -ENOMEM;
	}
	/* From the old slots, not from all elements: they tell who holds a name.  A
	 * slot that does not answer to its element's name is a former name's. */
	for (size_t i = 0; i < s->slots; i++) {
		if (s->by_name[i] == 0) {
			continue;
		}
		const char *name = s->all[s->by_name[i] - 1]->name;
		if (slot_of_name(s, name) == i) {
			by_name[slot_in(s, by_name, slots, name)] = s->by_name[i];
		}
	}
	free(s->by_number);
	free(s->by_name);
	s->by_number = by_number;
	s->by_name = by_name;
	s->slots = slots;
	for (size_t i = 0; i < s->count; i++) {
		s->by_number[slot_of_number(s, s->all[i]->pen, s->all[i]->id)] =
		    (uint32_t)i + 1;
	}
	return 0;
}

static int
make_room(struct elements *s)
{
	if (s->count >= MAX_ELEMENTS) {
		return -ENOSPC;
	}
	if ((s->count + 1) * 3 > s->slots) {
		int rc = grow_indexes(s);
		if (rc < 0) {
			return rc;
		}
	}
	if (s->count == s->capacity) {
		size_t capacity = s->capacity == 0 ? 1024 : s->capacity * 2;
		struct element **all =
		    realloc(s->all, capacity * sizeof(struct element *));
		if (all == NULL) {
			return -ENOMEM;
		}
		s->all = all;
		s->capacity = capacity;
	}
	return 0;
}

/* A copy that lives as long as the registry; NULL for NULL or without memory. */
static const char *
keep_text(struct elements *s, const char *text)
{
	if (text == NULL) {
		return NULL;
	}
	if (s->text_count == s->text_capacity) {
		size_t capacity = s->text_capacity == 0 ? 1024 : s->text_capacity * 2;
		char **texts = realloc(s->texts, capacity * sizeof(char *));
		if (texts == NULL) {
			return NULL;
		}
		s->texts = texts;
		s->text_capacity = capacity;
	}
	char *copy = strdup(text);
	if (copy != NULL) {
		s->texts[s->text_count++] = copy;
	}
	return copy;
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same_element(const struct element *a, const struct element *b)
{
	return a->type == b->type && a->length == b->length &&
	       a->semantics == b->semantics && a->units == b->units &&
	       a->range_min == b->range_min && a->range_max == b->range_max &&
	       same_text(a->name, b->name) && same_text(a->description, b->description);
}

/* Copies in's texts and puts it at `index`, which may be new. */
static int
put(struct elements *s, size_t index, const struct element *in, bool is_learned)
{
	struct element copy = *in;
	copy.name = keep_text(s, in->name);
	copy.description = keep_text(s, in->description);
	if (copy.name == NULL ||
	    (in->description != NULL && copy.description == NULL)) {
		return -ENOMEM;
	}
	if (index == s->count) {
		struct element *x = malloc(sizeof *x);
		if (x == NULL) {
			return -ENOMEM;
		}
		size_t slot = slot_of_number(s, in->pen, in->id);
		s->all[s->count++] = x;
		s->by_number[slot] = (uint32_t)index + 1;
	}
	*s->all[index] = copy;
	index_name(s, index, is_learned);
	return 0;
}

/* Whether name is "reverse" and the capitalised forward name (RFC 5103 section 6.1). */
static bool
is_reverse_name(const char *name, const char *forward)
{
	if (strncmp(name, "reverse", 7) != 0 || forward[0] == '\0') {
		return false;
	}
	char first = forward[0];
	if (first >= 'a' && first <= 'z') {
		first = (char)(first - 'a' + 'A');
	}
	return name[7] == first && strcmp(name + 8, forward + 1) == 0;
}

static struct element *
find_reverse(const struct elements *s, const struct element *forward)
{
	if (forward->pen == ELEMENT_PEN_REVERSE ||
	    (forward->pen != 0 && (forward->id & REVERSE_BIT) != 0)) {
		return NULL;
	}
	uint32_t pen = forward->pen == 0 ? ELEMENT_PEN_REVERSE : forward->pen;
	uint16_t id = forward->pen == 0 ? forward->id : forward->id | REVERSE_BIT;
	uint32_t index = s->by_number[slot_of_number(s, pen, id)];
	if (index == 0) {
		return NULL;
	}
	struct element *x = s->all[index - 1];
	return is_reverse_name(x->name, forward->name) ? x : NULL;
}

/* Pairs the forward element at `index` with its reverse, where there is one. */
static void
link_reverse(struct elements *s, size_t index)
{
	struct element *reverse = find_reverse(s, s->all[index]);
	s->all[index]->is_reversible = reverse != NULL;
	if (reverse != NULL) {
		reverse->is_reverse = true;
		reverse->is_reversible = false;
	}
}

/* Takes over what libfixbuf's model has and we have not, or have differently. */
static int
take_model(struct elements *s, struct err *e)
{
	fbInfoModelIter_t iterator;
	fbInfoModelIterInit(&iterator, s->model);
	const fbInfoElement_t *x = fbInfoModelIterNext(&iterator);
	for (; x != NULL; x = fbInfoModelIterNext(&iterator)) {
		if (x->num == 0 || x->num > ELEMENT_ID_MAX) {
			return err_set(e, -EINVAL,
			    "element %s (enterprise %u) has the invalid number %u "
			    "(expected 1 to %u)",
			    x->ref.name, x->ent, x->num, ELEMENT_ID_MAX);
		}
		struct element in = {
		    .name = x->ref.name,
		    .description = x->description,
		    .pen = x->ent == ELEMENT_PEN_OWN ? s->own_pen : x->ent,
		    .id = x->num,
		    .length = x->len,
		    .type = (enum element_type)x->type,
		    .semantics = FB_IE_SEMANTIC(x->flags),
		    .units = FB_IE_UNITS(x->flags),
		    .range_min = x->min,
		    .range_max = x->max,
		};
		int rc = make_room(s);
		if (rc < 0) {
			return err_set(e, rc, "no memory for element %s", in.name);
		}
		uint32_t known = s->by_number[slot_of_number(s, in.pen, in.id)];
		if (known != 0 && same_element(s->all[known - 1], &in)) {
			continue;
		}
		rc = put(s, known != 0 ? known - 1 : s->count, &in, false);
		if (rc < 0) {
			return err_set(e, rc, "no memory for element %s", in.name);
		}
	}
	for (size_t i = 0; i < s->count; i++) {
		link_reverse(s, i);
	}
	return 0;
}

int
elements_check_own_pen(uint64_t pen, struct err *e)
{
	if (pen == ELEMENT_PEN_REVERSE || pen == ELEMENT_PEN_CERT) {
		return err_set(e, -EINVAL,
		    "--own-pen %u belongs to %s; give your own enterprise's number",
		    (unsigned)pen,
		    pen == ELEMENT_PEN_CERT ? "CERT's elements"
					    : "reverse elements (RFC 5103)");
	}
	return 0;
}

struct elements *
elements_new(uint32_t own_pen)
{
	g_log_set_default_handler(take_warning, NULL);
	struct elements *s = calloc(1, sizeof *s);
	if (s == NULL) {
		return NULL;
	}
	s->own_pen = own_pen;
	s->seed = hash_seed();
	s->model = fbInfoModelAlloc();
	if (grow_indexes(s) < 0 || take_model(s, NULL) < 0) {
		elements_free(s);
		return NULL;
	}
	return s;
}

void
elements_free(struct elements *s)
{
	if (s == NULL) {
		return;
	}
	for (size_t i = 0; i < s->count; i++) {
		free(s->all[i]);
	}
	for (size_t i = 0; i < s->text_count; i++) {
		free(s->texts[i]);
	}
	free(s->all);
	free(s->texts);
	free(s->by_number);
	free(s->by_name);
	fbInfoModelFree(s->model);
	free(s);
}

uint32_t
elements_own_pen(const struct elements *s)
{
	return s->own_pen;
}

/* The whole file in memory, NUL-terminated; the caller frees. */
static int
read_file(const char *path, char **ret, size_t *ret_length, struct err *e)
{
	int rc = 0;
	char *text = NULL;
	size_t length = 0;
	FILE *f = fopen(path, "re");
	if (f == NULL) {
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	}
	text = malloc(MAX_XML_BYTES + 1);
	if (text == NULL) {
		rc = err_set(e, -ENOMEM, "%s: out of memory", path);
		goto out;
	}
	length = fread(text, 1, MAX_XML_BYTES + 1, f);
	if (ferror(f)) {
		rc = err_set(e, -EIO, "%s: %s", path, strerror(errno));
		goto out;
	}
	if (length > MAX_XML_BYTES) {
		rc = err_set(e, -EFBIG,
		    "%s: too large for an element registry (expected at most %u bytes)",
		    path, MAX_XML_BYTES);
		goto out;
	}
	text[length] = '\0';
	*ret = text;
	*ret_length = length;
	text = NULL;
out:
	free(text);
	fclose(f);
	return rc;
}

int
elements_read_xml(struct elements *s, const char *path, struct err *e)
{
	GError *error = NULL;
	char *text = NULL;
	size_t length = 0;
	int rc = read_file(path, &text, &length, e);
	if (rc < 0) {
		return rc;
	}
	struct reading r = {.xml = text, .length = length};
	reading = &r;
	gboolean ok = fbInfoModelReadXMLData(s->model, text, (gssize)length, &error);
	reading = NULL;
	if (!ok) {
		rc = err_set(e, -EINVAL, "%s: %s", path,
		    error == NULL ? "libfixbuf cannot read it" : error->message);
	} else if (r.complaint[0] != '\0') {
		rc = err_set(e, -EINVAL, "%s:%s", path, r.complaint);
	} else if (memmem(text, length, "<record", 7) == NULL) {
		rc = err_set(e, -EINVAL,
		    "%s: no <record>: not a registry of information elements", path);
	} else {
		rc = take_model(s, e);
		if (rc < 0) {
			err_prefix(e, rc, "%s", path);
		}
	}
	g_clear_error(&error);
	free(text);
	return rc;
}

int
elements_add(struct elements *s, const struct element *element)
{
	if (element->name == NULL || element->name[0] == '\0' || element->id == 0 ||
	    element->id > ELEMENT_ID_MAX) {
		return -EINVAL;
	}
	int rc = make_room(s);
	if (rc < 0) {
		return rc;
	}
	if (s->by_number[slot_of_number(s, element->pen, element->id)] != 0) {
		return -EEXIST;
	}
	struct element in = *element;
	in.is_reverse = false;
	in.is_reversible = false;
	rc = put(s, s->count, &in, true);
	if (rc < 0) {
		return rc;
	}
	size_t added = s->count - 1;
	link_reverse(s, added);
	if (in.pen != 0 && (in.id & REVERSE_BIT) != 0) {
		uint32_t forward =
		    s->by_number[slot_of_number(s, in.pen, in.id & ~REVERSE_BIT)];
		if (forward != 0) {
			link_reverse(s, forward - 1);
		}
	}
	return 0;
}

const struct element *
elements_find(const struct elements *s, uint32_t pen, uint16_t id)
{
	uint32_t index = s->by_number[slot_of_number(s, pen, id)];
	return index == 0 ? NULL : s->all[index - 1];
}

const struct element *
elements_find_name(const struct elements *s, const char *name)
{
	uint32_t index = s->by_name[slot_of_name(s, name)];
	return index == 0 ? NULL : s->all[index - 1];
}

const char *
elements_nearest(const struct elements *s, const char *name)
{
	const char **names = malloc(s->count * sizeof(char *));
	if (names == NULL) {
		return NULL;
	}
	for (size_t i = 0; i < s->count; i++) {
		names[i] = s->all[i]->name;
	}
	const char *nearest = err_nearest(name, names, (unsigned)s->count);
	free(names);
	return nearest;
}

const struct element *
elements_reverse(const struct elements *s, const struct element *forward)
{
	return find_reverse(s, forward);
}

size_t
elements_count(const struct elements *s)
{
	return s->count;
}

const struct element *
elements_at(const struct elements *s, size_t i)
{
	return s->all[i];
}
