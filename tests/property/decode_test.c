/* Decoding against itself and against damage: plain packets take a short road, the same
 * bytes without their Ethernet header the long one, and both must say the same.  Random
 * bytes in memory of exactly their size show reads beyond it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "exporter/decode/decode.h"
#include "tests/unit/exporter/decode/support_frame.h"

#define ROUNDS 200000

static uint64_t seed = 88172645463325252ULL;

static uint32_t
draw(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed * 0x2545F4914F6CDD1DULL >> 33) % below);
}

static const uint8_t protocols[] = {6, 6, 6, 17, 17, 1, 47, 132};

static void
add_random(struct frame *f, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		f->bytes[f->length++] = (uint8_t)draw(256);
	}
}

/* Something like an IPv4 packet, often in order, sometimes not. */
static void
make_ipv4(struct frame *f)
{
	uint32_t length = 20 + draw(60);
	uint8_t *ip = f->bytes + 14;

	frame_ethernet(f, 0x0800);
	add_random(f, length);
	ip[0] = draw(10) == 0 ? (uint8_t)(0x40 + draw(16)) : 0x45;
	ip[2] = 0;
	ip[3] = draw(4) == 0 ? (uint8_t)draw(256) : (uint8_t)length;
	if (draw(8) != 0) {
		ip[6] = ip[7] = 0;
	}
	ip[9] = protocols[draw(8)];
	if (draw(4) != 0 && length >= 40) {
		ip[32] = 0x50;
	}
	if (draw(8) == 0) { /* both ends the same host */
		memcpy(ip + 16, ip + 12, 4);
	}
}

/* The same of IPv6. */
static void
make_ipv6(struct frame *f)
{
	uint32_t length = draw(60);
	uint8_t *ip = f->bytes + 14;

	frame_ethernet(f, 0x86dd);
	add_random(f, 40 + length);
	ip[0] = (uint8_t)(0x60 + draw(16));
	ip[4] = 0;
	ip[5] = draw(4) == 0 ? (uint8_t)draw(100) : (uint8_t)length;
	ip[6] = draw(4) == 0 ? (uint8_t)draw(64) : protocols[draw(8)];
	if (draw(4) != 0 && length >= 20) {
		ip[52] = 0x50;
	}
	if (draw(4) == 0) { /* ends that differ late or not at all */
		memcpy(ip + 24, ip + 8, 15 + draw(2));
	}
}

static void
the_short_road_says_what_the_long_road_says(void **state)
{
	struct decoder *d = decoder_new(false), *e = decoder_new(false);
	unsigned kept = 0;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct frame f;
		struct packet by_ethernet = {0}, by_raw = {0};
		struct capture_packet in, raw;
		enum packet_drop drop;

		f.length = 0;
		if (draw(2)) {
			make_ipv4(&f);
		} else {
			make_ipv6(&f);
		}
		frame_zeros(&f, draw(3) * 10);
		in = frame_packet(&f, FRAME_ETHERNET);
		if (draw(3) == 0) { /* a snap length */
			in.captured = 34 + draw(in.captured - 33);
		}
		raw = in;
		raw.link_type = FRAME_RAW;
		raw.bytes += 14;
		raw.captured -= 14;
		raw.wire -= 14;
		drop = decode_packet(d, &in, &by_ethernet);
		assert_int_equal(drop, decode_packet(e, &raw, &by_raw));
		if (drop == PACKET_KEPT) {
			kept++;
			assert_memory_equal(&by_ethernet, &by_raw, sizeof by_raw);
		}
	}
	assert_true(kept > ROUNDS / 4);
	decoder_free(d);
	decoder_free(e);
}

static void
keys_are_in_order_whatever_the_bytes(void **state)
{
	static const int link_types[] = {
	    0, 1, 9, 12, 50, 51, 104, 108, 113, 204, 228, 229, 276};
	struct decoder *d = decoder_new(true);

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t length = draw(120);
		uint8_t *bytes = malloc(length + 1);
		struct capture_packet in = {.bytes = bytes + 1,
		    .captured = length,
		    .wire = length + draw(2) * draw(2000),
		    .time_ns = i,
		    .link_type = link_types[draw(13)]};
		struct packet out;
		int order;

		for (uint32_t j = 0; j <= length; j++) {
			bytes[j] = (uint8_t)draw(256);
		}
		if (in.link_type == 12 && length > 6) {
			bytes[1] = draw(2) ? 0x45 : 0x60;
			bytes[3] = bytes[5] = 0;
			bytes[7] = (uint8_t)(draw(2) * draw(60));
		}
		if (decode_packet(d, &in, &out) == PACKET_KEPT) {
			order = memcmp(&out.key.low, &out.key.high, sizeof out.key.low);
			assert_true(order < 0 || (order == 0 && out.key.low_port <=
								    out.key.high_port));
			assert_true(out.octets <= in.wire);
			assert_true(out.payload <= out.octets);
		}
		free(bytes);
	}
	decoder_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_short_road_says_what_the_long_road_says),
	    cmocka_unit_test(keys_are_in_order_whatever_the_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
