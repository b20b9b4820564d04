#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "collector/run/options.h"
#include "common/base/clock.h"

static struct options parsed;
static struct err complaint;

#define PARSE(...) parse((const char *[]){"flowpair-collector", __VA_ARGS__, NULL})
static int
parse(const char **words)
{
	complaint.text[0] = '\0';
	return options_parse((char **)words, &parsed, &complaint);
}

static void
assert_refused(int rc, const char *said)
{
	assert_true(rc < 0);
	if (strstr(complaint.text, said) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", complaint.text, said);
	}
}

static void
defaults_are_the_documented_ones(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--listen", "tcp://*", "--store", "s"), 0);
	assert_int_equal(parsed.max_keys, 1000000);
	assert_true(parsed.flush_interval_ns == 10 * NS_PER_SECOND);
	assert_true(parsed.lateness_ns == 2 * NS_PER_DAY);
	assert_true(parsed.journal_bytes == UINT64_C(4) << 30);
	assert_int_equal(parsed.compact, COMPACT_AUTO);
	assert_int_equal(parsed.udp_sessions, UDP_BY_PORT);
	assert_int_equal(parsed.shared.summary, SUMMARY_TEXT);
	assert_null(parsed.table_names);
	assert_false(options_is_secured(&parsed));
	options_free(&parsed);
}

static void
something_to_do_is_wanted(void **state)
{
	(void)state;
	assert_refused(PARSE("--store", "s"), "nothing to do");
	assert_refused(PARSE("-r", "x"), "no store: give --store DIR");
	assert_refused(PARSE("-r", "x", "--listen", "tcp://*", "--store", "s"),
	    "exclude each other");
	assert_int_equal(PARSE("--check"), 0);
	options_free(&parsed);
	assert_int_equal(PARSE("--explain"), 0);
	options_free(&parsed);
}

static void
options_of_listening_are_refused_for_files(void **state)
{
	(void)state;
	assert_refused(PARSE("-r", "x", "--store", "s", "--peers", "p"),
	    "--peers is only for --listen");
	assert_refused(PARSE("-r", "x", "--store", "s", "--port-file", "p"),
	    "--port-file is only for --listen");
}

static void
encrypted_listeners_need_certificates_and_authorities(void **state)
{
	(void)state;
	assert_refused(PARSE("-l", "tls://*", "-s", "s"),
	    "--listen tls://* needs --certificate and --key");
	assert_refused(PARSE("-l", "tls://*", "-s", "s", "--certificate=c", "--key=k"),
	    "needs --ca");
	assert_int_equal(PARSE("-l", "tcp://*", "-l", "tls://*", "-s", "s",
			     "--certificate=c", "--key=k", "--insecure-no-client-auth"),
	    0);
	assert_true(options_is_secured(&parsed));
	options_free(&parsed);
}

static void
lists_of_tables_are_split_at_commas(void **state)
{
	(void)state;
	assert_int_equal(
	    PARSE("--check", "--tables", "pairs,services", "--tables=exporters"), 0);
	assert_int_equal(parsed.table_count, 3);
	assert_string_equal(parsed.table_names[0], "pairs");
	assert_string_equal(parsed.table_names[1], "services");
	assert_string_equal(parsed.table_names[2], "exporters");
	options_free(&parsed);
	assert_refused(PARSE("--check", "--tables", "pairs,x", "--tables=pairs"),
	    "--tables names pairs twice");
}

static void
wrong_listeners_and_numbers_are_refused(void **state)
{
	(void)state;
	assert_refused(PARSE("--check", "-l", "http://*"), "http");
	assert_refused(PARSE("--check", "-l", "tcp://*:99999"), "99999");
	assert_refused(PARSE("--check", "--own-pen", "29305"), "29305");
	assert_refused(PARSE("--check", "--segment-size", "1MiB"), "minimum 4MiB");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults_are_the_documented_ones),
	    cmocka_unit_test(something_to_do_is_wanted),
	    cmocka_unit_test(options_of_listening_are_refused_for_files),
	    cmocka_unit_test(encrypted_listeners_need_certificates_and_authorities),
	    cmocka_unit_test(lists_of_tables_are_split_at_commas),
	    cmocka_unit_test(wrong_listeners_and_numbers_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
