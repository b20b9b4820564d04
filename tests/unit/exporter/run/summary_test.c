#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/run/summary.h"

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

static struct summary_delivery delivery = {.to = "file:x"};

static struct summary
example(struct summary_capture *capture)
{
	struct summary s = {
	    .packets_read = 4838065,
	    .captures = capture,
	    .capture_count = 1,
	    .records = 3,
	    .deliveries = &delivery,
	    .delivery_count = 1,
	};
	s.dropped[PACKET_IP_BAD] = 62;
	s.conversations.octets = 1050000000;
	s.conversations.ended[FLOW_END_IDLE] = 3;
	return s;
}

static void
text_groups_digits_and_names_what_was_dropped(void **unused)
{
	struct summary_capture capture = {.name = "eth0"};
	struct summary s = example(&capture);
	char *text;
	(void)unused;
	capture.counts.kernel_dropped = 7;
	text = print(&s, summary_print_text);
	assert_non_null(strstr(text, " 4 838 065  1.05 GB of IP"));
	assert_non_null(strstr(text, "  ip-bad"));
	assert_non_null(strstr(text, " 7  eth0"));
	assert_null(strstr(text, "not-ip"));
	free(text);
}

static void
json_has_every_reason(void **unused)
{
	struct summary_capture capture = {.name = "eth0"};
	struct summary s = example(&capture);
	char *text = print(&s, summary_print_json);
	(void)unused;
	for (enum packet_drop d = PACKET_KEPT + 1; d < PACKET_DROPS; d++) {
		assert_non_null(strstr(text, packet_drop_name(d)));
	}
	assert_non_null(strstr(text, "\"dropped\":62,"));
	assert_non_null(strstr(text, "\"idle\":3,"));
	assert_int_equal(text[0], '{');
	assert_string_equal(text + strlen(text) - 2, "}\n");
	free(text);
}

static void
json_escapes_strange_names(void **unused)
{
	struct summary_capture capture = {.name = "a\"b\\c\n\x1b\xff"};
	struct summary s = example(&capture);
	char *text = print(&s, summary_print_json);
	(void)unused;
	assert_non_null(strstr(text, "\"a\\\"b\\\\c\\u000a\\u001b\\u00ff\""));
	free(text);
}

static void
a_trace_has_rows_instead_of_packets(void **unused)
{
	struct summary s = {
	    .is_trace = true, .deliveries = &delivery, .delivery_count = 1};
	char *text;
	(void)unused;
	s.trace.rows = 8;
	s.trace.bad[TRACE_BAD_TIME] = 2;
	s.trace.bad_line[TRACE_BAD_TIME] = 17;
	text = print(&s, summary_print_text);
	assert_non_null(strstr(text, "first in line 17"));
	assert_null(strstr(text, "packets"));
	free(text);
	text = print(&s, summary_print_json);
	assert_non_null(strstr(text, "\"time\":{\"rows\":2,\"first_line\":17}"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_groups_digits_and_names_what_was_dropped),
	    cmocka_unit_test(json_has_every_reason),
	    cmocka_unit_test(json_escapes_strange_names),
	    cmocka_unit_test(a_trace_has_rows_instead_of_packets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
