#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/base/clock.h"
#include "exporter/run/options.h"

static struct options parsed;
static struct err complaint;

/* Words end with NULL. */
static int
parse(const char **words)
{
	complaint.text[0] = '\0';
	return options_parse((char **)words, &parsed, &complaint);
}
#define PARSE(...) parse((const char *[]){"flowpair-exporter", __VA_ARGS__, NULL})

static void
assert_refused(int rc, const char *said)
{
	assert_true(rc < 0);
	if (strstr(complaint.text, said) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", complaint.text, said);
	}
}

static void
defaults_are_the_documented_ones(void **unused)
{
	(void)unused;
	assert_int_equal(PARSE("-r", "x", "--to", "file:y"), 0);
	assert_false(options_is_live(&parsed));
	assert_true(parsed.idle_ns == 15 * NS_PER_SECOND);
	assert_true(parsed.active_ns == 30 * NS_PER_MINUTE);
	assert_int_equal(parsed.max_conversations, 1000000);
	assert_int_equal(parsed.shared.own_pen, 32473);
	assert_int_equal(parsed.queue_bytes, 2 << 20);
	assert_int_equal(parsed.shared.summary, SUMMARY_TEXT);
	options_free(&parsed);
}

static void
a_live_capture_has_a_longer_queue(void **unused)
{
	(void)unused;
	assert_int_equal(PARSE("-i", "lo", "-i", "eth0", "-t", "tcp://h"), 0);
	assert_true(options_is_live(&parsed));
	assert_int_equal(parsed.interfaces.count, 2);
	assert_int_equal(parsed.queue_bytes, 64 << 20);
	options_free(&parsed);
}

static void
one_kind_of_input_is_wanted(void **unused)
{
	(void)unused;
	assert_refused(PARSE("--to", "file:y"), "no input");
	assert_refused(
	    PARSE("-i", "lo", "-r", "x", "--to", "file:y"), "exclude each other");
	assert_refused(PARSE("-i", "lo", "-i", "any", "-i", "lo", "--to", "file:y"),
	    "-i lo is given twice");
	assert_refused(PARSE("--trace-csv", "c", "-r", "x", "--to", "file:y"),
	    "exclude each other");
}

static void
a_destination_is_wanted(void **unused)
{
	(void)unused;
	assert_refused(PARSE("-r", "x"), "no destination");
}

static void
an_idle_time_beyond_the_active_time_is_refused(void **unused)
{
	(void)unused;
	assert_refused(PARSE("-r", "x", "--to", "file:y", "--idle-timeout-tcp", "1h"),
	    "idle-timeout-tcp");
	assert_refused(PARSE("-r", "x", "--to", "file:y", "--adaptive-timeout",
			   "--adaptive-max", "1h"),
	    "adaptive-max");
	assert_refused(PARSE("-r", "x", "--to", "file:y", "--adaptive-min", "10min"),
	    "adaptive-min");
}

static void
list_elements_wants_nothing_else(void **unused)
{
	(void)unused;
	assert_int_equal(PARSE("--list-elements"), 0);
	assert_true(parsed.list_elements);
	options_free(&parsed);
}

static void
messages_are_no_longer_than_the_transport_takes(void **state)
{
	(void)state;
	assert_refused(
	    PARSE("-r", "x", "--to", "dtls+udp://h", "--message-size", "16385"),
	    "16385 is too long for dtls+udp:// (maximum 16384 bytes)");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults_are_the_documented_ones),
	    cmocka_unit_test(a_live_capture_has_a_longer_queue),
	    cmocka_unit_test(one_kind_of_input_is_wanted),
	    cmocka_unit_test(a_destination_is_wanted),
	    cmocka_unit_test(an_idle_time_beyond_the_active_time_is_refused),
	    cmocka_unit_test(list_elements_wants_nothing_else),
	    cmocka_unit_test(messages_are_no_longer_than_the_transport_takes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
