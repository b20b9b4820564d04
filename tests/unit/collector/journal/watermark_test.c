#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "collector/journal/watermark.h"

static const uint8_t first[16] = "first spool....", second[16] = "second spool...";

static void
a_watermark_belongs_to_identity_and_spool(void **state)
{
	struct watermarks *w = watermarks_new(10);
	struct watermark *m;

	(void)state;
	m = watermarks_add(w, "a.example", first, 5);
	m->next = 7;
	assert_ptr_equal(watermarks_find(w, "a.example", first), m);
	assert_null(watermarks_find(w, "a.example", second));
	assert_null(watermarks_find(w, "b.example", first));
	assert_null(watermarks_find(w, "", first));
	watermarks_free(w);
}

static void
durable_follows_when_it_is_settled(void **state)
{
	struct watermarks *w = watermarks_new(10);
	struct watermark *a = watermarks_add(w, "a", first, 1);
	struct watermark *b = watermarks_add(w, "a", second, 1);

	(void)state;
	a->next = 10;
	watermarks_moved(w, a);
	watermarks_moved(w, a);
	watermarks_settle(w, true);
	assert_int_equal(a->durable, 10);
	b->next = 3;
	watermarks_moved(w, b);
	a->next = 12;
	watermarks_moved(w, a);
	watermarks_settle(w, true);
	assert_int_equal(a->durable, 12);
	assert_int_equal(b->durable, 3);
	watermarks_free(w);
}

static void
what_was_not_durable_must_come_again(void **state)
{
	struct watermarks *w = watermarks_new(10);
	struct watermark *m = watermarks_add(w, "a", first, 1);

	(void)state;
	m->next = 10;
	watermarks_moved(w, m);
	watermarks_settle(w, true);
	m->next = 20;
	watermarks_moved(w, m);
	watermarks_settle(w, false);
	assert_int_equal(m->next, 10);
	assert_int_equal(m->durable, 10);
	watermarks_free(w);
}

static void
a_full_table_forgets_nobody_who_was_seen_of_late(void **state)
{
	struct watermarks *w = watermarks_new(1);

	(void)state;
	assert_non_null(watermarks_add(w, "a", first, 1000));
	assert_null(watermarks_add(w, "b", first, 999 + WATERMARK_SILENT_NS));
	assert_null(watermarks_add(w, "b", first, 1)); /* a clock that was set back */
	assert_non_null(watermarks_add(w, "b", first, 1000 + WATERMARK_SILENT_NS));
	assert_null(watermarks_find(w, "a", first));
	assert_int_equal(watermarks_count(w), 1);
	watermarks_free(w);
}

static void
fill(struct watermarks *w, const char *identity, unsigned n)
{
	uint8_t spool[16] = {0};

	for (unsigned i = 0; i < n; i++) {
		spool[0] = (uint8_t)i;
		assert_non_null(watermarks_add(w, identity, spool, 100 + i));
	}
}

static void
nobody_keeps_others_out_by_inventing_spools(void **state)
{
	struct watermarks *w = watermarks_new(90);
	uint8_t spool[16] = {0};

	(void)state;
	fill(w, "honest", 10);
	fill(w, "hoarder", 80);
	assert_null(watermarks_add(w, "hoarder", first, 300));
	/* Thirty are a share. */
	for (uint8_t i = 0; i < 30; i++) {
		spool[15] = i;
		spool[0] = 'n';
		assert_non_null(watermarks_add(w, "new", spool, 300));
	}
	spool[15] = 30;
	assert_null(watermarks_add(w, "new", spool, 300));
	assert_int_equal(watermarks_count(w), 90);
	memset(spool, 0, sizeof spool);
	for (uint8_t i = 0; i < 80; i++) {
		spool[0] = i;
		assert_true((watermarks_find(w, "hoarder", spool) == NULL) == (i < 30));
		assert_true((watermarks_find(w, "honest", spool) != NULL) == (i < 10));
	}
	watermarks_free(w);
}

static void
what_a_hoarder_holds_at_this_moment_stays(void **state)
{
	struct watermarks *w = watermarks_new(4);
	uint8_t spool[16] = {0};

	(void)state;
	fill(w, "hoarder", 4);
	for (uint8_t i = 0; i < 4; i++) {
		spool[0] = i;
		watermarks_find(w, "hoarder", spool)->holders = i == 2 ? 0 : 1;
	}
	assert_non_null(watermarks_add(w, "new", first, 200));
	spool[0] = 2;
	assert_null(watermarks_find(w, "hoarder", spool));
	assert_null(watermarks_add(w, "new", second, 200));
	watermarks_free(w);
}

static void
the_one_seen_least_recently_goes_and_never_one_that_is_held(void **state)
{
	struct watermarks *w = watermarks_new(3);
	uint64_t later = 100 + WATERMARK_SILENT_NS;

	(void)state;
	watermarks_add(w, "held", first, 1)->holders = 1;
	watermarks_add(w, "old", first, 2);
	watermarks_add(w, "older", first, 1);
	assert_non_null(watermarks_add(w, "x", first, later));
	assert_null(watermarks_find(w, "older", first));
	assert_non_null(watermarks_find(w, "old", first));
	assert_non_null(watermarks_add(w, "y", first, later));
	assert_null(watermarks_find(w, "old", first));
	assert_null(watermarks_add(w, "z", first, later));
	assert_non_null(watermarks_find(w, "held", first));
	watermarks_free(w);
}

static void
what_was_taken_in_once_is_restored_beyond_the_bound(void **state)
{
	struct watermarks *w = watermarks_new(1), *copy = watermarks_new(1);

	(void)state;
	watermarks_restore(w, "a", first, 1)->next = 5;
	watermarks_restore(w, "b", first, 2)->next = 6;
	assert_int_equal(watermarks_count(w), 2);
	assert_int_equal(watermarks_copy(copy, w), 0);
	assert_int_equal(watermarks_find(copy, "a", first)->next, 5);
	assert_int_equal(watermarks_find(copy, "b", first)->durable, 6);
	watermarks_free(w);
	watermarks_free(copy);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_watermark_belongs_to_identity_and_spool),
	    cmocka_unit_test(durable_follows_when_it_is_settled),
	    cmocka_unit_test(what_was_not_durable_must_come_again),
	    cmocka_unit_test(a_full_table_forgets_nobody_who_was_seen_of_late),
	    cmocka_unit_test(nobody_keeps_others_out_by_inventing_spools),
	    cmocka_unit_test(what_a_hoarder_holds_at_this_moment_stays),
	    cmocka_unit_test(
		the_one_seen_least_recently_goes_and_never_one_that_is_held),
	    cmocka_unit_test(what_was_taken_in_once_is_restored_beyond_the_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
