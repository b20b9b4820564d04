#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/hash.h"

/* They stand in journals, spools and snapshots, and on other machines' disks. */
static void
hashes_are_those_of_xxh3_on_every_machine(void **state)
{
	(void)state;
	assert_true(hash_bytes("", 0, 0) == 0x2d06800538d394c2);
	assert_true(hash_bytes("flowpair", 8, 0) == 0xac3d0ff9bf9cff14);
	assert_true(hash_bytes("flowpair", 8, 1) == 0x91f9fd24a46c2599);
}

static void
seeds_differ_from_call_to_call(void **state)
{
	(void)state;
	assert_true(hash_seed() != hash_seed());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hashes_are_those_of_xxh3_on_every_machine),
	    cmocka_unit_test(seeds_differ_from_call_to_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
