#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "exporter/conversation/expiry.h"

#define S NS_PER_SECOND

static const char base[64]; /* prefetched, never read */
static struct expiry wheel;

static int
set_up(void **unused)
{
	(void)unused;
	expiry_init(&wheel, 60 * S, base, 0);
	expiry_start(&wheel, 1000 * S);
	return 0;
}

static int
tear_down(void **unused)
{
	(void)unused;
	expiry_done(&wheel);
	return 0;
}

static void
an_entry_comes_once_its_deadline_has_passed(void **unused)
{
	struct expiry_entry e;
	uint64_t slot_ns;
	(void)unused;
	assert_int_equal(expiry_push(&wheel, 7, 3, 1005 * S + 1), 0);
	assert_false(expiry_take(&wheel, 1005 * S, &e, &slot_ns));
	assert_true(expiry_take(&wheel, 1006 * S, &e, &slot_ns));
	assert_int_equal(e.number, 7);
	assert_int_equal(e.generation, 3);
	assert_true(slot_ns == 1006 * S);
	assert_false(expiry_take(&wheel, 2000 * S, &e, &slot_ns));
}

static void
earlier_slots_come_first(void **unused)
{
	struct expiry_entry e;
	uint64_t slot_ns;
	(void)unused;
	for (uint32_t i = 0; i < 3000; i++) {
		assert_int_equal(
		    expiry_push(&wheel, i, 0, (1000 + (i * 7) % 50) * S), 0);
	}
	for (uint32_t i = 0; i < 3000; i++) {
		assert_true(expiry_take(&wheel, UINT64_MAX, &e, &slot_ns));
		assert_int_equal((e.number * 7) % 50, i / 60);
	}
	assert_int_equal(wheel.count, 0);
}

static void
a_deadline_in_the_past_comes_next(void **unused)
{
	struct expiry_entry e;
	uint64_t slot_ns;
	(void)unused;
	assert_int_equal(expiry_push(&wheel, 1, 0, 1 * S), 0);
	assert_true(expiry_take(&wheel, 1000 * S, &e, &slot_ns));
}

static void
a_long_horizon_has_wide_slots(void **unused)
{
	struct expiry_entry e;
	uint64_t slot_ns;
	(void)unused;
	expiry_done(&wheel);
	expiry_init(&wheel, 72 * 3600 * S, base, 0);
	expiry_start(&wheel, 1000000 * S);
	assert_int_equal(
	    expiry_push(&wheel, 1, 0, (1000000 + (uint64_t)72 * 3600) * S), 0);
	assert_false(
	    expiry_take(&wheel, (1000000 + (uint64_t)72 * 3600 - 1) * S, &e, &slot_ns));
	assert_true(
	    expiry_take(&wheel, (1000000 + (uint64_t)73 * 3600) * S, &e, &slot_ns));
}

static bool
is_even(const struct expiry_entry *e, void *data)
{
	(void)data;
	return e->number % 2 == 0;
}

static void
compacting_drops_the_dead_and_keeps_the_living(void **unused)
{
	struct expiry_entry e;
	uint64_t slot_ns;
	unsigned n = 0;
	(void)unused;
	for (uint32_t i = 0; i < 5000; i++) {
		assert_int_equal(expiry_push(&wheel, i, 0, (1000 + i % 3) * S), 0);
	}
	expiry_compact(&wheel, is_even, NULL);
	assert_int_equal(wheel.count, 2500);
	while (expiry_take(&wheel, UINT64_MAX, &e, &slot_ns)) {
		assert_int_equal(e.number % 2, 0);
		n++;
	}
	assert_int_equal(n, 2500);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(an_entry_comes_once_its_deadline_has_passed),
	    TEST(earlier_slots_come_first),
	    TEST(a_deadline_in_the_past_comes_next),
	    TEST(a_long_horizon_has_wide_slots),
	    TEST(compacting_drops_the_dead_and_keeps_the_living),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
