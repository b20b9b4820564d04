#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/config/option_shared.h"

struct configuration {
	bool promiscuous, verbose;
	const char *to;
	struct option_list read;
	uint64_t packets, queue, idle, pause;
	unsigned summary;
};

static const char *const summaries[] = {"text", "json", "none", NULL};
static const struct option rows[] = {
    {.name = "read",
	.letter = 'r',
	.kind = OPTION_LIST,
	.offset = offsetof(struct configuration, read),
	.argument = "FILE",
	.section = "Input",
	.help = "Read packets from this file."},
    {.name = "promiscuous",
	.letter = 'p',
	.kind = OPTION_FLAG,
	.offset = offsetof(struct configuration, promiscuous),
	.standard = "true",
	.help = "Put interfaces into promiscuous mode."},
    {.name = "verbose",
	.letter = 'v',
	.kind = OPTION_FLAG,
	.offset = offsetof(struct configuration, verbose),
	.help = "Say more."},
    {.name = "to",
	.letter = 't',
	.kind = OPTION_STRING,
	.offset = offsetof(struct configuration, to),
	.argument = "URI",
	.section = "Output",
	.help = "Send records there: a collector, several words long so that the line "
		"has to be broken in the help that people read."},
    {.name = "max-packets",
	.letter = 'n',
	.kind = OPTION_NUMBER,
	.offset = offsetof(struct configuration, packets),
	.argument = "N",
	.standard = "1M",
	.min = 1,
	.max = 4000000000,
	.help = "Stop after so many packets."},
    {.name = "queue",
	.kind = OPTION_SIZE,
	.offset = offsetof(struct configuration, queue),
	.standard = "16MiB",
	.min = 1024,
	.help = "Bytes that may wait."},
    {.name = "idle",
	.kind = OPTION_DURATION,
	.offset = offsetof(struct configuration, idle),
	.standard = "15s",
	.min = 1000000,
	.help = "Idle time."},
    {.name = "pause",
	.kind = OPTION_DURATION,
	.offset = offsetof(struct configuration, pause),
	.min = 1000000,
	.help = "Pause; without a default."},
    {.name = "summary",
	.kind = OPTION_CHOICE,
	.offset = offsetof(struct configuration, summary),
	.standard = "text",
	.choices = summaries,
	.help = "Form of the summary."},
};
static const struct option_program program = {
    .name = "flowpair-test",
    .summary = "parses options",
    .synopsis = "[options] FILE...\n--verbose",
    .manual = ".SH DESCRIPTION\nDoes this.\n@OPTIONS@\n.SH FILES\nNone.\n",
    .operands = "FILE names a file.",
    .options = rows,
    .count = sizeof rows / sizeof rows[0],
};
static const struct option_program program_without_words = {
    .name = "flowpair-test",
    .summary = "parses options",
    .synopsis = "[options]",
    .options = rows,
    .count = sizeof rows / sizeof rows[0],
};

static struct configuration config;
static struct option_list words;
static struct err err;
static char path[64], output[32768];

static int
begin(void **state)
{
	int fd;

	(void)state;
	memset(&config, 0xa5, sizeof config); /* option_parse must not trust it */
	words = (struct option_list){0};
	err.text[0] = '\0';
	strcpy(path, "/tmp/flowpair-option-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int
end(void **state)
{
	(void)state;
	return unlink(path);
}

/* Parses up to seven arguments, NULL after the last. */
#define PARSE(...) parse((const char *[]){"flowpair-test", __VA_ARGS__, NULL})
static int
parse(const char *const *argv)
{
	return option_parse(&program, (char **)argv, &config, &words, &err);
}

static void
done(void)
{
	option_free(&program, &config, &words);
}

static char arg_config[80];
static const char *
config_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	snprintf(arg_config, sizeof arg_config, "--config=%s", path);
	return arg_config;
}

/* What the arguments print, in output. */
static void
print(const char *first, const char *second)
{
	FILE *f = tmpfile();
	int saved;
	size_t n;

	assert_non_null(f);
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	dup2(fileno(f), STDOUT_FILENO);
	assert_int_equal(PARSE(first, second), 1);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	rewind(f);
	n = fread(output, 1, sizeof output - 1, f);
	output[n] = '\0';
	fclose(f);
}

static void
assert_refused(const char *first, const char *second, const char *sentence)
{
	assert_true(PARSE(first, second) < 0);
	assert_string_equal(err.text, sentence);
}

static void
assert_file_refused(const char *text, const char *sentence)
{
	size_t n;

	assert_true(PARSE(config_file(text)) < 0);
	n = strlen(path);
	assert_memory_equal(err.text, path, n);
	assert_string_equal(err.text + n, sentence);
}

static void
options_not_given_have_their_defaults(void **state)
{
	(void)state;
	assert_int_equal(PARSE(NULL), 0);
	assert_true(config.promiscuous);
	assert_false(config.verbose);
	assert_null(config.to);
	assert_int_equal(config.read.count, 0);
	assert_int_equal(config.packets, 1000000);
	assert_int_equal(config.queue, 16 << 20);
	assert_int_equal(config.idle, 15 * NS_PER_SECOND);
	assert_int_equal(config.summary, 0);
	done();
}

static void
long_option_takes_the_next_word_or_what_follows_the_equals_sign(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--to", "a", "--summary=json"), 0);
	assert_string_equal(config.to, "a");
	assert_int_equal(config.summary, 1);
	done();
}

static void
letter_takes_the_rest_of_its_word_or_the_next(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-ta", "-n", "5"), 0);
	assert_string_equal(config.to, "a");
	assert_int_equal(config.packets, 5);
	done();
}

static void
letters_of_flags_may_be_combined(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--no-promiscuous", "-vptx"), 0);
	assert_true(config.verbose);
	assert_true(config.promiscuous);
	assert_string_equal(config.to, "x");
	done();
}

static void
no_before_a_flag_switches_it_off(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--no-promiscuous"), 0);
	assert_false(config.promiscuous);
	done();
}

static void
last_of_repeated_options_wins(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--to=a", "--to=b"), 0);
	assert_string_equal(config.to, "b");
	done();
}

static void
list_collects_repeated_options(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-r", "a", "--read=b"), 0);
	assert_int_equal(config.read.count, 2);
	assert_string_equal(config.read.items[0], "a");
	assert_string_equal(config.read.items[1], "b");
	done();
}

static void
words_are_kept_in_order_among_options(void **state)
{
	(void)state;
	assert_int_equal(PARSE("a", "-v", "-", "--", "-x"), 0);
	assert_int_equal(words.count, 3);
	assert_string_equal(words.items[0], "a");
	assert_string_equal(words.items[1], "-");
	assert_string_equal(words.items[2], "-x");
	done();
}

static void
word_where_none_is_allowed_is_refused(void **state)
{
	const char *argv[] = {"flowpair-test", "x", NULL};

	(void)state;
	assert_int_equal(
	    option_parse(&program_without_words, (char **)argv, &config, NULL, &err),
	    -EINVAL);
	assert_string_equal(err.text, "unexpected argument 'x': flowpair-test accepts "
				      "only options (see 'flowpair-test --help')");
}

static void
unknown_option_is_told_its_nearest(void **state)
{
	(void)state;
	assert_refused("--idel=1", NULL, "unknown option --idel; did you mean --idle?");
	assert_refused(
	    "--max=1", NULL, "unknown option --max; did you mean --max-packets?");
	assert_refused(
	    "--packets", "1", "unknown option --packets; did you mean --max-packets?");
}

static void
unknown_option_like_no_other_is_pointed_to_help(void **state)
{
	(void)state;
	assert_refused(
	    "--zzzzzz", NULL, "unknown option --zzzzzz (see 'flowpair-test --help')");
	assert_refused("-vz", NULL, "unknown option -z (see 'flowpair-test --help')");
}

static void
missing_value_is_told_what_it_would_be(void **state)
{
	(void)state;
	assert_refused("--to", NULL, "--to needs a value: --to URI");
	assert_refused(
	    "--summary", NULL, "--summary needs a value: --summary text|json|none");
	assert_refused("-n", NULL, "--max-packets needs a value: --max-packets N");
}

static void
option_with_a_value_cannot_be_switched_off(void **state)
{
	(void)state;
	assert_refused(
	    "--no-to", NULL, "--no-to: only options without a value can be turned off");
}

static void
numbers_take_units_of_a_thousand(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-n", "2k"), 0);
	assert_int_equal(config.packets, 2000);
	done();
}

static void
sizes_take_units_of_1024(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {{"2048", 2048}, {"2k", 2048}, {"2KiB", 2048}, {"3M", 3 << 20},
	    {"3MiB", 3 << 20}, {"1G", 1 << 30}, {"1 GiB", 1 << 30}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(PARSE("--queue", cases[i].text), 0);
		assert_int_equal(config.queue, cases[i].bytes);
		done();
	}
}

static void
durations_take_units_and_are_seconds_without(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} cases[] = {{"15", 15 * NS_PER_SECOND}, {"15s", 15 * NS_PER_SECOND},
	    {"200ms", 200000000}, {"1500us", 1500000}, {"30min", 30 * NS_PER_MINUTE},
	    {"2h", 7200 * NS_PER_SECOND}, {"1d", NS_PER_DAY}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(PARSE("--idle", cases[i].text), 0);
		assert_true(config.idle == cases[i].ns);
		done();
	}
}

static void
value_that_is_none_is_told_what_was_expected(void **state)
{
	(void)state;
	assert_refused("--idle", "soon",
	    "--idle: invalid duration 'soon' (expected a time such as 200ms, 15s, "
	    "30min, 2h or 1d)");
	assert_refused(
	    "--idle", "99999999d", "--idle: 99999999d is too large (maximum 100000d)");
	assert_refused("--queue", "1.5M",
	    "--queue: invalid size '1.5M' (expected bytes such as 65536, 64KiB, 16MiB "
	    "or 1GiB)");
	assert_refused("-n", "-1",
	    "--max-packets: invalid number '-1' (expected a whole number such as 250, "
	    "10k or 2M)");
	assert_refused("--verbose=maybe", NULL,
	    "--verbose: invalid value 'maybe' (expected true or false)");
	assert_refused("--summary=xml", NULL,
	    "--summary: invalid value 'xml' (expected text, json or none)");
	assert_refused("--summary=jsno", NULL,
	    "--summary: invalid value 'jsno'; did you mean 'json'?");
}

static void
value_out_of_bounds_is_told_the_bound(void **state)
{
	(void)state;
	assert_refused("-n", "0", "--max-packets: 0 is too small (minimum 1)");
	assert_refused(
	    "-n", "5G", "--max-packets: 5G is too large (maximum 4000000000)");
	assert_refused("--idle", "1us", "--idle: 1us is too small (minimum 1ms)");
	assert_refused("--queue", "99999999999999999999",
	    "--queue: 99999999999999999999 is too large (maximum "
	    "18446744073709551615)");
}

static void
file_sets_every_kind(void **state)
{
	(void)state;
	assert_int_equal(PARSE(config_file(
			     "read: [a, b]\npromiscuous: false\nto: tcp://h:1\n"
			     "max-packets: 7\nqueue: 1MiB\nidle: 2s\nsummary: none\n")),
	    0);
	assert_int_equal(config.read.count, 2);
	assert_false(config.promiscuous);
	assert_string_equal(config.to, "tcp://h:1");
	assert_int_equal(config.packets, 7);
	assert_int_equal(config.queue, 1 << 20);
	assert_int_equal(config.idle, 2 * NS_PER_SECOND);
	assert_int_equal(config.summary, 2);
	done();
}

static void
list_in_a_file_may_be_one_value(void **state)
{
	(void)state;
	assert_int_equal(PARSE(config_file("read: a\n")), 0);
	assert_int_equal(config.read.count, 1);
	done();
}

static void
command_line_wins_over_the_file(void **state)
{
	(void)state;
	assert_int_equal(
	    PARSE("--idle=3s", "-rx", config_file("idle: 2s\nread: [a, b]")), 0);
	assert_int_equal(config.idle, 3 * NS_PER_SECOND);
	assert_int_equal(config.read.count, 1);
	assert_string_equal(config.read.items[0], "x");
	done();
}

static void
empty_file_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(PARSE(config_file("# nothing\n")), 0);
	assert_int_equal(config.packets, 1000000);
	done();
}

static void
wrong_file_is_told_its_place(void **state)
{
	(void)state;
	assert_file_refused(
	    "\nidel: 3", ":2:1: unknown option 'idel'; did you mean 'idle'?");
	assert_file_refused("idle: [3]", ":1:7: idle needs one value, not a list");
	assert_file_refused("to: {a: b}", ":1:5: to needs one value, not a map");
	assert_file_refused("idle:", ":1:6: idle has no value");
	assert_file_refused(
	    "max-packets: 0", ":1:14: max-packets: 0 is too small (minimum 1)");
	assert_file_refused(
	    "- idle", ":1:1: expected options, one 'name: value' per line");
	assert_file_refused(
	    "help: true", ":1:1: help is allowed only on the command line");
	assert_file_refused(
	    "idle: 1\nidle: 2", ":2:1: duplicate key 'idle' (first in line 1)");
}

static void
missing_file_is_named(void **state)
{
	(void)state;
	assert_refused(
	    "--config", "/nowhere/x", "/nowhere/x: No such file or directory");
}

static void
failed_parse_leaves_nothing_to_free(void **state)
{
	(void)state;
	assert_true(PARSE("-rx", "--to=a", "word", "--idle=soon") < 0);
	assert_null(config.to);
	assert_int_equal(config.read.count, 0);
	assert_int_equal(words.count, 0);
}

static void
help_names_every_option_within_80_columns(void **state)
{
	(void)state;
	print("--help", NULL);
	for (unsigned i = 0; i < program.count; i++) {
		char name[64];
		snprintf(name, sizeof name, " --%s", rows[i].name);
		assert_non_null(strstr(output, name));
	}
	assert_non_null(strstr(output, "Input:\n"));
	assert_non_null(strstr(output, "(default: 15s)"));
	for (char *line = strtok(output, "\n"); line != NULL;
	     line = strtok(NULL, "\n")) {
		assert_in_range(strlen(line), 1, 80);
	}
}

static void
version_names_program_and_version(void **state)
{
	(void)state;
	print("--version", NULL);
	assert_string_equal(output, "flowpair-test " FLOWPAIR_VERSION "\n");
}

static void
printed_configuration_reads_back_the_same(void **state)
{
	static char first[sizeof output];

	(void)state;
	print("--print-config",
	    config_file("read: [\"a: b\", '- c', \"q\\\"\\\\\\t\"]\nto: '#x'\n"
			"idle: 90s\nqueue: 1536KiB\nsummary: none\nverbose: on\n"
			"log-level: error\n"));
	strcpy(first, output);
	assert_non_null(strstr(first, "idle: 90s\n"));
	assert_non_null(strstr(first, "log-level: error\n"));
	assert_non_null(strstr(first, "# pause: DURATION\n"));
	print("--print-config", config_file(first));
	assert_string_equal(output, first);
}

static void
manual_has_its_sections_in_order(void **state)
{
	static const char *const headings[] = {".TH FLOWPAIR\\-TEST 1", ".SH NAME\n",
	    ".SH SYNOPSIS\n", ".SH DESCRIPTION\n", ".SH OPTIONS\n", ".SS Input\n",
	    ".SS Output\n", ".SS General\n", ".SH FILES\n"};
	const char *at = output;

	(void)state;
	print("--print-manual", NULL);
	for (size_t i = 0; i < sizeof headings / sizeof headings[0]; i++) {
		const char *found = strstr(at, headings[i]);
		assert_non_null(found);
		at = found + 1;
	}
}

static void
options_shared_by_programs_follow_the_own_ones(void **state)
{
	struct option_program with = program_without_words;
	struct {
		struct configuration own;
		struct option_shared shared;
	} c;
	const char *argv[] = {"flowpair-test", "-v", "--crl=x", "--tls12", NULL};

	(void)state;
	with.has_shared = true;
	with.shared = (size_t)((char *)&c.shared - (char *)&c);
	assert_int_equal(option_parse(&with, (char **)argv, &c, NULL, &err), 0);
	assert_true(c.own.verbose);
	assert_true(c.shared.tls12);
	assert_string_equal(c.shared.crl, "x");
	assert_int_equal(c.shared.own_pen, 32473);
	assert_string_equal(option_shared_tls(&c.shared), "--crl");
	option_free(&with, &c, NULL);
	assert_null(option_shared_tls(&c.shared));
	assert_true(PARSE("--crl=x") < 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
	    TEST(options_not_given_have_their_defaults),
	    TEST(long_option_takes_the_next_word_or_what_follows_the_equals_sign),
	    TEST(letter_takes_the_rest_of_its_word_or_the_next),
	    TEST(letters_of_flags_may_be_combined),
	    TEST(no_before_a_flag_switches_it_off),
	    TEST(last_of_repeated_options_wins),
	    TEST(list_collects_repeated_options),
	    TEST(words_are_kept_in_order_among_options),
	    TEST(word_where_none_is_allowed_is_refused),
	    TEST(unknown_option_is_told_its_nearest),
	    TEST(unknown_option_like_no_other_is_pointed_to_help),
	    TEST(missing_value_is_told_what_it_would_be),
	    TEST(option_with_a_value_cannot_be_switched_off),
	    TEST(numbers_take_units_of_a_thousand),
	    TEST(sizes_take_units_of_1024),
	    TEST(durations_take_units_and_are_seconds_without),
	    TEST(value_that_is_none_is_told_what_was_expected),
	    TEST(value_out_of_bounds_is_told_the_bound),
	    TEST(file_sets_every_kind),
	    TEST(list_in_a_file_may_be_one_value),
	    TEST(command_line_wins_over_the_file),
	    TEST(empty_file_changes_nothing),
	    TEST(wrong_file_is_told_its_place),
	    TEST(missing_file_is_named),
	    TEST(failed_parse_leaves_nothing_to_free),
	    TEST(help_names_every_option_within_80_columns),
	    TEST(version_names_program_and_version),
	    TEST(printed_configuration_reads_back_the_same),
	    TEST(manual_has_its_sections_in_order),
	    TEST(options_shared_by_programs_follow_the_own_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
