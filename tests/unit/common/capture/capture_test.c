#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "common/capture/capture.h"

/* A file as it is made: numbers in the byte order that is asked for. */
struct file {
	uint8_t bytes[1 << 20];
	size_t length;
	bool is_big;
};

static struct file f;
static char path[64];
static struct capture *capture;
static struct capture_packet packet;
static struct err err;
static struct capture_settings all;

static void
add_bytes(const void *bytes, size_t n)
{
	assert_true(f.length + n <= sizeof f.bytes);
	memcpy(f.bytes + f.length, bytes, n);
	f.length += n;
}

static void
add_u16(uint16_t v)
{
	v = f.is_big ? htobe16(v) : htole16(v);
	add_bytes(&v, sizeof v);
}

static void
add_u32(uint32_t v)
{
	v = f.is_big ? htobe32(v) : htole32(v);
	add_bytes(&v, sizeof v);
}

static void
begin_classic(bool is_big, uint32_t magic, uint32_t link_type)
{
	f.length = 0;
	f.is_big = is_big;
	add_u32(magic);
	add_u16(2);
	add_u16(4);
	add_u32(0);
	add_u32(0);
	add_u32(65535);
	add_u32(link_type);
}

static void
add_classic(
    uint32_t s, uint32_t fraction, const char *bytes, uint32_t captured, uint32_t wire)
{
	add_u32(s);
	add_u32(fraction);
	add_u32(captured);
	add_u32(wire);
	add_bytes(bytes, captured);
}

/* Ends the block that began at `at`: pads, and writes both lengths. */
static void
end_block(size_t at)
{
	uint32_t length;

	while (f.length % 4 != 0) {
		add_bytes("", 1);
	}
	length = (uint32_t)(f.length + 4 - at);
	add_u32(length);
	length = f.is_big ? htobe32(length) : htole32(length);
	memcpy(f.bytes + at + 4, &length, sizeof length);
}

static void
add_section(bool is_big)
{
	size_t at = f.length;

	f.is_big = is_big;
	add_u32(0x0a0d0d0a);
	add_u32(0);
	add_u32(0x1a2b3c4d);
	add_u16(1);
	add_u16(0);
	add_u32(0xffffffff);
	add_u32(0xffffffff);
	end_block(at);
}

/* resolution: if_tsresol, 0: without the option.  offset: if_tsoffset, likewise. */
static void
add_interface(uint16_t link_type, uint32_t snaplen, uint8_t resolution, int32_t offset)
{
	size_t at = f.length;

	add_u32(1);
	add_u32(0);
	add_u16(link_type);
	add_u16(0);
	add_u32(snaplen);
	if (resolution != 0) {
		add_u16(9);
		add_u16(1);
		add_bytes((uint8_t[4]){resolution}, 4);
	}
	if (offset != 0) {
		add_u16(14);
		add_u16(8);
		add_u32(f.is_big ? offset < 0 ? 0xffffffff : 0 : (uint32_t)offset);
		add_u32(f.is_big ? (uint32_t)offset : offset < 0 ? 0xffffffff : 0);
	}
	end_block(at);
}

static void
add_enhanced(uint32_t interface, uint64_t ticks, const char *bytes, uint32_t captured,
    uint32_t wire)
{
	size_t at = f.length;

	add_u32(6);
	add_u32(0);
	add_u32(interface);
	add_u32((uint32_t)(ticks >> 32));
	add_u32((uint32_t)ticks);
	add_u32(captured);
	add_u32(wire);
	add_bytes(bytes, captured);
	end_block(at);
}

static void
write_file(const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	close(fd);
}

static int
open_with(const char *filter)
{
	struct capture_settings s = {.filter = filter};

	write_file(f.bytes, f.length);
	return capture_open_file(path, &s, &capture, &err);
}

static void
open_it(void)
{
	assert_int_equal(open_with(NULL), 0);
}

static int
next(void)
{
	return capture_next(capture, &packet, &err);
}

static void
assert_next(uint64_t time_ns, const char *bytes, uint32_t captured, uint32_t wire)
{
	assert_int_equal(next(), 1);
	assert_int_equal(packet.time_ns, time_ns);
	assert_int_equal(packet.captured, captured);
	assert_int_equal(packet.wire, wire);
	assert_memory_equal(packet.bytes, bytes, captured);
}

static struct capture_counts
counts(void)
{
	struct capture_counts c;

	capture_counts(capture, &c);
	return c;
}

static int
set_up(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/capture_test.XXXXXX");
	fd = mkstemp(path);
	close(fd);
	capture = NULL;
	f.length = 0;
	err.text[0] = '\0';
	return fd < 0;
}

static int
tear_down(void **state)
{
	(void)state;
	capture_close(capture);
	unlink(path);
	return 0;
}

static void
classic_files_are_read_in_both_byte_orders(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		begin_classic(big, 0xa1b2c3d4, 1);
		add_classic(1000, 5, "abc", 3, 1500);
		add_classic(1001, 999999, "", 0, 60);
		open_it();
		assert_next(1000000005000, "abc", 3, 1500);
		assert_int_equal(packet.link_type, 1);
		assert_next(1001999999000, "", 0, 60);
		assert_int_equal(next(), 0);
		assert_int_equal(next(), 0);
		assert_int_equal(counts().received, 2);
		assert_int_equal(counts().cut_short, 0);
		capture_close(capture);
		capture = NULL;
	}
}

static void
nanosecond_files_keep_their_nanoseconds(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		begin_classic(big, 0xa1b23c4d, 101);
		add_classic(1000, 999999999, "abc", 3, 3);
		open_it();
		assert_next(1000999999999, "abc", 3, 3);
		assert_int_equal(packet.link_type, 12); /* DLT_RAW */
		capture_close(capture);
		capture = NULL;
	}
}

static void
a_wire_length_below_the_captured_is_put_right(void **state)
{
	(void)state;
	begin_classic(false, 0xa1b2c3d4, 1);
	add_classic(1, 0, "abcd", 4, 2);
	open_it();
	assert_next(1000000000, "abcd", 4, 4);
}

static void
a_file_cut_in_a_packet_gives_what_came_before(void **state)
{
	(void)state;
	/* in the bytes, in the header */
	for (size_t cut = 2; cut <= 10; cut += 8) {
		begin_classic(false, 0xa1b2c3d4, 1);
		add_classic(1, 0, "abcd", 4, 4);
		add_classic(2, 0, "efgh", 4, 4);
		f.length -= cut;
		open_it();
		assert_int_equal(next(), 1);
		assert_int_equal(next(), 0);
		assert_int_equal(counts().received, 1);
		assert_int_equal(counts().cut_short, 1);
		capture_close(capture);
		capture = NULL;
	}
}

static void
an_impossible_length_ends_the_file_with_a_sentence(void **state)
{
	(void)state;
	begin_classic(false, 0xa1b2c3d4, 1);
	add_classic(1, 0, "abcd", 4, 4);
	add_u32(1);
	add_u32(0);
	add_u32(0x7fffffff);
	add_u32(0x7fffffff);
	open_it();
	assert_int_equal(next(), 1);
	assert_true(next() < 0);
	assert_non_null(strstr(err.text, "after 1 packets"));
	assert_non_null(strstr(err.text, "at byte 44"));
	assert_int_equal(next(), 0);
}

static void
packets_across_the_buffers_edge_stay_whole(void **state)
{
	static char bytes[60000];
	uint32_t n = 0;

	(void)state;
	begin_classic(false, 0xa1b2c3d4, 1);
	while (f.length + 60016 < sizeof f.bytes) {
		memset(bytes, (int)n, sizeof bytes);
		add_classic(n++, 0, bytes, 60000, 60000);
	}
	open_it();
	for (uint32_t i = 0; i < n; i++) {
		memset(bytes, (int)i, sizeof bytes);
		assert_next(i * 1000000000ULL, bytes, 60000, 60000);
	}
	assert_int_equal(next(), 0);
	assert_int_equal(counts().position, f.length);
	assert_int_equal(counts().size, f.length);
}

static void
compressed_files_are_read_as_plain_ones(void **state)
{
	gzFile z;

	(void)state;
	begin_classic(false, 0xa1b2c3d4, 1);
	add_classic(1, 0, "abcd", 4, 4);
	z = gzopen(path, "wb");
	assert_non_null(z);
	assert_int_equal(gzwrite(z, f.bytes, (unsigned)f.length), (int)f.length);
	gzclose(z);
	assert_int_equal(capture_open_file(path, &all, &capture, &err), 0);
	assert_next(1000000000, "abcd", 4, 4);
	assert_int_equal(next(), 0);
}

static void
standard_input_is_read_from_a_pipe(void **state)
{
	int ends[2], kept = dup(STDIN_FILENO);

	(void)state;
	begin_classic(false, 0xa1b2c3d4, 1);
	add_classic(1, 0, "abcd", 4, 4);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], f.bytes, f.length), (ssize_t)f.length);
	dup2(ends[0], STDIN_FILENO);
	close(ends[0]);
	assert_int_equal(capture_open_file("-", &all, &capture, &err), 0);
	assert_string_equal(capture_name(capture), "standard input");
	/* the writer is still there: what came must be handed out without it */
	assert_next(1000000000, "abcd", 4, 4);
	close(ends[1]);
	assert_int_equal(next(), 0);
	dup2(kept, STDIN_FILENO);
	close(kept);
}

static void
filters_let_matching_packets_pass(void **state)
{
	static const char arp[] = "\2\0\0\0\0\2\2\0\0\0\0\1\x08\x06";

	(void)state;
	begin_classic(true, 0xa1b2c3d4, 1);
	add_classic(1, 0, "\2\0\0\0\0\2\2\0\0\0\0\1\x08\x00\x45", 15, 60);
	add_classic(2, 0, arp, 14, 60);
	assert_int_equal(open_with("arp"), 0);
	assert_next(2000000000, arp, 14, 60);
	assert_int_equal(next(), 0);
	assert_int_equal(counts().received, 1);
}

static void
a_filter_with_a_mistake_is_refused_at_once(void **state)
{
	(void)state;
	begin_classic(false, 0xa1b2c3d4, 1);
	assert_true(open_with("tpc port 80") < 0);
	assert_non_null(strstr(err.text, "invalid filter \"tpc port 80\""));
	f.length = 0;
	add_section(false);
	add_interface(1, 0, 0, 0);
	add_enhanced(0, 0, "abc", 3, 3);
	assert_true(open_with("tpc port 80") < 0);
}

static void
filters_work_on_every_interface_of_a_file(void **state)
{
	static const char ip[] = "\2\0\0\0\0\2\2\0\0\0\0\1\x08\x00"
				 "\x45\0\0\x14\0\0\0\0\x40\x2f\0\0\1\1\1\1\2\2\2\2";

	(void)state;
	add_section(false);
	add_interface(1, 0, 0, 0);
	add_interface(101, 0, 0, 0);
	add_enhanced(0, 1, ip, 34, 34);
	add_enhanced(1, 2, ip + 14, 20, 20);
	add_enhanced(1, 3, "\x60\0\0\0", 4, 40);
	assert_int_equal(open_with("proto 47"), 0);
	assert_next(1000, ip, 34, 34);
	assert_next(2000, ip + 14, 20, 20);
	assert_int_equal(next(), 0);
}

static void
pcapng_files_are_read_in_both_byte_orders(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		f.length = 0;
		add_section(big);
		add_interface(1, 65535, 0, 0);
		add_enhanced(0, 1000000005, "abc", 3, 1500);
		open_it();
		assert_next(1000000005000, "abc", 3, 1500);
		assert_int_equal(packet.link_type, 1);
		assert_int_equal(next(), 0);
		capture_close(capture);
		capture = NULL;
	}
}

static void
interfaces_may_differ_in_all_they_have(void **state)
{
	(void)state;
	add_section(true);
	add_interface(1, 65535, 9, 0);
	add_interface(101, 128, 3, 0);
	add_interface(113, 0, 0x80 | 10, 0);
	add_interface(1, 0, 0, -1);
	add_enhanced(0, 1000000001, "abc", 3, 3);
	add_enhanced(1, 2500, "de", 2, 2);
	add_enhanced(2, 1024 + 512, "f", 1, 1);
	add_enhanced(3, 5000000, "g", 1, 1);
	open_it();
	assert_next(1000000001, "abc", 3, 3);
	assert_next(2500000000, "de", 2, 2);
	assert_int_equal(packet.link_type, 12);
	assert_next(1500000000, "f", 1, 1);
	assert_int_equal(packet.link_type, 113);
	assert_next(4000000000, "g", 1, 1);
	assert_int_equal(packet.link_type, 1);
}

static void
times_beyond_all_bounds_stay_in_them(void **state)
{
	(void)state;
	add_section(false);
	add_interface(1, 0, 1, 0);
	add_interface(1, 0, 6, -1);
	add_interface(1, 0, 127, 0);
	add_enhanced(0, UINT64_MAX, "a", 1, 1);
	add_enhanced(1, 1, "b", 1, 1);
	add_enhanced(2, UINT64_MAX, "c", 1, 1);
	open_it();
	assert_next(INT64_MAX, "a", 1, 1);
	assert_next(0, "b", 1, 1);
	assert_next(0, "c", 1, 1);
}

static void
each_section_has_its_own_interfaces(void **state)
{
	(void)state;
	add_section(false);
	add_interface(1, 0, 0, 0);
	add_section(true);
	add_interface(101, 0, 0, 0);
	add_enhanced(0, 1, "abc", 3, 3);
	add_enhanced(1, 1, "abc", 3, 3);
	open_it();
	assert_next(1000, "abc", 3, 3);
	assert_int_equal(packet.link_type, 12);
	assert_true(next() < 0);
	assert_non_null(strstr(err.text, "unknown interface"));
}

static void
older_packet_blocks_are_read(void **state)
{
	size_t at;

	(void)state;
	add_section(false);
	add_interface(1, 3, 0, 0);
	at = f.length;
	add_u32(3); /* simple: no time, captured is the snap length */
	add_u32(0);
	add_u32(1500);
	add_bytes("abc", 3);
	end_block(at);
	at = f.length;
	add_u32(2); /* obsolete: 16 bits of interface, 16 of drops */
	add_u32(0);
	add_u16(0);
	add_u16(7);
	add_u32(0);
	add_u32(9);
	add_u32(2);
	add_u32(60);
	add_bytes("de", 2);
	end_block(at);
	open_it();
	assert_next(0, "abc", 3, 1500);
	assert_next(9000, "de", 2, 60);
}

static void
other_blocks_are_stepped_over_however_large(void **state)
{
	static char secrets[600000];
	size_t at;

	(void)state;
	add_section(false);
	add_interface(1, 0, 0, 0);
	at = f.length;
	add_u32(10);
	add_u32(0);
	add_bytes(secrets, sizeof secrets);
	end_block(at);
	at = f.length;
	add_u32(0x80001234);
	add_u32(0);
	end_block(at);
	add_enhanced(0, 1, "abc", 3, 3);
	open_it();
	assert_next(1000, "abc", 3, 3);
	assert_int_equal(next(), 0);
	assert_int_equal(counts().cut_short, 0);
}

static void
a_pcapng_file_may_be_cut_short_anywhere(void **state)
{
	size_t whole, last;

	(void)state;
	add_section(false);
	add_interface(1, 0, 0, 0);
	add_enhanced(0, 1, "abc", 3, 3);
	last = f.length;
	add_enhanced(0, 2, "def", 3, 3);
	whole = f.length;
	for (f.length = last + 1; f.length < whole; f.length++) {
		open_it();
		assert_next(1000, "abc", 3, 3);
		assert_int_equal(next(), 0);
		assert_int_equal(counts().cut_short, 1);
		capture_close(capture);
		capture = NULL;
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
		f.length = 0;
		add_section(false);
		add_interface(1, 0, 0, 0);
		add_enhanced(0, 1, "abc", 3, 3);
		last = f.length;
		add_enhanced(0, 2, "def", 3, 3);
		f.bytes[last + damages[i].at] = damages[i].byte;
		open_it();
		assert_int_equal(next(), 1);
		assert_true(next() < 0);
		assert_non_null(strstr(err.text, damages[i].why));
		assert_non_null(strstr(err.text, "after 1 packets"));
		assert_int_equal(next(), 0);
		capture_close(capture);
		capture = NULL;
	}
}

static void
the_modified_format_is_left_to_libpcap(void **state)
{
	(void)state;
	begin_classic(false, 0xa1b2cd34, 1);
	add_u32(1);
	add_u32(5);
	add_u32(3);
	add_u32(60);
	add_u32(0); /* interface index, protocol, type */
	add_u16(0);
	add_u16(0);
	add_bytes("abc", 3);
	open_it();
	assert_next(1000005000, "abc", 3, 60);
	assert_int_equal(next(), 0);
}

static void
what_is_no_capture_is_refused_with_its_name(void **state)
{
	(void)state;
	memcpy(f.bytes, "this is a letter, and long enough", 33);
	f.length = 33;
	assert_true(open_with(NULL) < 0);
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, "pcap or pcapng"));
	f.length = 0;
	assert_true(open_with(NULL) < 0);
	assert_non_null(strstr(err.text, "empty file"));
	f.length = 3;
	assert_true(open_with(NULL) < 0);
	assert_true(capture_open_file("/nonexistent/x.pcap", &all, &capture, &err) < 0);
	assert_non_null(strstr(err.text, "/nonexistent/x.pcap"));
}

static void
an_interface_that_is_not_there_is_named(void **state)
{
	(void)state;
	assert_true(capture_open_live("loo", &all, &capture, &err) < 0);
	assert_non_null(strstr(err.text, "loo"));
}

/* Opens loopback, or skips the test where capturing is not permitted. */
static void
open_loopback(const char *filter)
{
	struct capture_settings s = {.filter = filter, .ring_bytes = 1 << 20};
	int rc = capture_open_live("lo", &s, &capture, &err);

	if (rc == -EPERM || rc == -ENODEV || rc == -ENETDOWN) {
		print_message("skipped: %s\n", err.text);
		skip();
	}
	assert_int_equal(rc, 0);
}

/* A datagram to a port of loopback where perhaps nobody listens. */
static void
send_datagram(uint16_t port, const char *text)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htobe16(port),
	    .sin_addr.s_addr = htobe32(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(
	    sendto(fd, text, strlen(text), 0, (struct sockaddr *)&to, sizeof to),
	    (ssize_t)strlen(text));
	close(fd);
}

static void
a_live_capture_sees_a_datagram(void **state)
{
	struct pollfd ready;
	int rc = 0;

	(void)state;
	open_loopback("udp dst port 9");
	assert_int_equal(next(), 0);
	send_datagram(9, "hello");
	ready = (struct pollfd){.fd = capture_fd(capture), .events = POLLIN};
	assert_true(ready.fd >= 0);
	for (int i = 0; i < 100 && rc == 0; i++) {
		poll(&ready, 1, 100);
		rc = next();
	}
	assert_int_equal(rc, 1);
	assert_true(packet.captured >= 28 + 5);
	assert_memory_equal(packet.bytes + packet.captured - 5, "hello", 5);
	assert_int_equal(counts().received, 1);
	assert_int_equal(counts().size, 0);
}

static void
a_live_filter_with_a_mistake_is_refused(void **state)
{
	struct capture_settings s = {.filter = "udp prot 9"};
	int rc = capture_open_live("lo", &s, &capture, &err);

	(void)state;
	if (rc == -EPERM || rc == -ENODEV || rc == -ENETDOWN) {
		skip();
	}
	assert_int_equal(rc, -EINVAL);
	assert_non_null(strstr(err.text, "udp prot 9"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(classic_files_are_read_in_both_byte_orders),
	    TEST(nanosecond_files_keep_their_nanoseconds),
	    TEST(a_wire_length_below_the_captured_is_put_right),
	    TEST(a_file_cut_in_a_packet_gives_what_came_before),
	    TEST(an_impossible_length_ends_the_file_with_a_sentence),
	    TEST(packets_across_the_buffers_edge_stay_whole),
	    TEST(compressed_files_are_read_as_plain_ones),
	    TEST(standard_input_is_read_from_a_pipe),
	    TEST(filters_let_matching_packets_pass),
	    TEST(a_filter_with_a_mistake_is_refused_at_once),
	    TEST(filters_work_on_every_interface_of_a_file),
	    TEST(pcapng_files_are_read_in_both_byte_orders),
	    TEST(interfaces_may_differ_in_all_they_have),
	    TEST(times_beyond_all_bounds_stay_in_them),
	    TEST(each_section_has_its_own_interfaces),
	    TEST(older_packet_blocks_are_read),
	    TEST(other_blocks_are_stepped_over_however_large),
	    TEST(a_pcapng_file_may_be_cut_short_anywhere),
	    TEST(damaged_blocks_end_the_file_with_a_sentence),
	    TEST(the_modified_format_is_left_to_libpcap),
	    TEST(what_is_no_capture_is_refused_with_its_name),
	    TEST(an_interface_that_is_not_there_is_named),
	    TEST(a_live_capture_sees_a_datagram),
	    TEST(a_live_filter_with_a_mistake_is_refused),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}
