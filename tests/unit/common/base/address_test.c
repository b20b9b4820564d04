#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "common/base/address.h"

static struct address
parsed(const char *text)
{
	struct address a;

	assert_int_equal(address_parse(text, &a), 0);
	return a;
}

static void
assert_formats(const char *text, const char *expected)
{
	struct address a = parsed(text);
	char out[ADDRESS_TEXT];

	assert_int_equal(address_format(&a, out), strlen(expected));
	assert_string_equal(out, expected);
}

static void
ipv4_is_dotted(void **state)
{
	(void)state;
	assert_formats("0.0.0.0", "0.0.0.0");
	assert_formats("10.0.0.255", "10.0.0.255");
	assert_formats("255.255.255.255", "255.255.255.255");
	assert_formats("192.0.2.99", "192.0.2.99");
}

static void
mapped_address_is_ipv4(void **state)
{
	struct address a = parsed("::ffff:192.0.2.1"), b = parsed("192.0.2.1");

	(void)state;
	assert_true(address_is_ipv4(&a));
	assert_memory_equal(&a, &b, sizeof a);
	assert_formats("::ffff:c000:201", "192.0.2.1");
}

static void
ipv6_has_no_leading_zeros_and_is_lower_case(void **state)
{
	(void)state;
	assert_formats(
	    "2001:0DB8:0001:0020:0300:4000:0005:0006", "2001:db8:1:20:300:4000:5:6");
}

static void
longest_run_of_zeros_is_cut(void **state)
{
	(void)state;
	assert_formats("2001:0:0:1:0:0:0:1", "2001:0:0:1::1");
}

static void
first_of_equal_runs_is_cut(void **state)
{
	(void)state;
	assert_formats("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1");
}

static void
single_zero_group_is_not_cut(void **state)
{
	(void)state;
	assert_formats("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
}

static void
zeros_at_either_end_are_cut(void **state)
{
	(void)state;
	assert_formats("0:0:0:0:0:0:0:0", "::");
	assert_formats("0:0:0:0:0:0:0:1", "::1");
	assert_formats("1:0:0:0:0:0:0:0", "1::");
	assert_formats("1:2:3:4:5:6:0:0", "1:2:3:4:5:6::");
	assert_formats("0:0:3:4:5:6:7:8", "::3:4:5:6:7:8");
}

static void
longest_text_fits(void **state)
{
	(void)state;
	assert_formats("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
}

static void
parse_refuses_what_is_no_address(void **state)
{
	static const char *const texts[] = {"", "1.2.3", "1.2.3.256", "1.2.3.4 ",
	    "01.2.3.4", "::1::2", "1:2:3:4:5:6:7", "12345::", "fe80::1%eth0", "host",
	    "1.2.3.4/8"};
	struct address a = {.bytes = {7}};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		assert_int_equal(address_parse(texts[i], &a), -EINVAL);
	}
	assert_int_equal(a.bytes[0], 7);
}

static void
prefix_of_ipv4_counts_in_128_bits(void **state)
{
	struct address a;
	unsigned bits;

	(void)state;
	assert_int_equal(address_parse_prefix("10.0.0.0/8", &a, &bits), 0);
	assert_int_equal(bits, 104);
	assert_int_equal(address_parse_prefix("0.0.0.0/0", &a, &bits), 0);
	assert_int_equal(bits, 96);
	assert_int_equal(address_parse_prefix("2001:db8::/32", &a, &bits), 0);
	assert_int_equal(bits, 32);
}

static void
address_alone_is_a_full_prefix(void **state)
{
	struct address a;
	unsigned bits = 0;

	(void)state;
	assert_int_equal(address_parse_prefix("10.1.2.3", &a, &bits), 0);
	assert_int_equal(bits, 128);
	assert_int_equal(address_parse_prefix("2001:db8::1", &a, &bits), 0);
	assert_int_equal(bits, 128);
}

static void
prefix_is_refused(void **state)
{
	static const char *const texts[] = {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/",
	    "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/8 ", "2001:db8::1/32", "::/129",
	    "/8", "10.0.0.0/8/8", "10.0.0.0/99999999999999999999",
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/8"};
	struct address a;
	unsigned bits;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		assert_int_equal(address_parse_prefix(texts[i], &a, &bits), -EINVAL);
	}
}

static void
mask_clears_by_family(void **state)
{
	struct address a = parsed("10.1.2.3"), b = parsed("2001:db8:1:2:3::1");
	struct address net_a = parsed("10.1.2.0"), net_b = parsed("2001:db8:1:2::");

	(void)state;
	address_mask(&a, 24, 64);
	address_mask(&b, 24, 64);
	assert_memory_equal(&a, &net_a, sizeof a);
	assert_memory_equal(&b, &net_b, sizeof b);
}

static void
full_mask_changes_nothing(void **state)
{
	struct address a = parsed("10.1.2.3"), same = a;

	(void)state;
	address_mask(&a, 32, 128);
	assert_memory_equal(&a, &same, sizeof a);
}

static void
address_lies_in_its_prefixes_only(void **state)
{
	struct address a = parsed("10.1.2.3"), p;
	unsigned bits;

	(void)state;
	address_parse_prefix("10.0.0.0/8", &p, &bits);
	assert_true(address_in_prefix(&a, &p, bits));
	address_parse_prefix("10.1.2.2/31", &p, &bits);
	assert_true(address_in_prefix(&a, &p, bits));
	address_parse_prefix("10.1.2.3", &p, &bits);
	assert_true(address_in_prefix(&a, &p, bits));
	address_parse_prefix("10.1.2.0/31", &p, &bits);
	assert_false(address_in_prefix(&a, &p, bits));
	address_parse_prefix("::/0", &p, &bits);
	assert_true(address_in_prefix(&a, &p, bits));
}

static void
ipv6_address_lies_in_no_ipv4_prefix(void **state)
{
	struct address a = parsed("::1"), p;
	unsigned bits;

	(void)state;
	address_parse_prefix("0.0.0.0/0", &p, &bits);
	assert_false(address_in_prefix(&a, &p, bits));
}

static void
ipv4_sorts_numerically(void **state)
{
	struct address a = parsed("9.0.0.0"), b = parsed("10.0.0.0");

	(void)state;
	assert_true(memcmp(&a, &b, sizeof a) < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ipv4_is_dotted),
	    cmocka_unit_test(mapped_address_is_ipv4),
	    cmocka_unit_test(ipv6_has_no_leading_zeros_and_is_lower_case),
	    cmocka_unit_test(longest_run_of_zeros_is_cut),
	    cmocka_unit_test(first_of_equal_runs_is_cut),
	    cmocka_unit_test(single_zero_group_is_not_cut),
	    cmocka_unit_test(zeros_at_either_end_are_cut),
	    cmocka_unit_test(longest_text_fits),
	    cmocka_unit_test(parse_refuses_what_is_no_address),
	    cmocka_unit_test(prefix_of_ipv4_counts_in_128_bits),
	    cmocka_unit_test(address_alone_is_a_full_prefix),
	    cmocka_unit_test(prefix_is_refused),
	    cmocka_unit_test(mask_clears_by_family),
	    cmocka_unit_test(full_mask_changes_nothing),
	    cmocka_unit_test(address_lies_in_its_prefixes_only),
	    cmocka_unit_test(ipv6_address_lies_in_no_ipv4_prefix),
	    cmocka_unit_test(ipv4_sorts_numerically),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
