/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/protocol/drop.h"

static void
every_reason_to_drop_has_a_name_and_a_sentence(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DROPS; i++) {
		assert_non_null(drop_name(i));
		assert_true(drop_name(i)[0] != '\0');
		assert_true(drop_sentence(i)[0] != '\0');
		assert_true(drop_unit(i)[0] != '\0');
	}
	assert_string_equal(drop_sentence(DROPS), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_reason_to_drop_has_a_name_and_a_sentence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
