#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "collector/store/store_content.h"
#include "tests/unit/collector/protocol/support_set.h"

struct world {
	struct tables *tables;
	struct store *store;
};

static int
set_up(void **state)
{
	static struct world w;
	char path[200];
	struct err e = {""};

	w.tables = support_tables((const char *const[]){"exporters", NULL});
	snprintf(path, sizeof path, "%s/store", support_directory());
	if (store_open(path, w.tables, &w.store, &e) < 0) {
		fail_msg("%s", e.text);
	}
	*state = &w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	tables_free(w->tables);
	store_close(w->store);
	support_directory_remove();
	return 0;
}

static struct store_content
content(const char *id, uint64_t length)
{
	struct store_content c = {.length = length};

	snprintf(c.id.text, sizeof c.id.text, "%s", id);
	return c;
}

static void
add(struct world *w, const char *id, uint64_t length, const char *name)
{
	struct store_content c = content(id, length);
	struct err e;

	assert_int_equal(store_content_add(w->store, &c, name, &e), 0);
}

static void
flush(struct world *w, const char *id, uint64_t position, bool is_finished)
{
	struct store_content c = content(id, 0);
	struct err e;

	assert_int_equal(store_flush(w->store, &c.id, position, is_finished, &e), 0);
}

/* How far it is stored; 0: it is not known. */
static uint64_t
stored(struct world *w, const char *id, uint64_t length)
{
	struct store_content c = content(id, length);
	struct err e;
	int rc = store_content_find(w->store, &c, &e);

	assert_int_equal(rc, c.stored > 0);
	return c.stored;
}

static void
known_lengths_follow_each_other(void **state)
{
	struct world *w = *state;
	uint64_t length = 1;
	struct err e;

	assert_int_equal(store_content_next(w->store, 0, &length, &e), 0);
	assert_true(length == UINT64_MAX);
	add(w, "a", 10, "/f");
	add(w, "b", 20, "/f");
	add(w, "c", 20, "/g");
	assert_int_equal(store_content_next(w->store, 0, &length, &e), 0);
	assert_int_equal(length, 10);
	assert_int_equal(store_content_next(w->store, length, &length, &e), 0);
	assert_int_equal(length, 20);
	assert_int_equal(store_content_next(w->store, length, &length, &e), 0);
	assert_true(length == UINT64_MAX);
	assert_int_equal(store_content_named(w->store, "/f", &length, &e), 0);
	assert_int_equal(length, 20);
	assert_int_equal(store_content_named(w->store, "/h", &length, &e), 0);
	assert_int_equal(length, 0);
}

static void
marks_of_the_end_are_not_stored_messages(void **state)
{
	struct world *w = *state;
	struct store_content c = content("a", 10);
	struct err e;

	add(w, "a", 10, "/f");
	assert_int_equal(stored(w, "a", 10), 0); /* nothing of it is stored yet */
	flush(w, "a", 5, false);
	assert_int_equal(stored(w, "a", 10), 5);
	assert_int_equal(store_content_end(w->store, &c.id, 8, &e), 0);
	assert_int_equal(stored(w, "a", 10), 5); /* interrupted before its end */
	flush(w, "a", 12, true);
	assert_int_equal(stored(w, "a", 10), 8);
	assert_int_equal(stored(w, "a", 11), 0); /* another content */
	assert_int_equal(stored(w, "b", 10), 0);
}

static void
a_longer_content_goes_on_where_the_known_one_stands(void **state)
{
	struct world *w = *state;
	struct store_content known = content("a", 10), grown = content("b", 20);
	uint64_t complete = 0, pending = 0;
	struct err e;

	add(w, "a", 10, "/f");
	flush(w, "a", 5, false);
	known.stored = stored(w, "a", 10);
	assert_false(store_is_finished(w->store, &known.id));
	assert_int_equal(store_content_continue(w->store, &known, &grown.id, &e), 0);
	assert_true(store_is_finished(w->store, &known.id));
	assert_false(store_is_finished(w->store, &grown.id));
	assert_int_equal(
	    store_progress(w->store, &grown.id, &complete, &pending, &e), 0);
	assert_int_equal(complete, 5);
	assert_int_equal(pending, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		known_lengths_follow_each_other, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		marks_of_the_end_are_not_stored_messages, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_longer_content_goes_on_where_the_known_one_stands, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
