/* Whatever the capacity and the mix of waiting and trying: what one thread pushes, the
 * other pops, all of it, once, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/ring.h"

#define ITEMS 200000

struct job {
	struct ring *ring;
	uint64_t random;
};

/* xorshift64: the same numbers on every run of the same seed */
static uint64_t
next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void *
produce(void *data)
{
	struct job *j = data;

	for (uintptr_t i = 1; i <= ITEMS; i++) {
		if (next(&j->random) % 2 == 0 &&
		    ring_try_push(j->ring, (void *)i) == 0) {
			continue;
		}
		ring_push(j->ring, (void *)i);
	}
	ring_close(j->ring);
	return NULL;
}

static void
all_items_arrive_once_and_in_order(void **state)
{
	static const unsigned capacities[] = {1, 2, 8, 1024};

	(void)state;
	for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
		struct job j = {.ring = ring_new(capacities[i]), .random = 20 + i};
		uint64_t random = 40 + i;
		uintptr_t expected = 1;
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, produce, &j), 0);
		while (!ring_is_closed(j.ring)) {
			uint64_t timeout = next(&random) % 4;
			void *got = ring_pop(
			    j.ring, timeout == 3 ? UINT64_MAX : timeout * 1000);
			if (got != NULL) {
				assert_ptr_equal(got, (void *)expected);
				expected++;
			}
		}
		pthread_join(thread, NULL);
		assert_int_equal(expected, ITEMS + 1);
		ring_free(j.ring);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_items_arrive_once_and_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
