/* A template set and a data set of its template: two bytes of length, the body of a
 * template set, then the bytes of the data set.  Every table of schemas/ takes it. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/tables/tables.h"
#include "common/base/cursor.h"
#include "common/ipfix/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct elements *elements;
static struct tables *tables;

static void
load(void)
{
	struct tables_settings s = {.schema_directory = "schemas", .max_keys = 400000};
	struct err e = {""};

	if (elements == NULL) {
		elements = elements_new(ELEMENT_PEN_OWN);
		if (elements == NULL ||
		    elements_read_xml(elements, "schemas/elements.xml", &e) < 0) {
			abort();
		}
	}
	if (tables_new(&s, elements, &tables, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
}

struct data {
	const uint8_t *bytes;
	size_t length;
	uint64_t position;
};

static void
try_template(const struct template *t, void *data)
{
	struct data *d = data;
	struct origin o = {.exporter = "fuzz",
	    .arrival_ns = 1493205077000000000,
	    .position = d->position += 1000,
	    .is_live = d->length % 2 == 0};
	uint8_t *exact = malloc(d->length + 1); /* so that ASan sees a byte too many */
	struct tables_counts before, after;
	int n;

	memcpy(exact, d->bytes, d->length);
	exact = realloc(exact, d->length > 0 ? d->length : 1);
	tables_counts(tables, &before);
	n = tables_add_set(t, exact, d->length, &o, tables);
	tables_counts(tables, &after);
	if (!t->is_variable && (n < 0 || (size_t)n != d->length / t->record_length)) {
		abort();
	}
	if (n >= 0 && after.records - before.records != (uint64_t)n) {
		abort();
	}
	free(exact);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct template_counts counts = {0};
	struct templates *s;
	struct data d;
	size_t n;

	if (length < 2) {
		return 0;
	}
	if (tables == NULL || !tables_have_room(tables, 4000)) {
		tables_free(tables);
		load();
	}
	n = load_u16(bytes);
	n = n < length - 2 ? n : length - 2;
	s = templates_new(16, 64);
	templates_read_set(
	    s, elements, TEMPLATE_SET_ID, cursor_of(bytes + 2, n), true, &counts);
	d = (struct data){.bytes = bytes + 2 + n, .length = length - 2 - n};
	templates_each(s, try_template, &d);
	templates_free(s);
	return 0;
}
