#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/protocol_names.h"

static void
names_of_schemas_and_questions_are_known_in_any_case(void **state)
{
	(void)state;
	assert_int_equal(protocol_names_find("tcp"), 6);
	assert_int_equal(protocol_names_find("UDP"), 17);
	assert_int_equal(protocol_names_find("icmp6"), 58);
	assert_int_equal(protocol_names_find("ICMPv6"), 58);
	assert_int_equal(protocol_names_find("vrrp"), 112);
	assert_int_equal(protocol_names_find("UDPLite"), 136);
	assert_int_equal(protocol_names_find(""), -1);
	assert_int_equal(protocol_names_find("tcpx"), -1);
	assert_int_equal(protocol_names_find("6"), -1);
}

static void
a_mistyped_name_has_a_nearest_one(void **state)
{
	(void)state;
	assert_string_equal(protocol_names_nearest("OSPG"), "ospf");
	assert_string_equal(protocol_names_nearest("icmpv7"), "icmpv6");
	assert_null(protocol_names_nearest("a name that is much too long"));
	assert_null(protocol_names_nearest(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_of_schemas_and_questions_are_known_in_any_case),
	    cmocka_unit_test(a_mistyped_name_has_a_nearest_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
