#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include "common/base/pages.h"

static void
pages_are_zero_and_wholly_usable(void **unused)
{
	static const size_t sizes[] = {
	    1, 4096, 5000, (2 << 20) - 1, 2 << 20, (4 << 20) + 3};
	(void)unused;
	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		char *p = pages_new(sizes[i]);
		assert_non_null(p);
		assert_int_equal(p[0], 0);
		assert_int_equal(p[sizes[i] - 1], 0);
		p[0] = p[sizes[i] - 1] = 1;
		pages_free(p, sizes[i]);
	}
}

static void
large_ones_are_aligned_for_huge_pages(void **unused)
{
	void *p = pages_new(10 << 20);
	(void)unused;
	assert_int_equal((uintptr_t)p % (2 << 20), 0);
	pages_free(p, 10 << 20);
}

static void
too_much_is_no_memory(void **unused)
{
	(void)unused;
	assert_null(pages_new((size_t)1 << 60));
	pages_free(NULL, 4096);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pages_are_zero_and_wholly_usable),
	    cmocka_unit_test(large_ones_are_aligned_for_huge_pages),
	    cmocka_unit_test(too_much_is_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
