#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "collector/rows/filter.h"

#define MOST 4

static const int64_t values[] = {INT64_MIN, INT64_MIN + 1, -256, -1, 0, 1, 5, 6, 7, 63,
    64, 255, 256, 262, 65535, INT64_MAX - 1, INT64_MAX};
#define VALUES (sizeof values / sizeof values[0])

/* What an operator means, said once more and slowly. */
static bool
means(enum schema_operator op, int64_t v, const int64_t *o, unsigned n)
{
	bool listed = false;

	for (unsigned i = 0; i < n; i++) {
		listed |= v == o[i];
	}
	switch (op) {
	case OPERATOR_EQ:
	case OPERATOR_IN:
		return listed;
	case OPERATOR_NE:
		return !listed;
	case OPERATOR_BELOW:
		return v < o[0];
	case OPERATOR_ABOVE:
		return v > o[0];
	case OPERATOR_AT_LEAST:
		return v >= o[0];
	case OPERATOR_AT_MOST:
		return v <= o[0];
	case OPERATOR_BETWEEN:
		return v >= o[0] && v <= o[1];
	case OPERATOR_PREFIX:
		break;
	}
	return false;
}

/* A condition on one field, as a schema has it. */
static struct fixture {
	struct layout layout;
	struct element element;
	const struct element *from[1];
	struct intern *intern;
	struct yaml *operand;
	struct filter filter;
	struct err err;
} fixture;

/* An element's type and name; kind is what layouts make of it. */
static void
field_is(
    const char *name, enum element_type type, enum layout_kind kind, unsigned width)
{
	fixture.element = (struct element){.name = name, .type = type};
	fixture.from[0] = &fixture.element;
	fixture.layout.count = 1;
	fixture.layout.fields[0] = (struct layout_field){.name = name,
	    .kind = kind,
	    .width = width,
	    .is_signed = type == ELEMENT_I64,
	    .from = fixture.from,
	    .from_count = 1};
}

/* Operands are the words of text. */
static int
compile(enum schema_operator op, const char *text)
{
	bool is_list = op == OPERATOR_IN || op == OPERATOR_BETWEEN;
	struct schema_condition c = {.op = op};
	char document[1000], word[400];
	int n = 0, used = 0;

	strcpy(document, is_list ? "[" : "");
	for (; sscanf(text, " %399s%n", word, &used) == 1; n++, text += used) {
		sprintf(document + strlen(document), "%s'%s'", n > 0 ? ", " : "", word);
	}
	strcat(document, is_list ? "]" : "");
	filter_done(&fixture.filter);
	yaml_unload(fixture.operand);
	fixture.operand = NULL;
	assert_int_equal(yaml_parse("t.yaml", document, strlen(document),
			     &fixture.operand, &fixture.err),
	    0);
	c.operand = yaml_root(fixture.operand);
	fixture.err.text[0] = '\0';
	fixture.filter.field = 0;
	return filter_compile(
	    &fixture.filter, &c, &fixture.layout, fixture.operand, &fixture.err);
}

static void
expect_refused(enum schema_operator op, const char *text, const char *sentence)
{
	assert_int_equal(compile(op, text), -EINVAL);
	assert_non_null(strstr(fixture.err.text, sentence));
}

/* The rows, of n in columns, that the condition keeps: a bit each. */
static unsigned
kept_rows(const void *columns, unsigned n)
{
	struct batch b = {.layout = &fixture.layout,
	    .intern = fixture.intern,
	    .columns = (uint8_t *)(uintptr_t)columns};
	struct layout_nulls nulls = {{0}};
	uint8_t rows[BATCH_ROWS];
	unsigned kept, bits = 0;

	for (unsigned i = 0; i < n; i++) {
		rows[i] = (uint8_t)i;
	}
	kept = filter_rows(&fixture.filter, &b, &nulls, rows, n);
	for (unsigned i = 0; i < kept; i++) {
		assert_true(i == 0 || rows[i] > rows[i - 1]);
		bits |= 1u << rows[i];
	}
	nulls_set(&nulls, 0);
	assert_int_equal(filter_rows(&fixture.filter, &b, &nulls, rows, kept), 0);
	return bits;
}

static void
check(enum schema_operator op, const int64_t *operands, unsigned n)
{
	char text[MOST * 24] = "";
	unsigned expected = 0;

	for (unsigned i = 0; i < n; i++) {
		snprintf(text + strlen(text), 24, "%" PRId64 " ", operands[i]);
	}
	for (unsigned i = 0; i < VALUES; i++) {
		expected |= (unsigned)means(op, values[i], operands, n) << i;
	}
	field_is("number", ELEMENT_I64, KIND_INTEGER, 8);
	assert_int_equal(compile(op, text), 0);
	assert_int_equal(kept_rows(values, VALUES), expected);
}

static void
comparisons_hold_at_the_ends_of_the_range(void **state)
{
	(void)state;
	for (enum schema_operator op = OPERATOR_EQ; op <= OPERATOR_AT_MOST; op++) {
		for (unsigned i = 0; i < VALUES; i++) {
			check(op, &values[i], 1);
		}
	}
	for (unsigned i = 0; i < VALUES; i++) {
		for (unsigned k = 0; k < VALUES; k++) {
			const int64_t bounds[2] = {values[i], values[k]};
			if (values[i] <= values[k]) {
				check(OPERATOR_BETWEEN, bounds, 2);
			}
		}
	}
}

static void
lists_hold_small_and_large_numbers(void **state)
{
	static const int64_t lists[][MOST] = {
	    {6, 7, 64, 255},
	    {0, 0, 0, 0},
	    {6, 256, 7, 1},
	    {-1, 6, 255, 5},
	    {INT64_MIN, INT64_MAX, 262, 65535},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		for (unsigned n = 1; n <= MOST; n++) {
			check(OPERATOR_IN, lists[i], n);
		}
	}
}

static void
addresses_compare_as_addresses(void **state)
{
	static const char *const texts[] = {"9.0.0.1", "10.0.0.1", "10.255.0.1",
	    "11.0.0.0", "2001:db8::1", "2001:db9::"};
	static const struct {
		enum schema_operator op;
		const char *operand;
		unsigned kept;
	} cases[] = {
	    {OPERATOR_EQ, "::ffff:10.0.0.1", 0x02},
	    {OPERATOR_NE, "10.0.0.1", 0x3d},
	    {OPERATOR_IN, "11.0.0.0 2001:db9:: 1.1.1.1", 0x28},
	    {OPERATOR_BELOW, "10.0.0.1", 0x01},
	    {OPERATOR_ABOVE, "11.0.0.0", 0x30},
	    {OPERATOR_AT_LEAST, "11.0.0.0", 0x38},
	    {OPERATOR_AT_MOST, "10.0.0.1", 0x03},
	    {OPERATOR_BETWEEN, "10.0.0.0 11.0.0.0", 0x0e},
	    {OPERATOR_PREFIX, "10.0.0.0/8", 0x06},
	    {OPERATOR_PREFIX, "2001:db8::/32", 0x10},
	    {OPERATOR_PREFIX, "::/0", 0x3f},
	};
	struct address addresses[6];

	(void)state;
	field_is("address", ELEMENT_IPV6, KIND_ADDRESS, 16);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(address_parse(texts[i], &addresses[i]), 0);
	}
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(compile(cases[i].op, cases[i].operand), 0);
		assert_int_equal(kept_rows(addresses, 6), cases[i].kept);
	}
}

static void
texts_compare_whole(void **state)
{
	static const char *const texts[] = {"", "a", "ab", "B"};
	int64_t numbers[4];

	(void)state;
	fixture.intern = intern_new();
	for (unsigned i = 0; i < 4; i++) {
		numbers[i] = intern_add(fixture.intern, texts[i], strlen(texts[i]));
	}
	field_is("interfaceName", ELEMENT_STRING, KIND_TEXT, 4);
	assert_int_equal(compile(OPERATOR_EQ, "a"), 0);
	assert_int_equal(kept_rows(numbers, 4), 0x2);
	assert_int_equal(compile(OPERATOR_NE, "a"), 0);
	assert_int_equal(kept_rows(numbers, 4), 0xd);
	assert_int_equal(compile(OPERATOR_IN, "ab B A"), 0);
	assert_int_equal(kept_rows(numbers, 4), 0xc);
	intern_free(fixture.intern);
	fixture.intern = NULL;
}

static void
reals_macs_and_times_compare_in_their_order(void **state)
{
	static const double reals[] = {-2, -1.5, 0, 0.25, 3};
	static const int64_t macs[] = {0x1122334455, 0x112233445566};
	static const int64_t times[] = {0, 1493205077000000000, INT64_MAX};

	(void)state;
	field_is("samplingProbability", ELEMENT_F64, KIND_REAL, 8);
	assert_int_equal(compile(OPERATOR_BELOW, "0.25"), 0);
	assert_int_equal(kept_rows(reals, 5), 0x07);
	assert_int_equal(compile(OPERATOR_BETWEEN, "-1.5 0.25"), 0);
	assert_int_equal(kept_rows(reals, 5), 0x0e);
	assert_int_equal(compile(OPERATOR_IN, "3 -2"), 0);
	assert_int_equal(kept_rows(reals, 5), 0x11);
	field_is("sourceMacAddress", ELEMENT_MAC, KIND_MAC, 6);
	assert_int_equal(compile(OPERATOR_EQ, "11:22:33:44:55:66"), 0);
	assert_int_equal(kept_rows(macs, 2), 0x2);
	field_is("flowStart", ELEMENT_TIME_MS, KIND_TIME, 8);
	assert_int_equal(compile(OPERATOR_AT_LEAST, "2017-04-26T11:11:17Z"), 0);
	assert_int_equal(kept_rows(times, 3), 0x6);
}

static void
protocols_have_names(void **state)
{
	static const int64_t protocols[] = {6, 17, 58, 136};

	(void)state;
	field_is("protocolIdentifier", ELEMENT_U8, KIND_INTEGER, 1);
	assert_int_equal(compile(OPERATOR_IN, "TCP icmp6 136"), 0);
	assert_int_equal(kept_rows(protocols, 4), 0xd);
	expect_refused(
	    OPERATOR_EQ, "tpc", "unknown protocol 'tpc'; did you mean 'tcp'?");
	expect_refused(OPERATOR_EQ, "nonsense", "did you mean 'tcp'?");
	expect_refused(OPERATOR_EQ, "256", "256 is out of range (expected 0 to 255)");
}

static void
operands_that_a_field_cannot_have_are_refused(void **state)
{
	char long_text[300];

	(void)state;
	field_is("sourceTransportPort", ELEMENT_U16, KIND_INTEGER, 2);
	expect_refused(
	    OPERATOR_BELOW, "65536", "65536 is out of range (expected 0 to 65535)");
	expect_refused(OPERATOR_EQ, "-1", "-1 is out of range");
	expect_refused(OPERATOR_EQ, "010", "ambiguous number '010'");
	expect_refused(OPERATOR_EQ, "x", "invalid number 'x'");
	expect_refused(OPERATOR_BETWEEN, "9 8", "the lower value first");
	expect_refused(
	    OPERATOR_PREFIX, "10.0.0.0/8", "'sourceTransportPort' is not an address");
	field_is("samplingProbability", ELEMENT_F64, KIND_REAL, 8);
	expect_refused(OPERATOR_NE, "nan", "invalid number 'nan'");
	expect_refused(OPERATOR_BETWEEN, "1 -1", "the lower value first");
	field_is("flowStart", ELEMENT_TIME_MS, KIND_TIME, 8);
	expect_refused(OPERATOR_BELOW, "2300-01-01", "2300-01-01 is too late");
	field_is("sourceMacAddress", ELEMENT_MAC, KIND_MAC, 6);
	expect_refused(OPERATOR_EQ, "1:2:3:4:5", "invalid MAC address");
	field_is("sourceIPv4Address", ELEMENT_IPV4, KIND_ADDRESS, 16);
	assert_int_equal(compile(OPERATOR_PREFIX, "::/0"), 0);
	expect_refused(OPERATOR_EQ, "2001:db8::1", "holds IPv4 addresses only");
	expect_refused(OPERATOR_PREFIX, "2001:db8::/32", "holds IPv4 addresses only");
	expect_refused(OPERATOR_PREFIX, "10.0.0.1/8", "invalid prefix '10.0.0.1/8'");
	expect_refused(OPERATOR_EQ, "host", "invalid IP address 'host'");
	expect_refused(OPERATOR_BETWEEN, "10.0.0.2 9.0.0.1", "the lower value first");
	field_is("interfaceName", ELEMENT_STRING, KIND_TEXT, 4);
	expect_refused(
	    OPERATOR_BELOW, "a", "which can be compared only with eq, ne and in");
	memset(long_text, 'a', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	expect_refused(OPERATOR_EQ, long_text, "at most 255 bytes of 'interfaceName'");
}

static int
teardown(void **state)
{
	(void)state;
	filter_done(&fixture.filter);
	yaml_unload(fixture.operand);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(comparisons_hold_at_the_ends_of_the_range),
	    cmocka_unit_test(lists_hold_small_and_large_numbers),
	    cmocka_unit_test(addresses_compare_as_addresses),
	    cmocka_unit_test(texts_compare_whole),
	    cmocka_unit_test(reals_macs_and_times_compare_in_their_order),
	    cmocka_unit_test(protocols_have_names),
	    cmocka_unit_test(operands_that_a_field_cannot_have_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
