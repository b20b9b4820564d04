/* Our readers against libpcap's: random files, whole and cut short, must give the same
 * packets. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "common/capture/capture.h"

#define ROUNDS 400

static uint64_t seed = 88172645463325252ULL;
static char path[64];
static uint8_t bytes[1 << 20];
static size_t length;
static bool is_big;

static uint32_t
draw(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed * 0x2545F4914F6CDD1DULL >> 33) % below);
}

static void
add(uint32_t v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bytes[length++] = (uint8_t)(v >> 8 * (is_big ? n - 1 - i : i));
	}
}

static void
add_random(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		bytes[length++] = (uint8_t)draw(256);
	}
}

static uint32_t
draw_length(void)
{
	return draw(20) == 0 ? draw(60000) : draw(200);
}

static void
make_classic(void)
{
	unsigned packets = draw(40);

	add(draw(2) ? 0xa1b2c3d4 : 0xa1b23c4d, 4);
	add(2, 2);
	add(4, 2);
	add(0, 4);
	add(0, 4);
	add(262144, 4);
	add(1, 4);
	for (unsigned i = 0; i < packets && length < sizeof bytes - 70000; i++) {
		uint32_t captured = draw_length();
		add(draw(2000000000), 4);
		add(draw(1000000), 4);
		add(captured, 4);
		add(captured + draw(2) * draw(1000), 4);
		add_random(captured);
	}
}

/* The end of a block that began at `at`. */
static void
end_block(size_t at)
{
	size_t end;

	while (length % 4 != 0) {
		add(0, 1);
	}
	add((uint32_t)(length + 4 - at), 4);
	end = length;
	length = at + 4;
	add((uint32_t)(end - at), 4);
	length = end;
}

static void
add_interface(uint8_t resolution)
{
	size_t at = length;

	add(1, 4);
	add(0, 4);
	add(1, 2);
	add(0, 2);
	add(262144, 4);
	add(9, 2);
	add(1, 2);
	bytes[length] = resolution;
	length += 4;
	end_block(at);
}

/* All interfaces alike in what libpcap wants alike, their times not. */
static void
make_ng(void)
{
	static const uint8_t resolutions[] = {6, 9, 3, 0x80 | 20, 0x80 | 10, 12};
	unsigned packets = draw(40), interfaces = 1 + draw(4);
	size_t at = length;

	add(0x0a0d0d0a, 4);
	add(0, 4);
	add(0x1a2b3c4d, 4);
	add(1, 2);
	add(0, 2);
	add(0xffffffff, 4);
	add(0xffffffff, 4);
	end_block(at);
	for (unsigned i = 0; i < interfaces; i++) {
		add_interface(resolutions[draw(6)]);
	}
	for (unsigned i = 0; i < packets && length < sizeof bytes - 70000; i++) {
		uint32_t captured = draw_length();
		at = length;
		if (draw(8) == 0) { /* some other block */
			add(5 + 6 * draw(2), 4);
			add(0, 4);
			add_random(draw(100));
			end_block(at);
			continue;
		}
		add(6, 4);
		add(0, 4);
		add(draw(interfaces), 4);
		add(draw(400), 4);
		add(draw(0x7fffffff), 4);
		add(captured, 4);
		add(captured + draw(2) * draw(1000), 4);
		add_random(captured);
		end_block(at);
	}
}

static void
write_file(void)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, length, f), length);
	fclose(f);
}

/* libpcap's fractions of a second are exact to the unit of the file, ours to the
 * nanosecond below: they may be one apart unless the unit is a power of ten. */
static bool
is_near(uint64_t a, uint64_t b)
{
	return a == b || a + 1 == b || b + 1 == a;
}

/* Every packet of libpcap must come from us, and no more; how many there were. */
static unsigned
compare(void)
{
	char why[PCAP_ERRBUF_SIZE];
	struct capture_settings s = {0};
	struct capture_packet ours;
	struct capture *c = NULL;
	struct pcap_pkthdr *theirs;
	const u_char *at;
	struct err e;
	unsigned n = 0;
	pcap_t *p;
	int rc;

	write_file();
	p = pcap_open_offline_with_tstamp_precision(
	    path, PCAP_TSTAMP_PRECISION_NANO, why);
	rc = capture_open_file(path, &s, &c, &e);
	if (p == NULL) {
		capture_close(c);
		return 0;
	}
	assert_int_equal(rc, 0);
	while (pcap_next_ex(p, &theirs, &at) == 1) {
		assert_int_equal(capture_next(c, &ours, &e), 1);
		assert_int_equal(ours.captured, theirs->caplen);
		assert_int_equal(ours.wire,
		    theirs->len < theirs->caplen ? theirs->caplen : theirs->len);
		assert_memory_equal(ours.bytes, at, ours.captured);
		assert_true(
		    is_near(ours.time_ns, (uint64_t)theirs->ts.tv_sec * 1000000000 +
					      (uint64_t)theirs->ts.tv_usec));
		n++;
	}
	assert_int_equal(capture_next(c, &ours, &e), 0);
	pcap_close(p);
	capture_close(c);
	return n;
}

static void
make_file(void)
{
	length = 0;
	is_big = draw(2);
	if (draw(2)) {
		make_classic();
	} else {
		make_ng();
	}
}

static void
whole_files_give_the_same_packets(void **state)
{
	unsigned n = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		make_file();
		n += compare();
	}
	assert_true(n > ROUNDS * 5);
}

static void
files_cut_short_give_the_same_packets(void **state)
{
	unsigned n = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		make_file();
		length = draw((uint32_t)length);
		n += compare();
	}
	assert_true(n > ROUNDS);
}

static int
set_up(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/capture_property.XXXXXX");
	fd = mkstemp(path);
	close(fd);
	return fd < 0;
}

static int
tear_down(void **state)
{
	(void)state;
	return unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whole_files_give_the_same_packets),
	    cmocka_unit_test(files_cut_short_give_the_same_packets),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
