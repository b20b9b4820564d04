#include "collector/protocol/record_span.h"

#include <errno.h>

/* RFC 7011 section 7: one byte of length, or 255 and two more. */
static size_t
variable_length(struct cursor *c)
{
	size_t n = cursor_u8(c);

	return n == 255 ? cursor_u16(c) : n;
}

int
record_span_next(const struct template *t, struct cursor *set, struct cursor *fields)
{
	if (cursor_left(set) < t->record_length) {
		return 0;
	}
	for (unsigned i = 0; i < t->field_count; i++) {
		size_t n = t->fields[i].length;
		struct cursor field;
		if (n == ELEMENT_VARIABLE) {
			n = variable_length(set);
		}
		field = cursor_sub(set, n);
		if (set->failed) {
			return -EBADMSG;
		}
		if (fields != NULL) {
			fields[i] = field;
		}
	}
	return 1;
}

const struct cursor *
record_span_field(const struct template *t, const struct cursor *fields, uint16_t id)
{
	int i = template_find_field(t, 0, id);

	return i < 0 ? NULL : &fields[i];
}

uint64_t
record_span_number(const struct template *t, const struct cursor *fields, uint16_t id)
{
	const struct cursor *c = record_span_field(t, fields, id);
	size_t n = c == NULL ? 0 : cursor_left(c);

	return n > 8 ? 0 : load_uint(c == NULL ? NULL : c->at, n);
}

uint32_t
record_span_count(const struct template *t, struct cursor set, bool *ret_is_whole)
{
	uint32_t n = 0;
	int rc;

	*ret_is_whole = true;
	if (!t->is_variable) {
		return (uint32_t)(cursor_left(&set) / t->record_length);
	}
	while ((rc = record_span_next(t, &set, NULL)) > 0) {
		n++;
	}
	*ret_is_whole = rc == 0;
	return n;
}
