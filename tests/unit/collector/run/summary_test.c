#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/run/summary.h"
#include "common/base/clock.h"

static char *
print(const struct summary *s, void (*how)(const struct summary *, FILE *))
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	how(s, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void
assert_has(const char *text, const char *words)
{
	if (strstr(text, words) == NULL) {
		fail_msg("'%s' is not in:\n%s", words, text);
	}
}

static void
imports_add_up(void **state)
{
	struct import_counts c = {.bytes = 100, .is_already = true};
	struct summary s = {0};

	(void)state;
	c.skipped[IMPORT_TRAILING] = 3;
	c.process.records = 5;
	c.process.lost = 2;
	c.process.dropped[0] = 1;
	summary_add_import(&s, &c);
	c.is_already = false;
	summary_add_import(&s, &c);
	assert_int_equal(s.files_already, 1);
	assert_int_equal(s.bytes, 200);
	assert_int_equal(s.skipped[IMPORT_TRAILING], 6);
	assert_int_equal(s.process.records, 10);
	assert_int_equal(s.process.lost, 4);
	assert_int_equal(s.process.dropped[0], 2);
}

static void
text_groups_digits_and_leaves_out_what_is_zero(void **state)
{
	struct summary s = {.files = 2,
	    .process.records = 1234567,
	    .cpu_ns = NS_PER_SECOND / 2,
	    .memory_bytes = 3000000};
	char *text;

	(void)state;
	s.process.lost = 7;
	text = print(&s, summary_print_text);
	assert_has(text, " 1 234 567");
	assert_has(text, " 7  according to");
	assert_has(text, "0.50 s  of CPU in 0.00 s, 3.0 MB of memory\n");
	assert_null(strstr(text, "reordered"));
	assert_null(strstr(text, "connections"));
	free(text);
}

static void
text_of_a_live_run_names_refusals_and_listeners(void **state)
{
	struct summary_udp udp = {.uri = "udp://*:4739"};
	struct summary s = {.is_live = true, .udp = &udp, .udp_count = 1};
	char *text;

	(void)state;
	udp.counts.datagrams = 9;
	udp.counts.kernel_drops = 4;
	s.listener.ended[0] = 3;
	text = print(&s, summary_print_text);
	assert_has(text, "9  udp://*:4739\n");
	assert_has(text, "4  receive buffer full (see --udp-buffer)\n");
	assert_has(text, peers_end_name(0));
	assert_null(strstr(text, "files"));
	free(text);
}

static void
json_has_every_reason_and_quotes_uris(void **state)
{
	struct summary_udp udp = {.uri = "udp://\"\x01\\"};
	struct summary s = {.is_live = true, .udp = &udp, .udp_count = 1};
	char *text = print(&s, summary_print_json);

	(void)state;
	for (unsigned i = 0; i < DROPS; i++) {
		assert_has(text, drop_name(i));
	}
	for (unsigned i = 0; i < PEERS_ENDS; i++) {
		assert_has(text, peers_end_name(i));
	}
	assert_has(text, "{\"uri\": \"udp://\\\"\\u0001\\\\\", \"datagrams\": 0");
	assert_int_equal(text[0], '{');
	assert_string_equal(text + strlen(text) - 2, "}\n");
	free(text);
}

static void
metrics_have_each_family_once_and_a_series_per_listener(void **state)
{
	struct summary_udp udp[2] = {{.uri = "udp://a:1"}, {.uri = "udp://b:2"}};
	struct summary s = {.is_live = true, .udp = udp, .udp_count = 2};
	static char text[65536];
	char path[] = "/tmp/flowpair-summary-XXXXXX";
	int fd = mkstemp(path);
	struct err e = {""};
	const char *type = "# TYPE flowpair_collector_udp_datagrams_total counter\n";
	ssize_t n;

	(void)state;
	assert_true(fd >= 0);
	udp[1].counts.datagrams = 17;
	s.process.records = 23;
	assert_int_equal(summary_write_metrics(&s, path, &e), 0);
	close(fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, sizeof text - 1);
	assert_true(n > 0);
	close(fd);
	unlink(path);
	assert_has(text, type);
	assert_null(strstr(strstr(text, type) + 1, type));
	assert_has(text,
	    "flowpair_collector_udp_datagrams_total{listener=\"udp://b:2\"} 17\n");
	assert_has(text, "flowpair_collector_records_total 23\n");
}

static void
metrics_that_cannot_be_written_are_told_with_the_file(void **state)
{
	struct summary s = {0};
	struct err e = {""};

	(void)state;
	assert_true(summary_write_metrics(&s, "/nowhere/at/all", &e) < 0);
	assert_has(e.text, "/nowhere/at/all");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(imports_add_up),
	    cmocka_unit_test(text_groups_digits_and_leaves_out_what_is_zero),
	    cmocka_unit_test(text_of_a_live_run_names_refusals_and_listeners),
	    cmocka_unit_test(json_has_every_reason_and_quotes_uris),
	    cmocka_unit_test(metrics_have_each_family_once_and_a_series_per_listener),
	    cmocka_unit_test(metrics_that_cannot_be_written_are_told_with_the_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
