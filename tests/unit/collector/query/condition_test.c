#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "collector/query/condition.h"

static struct column columns[] = {
    {.name = "src_ip", .shown = "src_ip", .kind = COLUMN_ADDRESS},
    {.name = "service_ip", .shown = "service_ip", .kind = COLUMN_PREFIX},
    {.name = "start_ns", .shown = "start", .kind = COLUMN_TIME_NS},
    {.name = "date", .shown = "date", .kind = COLUMN_DATE},
    {.name = "protocol", .shown = "protocol", .kind = COLUMN_INTEGER},
    {.name = "dst_port", .shown = "dst_port", .kind = COLUMN_INTEGER},
    {.name = "packets", .shown = "packets", .kind = COLUMN_INTEGER},
    {.name = "mean", .shown = "mean", .kind = COLUMN_REAL},
    {.name = "note_eq", .shown = "note_eq", .kind = COLUMN_TEXT},
};
static const struct table table = {
    .name = "made", .columns = columns, .count = sizeof columns / sizeof columns[0]};

/* Parses; the test ends when that fails. */
static struct condition
parsed(const char *text)
{
	struct condition c;
	struct err e = {""};

	if (condition_parse(&table, text, &c, &e) < 0) {
		fail_msg("%s: %s", text, e.text);
	}
	return c;
}

static void
says_text(const char *text, enum condition_operator op, const char *value)
{
	struct condition c = parsed(text);

	assert_int_equal(c.op, op);
	assert_string_equal(c.values[0].text, value);
	condition_done(&c);
}

static void
says_number(const char *text, enum condition_operator op, int64_t value)
{
	struct condition c = parsed(text);

	assert_int_equal(c.op, op);
	assert_int_equal(c.values[0].integer, value);
	condition_done(&c);
}

static void
complains(const char *text, const char *sentence)
{
	struct condition c;
	struct err e = {""};

	assert_true(condition_parse(&table, text, &c, &e) < 0);
	assert_string_equal(e.text, sentence);
}

static void
a_field_alone_means_eq(void **state)
{
	(void)state;
	says_number("protocol=6", CONDITION_EQ, 6);
	says_number("protocol_eq=6", CONDITION_EQ, 6);
}

static void
a_column_that_ends_like_an_operator_is_a_column(void **state)
{
	(void)state;
	says_text("note_eq=x", CONDITION_EQ, "x");
	says_text("note_eq_ne=x", CONDITION_NE, "x");
}

static void
addresses_and_networks_take_their_canonical_form(void **state)
{
	(void)state;
	says_text("src_ip=::ffff:10.0.0.1", CONDITION_EQ, "10.0.0.1");
	says_text("src_ip_ge=2001:DB8:0:0::1", CONDITION_GE, "2001:db8::1");
	says_text("src_ip_prefix=10.0.0.0/8", CONDITION_PREFIX, "10.0.0.0/8");
	says_text("service_ip=2001:DB8::/64", CONDITION_EQ, "2001:db8::/64");
	says_text("service_ip=10.1.2.3", CONDITION_EQ, "10.1.2.3");
}

static void
times_are_iso_8601_seconds_or_nanoseconds(void **state)
{
	(void)state;
	says_number("start_ge=2017-04-26", CONDITION_GE, 1493164800000000000);
	says_number(
	    "start_ns_lt=2017-04-26T11:11:17.5Z", CONDITION_LT, 1493205077500000000);
	says_number("start=@1493205077", CONDITION_EQ, 1493205077000000000);
	says_number("start_ns=1493205077000000001", CONDITION_EQ, 1493205077000000001);
}

static void
protocols_have_names(void **state)
{
	(void)state;
	says_number("protocol=UDP", CONDITION_EQ, 17);
	says_number("protocol=icmp6", CONDITION_EQ, 58);
	complains("mean=tcp",
	    "invalid number 'tcp' (expected a finite decimal number such as 0.25)");
}

static void
in_takes_values_between_commas(void **state)
{
	struct condition c = parsed("protocol_in=tcp,17,1");

	(void)state;
	assert_int_equal(c.count, 3);
	assert_int_equal(c.values[0].integer, 6);
	assert_int_equal(c.values[2].integer, 1);
	condition_done(&c);
}

static void
a_value_may_hold_equals_signs_and_commas(void **state)
{
	(void)state;
	says_text("note_eq_eq=a=b,c", CONDITION_EQ, "a=b,c");
}

static void
what_is_not_a_condition_is_explained(void **state)
{
	(void)state;
	complains("protocol", "invalid condition \"protocol\" (expected FIELD=VALUE or "
			      "FIELD_OP=VALUE, such as dst_port_lt=1024)");
	complains("=6",
	    "invalid condition \"=6\" (expected FIELD=VALUE or FIELD_OP=VALUE, "
	    "such as dst_port_lt=1024)");
	complains("protocol_xx=1",
	    "unknown operator \"xx\" in protocol_xx (operators: eq ne lt le gt ge in "
	    "prefix like)");
	complains("protocol_lts=1",
	    "unknown operator \"lts\" in protocol_lts; did you mean \"lt\"? (operators: "
	    "eq ne lt le gt ge in prefix like)");
	complains("protocol_in=6,",
	    "unknown protocol \"\"; did you mean \"tcp\"? (or a "
	    "number from 0 to 255)");
	complains("protocol=udq",
	    "unknown protocol \"udq\"; did you mean \"udp\"? (or a "
	    "number from 0 to 255)");
	complains("start_prefix=2017", "operator prefix compares addresses and text, "
				       "but start_ns is a time; use eq "
				       "ne lt le gt ge in");
	complains("src_ip=10.0.0.0/8", "\"10.0.0.0/8\" is a network; write "
				       "src_ip_prefix=10.0.0.0/8");
	complains("src_ip=host",
	    "invalid address \"host\" for src_ip (expected one such "
	    "as 10.0.0.1 or 2001:db8::1)");
	complains("service_ip=10.0.0.1/24",
	    "invalid network \"10.0.0.1/24\" (expected one such as 10.0.0.0/8 or "
	    "2001:db8::/32, with no bits set beyond its length)");
}

static void
an_operand_that_does_not_fit_is_refused(void **state)
{
	(void)state;
	complains("packets=99999999999999999999",
	    "99999999999999999999 is out of range (expected -9223372036854775808 to "
	    "9223372036854775807)");
	complains("protocol=256", "256 is out of range (expected 0 to 255)");
	complains("dst_port_lt=65536", "65536 is out of range (expected 0 to 65535)");
	complains("packets=010",
	    "ambiguous number '010': write it in decimal without a leading zero, or in "
	    "hexadecimal with 0x");
	complains("mean=nan",
	    "invalid number 'nan' (expected a finite decimal number such as 0.25)");
	complains("mean_lt=1e999",
	    "invalid number '1e999' (expected a finite decimal number such as 0.25)");
	complains("start_lt=2300-01-01",
	    "2300-01-01 is too late (times end at 2262-04-11T23:47:16Z)");
	complains("start_lt=9223372036854775808",
	    "9223372036854775808 is too late (times end at 2262-04-11T23:47:16Z)");
	complains("date=2300-01-01",
	    "2300-01-01 is too late (times end at 2262-04-11T23:47:16Z)");
	complains("date=2017-02-30",
	    "invalid time \"2017-02-30\" (expected a day such as 2017-04-26)");
	complains("date=@5", "invalid day \"@5\" (expected one such as 2017-04-26)");
}

static void
a_sign_in_place_of_an_operator_is_put_into_words(void **state)
{
	static const char why[] =
	    ": operators are words, because the shell interprets < and >; "
	    "write ";
	static const struct {
		const char *text, *right;
	} signs[] = {
	    {"packets>=3", "packets_ge=3"},
	    {"packets<3", "packets_lt=3"},
	    {"packets!=3", "packets_ne=3"},
	    {"packets==3", "packets_eq=3"},
	};
	char sentence[200];

	(void)state;
	for (unsigned i = 0; i < sizeof signs / sizeof signs[0]; i++) {
		snprintf(sentence, sizeof sentence, "\"%s\"%s%s", signs[i].text, why,
		    signs[i].right);
		complains(signs[i].text, sentence);
	}
	says_text("note_eq_eq=a<b", CONDITION_EQ, "a<b");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_field_alone_means_eq),
	    cmocka_unit_test(a_column_that_ends_like_an_operator_is_a_column),
	    cmocka_unit_test(addresses_and_networks_take_their_canonical_form),
	    cmocka_unit_test(times_are_iso_8601_seconds_or_nanoseconds),
	    cmocka_unit_test(protocols_have_names),
	    cmocka_unit_test(in_takes_values_between_commas),
	    cmocka_unit_test(a_value_may_hold_equals_signs_and_commas),
	    cmocka_unit_test(what_is_not_a_condition_is_explained),
	    cmocka_unit_test(an_operand_that_does_not_fit_is_refused),
	    cmocka_unit_test(a_sign_in_place_of_an_operator_is_put_into_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
