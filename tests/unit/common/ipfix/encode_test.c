#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/base/address.h"
#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/ipfix/encode.h"

static struct elements *registry;

struct sample {
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	double f64;
	uint64_t time_ns;
	struct address address;
	const char *text;
};

static int
open_registry(void **state)
{
	(void)state;
	registry = elements_new(ELEMENT_PEN_OWN);
	assert_non_null(registry);
	return 0;
}

static int
close_registry(void **state)
{
	(void)state;
	elements_free(registry);
	return 0;
}

static const struct element *
element(const char *name)
{
	const struct element *x = elements_find_name(registry, name);
	assert_non_null(x);
	return x;
}

/* Encodes one field; the bytes are in out. */
static size_t
encode_one(const char *name, uint16_t length, enum encode_source source, size_t offset,
    const struct sample *sample, uint8_t *out)
{
	struct encode_field f = {element(name), length, source, offset};
	struct encode_plan *p = NULL;
	struct err e;
	if (encode_compile(&(struct encode_layout){&f, 1, 256, 0}, &p, &e) < 0) {
		fail_msg("%s", e.text);
	}
	size_t n = encode_record(p, sample, out);
	assert_true(n <= encode_max_length(p));
	encode_free(p);
	return n;
}
#define encode(name, length, source, member, from, to)                                 \
	encode_one(name, length, source, offsetof(struct sample, member), from, to)

#define expect(n, out, ...)                                                            \
	do {                                                                           \
		const uint8_t expected[] = {__VA_ARGS__};                              \
		assert_int_equal(n, sizeof expected);                                  \
		assert_memory_equal(out, expected, sizeof expected);                   \
	} while (0)

static uint8_t out[512];

static void
integers_are_big_endian(void **state)
{
	(void)state;
	const struct sample s = {
	    .u8 = 0x12, .u16 = 0x1234, .u32 = 0x12345678, .u64 = 0x123456789abcdef0};
	expect(encode("protocolIdentifier", 0, ENCODE_U8, u8, &s, out), out, 0x12);
	expect(encode("sourceTransportPort", 0, ENCODE_U16, u16, &s, out), out, 0x12,
	    0x34);
	expect(encode("ingressInterface", 0, ENCODE_U32, u32, &s, out), out, 0x12, 0x34,
	    0x56, 0x78);
	expect(encode("octetDeltaCount", 0, ENCODE_U64, u64, &s, out), out, 0x12, 0x34,
	    0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0);
}

static void
narrow_sources_are_widened(void **state)
{
	(void)state;
	const struct sample s = {.u8 = 0x12, .u16 = 0x1234, .u32 = 0x12345678};
	expect(encode("tcpControlBits", 0, ENCODE_U8, u8, &s, out), out, 0, 0x12);
	expect(encode("octetDeltaCount", 0, ENCODE_U32, u32, &s, out), out, 0, 0, 0, 0,
	    0x12, 0x34, 0x56, 0x78);
	expect(
	    encode("octetDeltaCount", 3, ENCODE_U16, u16, &s, out), out, 0, 0x12, 0x34);
}

static void
reduced_lengths_keep_what_fits_and_saturate_what_does_not(void **state)
{
	(void)state;
	struct sample s = {.u64 = 0xffff, .u16 = 256};
	expect(encode("octetDeltaCount", 2, ENCODE_U64, u64, &s, out), out, 0xff, 0xff);
	s.u64 = 0x10000;
	expect(encode("octetDeltaCount", 2, ENCODE_U64, u64, &s, out), out, 0xff, 0xff);
	expect(encode("octetDeltaCount", 3, ENCODE_U64, u64, &s, out), out, 1, 0, 0);
	s.u64 = UINT64_MAX;
	expect(encode("octetDeltaCount", 4, ENCODE_U64, u64, &s, out), out, 0xff, 0xff,
	    0xff, 0xff);
	expect(encode("octetDeltaCount", 7, ENCODE_U64, u64, &s, out), out, 0xff, 0xff,
	    0xff, 0xff, 0xff, 0xff, 0xff);
	expect(encode("protocolIdentifier", 0, ENCODE_U16, u16, &s, out), out, 0xff);
}

static void
signed_elements_saturate_at_their_largest_value(void **state)
{
	(void)state;
	const struct element x = {
	    .name = "x", .id = 1, .length = 4, .type = ELEMENT_I32};
	const uint32_t v = 0x80000000;
	struct encode_field f = {&x, 0, ENCODE_U32, 0};
	struct encode_plan *p = NULL;
	assert_int_equal(
	    encode_compile(&(struct encode_layout){&f, 1, 256, 0}, &p, NULL), 0);
	expect(encode_record(p, &v, out), out, 0x7f, 0xff, 0xff, 0xff);
	encode_free(p);
}

static void
booleans_are_one_or_two(void **state)
{
	(void)state;
	struct sample s = {.u8 = 7};
	expect(encode("dataRecordsReliability", 0, ENCODE_U8, u8, &s, out), out, 1);
	s.u8 = 0;
	expect(encode("dataRecordsReliability", 0, ENCODE_U8, u8, &s, out), out, 2);
}

static void
floats_go_out_in_eight_or_four_bytes(void **state)
{
	(void)state;
	struct sample s = {.f64 = -2.5};
	expect(encode("absoluteError", 0, ENCODE_F64, f64, &s, out), out, 0xc0, 4, 0, 0,
	    0, 0, 0, 0);
	expect(encode("absoluteError", 4, ENCODE_F64, f64, &s, out), out, 0xc0, 0x20, 0,
	    0);
	s.f64 = 1e300;
	expect(encode("absoluteError", 4, ENCODE_F64, f64, &s, out), out, 0x7f, 0x7f,
	    0xff, 0xff);
}

static void
addresses_go_out_in_their_family(void **state)
{
	(void)state;
	struct sample s = {0};
	const uint8_t v4[] = {192, 0, 2, 1};
	address_from_ipv4(&s.address, v4);
	expect(encode("sourceIPv4Address", 0, ENCODE_ADDRESS, address, &s, out), out,
	    192, 0, 2, 1);
	size_t n = encode("sourceIPv6Address", 0, ENCODE_ADDRESS, address, &s, out);
	assert_int_equal(n, 16);
	assert_memory_equal(out, s.address.bytes, 16);
}

static const uint64_t WHEN = 1493205077123456789; /* 2017-04-26T11:11:17.123456789 */

static void
times_become_what_the_element_is(void **state)
{
	(void)state;
	const struct sample s = {.time_ns = WHEN};
	expect(encode("flowStartSeconds", 0, ENCODE_TIME_NS, time_ns, &s, out), out,
	    0x59, 0, 0x80, 0x55);
	encode("flowStartMilliseconds", 0, ENCODE_TIME_NS, time_ns, &s, out);
	assert_int_equal(load_u64(out), 1493205077123);
	encode("flowStartMicroseconds", 0, ENCODE_TIME_NS, time_ns, &s, out);
	assert_int_equal(load_u32(out), 1493205077 + 2208988800u);
	assert_int_equal(load_u32(out + 4) & 0x7ff, 0);
	encode("flowStartNanoseconds", 0, ENCODE_TIME_NS, time_ns, &s, out);
	assert_int_equal(load_u32(out), 1493205077 + 2208988800u);
}

static uint64_t
fraction(const uint8_t *ntp, uint64_t unit, bool rounds)
{
	return (load_u32(ntp + 4) * unit + (rounds ? UINT64_C(1) << 31 : 0)) >> 32;
}

static void
ntp_times_give_the_same_unit_back_to_who_rounds_and_who_truncates(void **state)
{
	(void)state;
	uint64_t ns[] = {0, 1, 2, 999, 1000, 1001, 123456789, 499999999, 500000000,
	    999999000, 999999998, 999999999};
	for (unsigned i = 0; i < sizeof ns / sizeof ns[0]; i++) {
		const struct sample s = {.time_ns = 1493205077 * NS_PER_SECOND + ns[i]};
		encode("flowStartNanoseconds", 0, ENCODE_TIME_NS, time_ns, &s, out);
		assert_int_equal(fraction(out, 1000000000, false), ns[i]);
		assert_int_equal(fraction(out, 1000000000, true), ns[i]);
		encode("flowStartMicroseconds", 0, ENCODE_TIME_NS, time_ns, &s, out);
		assert_int_equal(fraction(out, 1000000, false), ns[i] / 1000);
		assert_int_equal(fraction(out, 1000000, true), ns[i] / 1000);
	}
}

static void
every_microsecond_of_a_second_comes_back(void **state)
{
	(void)state;
	struct sample s = {0};
	struct encode_field f = {element("flowStartMicroseconds"), 0, ENCODE_TIME_NS,
	    offsetof(struct sample, time_ns)};
	struct encode_plan *p = NULL;
	assert_int_equal(
	    encode_compile(&(struct encode_layout){&f, 1, 256, 0}, &p, NULL), 0);
	for (uint64_t us = 0; us < 1000000; us++) {
		s.time_ns = us * 1000;
		encode_record(p, &s, out);
		if (fraction(out, 1000000, false) != us ||
		    fraction(out, 1000000, true) != us) {
			fail_msg("%lu us", (unsigned long)us);
		}
	}
	encode_free(p);
}

static void
strings_have_one_or_three_length_bytes(void **state)
{
	(void)state;
	char text[256];
	memset(text, 'a', 255);
	text[255] = '\0';
	struct sample s = {.text = "eth0"};
	expect(encode("interfaceName", 0, ENCODE_STRING, text, &s, out), out, 4, 'e',
	    't', 'h', '0');
	s.text = NULL;
	expect(encode("interfaceName", 0, ENCODE_STRING, text, &s, out), out, 0);
	s.text = text;
	assert_int_equal(encode("interfaceName", 0, ENCODE_STRING, text, &s, out), 258);
	assert_int_equal(out[0], 255);
	assert_int_equal(load_u16(out + 1), 255);
	text[254] = '\0';
	assert_int_equal(encode("interfaceName", 0, ENCODE_STRING, text, &s, out), 255);
	assert_int_equal(out[0], 254);
}

static void
a_long_string_is_cut_between_characters(void **state)
{
	(void)state;
	char text[300];
	memset(text, 'a', sizeof text);
	text[299] = '\0';
	memcpy(text + 253, "\xe2\x82\xac", 3); /* a euro sign across the bound */
	const struct sample s = {.text = text};
	assert_int_equal(encode("interfaceName", 0, ENCODE_STRING, text, &s, out), 254);
	assert_int_equal(out[0], 253);
}

static void
fields_follow_each_other(void **state)
{
	(void)state;
	const struct encode_field f[] = {
	    {element("protocolIdentifier"), 0, ENCODE_U8, offsetof(struct sample, u8)},
	    {element("interfaceName"), 0, ENCODE_STRING, offsetof(struct sample, text)},
	    {element("octetDeltaCount"), 4, ENCODE_U64, offsetof(struct sample, u64)},
	};
	const struct sample s = {.u8 = 6, .text = "lo", .u64 = 5};
	struct encode_plan *p = NULL;
	assert_int_equal(
	    encode_compile(&(struct encode_layout){f, 3, 256, 0}, &p, NULL), 0);
	assert_int_equal(encode_max_length(p), 1 + 258 + 4);
	expect(encode_record(p, &s, out), out, 6, 2, 'l', 'o', 0, 0, 0, 5);
	encode_free(p);
}

static void
the_template_says_what_the_record_holds(void **state)
{
	(void)state;
	const struct encode_field f[] = {
	    {element("protocolIdentifier"), 0, ENCODE_U8, 0},
	    {element("reverseOctetDeltaCount"), 4, ENCODE_U64, 8},
	};
	struct encode_plan *p = NULL;
	assert_int_equal(
	    encode_compile(&(struct encode_layout){f, 2, 300, 0}, &p, NULL), 0);
	assert_int_equal(encode_template_id(p), 300);
	assert_int_equal(encode_template(p, NULL), 16);
	expect(encode_template(p, out), out, 1, 44, 0, 2, 0, 4, 0, 1, 0x80, 1, 0, 4, 0,
	    0, 0x72, 0x79);
	encode_free(p);
}

static void
an_options_template_says_its_scope(void **state)
{
	(void)state;
	const struct encode_field f[] = {
	    {element("observationDomainId"), 0, ENCODE_U32, 0},
	    {element("interfaceName"), 0, ENCODE_STRING, 8},
	};
	struct encode_plan *p = NULL;
	assert_int_equal(
	    encode_compile(&(struct encode_layout){f, 2, 300, 1}, &p, NULL), 0);
	expect(encode_template(p, out), out, 1, 44, 0, 2, 0, 1, 0, 149, 0, 4, 0, 82,
	    0xff, 0xff);
	encode_free(p);
}

static void
refuse(
    const char *name, uint16_t length, enum encode_source source, const char *sentence)
{
	struct encode_field f = {element(name), length, source, 0};
	struct encode_plan *p = NULL;
	struct err e;
	assert_int_equal(
	    encode_compile(&(struct encode_layout){&f, 1, 256, 0}, &p, &e), -EINVAL);
	assert_null(p);
	assert_string_equal(e.text, sentence);
}

static void
a_source_that_does_not_fit_the_element_is_refused(void **state)
{
	(void)state;
	refuse("sourceIPv4Address", 0, ENCODE_U32,
	    "sourceIPv4Address cannot be filled from an unsigned number");
	refuse("octetDeltaCount", 0, ENCODE_F64,
	    "octetDeltaCount cannot be filled from a floating-point number");
	refuse("octetDeltaCount", 0, ENCODE_TIME_NS,
	    "octetDeltaCount cannot be filled from a time");
	refuse("absoluteError", 0, ENCODE_U64,
	    "absoluteError cannot be filled from an unsigned number");
	refuse("basicList", 0, ENCODE_STRING, "basicList cannot be filled from text");
}

static void
a_length_that_the_type_does_not_allow_is_refused(void **state)
{
	(void)state;
	refuse("octetDeltaCount", 9, ENCODE_U64,
	    "octetDeltaCount cannot be sent with length 9 (its natural length is 8)");
	refuse("sourceIPv4Address", 3, ENCODE_ADDRESS,
	    "sourceIPv4Address cannot be sent with length 3 (its natural length is 4)");
	refuse("flowStartMilliseconds", 4, ENCODE_TIME_NS,
	    "flowStartMilliseconds cannot be sent with length 4 (its natural length is 8)");
	refuse("interfaceName", 16, ENCODE_STRING,
	    "interfaceName cannot be sent with length 16 (its natural length is 65535)");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(integers_are_big_endian),
	    cmocka_unit_test(narrow_sources_are_widened),
	    cmocka_unit_test(reduced_lengths_keep_what_fits_and_saturate_what_does_not),
	    cmocka_unit_test(signed_elements_saturate_at_their_largest_value),
	    cmocka_unit_test(booleans_are_one_or_two),
	    cmocka_unit_test(floats_go_out_in_eight_or_four_bytes),
	    cmocka_unit_test(addresses_go_out_in_their_family),
	    cmocka_unit_test(times_become_what_the_element_is),
	    cmocka_unit_test(
		ntp_times_give_the_same_unit_back_to_who_rounds_and_who_truncates),
	    cmocka_unit_test(every_microsecond_of_a_second_comes_back),
	    cmocka_unit_test(strings_have_one_or_three_length_bytes),
	    cmocka_unit_test(a_long_string_is_cut_between_characters),
	    cmocka_unit_test(fields_follow_each_other),
	    cmocka_unit_test(the_template_says_what_the_record_holds),
	    cmocka_unit_test(an_options_template_says_its_scope),
	    cmocka_unit_test(a_source_that_does_not_fit_the_element_is_refused),
	    cmocka_unit_test(a_length_that_the_type_does_not_allow_is_refused),
	};
	return cmocka_run_group_tests(tests, open_registry, close_registry);
}
