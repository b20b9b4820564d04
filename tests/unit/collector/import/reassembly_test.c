#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "collector/import/reassembly.h"
#include "common/base/cursor.h"

#define RAW 101 /* packets begin with their IP header */

static struct reassembly *datagrams;
static struct datagram got;

static int
set_up(void **state)
{
	(void)state;
	datagrams = reassembly_new();
	memset(&got, 0, sizeof got);
	return datagrams == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	reassembly_free(datagrams);
	return 0;
}

/* A UDP datagram of n payload bytes 0, 1, 2 ... */
static size_t
udp(uint8_t *out, size_t n)
{
	store_u16(out, 5000);
	store_u16(out + 2, 4739);
	store_u16(out + 4, (uint16_t)(8 + n));
	store_u16(out + 6, 0);
	for (size_t i = 0; i < n; i++) {
		out[8 + i] = (uint8_t)i;
	}
	return 8 + n;
}

static size_t
ipv4(uint8_t *out, const uint8_t *payload, size_t n, uint16_t id, uint16_t fragment)
{
	memset(out, 0, 20);
	out[0] = 0x45;
	store_u16(out + 2, (uint16_t)(20 + n));
	store_u16(out + 4, id);
	store_u16(out + 6, fragment);
	out[9] = 17;
	memcpy(out + 12, "\xc0\0\2\1", 4);
	memcpy(out + 16, "\xc0\0\2\2", 4);
	memcpy(out + 20, payload, n);
	return 20 + n;
}

static enum reassembly_result
take(const uint8_t *bytes, size_t n)
{
	const struct capture_packet p = {.bytes = bytes,
	    .captured = (uint32_t)n,
	    .wire = (uint32_t)n,
	    .link_type = RAW};

	return reassembly_take(datagrams, &p, &got);
}

static void
assert_got(size_t n)
{
	assert_int_equal(got.source.port, 5000);
	assert_int_equal(got.destination.port, 4739);
	assert_int_equal(got.length, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(got.payload[i], (uint8_t)i);
	}
}

static void
test_a_datagram_comes_out_with_its_addresses(void **state)
{
	uint8_t inner[64], packet[128];
	char text[ADDRESS_TEXT];
	size_t n = ipv4(packet, inner, udp(inner, 10), 1, 0);

	(void)state;
	assert_int_equal(take(packet, n), REASSEMBLY_WHOLE);
	assert_got(10);
	address_format(&got.source.address, text);
	assert_string_equal(text, "192.0.2.1");
}

static void
test_padding_of_the_link_is_not_payload(void **state)
{
	uint8_t inner[64], packet[128] = {0};
	size_t n = ipv4(packet, inner, udp(inner, 10), 1, 0);

	(void)state;
	assert_int_equal(take(packet, n + 9), REASSEMBLY_WHOLE);
	assert_got(10);
}

static void
test_a_cut_datagram_is_cut_and_a_contradiction_malformed(void **state)
{
	uint8_t inner[64], packet[128];
	size_t n = ipv4(packet, inner, udp(inner, 10), 1, 0);

	(void)state;
	assert_int_equal(take(packet, n - 1), REASSEMBLY_CUT);
	assert_int_equal(take(packet, 22), REASSEMBLY_CUT);
	store_u16(packet + 24, 300);
	assert_int_equal(take(packet, n), REASSEMBLY_MALFORMED);
	store_u16(packet + 2, 3);
	assert_int_equal(take(packet, n), REASSEMBLY_MALFORMED);
}

static void
test_other_protocols_are_other(void **state)
{
	uint8_t inner[64], packet[128];
	size_t n = ipv4(packet, inner, udp(inner, 10), 1, 0);

	(void)state;
	packet[9] = 6;
	assert_int_equal(take(packet, n), REASSEMBLY_OTHER);
}

static void
test_pieces_in_any_order_make_the_datagram(void **state)
{
	static const unsigned order[] = {2, 0, 1};
	uint8_t inner[3000], packet[2048];
	size_t all = udp(inner, 2700);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		size_t at = order[i] * 1024, n = all - at < 1024 ? all - at : 1024;
		uint16_t more = order[i] < 2 ? 0x2000 : 0;
		size_t length =
		    ipv4(packet, inner + at, n, 77, (uint16_t)(more | at / 8));
		assert_int_equal(
		    take(packet, length), i < 2 ? REASSEMBLY_PIECE : REASSEMBLY_WHOLE);
		assert_int_equal(reassembly_incomplete(datagrams), i < 2);
	}
	assert_got(2700);
}

static void
test_a_piece_that_comes_twice_does_no_harm(void **state)
{
	uint8_t inner[2100], packet[2048];
	size_t all = udp(inner, 2000), n;

	(void)state;
	n = ipv4(packet, inner, 1024, 77, 0x2000);
	assert_int_equal(take(packet, n), REASSEMBLY_PIECE);
	assert_int_equal(take(packet, n), REASSEMBLY_PIECE);
	n = ipv4(packet, inner + 1024, all - 1024, 77, 128);
	assert_int_equal(take(packet, n), REASSEMBLY_WHOLE);
	assert_got(2000);
}

static void
test_pieces_that_never_end_are_bounded_and_counted(void **state)
{
	uint8_t inner[1200], packet[2048];

	(void)state;
	udp(inner, 1100);
	for (uint16_t id = 0; id < 100; id++) {
		size_t n = ipv4(packet, inner, 1024, id, 0x2000);
		assert_int_equal(take(packet, n), REASSEMBLY_PIECE);
	}
	assert_int_equal(reassembly_incomplete(datagrams), 100);
}

static void
test_a_piece_beyond_64_kib_is_malformed(void **state)
{
	uint8_t inner[64] = {0}, packet[128];
	size_t n = ipv4(packet, inner, 32, 1, 0x1fff);

	(void)state;
	assert_int_equal(take(packet, n), REASSEMBLY_MALFORMED);
}

static void
test_ipv6_with_an_extension_header(void **state)
{
	uint8_t packet[128] = {0x60}, *at = packet + 40;
	char text[ADDRESS_TEXT];
	size_t n;

	(void)state;
	packet[6] = 60; /* destination options */
	packet[8] = 0x20;
	packet[23] = 1;
	at[0] = 17;
	n = udp(at + 8, 12);
	store_u16(packet + 4, (uint16_t)(8 + n));
	assert_int_equal(take(packet, 48 + n), REASSEMBLY_WHOLE);
	assert_got(12);
	address_format(&got.source.address, text);
	assert_string_equal(text, "2000::1");
	at[1] = 200;
	assert_int_equal(take(packet, 48 + n), REASSEMBLY_MALFORMED);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_a_datagram_comes_out_with_its_addresses),
	    CASE(test_padding_of_the_link_is_not_payload),
	    CASE(test_a_cut_datagram_is_cut_and_a_contradiction_malformed),
	    CASE(test_other_protocols_are_other),
	    CASE(test_pieces_in_any_order_make_the_datagram),
	    CASE(test_a_piece_that_comes_twice_does_no_harm),
	    CASE(test_pieces_that_never_end_are_bounded_and_counted),
	    CASE(test_a_piece_beyond_64_kib_is_malformed),
	    CASE(test_ipv6_with_an_extension_header),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
