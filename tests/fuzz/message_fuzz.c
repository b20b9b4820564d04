/* Any bytes as a stream of IPFIX messages of one observation domain: framing, template
 * sets of both kinds with withdrawals, data sets walked by their templates.  Whatever
 * comes, templates stay within their bounds, records have a length, and each template
 * is the one that its kept raw bytes define. */
#include <stdlib.h>
#include <string.h>

#include "common/ipfix/message.h"
#include "common/ipfix/template.h"

#define MAX_TEMPLATES 32
#define MAX_FIELDS    64

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct elements *registry;

static void
check(bool holds)
{
	if (!holds) {
		abort();
	}
}

/* Snapshots keep raw bytes: they must define the same template again. */
static void
check_template(const struct template *t, void *data)
{
	unsigned *seen = data;
	struct template_counts counts = {0};
	struct templates *other = templates_new(1, MAX_FIELDS);
	(*seen)++;
	check(t->id >= TEMPLATE_MIN_ID && t->field_count > 0);
	check(t->field_count <= MAX_FIELDS && t->scope_count <= t->field_count);
	check(t->record_length > 0);
	if (other == NULL) {
		return;
	}
	templates_read_set(other, registry,
	    t->is_options ? OPTIONS_TEMPLATE_SET_ID : TEMPLATE_SET_ID,
	    cursor_of(t->raw, t->raw_length), false, &counts);
	const struct template *same = templates_find(other, t->id);
	check(counts.added == 1 && counts.bad == 0 && same != NULL);
	check(same->record_length == t->record_length);
	check(same->is_variable == t->is_variable);
	check(same->field_count == t->field_count);
	check(
	    memcmp(same->fields, t->fields, t->field_count * sizeof t->fields[0]) == 0);
	templates_free(other);
}

/* Touches every byte of every whole record. */
static unsigned
read_records(const struct template *t, struct cursor c)
{
	static volatile uint8_t sink;
	unsigned records = 0;
	while (cursor_left(&c) >= t->record_length) {
		for (unsigned i = 0; i < t->field_count; i++) {
			size_t n = t->fields[i].length;
			if (n == ELEMENT_VARIABLE) {
				n = cursor_u8(&c);
				n = n == 255 ? cursor_u16(&c) : n;
			}
			const uint8_t *p = cursor_take(&c, n);
			for (size_t k = 0; p != NULL && k < n; k++) {
				sink = (uint8_t)(sink ^ p[k]);
			}
		}
		if (c.failed) {
			break;
		}
		records++;
	}
	return records;
}

static void
read_set(struct templates *templates, uint16_t id, struct cursor set)
{
	struct template_counts counts = {0};
	unsigned before = templates_count(templates);
	if (id == TEMPLATE_SET_ID || id == OPTIONS_TEMPLATE_SET_ID) {
		templates_read_set(templates, registry, id, set, true, &counts);
		check(templates_count(templates) <= MAX_TEMPLATES);
		check(templates_count(templates) ==
		      before + counts.added - counts.withdrawn);
		unsigned seen = 0;
		templates_each(templates, check_template, &seen);
		check(seen == templates_count(templates));
		return;
	}
	const struct template *t = templates_find(templates, id);
	check(t == NULL || t->id == id);
	if (t != NULL) {
		check(read_records(t, set) <= cursor_left(&set));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct cursor stream = cursor_of(bytes, length);
	if (registry == NULL) {
		registry = elements_new(ELEMENT_PEN_OWN);
		check(registry != NULL);
	}
	struct templates *templates = templates_new(MAX_TEMPLATES, MAX_FIELDS);
	check(templates != NULL);
	for (;;) {
		struct message_header h;
		struct cursor set;
		uint16_t id;
		int n = message_length(stream.at, cursor_left(&stream));
		if (n <= 0 || (size_t)n > cursor_left(&stream)) {
			break;
		}
		struct cursor message = cursor_sub(&stream, (size_t)n);
		check(message_read_header(&message, &h) == 0 && h.length == n);
		while (message_next_set(&message, &id, &set) == 1) {
			read_set(templates, id, set);
		}
		check(cursor_left(&message) == 0);
	}
	templates_free(templates);
	return 0;
}
