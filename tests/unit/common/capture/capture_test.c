#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/unit/common/capture/support_capture.h"

static void
compressed_files_are_read_as_plain_ones(void **state)
{
	gzFile z;

	(void)state;
	made_classic(false, 0xa1b2c3d4, 1);
	made_classic_packet(1, 0, "abcd", 4, 4);
	z = gzopen(made_path, "wb");
	assert_non_null(z);
	assert_int_equal(
	    gzwrite(z, made.bytes, (unsigned)made.length), (int)made.length);
	gzclose(z);
	assert_int_equal(
	    capture_open_file(made_path, &made_all, &made_capture, &made_err), 0);
	made_expect(1000000000, "abcd", 4, 4);
	assert_int_equal(made_next(), 0);
}

static void
standard_input_is_read_from_a_pipe(void **state)
{
	int ends[2], kept = dup(STDIN_FILENO);

	(void)state;
	made_classic(false, 0xa1b2c3d4, 1);
	made_classic_packet(1, 0, "abcd", 4, 4);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], made.bytes, made.length), (ssize_t)made.length);
	dup2(ends[0], STDIN_FILENO);
	close(ends[0]);
	assert_int_equal(
	    capture_open_file("-", &made_all, &made_capture, &made_err), 0);
	assert_string_equal(capture_name(made_capture), "standard input");
	/* the writer is still there: what came must be handed out without it */
	made_expect(1000000000, "abcd", 4, 4);
	close(ends[1]);
	assert_int_equal(made_next(), 0);
	dup2(kept, STDIN_FILENO);
	close(kept);
}

static void
filters_let_matching_packets_pass(void **state)
{
	static const char arp[] = "\2\0\0\0\0\2\2\0\0\0\0\1\x08\x06";

	(void)state;
	made_classic(true, 0xa1b2c3d4, 1);
	made_classic_packet(1, 0, "\2\0\0\0\0\2\2\0\0\0\0\1\x08\x00\x45", 15, 60);
	made_classic_packet(2, 0, arp, 14, 60);
	assert_int_equal(made_open_with("arp"), 0);
	made_expect(2000000000, arp, 14, 60);
	assert_int_equal(made_next(), 0);
	assert_int_equal(made_counts().received, 1);
}

static void
a_filter_with_a_mistake_is_refused_at_once(void **state)
{
	(void)state;
	made_classic(false, 0xa1b2c3d4, 1);
	assert_true(made_open_with("tpc port 80") < 0);
	assert_non_null(strstr(made_err.text, "invalid filter \"tpc port 80\""));
	made.length = 0;
	made_section(false);
	made_interface(1, 0, 0, 0);
	made_enhanced(0, 0, "abc", 3, 3);
	assert_true(made_open_with("tpc port 80") < 0);
}

static void
filters_work_on_every_interface_of_a_file(void **state)
{
	static const char ip[] = "\2\0\0\0\0\2\2\0\0\0\0\1\x08\x00"
				 "\x45\0\0\x14\0\0\0\0\x40\x2f\0\0\1\1\1\1\2\2\2\2";

	(void)state;
	made_section(false);
	made_interface(1, 0, 0, 0);
	made_interface(101, 0, 0, 0);
	made_enhanced(0, 1, ip, 34, 34);
	made_enhanced(1, 2, ip + 14, 20, 20);
	made_enhanced(1, 3, "\x60\0\0\0", 4, 40);
	assert_int_equal(made_open_with("proto 47"), 0);
	made_expect(1000, ip, 34, 34);
	made_expect(2000, ip + 14, 20, 20);
	assert_int_equal(made_next(), 0);
}

static void
what_is_no_capture_is_refused_with_its_name(void **state)
{
	(void)state;
	memcpy(made.bytes, "this is a letter, and long enough", 33);
	made.length = 33;
	assert_true(made_open_with(NULL) < 0);
	assert_non_null(strstr(made_err.text, made_path));
	assert_non_null(strstr(made_err.text, "pcap or pcapng"));
	made.length = 0;
	assert_true(made_open_with(NULL) < 0);
	assert_non_null(strstr(made_err.text, "empty file"));
	made.length = 3;
	assert_true(made_open_with(NULL) < 0);
	assert_true(capture_open_file("/nonexistent/x.pcap", &made_all, &made_capture,
			&made_err) < 0);
	assert_non_null(strstr(made_err.text, "/nonexistent/x.pcap"));
}

static void
an_interface_that_is_not_there_is_named(void **state)
{
	(void)state;
	assert_true(capture_open_live("loo", &made_all, &made_capture, &made_err) < 0);
	assert_non_null(strstr(made_err.text, "loo"));
}

/* Opens loopback, or skips the test where capturing is not permitted. */
static void
open_loopback(const char *filter)
{
	struct capture_settings s = {.filter = filter, .ring_bytes = 1 << 20};
	int rc = capture_open_live("lo", &s, &made_capture, &made_err);

	if (rc == -EPERM || rc == -ENODEV || rc == -ENETDOWN) {
		print_message("skipped: %s\n", made_err.text);
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
	assert_int_equal(made_next(), 0);
	send_datagram(9, "hello");
	ready = (struct pollfd){.fd = capture_fd(made_capture), .events = POLLIN};
	assert_true(ready.fd >= 0);
	for (int i = 0; i < 100 && rc == 0; i++) {
		poll(&ready, 1, 100);
		rc = made_next();
	}
	assert_int_equal(rc, 1);
	assert_true(made_packet.captured >= 28 + 5);
	assert_memory_equal(made_packet.bytes + made_packet.captured - 5, "hello", 5);
	assert_int_equal(made_counts().received, 1);
	assert_int_equal(made_counts().size, 0);
}

static void
a_live_filter_with_a_mistake_is_refused(void **state)
{
	struct capture_settings s = {.filter = "udp prot 9"};
	int rc = capture_open_live("lo", &s, &made_capture, &made_err);

	(void)state;
	if (rc == -EPERM || rc == -ENODEV || rc == -ENETDOWN) {
		skip();
	}
	assert_int_equal(rc, -EINVAL);
	assert_non_null(strstr(made_err.text, "udp prot 9"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    MADE_TEST(compressed_files_are_read_as_plain_ones),
	    MADE_TEST(standard_input_is_read_from_a_pipe),
	    MADE_TEST(filters_let_matching_packets_pass),
	    MADE_TEST(a_filter_with_a_mistake_is_refused_at_once),
	    MADE_TEST(filters_work_on_every_interface_of_a_file),
	    MADE_TEST(what_is_no_capture_is_refused_with_its_name),
	    MADE_TEST(an_interface_that_is_not_there_is_named),
	    MADE_TEST(a_live_capture_sees_a_datagram),
	    MADE_TEST(a_live_filter_with_a_mistake_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
