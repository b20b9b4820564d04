#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/capture/link.h"
#include "tests/unit/exporter/decode/support_frame.h"

#define MAC "020000000002 020000000001 "

static struct link_payload found;

/* In memory of exactly its size, so that a read beyond it is seen. */
static enum link_result
find(int link_type, const char *hex)
{
	struct frame f = {.length = 0};
	enum link_result rc;
	uint8_t *copy;

	frame_hex(&f, hex);
	copy = malloc(f.length == 0 ? 1 : f.length);
	assert_non_null(copy);
	memcpy(copy, f.bytes, f.length);
	rc = link_find_ip(link_type, copy, f.length, &found);
	free(copy);
	return rc;
}

static void
assert_ip_at(uint32_t offset, uint8_t version, uint16_t vlan)
{
	assert_int_equal(found.offset, offset);
	assert_int_equal(found.version, version);
	assert_int_equal(found.vlan, vlan);
}

static void
plain_ethernet_has_ip_after_14_bytes(void **state)
{
	(void)state;
	assert_int_equal(find(1, MAC "0800 45"), LINK_IP);
	assert_ip_at(14, 4, 0);
	assert_int_equal(find(1, MAC "86dd 60"), LINK_IP);
	assert_ip_at(14, 6, 0);
}

static void
the_outermost_of_stacked_tags_counts(void **state)
{
	(void)state;
	assert_int_equal(find(1, MAC "88a8 2064 8100 0007 0800 45"), LINK_IP);
	assert_ip_at(22, 4, 0x64);
	assert_int_equal(find(1, MAC "9100 0001 9200 0002 8100 0003 86dd 60"), LINK_IP);
	assert_ip_at(26, 6, 1);
}

static void
a_priority_tag_has_no_id(void **state)
{
	(void)state;
	assert_int_equal(find(1, MAC "8100 e000 8100 0009 0800 45"), LINK_IP);
	assert_ip_at(22, 4, 9);
}

static void
a_hostile_stack_of_tags_ends(void **state)
{
	char hex[1024] = MAC;

	(void)state;
	for (int i = 0; i < 100; i++) {
		strcat(hex, "81000001");
	}
	assert_int_equal(find(1, hex), LINK_NOT_IP);
}

static void
a_tag_that_is_cut_is_truncated(void **state)
{
	(void)state;
	assert_int_equal(find(1, MAC "8100 00"), LINK_TRUNCATED);
	assert_int_equal(find(1, MAC "8100 0001 08"), LINK_TRUNCATED);
	assert_int_equal(find(1, MAC), LINK_TRUNCATED);
	assert_int_equal(find(1, ""), LINK_TRUNCATED);
}

static void
other_ethertypes_are_not_ip(void **state)
{
	(void)state;
	assert_int_equal(find(1, MAC "0806 0001"), LINK_NOT_IP);
	assert_int_equal(find(1, MAC "88cc 0001"), LINK_NOT_IP);
	assert_int_equal(find(1, MAC "0026 4242 03 000000"), LINK_NOT_IP);
}

static void
ip_in_snap_is_found(void **state)
{
	(void)state;
	assert_int_equal(find(1, MAC "0026 aaaa03 000000 0800 45"), LINK_IP);
	assert_ip_at(22, 4, 0);
	assert_int_equal(find(1, MAC "0026 aaaa03 00000c 2000 01"), LINK_NOT_IP);
}

static void
ip_in_a_pppoe_session_is_found(void **state)
{
	(void)state;
	assert_int_equal(find(1, MAC "8864 1100 0001 0020 0021 45"), LINK_IP);
	assert_ip_at(22, 4, 0);
	assert_int_equal(find(1, MAC "8864 1100 0001 0020 0057 60"), LINK_IP);
	assert_ip_at(22, 6, 0);
	assert_int_equal(find(1, MAC "8864 1100 0001 0020 c021 01"), LINK_NOT_IP);
	assert_int_equal(find(1, MAC "8863 1109 0000 0020 0101 00"), LINK_NOT_IP);
	assert_int_equal(find(1, MAC "8864 1100 0001 0020"), LINK_TRUNCATED);
}

static void
linux_cooked_captures_are_read(void **state)
{
	(void)state;
	assert_int_equal(find(113, "0000 0001 0006 0200000000010000 0800 45"), LINK_IP);
	assert_ip_at(16, 4, 0);
	assert_int_equal(
	    find(276, "86dd 0000 00000002 0001 00 06 0200000000010000 60"), LINK_IP);
	assert_ip_at(20, 6, 0);
	assert_int_equal(
	    find(113, "0000 0001 0006 0200000000010000 8100 0005 0800 45"), LINK_IP);
	assert_ip_at(20, 4, 5);
	assert_int_equal(
	    find(113, "0000 0001 0006 0200000000010000 08"), LINK_TRUNCATED);
}

static void
netlink_in_a_cooked_capture_is_not_ip(void **state)
{
	(void)state;
	assert_int_equal(
	    find(113, "0004 0338 0000 0000000000000000 0800 45"), LINK_NOT_IP);
}

static void
loopback_families_are_read_in_both_byte_orders(void **state)
{
	(void)state;
	assert_int_equal(find(0, "02000000 45"), LINK_IP);
	assert_ip_at(4, 4, 0);
	assert_int_equal(find(0, "0000001e 60"), LINK_IP);
	assert_ip_at(4, 6, 0);
	assert_int_equal(find(108, "00000018 60"), LINK_IP);
	assert_int_equal(find(108, "1c000000 60"), LINK_IP);
	assert_int_equal(find(0, "07000000 60"), LINK_NOT_IP);
	assert_int_equal(find(0, "0200"), LINK_TRUNCATED);
}

static void
raw_ip_begins_at_once(void **state)
{
	static const int types[] = {12, 14, 101};

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(find(types[i], "45"), LINK_IP);
		assert_ip_at(0, 0, 0);
	}
	assert_int_equal(find(228, "45"), LINK_IP);
	assert_ip_at(0, 4, 0);
	assert_int_equal(find(229, "60"), LINK_IP);
	assert_ip_at(0, 6, 0);
}

static void
ppp_is_read_with_and_without_framing(void **state)
{
	(void)state;
	assert_int_equal(find(9, "0021 45"), LINK_IP);
	assert_ip_at(2, 4, 0);
	assert_int_equal(find(9, "ff03 0057 60"), LINK_IP);
	assert_ip_at(4, 6, 0);
	assert_int_equal(find(9, "21 45"), LINK_IP);
	assert_ip_at(1, 4, 0);
	assert_int_equal(find(50, "ff03 0021 45"), LINK_IP);
	assert_ip_at(4, 4, 0);
	assert_int_equal(find(204, "00 ff03 0021 45"), LINK_IP);
	assert_ip_at(5, 4, 0);
	assert_int_equal(find(9, "c021 01"), LINK_NOT_IP);
	assert_int_equal(find(9, "ff03"), LINK_TRUNCATED);
	assert_int_equal(find(9, "ff"), LINK_TRUNCATED);
}

static void
cisco_hdlc_has_an_ethertype(void **state)
{
	(void)state;
	assert_int_equal(find(50, "0f00 0800 45"), LINK_IP);
	assert_ip_at(4, 4, 0);
	assert_int_equal(find(9, "0f00 0800 45"), LINK_IP);
	assert_int_equal(find(104, "8f00 86dd 60"), LINK_IP);
	assert_ip_at(4, 6, 0);
	assert_int_equal(find(104, "8f00 8035 00"), LINK_NOT_IP);
}

static void
other_link_types_are_unknown(void **state)
{
	(void)state;
	assert_int_equal(find(105, "0800 45"), LINK_UNKNOWN);
	assert_int_equal(find(-1, "0800 45"), LINK_UNKNOWN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_ethernet_has_ip_after_14_bytes),
	    cmocka_unit_test(the_outermost_of_stacked_tags_counts),
	    cmocka_unit_test(a_priority_tag_has_no_id),
	    cmocka_unit_test(a_hostile_stack_of_tags_ends),
	    cmocka_unit_test(a_tag_that_is_cut_is_truncated),
	    cmocka_unit_test(other_ethertypes_are_not_ip),
	    cmocka_unit_test(ip_in_snap_is_found),
	    cmocka_unit_test(ip_in_a_pppoe_session_is_found),
	    cmocka_unit_test(linux_cooked_captures_are_read),
	    cmocka_unit_test(netlink_in_a_cooked_capture_is_not_ip),
	    cmocka_unit_test(loopback_families_are_read_in_both_byte_orders),
	    cmocka_unit_test(raw_ip_begins_at_once),
	    cmocka_unit_test(ppp_is_read_with_and_without_framing),
	    cmocka_unit_test(cisco_hdlc_has_an_ethertype),
	    cmocka_unit_test(other_link_types_are_unknown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
