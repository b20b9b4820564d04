#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "collector/schema/schema_operand.h"

static const struct schema_range port = {0, 65535}, whole = {INT64_MIN, INT64_MAX};
static struct yaml *document;
static struct err err;

/* A document of one operand. */
static const struct yaml_node *
node(const char *text)
{
	yaml_unload(document);
	document = NULL;
	err.text[0] = '\0';
	assert_int_equal(yaml_parse("t.yaml", text, strlen(text), &document, &err), 0);
	return yaml_root(document);
}

static int
done(void **state)
{
	(void)state;
	yaml_unload(document);
	document = NULL;
	return 0;
}

static void
assert_said(int rc, const char *words)
{
	assert_true(rc < 0);
	if (strncmp(err.text, "t.yaml:1:1: ", 12) != 0 || !strstr(err.text, words)) {
		fail_msg("'%s' does not say '%s' at t.yaml:1:1", err.text, words);
	}
}

static int
integer(const char *text, const struct schema_range *range, int64_t *ret)
{
	const struct yaml_node *n = node(text);

	return schema_operand_integer(document, n, range, ret, &err);
}

static int
time_of(const char *text, int64_t *ret)
{
	const struct yaml_node *n = node(text);

	return schema_operand_time(document, n, ret, &err);
}

static int
real(const char *text, double *ret)
{
	const struct yaml_node *n = node(text);

	return schema_operand_real(document, n, ret, &err);
}

static int
mac(const char *text, int64_t *ret)
{
	const struct yaml_node *n = node(text);

	return schema_operand_mac(document, n, ret, &err);
}

static void
whole_numbers_are_decimal_or_hexadecimal(void **state)
{
	int64_t v = 0;

	(void)state;
	assert_int_equal(integer("443", &port, &v), 0);
	assert_int_equal(v, 443);
	assert_int_equal(integer("0x1F", &port, &v), 0);
	assert_int_equal(v, 31);
	assert_int_equal(integer("0", &port, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(integer("-9223372036854775808", &whole, &v), 0);
	assert_true(v == INT64_MIN);
}

static void
what_is_not_a_whole_number_is_refused(void **state)
{
	static const char *const texts[] = {
	    "x", "80.0", "1e3", "0x", "+80", "80 90", "'-'", "0o10", "''"};
	int64_t v = 7;

	(void)state;
	for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		assert_said(integer(texts[i], &port, &v), "expected a whole number");
	}
	assert_int_equal(v, 7);
}

static void
a_leading_zero_is_refused_for_it_could_mean_octal(void **state)
{
	int64_t v;

	(void)state;
	assert_said(integer("010", &port, &v), "ambiguous number '010'");
	assert_said(integer("-07", &whole, &v), "without a leading zero");
}

static void
a_number_that_the_field_cannot_have_is_refused(void **state)
{
	int64_t v;

	(void)state;
	assert_said(integer("65536", &port, &v), "expected 0 to 65535");
	assert_said(integer("-1", &port, &v), "expected 0 to 65535");
	assert_said(integer("9223372036854775808", &whole, &v), "out of range");
}

static void
a_time_beyond_64_bits_of_nanoseconds_is_refused(void **state)
{
	int64_t v = 0;

	(void)state;
	assert_int_equal(time_of("2262-04-11T23:47:16Z", &v), 0);
	assert_true(v == INT64_C(9223372036000000000));
	assert_said(time_of("2300-01-01", &v), "2300-01-01 is too late");
	assert_said(time_of("9999-12-31", &v), "2262");
	assert_said(time_of("1969-12-31", &v), "from 1970");
	assert_said(time_of("yesterday", &v), "invalid time 'yesterday'");
}

static void
a_real_number_is_finite_and_decimal(void **state)
{
	static const char *const texts[] = {
	    "nan", "inf", "-infinity", "1e999", "0x1p3", "x", "1 2", "''"};
	double v = 0;

	(void)state;
	assert_int_equal(real("-2.5e-1", &v), 0);
	assert_true(v == -0.25);
	for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		assert_said(real(texts[i], &v), "expected a finite decimal number");
	}
}

static void
a_mac_address_has_six_pairs_of_digits(void **state)
{
	static const char *const texts[] = {"00:11:22:33:44", "0:1:2:3:4:5",
	    "00:11:22:33:44:5g", "00:11:22:33:44:55:66", "00-11-22-33-44-55",
	    "+1:11:22:33:44:55"};
	int64_t v = 0;

	(void)state;
	assert_int_equal(mac("00:11:22:aA:Bb:FF", &v), 0);
	assert_int_equal(v, 0x001122aabbff);
	for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		assert_said(mac(texts[i], &v), "invalid MAC address");
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, done)
	const struct CMUnitTest tests[] = {
	    TEST(whole_numbers_are_decimal_or_hexadecimal),
	    TEST(what_is_not_a_whole_number_is_refused),
	    TEST(a_leading_zero_is_refused_for_it_could_mean_octal),
	    TEST(a_number_that_the_field_cannot_have_is_refused),
	    TEST(a_time_beyond_64_bits_of_nanoseconds_is_refused),
	    TEST(a_real_number_is_finite_and_decimal),
	    TEST(a_mac_address_has_six_pairs_of_digits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
