#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "tests/unit/common/capture/support_capture.h"

static void
classic_files_are_read_in_both_byte_orders(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		made_classic(big, 0xa1b2c3d4, 1);
		made_classic_packet(1000, 5, "abc", 3, 1500);
		made_classic_packet(1001, 999999, "", 0, 60);
		made_open();
		made_expect(1000000005000, "abc", 3, 1500);
		assert_int_equal(made_packet.link_type, 1);
		made_expect(1001999999000, "", 0, 60);
		assert_int_equal(made_next(), 0);
		assert_int_equal(made_next(), 0);
		assert_int_equal(made_counts().received, 2);
		assert_int_equal(made_counts().cut_short, 0);
		capture_close(made_capture);
		made_capture = NULL;
	}
}

static void
nanosecond_files_keep_their_nanoseconds(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		made_classic(big, 0xa1b23c4d, 101);
		made_classic_packet(1000, 999999999, "abc", 3, 3);
		made_open();
		made_expect(1000999999999, "abc", 3, 3);
		assert_int_equal(made_packet.link_type, 12); /* DLT_RAW */
		capture_close(made_capture);
		made_capture = NULL;
	}
}

static void
a_wire_length_below_the_captured_is_put_right(void **state)
{
	(void)state;
	made_classic(false, 0xa1b2c3d4, 1);
	made_classic_packet(1, 0, "abcd", 4, 2);
	made_open();
	made_expect(1000000000, "abcd", 4, 4);
}

static void
a_file_cut_in_a_packet_gives_what_came_before(void **state)
{
	(void)state;
	/* in the bytes, in the header */
	for (size_t cut = 2; cut <= 10; cut += 8) {
		made_classic(false, 0xa1b2c3d4, 1);
		made_classic_packet(1, 0, "abcd", 4, 4);
		made_classic_packet(2, 0, "efgh", 4, 4);
		made.length -= cut;
		made_open();
		assert_int_equal(made_next(), 1);
		assert_int_equal(made_next(), 0);
		assert_int_equal(made_counts().received, 1);
		assert_int_equal(made_counts().cut_short, 1);
		capture_close(made_capture);
		made_capture = NULL;
	}
}

static void
an_impossible_length_ends_the_file_with_a_sentence(void **state)
{
	(void)state;
	made_classic(false, 0xa1b2c3d4, 1);
	made_classic_packet(1, 0, "abcd", 4, 4);
	made_u32(1);
	made_u32(0);
	made_u32(0x7fffffff);
	made_u32(0x7fffffff);
	made_open();
	assert_int_equal(made_next(), 1);
	assert_true(made_next() < 0);
	assert_non_null(strstr(made_err.text, "after 1 packets"));
	assert_non_null(strstr(made_err.text, "at byte 44"));
	assert_int_equal(made_next(), 0);
}

static void
packets_across_the_buffers_edge_stay_whole(void **state)
{
	static char bytes[60000];
	uint32_t n = 0;

	(void)state;
	made_classic(false, 0xa1b2c3d4, 1);
	while (made.length + 60016 < sizeof made.bytes) {
		memset(bytes, (int)n, sizeof bytes);
		made_classic_packet(n++, 0, bytes, 60000, 60000);
	}
	made_open();
	for (uint32_t i = 0; i < n; i++) {
		memset(bytes, (int)i, sizeof bytes);
		made_expect(i * 1000000000ULL, bytes, 60000, 60000);
	}
	assert_int_equal(made_next(), 0);
	assert_int_equal(made_counts().position, made.length);
	assert_int_equal(made_counts().size, made.length);
}

/* A packet with the header of Kuznetzov's format. */
static void
add_modified(uint32_t captured)
{
	made_u32(1);
	made_u32(5);
	made_u32(captured);
	made_u32(60);
	made_u32(0); /* interface index, protocol, type */
	made_u16(0);
	made_u16(0);
	made_bytes("abc", 3);
}

static void
the_modified_format_is_left_to_libpcap(void **state)
{
	(void)state;
	made_classic(false, 0xa1b2cd34, 1);
	add_modified(3);
	made_open();
	made_expect(1000005000, "abc", 3, 60);
	assert_int_equal(made_next(), 0);
}

static void
a_modified_file_cut_in_a_packet_gives_what_came_before(void **state)
{
	(void)state;
	for (size_t cut = 1; cut < 27; cut += 5) { /* in the data, in the header */
		made_classic(false, 0xa1b2cd34, 1);
		add_modified(3);
		add_modified(3);
		made.length -= cut;
		made_open();
		assert_int_equal(made_next(), 1);
		assert_int_equal(made_next(), 0);
		assert_int_equal(made_counts().cut_short, 1);
		assert_int_equal(made_counts().received, 1);
		capture_close(made_capture);
		made_capture = NULL;
	}
}

static void
a_modified_file_with_an_impossible_length_is_an_error(void **state)
{
	(void)state;
	made_classic(false, 0xa1b2cd34, 1);
	add_modified(3);
	add_modified(0x7fffffff);
	made_open();
	assert_int_equal(made_next(), 1);
	assert_true(made_next() < 0);
	assert_int_equal(made_counts().cut_short, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    MADE_TEST(classic_files_are_read_in_both_byte_orders),
	    MADE_TEST(nanosecond_files_keep_their_nanoseconds),
	    MADE_TEST(a_wire_length_below_the_captured_is_put_right),
	    MADE_TEST(a_file_cut_in_a_packet_gives_what_came_before),
	    MADE_TEST(an_impossible_length_ends_the_file_with_a_sentence),
	    MADE_TEST(packets_across_the_buffers_edge_stay_whole),
	    MADE_TEST(the_modified_format_is_left_to_libpcap),
	    MADE_TEST(a_modified_file_cut_in_a_packet_gives_what_came_before),
	    MADE_TEST(a_modified_file_with_an_impossible_length_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
