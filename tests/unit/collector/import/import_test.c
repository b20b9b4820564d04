#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/import/import.h"
#include "common/base/cursor.h"
#include "tests/unit/collector/protocol/support_set.h"
#include "tests/unit/collector/session/support_session.h"

#define MESSAGE 24u /* bytes of one with one record */

struct world {
	struct import_settings settings;
	struct tables *tables;
	char path[200];
	uint8_t bytes[1000]; /* template, and ten messages of one record */
	size_t length;
	atomic_bool is_stopped;
};

static int
set_up(void **state)
{
	static const uint16_t template[] = {PORTS(256)}, record[] = {1, 2};
	static struct world w;
	const char *directory = support_directory();
	char path[200];
	struct err e = {""};

	w = (struct world){.settings.process = {
			       .sessions = {.max_sessions = 8,
				   .max_domains = 8,
				   .max_templates = 8,
				   .max_fields = 64,
				   .max_spools = 1},
			       .elements = support_elements(),
			   }};
	w.settings.is_stopped = &w.is_stopped;
	w.tables = support_tables((const char *const[]){"exporters", NULL});
	snprintf(path, sizeof path, "%s/store", directory);
	if (store_open(path, w.tables, &w.settings.process.store, &e) < 0) {
		fail_msg("%s", e.text);
	}
	snprintf(w.path, sizeof w.path, "%s/f.ipfix", directory);
	w.length = stage_build(w.bytes, 0, 1, 2, template, 6);
	for (uint32_t i = 0; i < 10; i++) {
		w.length += stage_build(w.bytes + w.length, i, 1, 256, record, 2);
	}
	*state = &w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	tables_free(w->tables);
	store_close(w->settings.process.store);
	support_directory_remove();
	return 0;
}

/* Imports the first length bytes of the messages, changed or not. */
static int
import(struct world *w, size_t length, struct import_counts *ret)
{
	FILE *f = fopen(w->path, "w");
	struct err e = {""};

	assert_non_null(f);
	assert_int_equal(fwrite(w->bytes, 1, length, f), length);
	assert_int_equal(fclose(f), 0);
	return import_file(w->path, &w->settings, ret, &e);
}

static void
a_file_in_the_middle_of_a_message_grows(void **state)
{
	static const size_t missing[] = {
	    5 * MESSAGE - 1, 4 * MESSAGE - 7, MESSAGE + 3, MESSAGE - 1, 1, 0};
	struct world *w = *state;
	struct import_counts c;
	uint64_t records = 0, skipped = 0;

	for (unsigned i = 0; i < sizeof missing / sizeof *missing; i++) {
		assert_int_equal(import(w, w->length - missing[i], &c), 0);
		assert_int_equal(c.known > 0, records > 0);
		assert_int_equal(c.changed, 0);
		assert_int_equal(c.process.lost, 0);
		records += c.process.records;
		skipped = c.skipped[IMPORT_TRAILING];
	}
	assert_int_equal(records, 10);
	assert_int_equal(skipped, 0);
	assert_int_equal(import(w, w->length, &c), 0);
	assert_true(c.is_already);
	assert_int_equal(c.process.records, 0);
}

static void
a_file_that_was_changed_is_imported_in_full(void **state)
{
	struct world *w = *state;
	struct import_counts c;

	assert_int_equal(import(w, w->length - MESSAGE, &c), 0);
	assert_int_equal(c.process.records, 9);
	w->bytes[w->length - MESSAGE - 1] ^= 1;
	assert_int_equal(import(w, w->length, &c), 0);
	assert_int_equal(c.known, 0);
	assert_int_equal(c.changed, w->length - MESSAGE);
	assert_int_equal(c.process.records, 10);
	/* Shorter than it was: what is missing cannot be known. */
	assert_int_equal(import(w, w->length - 2 * MESSAGE, &c), 0);
	assert_int_equal(c.changed, w->length);
	assert_int_equal(c.process.records, 8);
}

static void
a_damaged_file_that_grows_is_not_counted_twice(void **state)
{
	struct world *w = *state;
	struct import_counts c;

	memset(w->bytes + w->length - 2 * MESSAGE, 1, MESSAGE);
	assert_int_equal(import(w, w->length - MESSAGE, &c), -EPROTO);
	assert_int_equal(c.process.records, 8);
	assert_int_equal(import(w, w->length, &c), -EPROTO);
	assert_int_equal(c.known, w->length - MESSAGE);
	assert_int_equal(c.process.records, 0);
}

static void
an_import_that_is_stopped_goes_on(void **state)
{
	struct world *w = *state;
	struct import_counts c;

	atomic_store(&w->is_stopped, true);
	assert_int_equal(import(w, w->length, &c), -EINTR);
	assert_int_equal(c.process.records, 0);
	atomic_store(&w->is_stopped, false);
	assert_int_equal(import(w, w->length, &c), 0);
	assert_int_equal(c.process.records, 10);
	assert_int_equal(c.known, 0);
}

static void
what_is_not_a_regular_file_is_refused(void **state)
{
	struct world *w = *state;
	struct import_counts c;
	struct err e;

	assert_int_equal(import_file("/dev/null", &w->settings, &c, &e), -EINVAL);
	assert_non_null(strstr(e.text, "not a regular file"));
	assert_int_equal(import_file("/nowhere", &w->settings, &c, &e), -ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		a_file_in_the_middle_of_a_message_grows, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_file_that_was_changed_is_imported_in_full, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_damaged_file_that_grows_is_not_counted_twice, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		an_import_that_is_stopped_goes_on, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		what_is_not_a_regular_file_is_refused, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
