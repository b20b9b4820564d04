#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "exporter/decode/packet.h"

static void
every_reason_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int i = 0; i < PACKET_DROPS; i++) {
		assert_non_null(packet_drop_name(i));
		for (int j = 0; j < i; j++) {
			assert_string_not_equal(
			    packet_drop_name(i), packet_drop_name(j));
		}
	}
}

static void
numbers_that_are_no_reason_are_unknown(void **state)
{
	(void)state;
	assert_string_equal(packet_drop_name(PACKET_DROPS), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_reason_has_a_name_of_its_own),
	    cmocka_unit_test(numbers_that_are_no_reason_are_unknown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
