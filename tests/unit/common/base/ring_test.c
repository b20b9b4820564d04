#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/base/ring.h"

static void *
item(uintptr_t n)
{
	return (void *)n; /* rings never look at what they carry */
}

static void
items_come_out_in_order(void **state)
{
	struct ring *r = ring_new(4);

	(void)state;
	ring_push(r, item(1));
	ring_push(r, item(2));
	assert_ptr_equal(ring_pop(r, 0), item(1));
	assert_ptr_equal(ring_pop(r, 0), item(2));
	ring_free(r);
}

static void
empty_ring_gives_nothing(void **state)
{
	struct ring *r = ring_new(4);

	(void)state;
	assert_null(ring_pop(r, 0));
	assert_null(ring_pop(r, 1000000));
	ring_free(r);
}

static void
capacity_is_rounded_up_to_a_power_of_two(void **state)
{
	struct ring *r = ring_new(3);

	(void)state;
	for (uintptr_t i = 1; i <= 4; i++) {
		assert_int_equal(ring_try_push(r, item(i)), 0);
	}
	assert_int_equal(ring_try_push(r, item(5)), -EAGAIN);
	ring_free(r);
}

static void
capacity_zero_and_one_carry_one_item(void **state)
{
	(void)state;
	for (unsigned capacity = 0; capacity < 2; capacity++) {
		struct ring *r = ring_new(capacity);
		assert_int_equal(ring_try_push(r, item(1)), 0);
		assert_int_equal(ring_try_push(r, item(2)), -EAGAIN);
		assert_ptr_equal(ring_pop(r, 0), item(1));
		ring_free(r);
	}
}

static void
impossible_capacity_is_refused(void **state)
{
	(void)state;
	assert_null(ring_new(0xffffffff));
}

static void
full_ring_takes_again_after_a_pop(void **state)
{
	struct ring *r = ring_new(2);

	(void)state;
	ring_push(r, item(1));
	ring_push(r, item(2));
	assert_ptr_equal(ring_pop(r, 0), item(1));
	assert_int_equal(ring_try_push(r, item(3)), 0);
	assert_ptr_equal(ring_pop(r, 0), item(2));
	assert_ptr_equal(ring_pop(r, 0), item(3));
	ring_free(r);
}

static void
closed_ring_is_drained_first(void **state)
{
	struct ring *r = ring_new(2);

	(void)state;
	ring_push(r, item(1));
	ring_close(r);
	assert_false(ring_is_closed(r));
	assert_ptr_equal(ring_pop(r, UINT64_MAX), item(1));
	assert_true(ring_is_closed(r));
	assert_null(ring_pop(r, UINT64_MAX));
	ring_free(r);
}

static void
open_empty_ring_is_not_closed(void **state)
{
	struct ring *r = ring_new(2);

	(void)state;
	assert_false(ring_is_closed(r));
	ring_free(r);
}

static void
free_accepts_null(void **state)
{
	(void)state;
	ring_free(NULL);
}

static void *
push_one_and_close(void *r)
{
	ring_push(r, item(1));
	ring_close(r);
	return NULL;
}

static void
pop_waits_for_another_thread(void **state)
{
	struct ring *r = ring_new(2);
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, push_one_and_close, r), 0);
	assert_ptr_equal(ring_pop(r, UINT64_MAX), item(1));
	assert_null(ring_pop(r, UINT64_MAX));
	pthread_join(thread, NULL);
	ring_free(r);
}

static void *
close_only(void *r)
{
	ring_close(r);
	return NULL;
}

static void
close_wakes_a_waiting_pop(void **state)
{
	struct ring *r = ring_new(2);
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, close_only, r), 0);
	assert_null(ring_pop(r, UINT64_MAX));
	pthread_join(thread, NULL);
	ring_free(r);
}

static void *
pop_two(void *r)
{
	uintptr_t sum = (uintptr_t)ring_pop(r, UINT64_MAX);

	sum += (uintptr_t)ring_pop(r, UINT64_MAX);
	return item(sum);
}

static void
push_waits_while_the_ring_is_full(void **state)
{
	struct ring *r = ring_new(1);
	pthread_t thread;
	void *sum;

	(void)state;
	ring_push(r, item(1));
	assert_int_equal(pthread_create(&thread, NULL, pop_two, r), 0);
	ring_push(r, item(2));
	pthread_join(thread, &sum);
	assert_ptr_equal(sum, item(3));
	ring_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(items_come_out_in_order),
	    cmocka_unit_test(empty_ring_gives_nothing),
	    cmocka_unit_test(capacity_is_rounded_up_to_a_power_of_two),
	    cmocka_unit_test(capacity_zero_and_one_carry_one_item),
	    cmocka_unit_test(impossible_capacity_is_refused),
	    cmocka_unit_test(full_ring_takes_again_after_a_pop),
	    cmocka_unit_test(closed_ring_is_drained_first),
	    cmocka_unit_test(open_empty_ring_is_not_closed),
	    cmocka_unit_test(free_accepts_null),
	    cmocka_unit_test(pop_waits_for_another_thread),
	    cmocka_unit_test(close_wakes_a_waiting_pop),
	    cmocka_unit_test(push_waits_while_the_ring_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
