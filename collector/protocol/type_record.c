#include "collector/protocol/type_record.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "collector/protocol/record_span.h"

#define NAME_MAX_LENGTH        80
#define DESCRIPTION_MAX_LENGTH 400

enum { /* IANA elements of RFC 5610 */
	ELEMENT_ID = 303,
	DATA_TYPE = 339,
	DESCRIPTION = 340,
	NAME = 341,
	RANGE_BEGIN = 342,
	RANGE_END = 343,
	SEMANTICS = 344,
	UNITS = 345,
	PRIVATE_ENTERPRISE_NUMBER = 346,
};

bool
type_record_is(const struct template *t)
{
	return t->scope_count > 0 && template_find_field(t, 0, ELEMENT_ID) >= 0 &&
	       template_find_field(t, 0, PRIVATE_ENTERPRISE_NUMBER) >= 0 &&
	       template_find_field(t, 0, DATA_TYPE) >= 0 &&
	       template_find_field(t, 0, NAME) >= 0;
}

static void
text_of(const struct template *t, const struct cursor *fields, uint16_t id, char *out,
    size_t capacity)
{
	const struct cursor *c = record_span_field(t, fields, id);
	size_t n = c == NULL ? 0 : cursor_left(c);

	if (n >= capacity) {
		n = capacity - 1;
	}
	for (size_t i = 0; i < n; i++) {
		out[i] = isprint(c->at[i]) ? (char)c->at[i] : '?';
	}
	out[n] = '\0';
}

static bool
is_plain_name(const char *s)
{
	if (!isalpha((unsigned char)s[0])) {
		return false;
	}
	for (; *s != '\0'; s++) {
		if (!isalnum((unsigned char)*s) && *s != '_' && *s != '-') {
			return false;
		}
	}
	return true;
}

uint16_t
type_record_length(enum element_type type)
{
	switch (type) {
	case ELEMENT_U8:
	case ELEMENT_I8:
	case ELEMENT_BOOL:
		return 1;
	case ELEMENT_U16:
	case ELEMENT_I16:
		return 2;
	case ELEMENT_U32:
	case ELEMENT_I32:
	case ELEMENT_F32:
	case ELEMENT_TIME_S:
	case ELEMENT_IPV4:
		return 4;
	case ELEMENT_MAC:
		return 6;
	case ELEMENT_U64:
	case ELEMENT_I64:
	case ELEMENT_F64:
	case ELEMENT_TIME_MS:
	case ELEMENT_TIME_US:
	case ELEMENT_TIME_NS:
		return 8;
	case ELEMENT_IPV6:
		return 16;
	default:
		return ELEMENT_VARIABLE;
	}
}

int
type_record_learn(const struct template *t, const struct cursor *fields,
    struct elements *elements, const struct element **ret)
{
	char name[NAME_MAX_LENGTH], description[DESCRIPTION_MAX_LENGTH];
	uint64_t pen = record_span_number(t, fields, PRIVATE_ENTERPRISE_NUMBER);
	uint64_t id = record_span_number(t, fields, ELEMENT_ID) & ELEMENT_ID_MAX;
	uint64_t type = record_span_number(t, fields, DATA_TYPE);
	struct element e = {.name = name, .description = description};
	int rc;

	text_of(t, fields, NAME, name, sizeof name);
	text_of(t, fields, DESCRIPTION, description, sizeof description);
	if (pen == 0 || pen > UINT32_MAX || pen == ELEMENT_PEN_REVERSE || id == 0 ||
	    type > ELEMENT_SUB_TEMPLATE_MULTI_LIST || !is_plain_name(name)) {
		return -EBADMSG;
	}
	if (elements_find(elements, (uint32_t)pen, (uint16_t)id) != NULL ||
	    elements_find_name(elements, name) != NULL) {
		return -EEXIST;
	}
	e.pen = (uint32_t)pen;
	e.id = (uint16_t)id;
	e.type = (enum element_type)type;
	e.length = type_record_length(e.type);
	e.semantics = (uint8_t)record_span_number(t, fields, SEMANTICS);
	e.units = (uint16_t)record_span_number(t, fields, UNITS);
	e.range_min = record_span_number(t, fields, RANGE_BEGIN);
	e.range_max = record_span_number(t, fields, RANGE_END);
	rc = elements_add(elements, &e);
	if (rc < 0) {
		return rc;
	}
	*ret = elements_find(elements, e.pen, e.id);
	return 0;
}
