/* A list and the templates it may refer to: a byte that says which of the three lists
 * and how much room there is for its text, two bytes of length, the body of a template
 * set, then the list.  What comes out is always one whole JSON value in UTF-8. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rows/structured_data.h"
#include "common/base/cursor.h"
#include "common/base/utf8.h"

#define CAPACITY 16383

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct elements *elements;

static void
load(void)
{
	struct err e = {""};

	elements = elements_new(ELEMENT_PEN_OWN);
	if (elements == NULL ||
	    elements_read_xml(elements, "schemas/elements.xml", &e) < 0) {
		abort();
	}
}

static void
expect(struct cursor *c, uint8_t byte)
{
	if (cursor_u8(c) != byte) {
		abort();
	}
}

static uint8_t
ahead(const struct cursor *c)
{
	if (c->at == c->end) {
		abort();
	}
	return *c->at;
}

static void
check_string(struct cursor *c)
{
	expect(c, '"');
	while (ahead(c) != '"') {
		size_t n = utf8_length(c->at, cursor_left(c));
		if (n == 0 || *c->at < 0x20) {
			abort();
		}
		if (*c->at == '\\') {
			cursor_u8(c);
			n = ahead(c) == 'u' ? 5 : 1;
		}
		if (cursor_take(c, n) == NULL) {
			abort();
		}
	}
	cursor_u8(c);
}

static void
check_word(struct cursor *c)
{
	static const char *const words[] = {"true", "false", "null"};
	char *end, text[32] = "";
	size_t n = 0;

	while (c->at < c->end && strchr(",]}", *c->at) == NULL) {
		text[n++] = (char)cursor_u8(c);
		if (n == sizeof text) {
			abort();
		}
	}
	for (unsigned i = 0; i < 3; i++) {
		if (strcmp(text, words[i]) == 0) {
			return;
		}
	}
	(void)strtod(text, &end);
	if (n == 0 || end != text + n || text[0] == '+') {
		abort();
	}
}

/* An array or an object, or what has no inside. */
static void
check_value(struct cursor *c, unsigned depth)
{
	uint8_t begin = ahead(c);
	uint8_t end = begin == '[' ? ']' : '}';

	if (depth > 8 * STRUCTURED_DATA_DEPTH) {
		abort();
	}
	if (begin != '[' && begin != '{') {
		(begin == '"' ? check_string : check_word)(c);
		return;
	}
	cursor_u8(c);
	while (ahead(c) != end) {
		if (begin == '{') {
			check_string(c);
			expect(c, ':');
		}
		check_value(c, depth + 1);
		if (ahead(c) != end) {
			expect(c, ',');
			if (ahead(c) == end) {
				abort();
			}
		}
	}
	cursor_u8(c);
}

static void
try_list(const struct templates *known, uint8_t choice, const uint8_t *list, size_t n)
{
	static const size_t capacities[] = {STRUCTURED_DATA_LEAST, 300, 1200, CAPACITY};
	struct structured_data s = {.elements = elements, .templates = known};
	enum element_type type = ELEMENT_BASIC_LIST + choice % 3;
	size_t capacity = capacities[choice / 3 % 4];
	uint8_t *exact = malloc(n + 1); /* so that ASan sees a byte too many */
	struct cursor lists[2], text;
	struct json_text out = {.out = malloc(capacity), .capacity = capacity};

	memcpy(exact, list, n);
	exact = realloc(exact, n > 0 ? n : 1);
	lists[0] = lists[1] = cursor_of(exact, n);
	structured_data_write(&s, type, lists, 1 + choice / 12 % 2, &out);
	if (out.used > capacity) {
		abort();
	}
	text = cursor_of(out.out, out.used);
	check_value(&text, 0);
	if (cursor_left(&text) > 0) {
		abort();
	}
	free(exact);
	free(out.out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct template_counts counts = {0};
	struct templates *known;
	size_t n;

	if (elements == NULL) {
		load();
	}
	if (length < 3) {
		return 0;
	}
	n = load_u16(bytes + 1);
	n = n < length - 3 ? n : length - 3;
	known = templates_new(64, 512);
	templates_read_set(
	    known, elements, TEMPLATE_SET_ID, cursor_of(bytes + 3, n), true, &counts);
	try_list(known, bytes[0], bytes + 3 + n, length - 3 - n);
	templates_free(known);
	return 0;
}
