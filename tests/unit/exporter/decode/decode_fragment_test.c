#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/base/clock.h"
#include "exporter/decode/decode_fragment.h"

#define START (1000 * NS_PER_SECOND)

static struct fragments *fragments;

static int
set_up(void **state)
{
	(void)state;
	fragments = fragments_new();
	return fragments == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	fragments_free(fragments);
	return 0;
}

static struct fragment_key
key_of(uint32_t id)
{
	return (struct fragment_key){.id = id, .protocol = 17};
}

static void
add(uint32_t id, uint16_t port, uint64_t time_ns)
{
	struct fragment_key key = key_of(id);
	struct fragment_ends ends = {.source_port = port, .protocol = 17};

	fragments_add(fragments, &key, &ends, time_ns);
}

/* The source port found, -1: none. */
static int
find(uint32_t id, uint64_t time_ns)
{
	struct fragment_key key = key_of(id);
	const struct fragment_ends *ends = fragments_find(fragments, &key, time_ns);

	return ends == NULL ? -1 : ends->source_port;
}

static void
what_was_added_is_found(void **state)
{
	(void)state;
	add(7, 1234, START);
	assert_int_equal(find(7, START), 1234);
	assert_int_equal(find(8, START), -1);
}

static void
thirty_seconds_later_it_is_too_old(void **state)
{
	(void)state;
	add(7, 1234, START);
	assert_int_equal(find(7, START + 30 * NS_PER_SECOND), 1234);
	assert_int_equal(find(7, START + 30 * NS_PER_SECOND + 1), -1);
}

static void
time_that_steps_back_is_no_age(void **state)
{
	(void)state;
	add(7, 1234, START);
	assert_int_equal(find(7, START - 40 * NS_PER_SECOND), 1234);
}

static void
a_reused_id_finds_the_newest(void **state)
{
	(void)state;
	add(7, 1, START);
	add(7, 2, START);
	assert_int_equal(find(7, START), 2);
}

static void
the_oldest_of_1024_gives_way(void **state)
{
	(void)state;
	for (uint32_t id = 0; id < 1025; id++) {
		add(id, (uint16_t)id, START);
	}
	assert_int_equal(find(0, START), -1);
	for (uint32_t id = 1; id < 1025; id++) {
		assert_int_equal(find(id, START), (int)id);
	}
}

static void
many_times_around_nothing_is_lost(void **state)
{
	(void)state;
	for (uint32_t id = 0; id < 20000; id++) {
		add(id, (uint16_t)id, START);
		assert_int_equal(find(id, START), (uint16_t)id);
		if (id >= 1023) {
			assert_int_equal(find(id - 1023, START), (uint16_t)(id - 1023));
		}
		if (id >= 1024) {
			assert_int_equal(find(id - 1024, START), -1);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_was_added_is_found, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		thirty_seconds_later_it_is_too_old, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		time_that_steps_back_is_no_age, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_reused_id_finds_the_newest, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		the_oldest_of_1024_gives_way, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		many_times_around_nothing_is_lost, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
