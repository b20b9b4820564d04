#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "exporter/conversation/lookup.h"

static bool
holds(const struct lookup *l, uint32_t hash, uint32_t number)
{
	uint32_t at = hash, n;
	while ((n = lookup_next(l, hash, &at)) != LOOKUP_NONE) {
		if (n == number) {
			return true;
		}
	}
	return false;
}

static void
what_is_added_is_found_until_removed(void **unused)
{
	struct lookup l;
	(void)unused;
	assert_int_equal(lookup_init(&l), 0);
	assert_int_equal(lookup_add(&l, 5, 0), 0);
	assert_true(holds(&l, 5, 0));
	assert_false(holds(&l, 5, 1));
	lookup_remove(&l, 5, 0);
	assert_false(holds(&l, 5, 0));
	lookup_done(&l);
}

static void
numbers_share_a_hash(void **unused)
{
	struct lookup l;
	(void)unused;
	assert_int_equal(lookup_init(&l), 0);
	for (uint32_t i = 0; i < 10; i++) {
		assert_int_equal(lookup_add(&l, 9, i), 0);
	}
	lookup_remove(&l, 9, 4);
	for (uint32_t i = 0; i < 10; i++) {
		assert_true(holds(&l, 9, i) == (i != 4));
	}
	lookup_done(&l);
}

static void
growing_keeps_everything(void **unused)
{
	struct lookup l;
	(void)unused;
	assert_int_equal(lookup_init(&l), 0);
	for (uint32_t i = 0; i < 100000; i++) {
		assert_int_equal(lookup_add(&l, i * 2654435761u, i), 0);
	}
	for (uint32_t i = 0; i < 100000; i++) {
		assert_true(holds(&l, i * 2654435761u, i));
	}
	assert_int_equal(l.used, 100000);
	lookup_done(&l);
}

/* Hashes that peers_by_host together and wrap around the end of the table. */
static void
removing_from_crowded_runs_loses_nobody(void **unused)
{
	enum { COUNT = 2000 };
	static uint32_t hashes[COUNT];
	static bool is_in[COUNT];
	struct lookup l;
	(void)unused;
	srandom(7);
	assert_int_equal(lookup_init(&l), 0);
	for (unsigned i = 0; i < COUNT; i++) {
		hashes[i] =
		    4000 + (uint32_t)random() % 200 + 4096 * ((uint32_t)random() % 4);
	}
	for (unsigned step = 0; step < 40000; step++) {
		unsigned i = (unsigned)random() % COUNT;
		if (is_in[i]) {
			lookup_remove(&l, hashes[i], i);
		} else {
			assert_int_equal(lookup_add(&l, hashes[i], i), 0);
		}
		is_in[i] = !is_in[i];
	}
	for (unsigned i = 0; i < COUNT; i++) {
		assert_true(holds(&l, hashes[i], i) == is_in[i]);
	}
	lookup_done(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_added_is_found_until_removed),
	    cmocka_unit_test(numbers_share_a_hash),
	    cmocka_unit_test(growing_keeps_everything),
	    cmocka_unit_test(removing_from_crowded_runs_loses_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
