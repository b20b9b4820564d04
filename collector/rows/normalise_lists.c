#include "collector/rows/normalise_plan.h"

int64_t
normalise_lists(
    const struct plan *p, const struct op *op, const uint8_t *record, struct batch *b)
{
	const struct template *t = p->of;
	const struct element *element = t->fields[op->field].element;
	size_t offset = op->offset;
	struct cursor lists[LAYOUT_MAX_LISTS];
	char text[INTERN_LONG_MAX];
	struct json_text json = {.out = text, .capacity = (size_t)op->constant};
	unsigned n = 0;

	for (unsigned i = op->field; i < t->field_count; i++) {
		if (t->fields[i].element != element) {
			offset += t->fields[i].length;
			continue;
		}
		if (n == LAYOUT_MAX_LISTS) {
			b->lists.counts.cut++;
			break;
		}
		lists[n++] = record == NULL
				 ? cursor_of(p->starts[i], p->lengths[i])
				 : cursor_of(record + offset, t->fields[i].length);
		offset += t->fields[i].length;
	}
	structured_data_write(&b->lists, element->type, lists, n, &json);
	return intern_add_long(b->intern, text, json.used);
}
