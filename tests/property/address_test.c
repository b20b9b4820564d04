/* Address text against the C library's and against itself, on seeded random addresses
 * whose groups are often zero, so that runs of all lengths and places occur. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/base/address.h"

#define ROUNDS 200000

static uint64_t seed;

static uint64_t
next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void
random_ipv6(struct address *a)
{
	uint64_t zeros = next();

	for (int i = 0; i < 8; i++) {
		unsigned group = (unsigned)(next() & 0xffff) >> next() % 16;
		group = zeros >> i & 1 ? 0 : group;
		a->bytes[2 * i] = (uint8_t)(group >> 8);
		a->bytes[2 * i + 1] = (uint8_t)group;
	}
}

/* Where the C library writes dots: mapped addresses, which are IPv4 here, and
 * IPv4-compatible ones (::a.b.c.d), which RFC 5952 section 5 leaves hexadecimal. */
static bool
has_dots_in_libc(const struct address *a)
{
	static const uint8_t zeros[12];

	return address_is_ipv4(a) || memcmp(a->bytes, zeros, sizeof zeros) == 0;
}

static int
reset(void **state)
{
	(void)state;
	seed = 20170426;
	return 0;
}

static void
ipv6_text_equals_inet_ntop(void **state)
{
	char ours[ADDRESS_TEXT], theirs[INET6_ADDRSTRLEN];
	struct address a;
	size_t length;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		random_ipv6(&a);
		if (has_dots_in_libc(&a)) {
			continue;
		}
		length = address_format(&a, ours);
		assert_int_equal(length, strlen(ours));
		assert_non_null(inet_ntop(AF_INET6, a.bytes, theirs, sizeof theirs));
		assert_string_equal(ours, theirs);
	}
}

static void
ipv4_text_equals_inet_ntop(void **state)
{
	char ours[ADDRESS_TEXT], theirs[INET6_ADDRSTRLEN];
	struct address a;
	size_t length;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t v = (uint32_t)next();
		uint8_t bytes[4];
		memcpy(bytes, &v, sizeof bytes);
		address_from_ipv4(&a, bytes);
		length = address_format(&a, ours);
		assert_int_equal(length, strlen(ours));
		assert_non_null(inet_ntop(AF_INET, bytes, theirs, sizeof theirs));
		assert_string_equal(ours, theirs);
	}
}

static void
text_reads_back_as_the_same_address(void **state)
{
	char text[ADDRESS_TEXT];
	struct address a, again;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		random_ipv6(&a);
		if (i % 4 == 0) {
			address_from_ipv4(&a, a.bytes);
		}
		address_format(&a, text);
		assert_int_equal(address_parse(text, &again), 0);
		assert_memory_equal(&a, &again, sizeof a);
	}
}

static void
masked_address_is_a_prefix_that_holds_the_address(void **state)
{
	char text[ADDRESS_TEXT + 4];
	struct address a, masked, prefix;
	unsigned bits = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		unsigned ipv4 = (unsigned)(next() % 33),
			 ipv6 = (unsigned)(next() % 129);
		size_t n;
		bool is_ipv4;
		random_ipv6(&a);
		if (i % 2 == 0) {
			address_from_ipv4(&a, a.bytes);
		}
		is_ipv4 = address_is_ipv4(&a);
		masked = a;
		address_mask(&masked, ipv4, ipv6);
		n = address_format(&masked, text);
		snprintf(text + n, sizeof text - n, "/%u", is_ipv4 ? ipv4 : ipv6);
		assert_int_equal(address_parse_prefix(text, &prefix, &bits), 0);
		assert_int_equal(bits, is_ipv4 ? ipv4 + 96 : ipv6);
		assert_true(address_in_prefix(&a, &prefix, bits));
	}
}

static void
address_with_a_bit_of_the_prefix_flipped_is_outside(void **state)
{
	struct address a, prefix;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		unsigned bits = 1 + (unsigned)(next() % 128);
		unsigned flipped = (unsigned)(next() % bits);
		random_ipv6(&a);
		if (address_is_ipv4(&a)) {
			continue;
		}
		prefix = a;
		address_mask(&prefix, 32, bits);
		a.bytes[flipped / 8] ^= (uint8_t)(0x80 >> flipped % 8);
		assert_false(address_in_prefix(&a, &prefix, bits));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(ipv6_text_equals_inet_ntop, reset),
	    cmocka_unit_test_setup(ipv4_text_equals_inet_ntop, reset),
	    cmocka_unit_test_setup(text_reads_back_as_the_same_address, reset),
	    cmocka_unit_test_setup(
		masked_address_is_a_prefix_that_holds_the_address, reset),
	    cmocka_unit_test_setup(
		address_with_a_bit_of_the_prefix_flipped_is_outside, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
