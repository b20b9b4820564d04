#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "tests/unit/common/capture/support_capture.h"

static void
pcapng_files_are_read_in_both_byte_orders(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		made.length = 0;
		made_section(big);
		made_interface(1, 65535, 0, 0);
		made_enhanced(0, 1000000005, "abc", 3, 1500);
		made_open();
		made_expect(1000000005000, "abc", 3, 1500);
		assert_int_equal(made_packet.link_type, 1);
		assert_int_equal(made_next(), 0);
		capture_close(made_capture);
		made_capture = NULL;
	}
}

static void
interfaces_may_differ_in_all_they_have(void **state)
{
	(void)state;
	made_section(true);
	made_interface(1, 65535, 9, 0);
	made_interface(101, 128, 3, 0);
	made_interface(113, 0, 0x80 | 10, 0);
	made_interface(1, 0, 0, -1);
	made_enhanced(0, 1000000001, "abc", 3, 3);
	made_enhanced(1, 2500, "de", 2, 2);
	made_enhanced(2, 1024 + 512, "f", 1, 1);
	made_enhanced(3, 5000000, "g", 1, 1);
	made_open();
	made_expect(1000000001, "abc", 3, 3);
	made_expect(2500000000, "de", 2, 2);
	assert_int_equal(made_packet.link_type, 12);
	made_expect(1500000000, "f", 1, 1);
	assert_int_equal(made_packet.link_type, 113);
	made_expect(4000000000, "g", 1, 1);
	assert_int_equal(made_packet.link_type, 1);
}

static void
times_beyond_all_bounds_stay_in_them(void **state)
{
	(void)state;
	made_section(false);
	made_interface(1, 0, 1, 0);
	made_interface(1, 0, 6, -1);
	made_interface(1, 0, 127, 0);
	made_enhanced(0, UINT64_MAX, "a", 1, 1);
	made_enhanced(1, 1, "b", 1, 1);
	made_enhanced(2, UINT64_MAX, "c", 1, 1);
	made_open();
	made_expect(INT64_MAX, "a", 1, 1);
	made_expect(0, "b", 1, 1);
	made_expect(0, "c", 1, 1);
}

static void
each_section_has_its_own_interfaces(void **state)
{
	(void)state;
	made_section(false);
	made_interface(1, 0, 0, 0);
	made_section(true);
	made_interface(101, 0, 0, 0);
	made_enhanced(0, 1, "abc", 3, 3);
	made_enhanced(1, 1, "abc", 3, 3);
	made_open();
	made_expect(1000, "abc", 3, 3);
	assert_int_equal(made_packet.link_type, 12);
	assert_true(made_next() < 0);
	assert_non_null(strstr(made_err.text, "unknown interface"));
}

static void
older_packet_blocks_are_read(void **state)
{
	size_t at;

	(void)state;
	made_section(false);
	made_interface(1, 3, 0, 0);
	at = made.length;
	made_u32(3); /* simple: no time, captured is the snap length */
	made_u32(0);
	made_u32(1500);
	made_bytes("abc", 3);
	made_block_end(at);
	at = made.length;
	made_u32(2); /* obsolete: 16 bits of interface, 16 of drops */
	made_u32(0);
	made_u16(0);
	made_u16(7);
	made_u32(0);
	made_u32(9);
	made_u32(2);
	made_u32(60);
	made_bytes("de", 2);
	made_block_end(at);
	made_open();
	made_expect(0, "abc", 3, 1500);
	made_expect(9000, "de", 2, 60);
}

static void
other_blocks_are_stepped_over_however_large(void **state)
{
	static char secrets[600000];
	size_t at;

	(void)state;
	made_section(false);
	made_interface(1, 0, 0, 0);
	at = made.length;
	made_u32(10);
	made_u32(0);
	made_bytes(secrets, sizeof secrets);
	made_block_end(at);
	at = made.length;
	made_u32(0x80001234);
	made_u32(0);
	made_block_end(at);
	made_enhanced(0, 1, "abc", 3, 3);
	made_open();
	made_expect(1000, "abc", 3, 3);
	assert_int_equal(made_next(), 0);
	assert_int_equal(made_counts().cut_short, 0);
}

static void
a_pcapng_file_may_be_cut_short_anywhere(void **state)
{
	size_t whole, last;

	(void)state;
	made_section(false);
	made_interface(1, 0, 0, 0);
	made_enhanced(0, 1, "abc", 3, 3);
	last = made.length;
	made_enhanced(0, 2, "def", 3, 3);
	whole = made.length;
	for (made.length = last + 1; made.length < whole; made.length++) {
		made_open();
		made_expect(1000, "abc", 3, 3);
		assert_int_equal(made_next(), 0);
		assert_int_equal(made_counts().cut_short, 1);
		capture_close(made_capture);
		made_capture = NULL;
	}
}

static void
damaged_blocks_end_the_file_with_a_sentence(void **state)
{
	static const struct {
		size_t at; /* in the last block */
		uint8_t byte;
		const char *why;
	} damages[] = {
	    {4, 0x07, "impossible length"},
	    {4, 0x08, "impossible length"},
	    {32, 0x44, "different lengths"},
	    {8, 0x01, "unknown interface"},
	    {20, 0x09, "longer than the block"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		size_t last;
		made.length = 0;
		made_section(false);
		made_interface(1, 0, 0, 0);
		made_enhanced(0, 1, "abc", 3, 3);
		last = made.length;
		made_enhanced(0, 2, "def", 3, 3);
		made.bytes[last + damages[i].at] = damages[i].byte;
		made_open();
		assert_int_equal(made_next(), 1);
		assert_true(made_next() < 0);
		assert_non_null(strstr(made_err.text, damages[i].why));
		assert_non_null(strstr(made_err.text, "after 1 packets"));
		assert_int_equal(made_next(), 0);
		capture_close(made_capture);
		made_capture = NULL;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    MADE_TEST(pcapng_files_are_read_in_both_byte_orders),
	    MADE_TEST(interfaces_may_differ_in_all_they_have),
	    MADE_TEST(times_beyond_all_bounds_stay_in_them),
	    MADE_TEST(each_section_has_its_own_interfaces),
	    MADE_TEST(older_packet_blocks_are_read),
	    MADE_TEST(other_blocks_are_stepped_over_however_large),
	    MADE_TEST(a_pcapng_file_may_be_cut_short_anywhere),
	    MADE_TEST(damaged_blocks_end_the_file_with_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
