#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "collector/protocol/packet_section.h"
#include "collector/protocol/record_span.h"
#include "collector/protocol/sflow5.h"
#include "tests/unit/collector/protocol/support_set.h"

static const uint8_t header[28] = {
    0x45, 0, 5, 220, [8] = 64, 17, [12] = 10, 0, 0, 1, 10, 0, 0, 2, 0, 53, 4, 0, 0, 8};

static int
tear_down(void **state)
{
	(void)state;
	support_templates_free();
	return 0;
}

/* A record of ipHeaderPacketSection with so many bytes of the packet. */
static struct protocol_sample
read_section(size_t n)
{
	const struct template *t = support_template(256, "ipHeaderPacketSection:v");
	struct protocol_sample sample = {.length = 0};
	uint8_t *exact = malloc(n + 1);
	struct cursor set, field;

	assert_non_null(exact);
	exact[0] = (uint8_t)n;
	memcpy(exact + 1, header, n);
	set = cursor_of(exact, n + 1);
	assert_int_equal(record_span_next(t, &set, &field), 1);
	packet_section_read(t, &field, &sample);
	free(exact);
	return sample;
}

static void
templates_with_a_section_and_no_addresses_hold_packets(void **state)
{
	(void)state;
	assert_true(packet_section_is(
	    support_template(256, "ingressInterface dataLinkFrameSection:v")));
	assert_true(
	    packet_section_is(support_template(256, "ipHeaderPacketSection:64")));
	assert_false(packet_section_is(
	    support_template(256, "sourceIPv6Address dataLinkFrameSection:v")));
	assert_false(packet_section_is(support_template(256, "octetDeltaCount")));
}

static void
a_section_cut_short_is_read_as_far_as_it_goes(void **state)
{
	(void)state;
	for (size_t n = 0; n <= sizeof header; n++) {
		struct protocol_sample s = read_section(n);
		assert_int_equal(s.kind, PROTOCOL_SAMPLE_RECORD);
		assert_int_equal(s.template_id, n < 20 ? SFLOW5_OTHER : SFLOW5_IPV4);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(templates_with_a_section_and_no_addresses_hold_packets),
	    TEST(a_section_cut_short_is_read_as_far_as_it_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
