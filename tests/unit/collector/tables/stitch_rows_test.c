#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/tables/stitch.h"
#include "tests/unit/collector/protocol/support_set.h"

#define MOST 1000 /* bytes of the list's text */

static struct schema_record *record;
static struct layout *layout;
static struct intern *texts;
static int list, name;
static unsigned rows;
static char seen[2][2 * MOST]; /* texts of the row that came out; "NULL" */

static int
set_up(void **state)
{
	struct err e = {""};

	(void)state;
	assert_int_equal(
	    schema_record_load("schemas/records/conversation.yaml", &record, &e), 0);
	assert_int_equal(layout_new(record, support_elements(), &layout, &e), 0);
	list = layout_add_named(layout, "basicList", &e);
	name = layout_add_named(layout, "interfaceName", &e);
	assert_int_equal(stitch_declare(layout, &e), 0);
	assert_int_equal(layout_finish(layout, &e), 0);
	layout_bound_text(layout, list, MOST);
	texts = intern_new();
	rows = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	intern_free(texts);
	layout_free(layout);
	schema_record_free(record);
	return 0;
}

static void
look(const struct batch *b, const struct table_moment *m, void *data)
{
	int fields[2] = {list, name};

	(void)m;
	(void)data;
	rows += b->row_count[0];
	for (unsigned i = 0; i < 2; i++) {
		uint32_t text = (uint32_t)*batch_values(b, fields[i]);
		snprintf(seen[i], sizeof seen[i], "%s",
		    nulls_has(b->nulls[0], fields[i]) ? "NULL"
						      : intern_text(texts, text, NULL));
	}
}

static void
put_field(struct support_set *s, const char *text)
{
	support_put(s, KIND_TEXT, 1);
	support_put(s, SOURCE_ELEMENTS, 1);
	support_put(s, strlen(text), 2);
	support_put_bytes(s, text, strlen(text));
	support_put(s, 0, 2); /* side */
}

static void
put_text(struct support_set *s, unsigned field, size_t length)
{
	support_put(s, field, 2);
	support_put(s, length, 2);
	for (size_t i = 0; i < length; i++) {
		support_put(s, 'x', 1);
	}
}

/* A row without anything to be found by, of these two texts; it comes out at once. */
static void
read_row(size_t list_length, size_t name_length)
{
	static const struct stitch_settings settings = {
	    .window_ns = 1, .max_waiting = 10, .seed = 1};
	struct stitch *s = stitch_new(layout, &settings, look, NULL);
	struct support_set chunk = {.length = 0};

	support_put(&chunk, 2, 2);
	put_field(&chunk, "basicList");
	put_field(&chunk, "interfaceName");
	for (unsigned i = 0; i < 4; i++) {
		support_put(&chunk, 1, 8);
	}
	support_put(&chunk, 1, 2);
	support_put(&chunk, 'r', 1);
	support_put(&chunk, 2, 2);
	put_text(&chunk, 0, list_length);
	put_text(&chunk, 1, name_length);
	assert_int_equal(stitch_read_rows(s, texts, chunk.bytes, chunk.length), 0);
	stitch_free(s);
	assert_int_equal(rows, 1);
}

static void
texts_that_fit_come_back_whole(void **state)
{
	(void)state;
	read_row(MOST, INTERN_MAX);
	assert_int_equal(strlen(seen[0]), MOST);
	assert_int_equal(strlen(seen[1]), INTERN_MAX);
}

/* Other tables, or other elements of a field, since they were written. */
static void
texts_that_have_no_room_any_more_are_null(void **state)
{
	(void)state;
	read_row(MOST + 1, INTERN_MAX + 1);
	assert_string_equal(seen[0], "NULL");
	assert_string_equal(seen[1], "NULL");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	    T(texts_that_fit_come_back_whole),
	    T(texts_that_have_no_room_any_more_are_null),
#undef T
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
