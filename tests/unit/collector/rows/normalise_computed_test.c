#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "collector/protocol/sampling.h"
#include "tests/unit/collector/rows/support_rows.h"

#define EXPORT_NS 1500000000000000000

static void
a_start_or_end_may_follow_from_a_duration(void **state)
{
	(void)state;
	ONE("[flowStart, flowEnd, duration_ms]",
	    "flowEndMilliseconds flowDurationMilliseconds", EXPORT_NS / 1000000, 2500);
	assert_int_equal(rows_value("flowStart", "", 0), EXPORT_NS - 2500000000);
	assert_false(rows_is_null("flowStart", "", 0));
	assert_int_equal(rows_value("duration_ms", "", 0), 2500);
	ONE("[flowStart, flowEnd]", "flowStartMilliseconds flowDurationMicroseconds",
	    EXPORT_NS / 1000000, 2500);
	assert_int_equal(rows_value("flowEnd", "", 0), EXPORT_NS + 2500000);
	assert_int_equal(rows_value("flowStart", "", 0), EXPORT_NS);
}

static void
totals_count_when_the_flow_ends(void **state)
{
	(void)state;
	for (uint8_t reason = 1; reason <= 5; reason++) {
		ONE("[forward.octets, forward.packets]",
		    "octetTotalCount packetDeltaCount flowEndReason", 5000, 7, reason);
		assert_int_equal(
		    rows_value("octets", "forward", 0), reason == 2 ? 0 : 5000);
		assert_int_equal(rows_value("packets", "forward", 0), 7);
	}
}

static void
counters_of_a_record_count_at_an_active_timeout_though_called_totals(void **state)
{
	(void)state;
	for (uint8_t reason = 1; reason <= 5; reason++) {
		ONE("[forward.payload_octets, reverse.payload_octets]",
		    "dataByteCount reverseDataByteCount flowEndReason", 5000, 70,
		    reason);
		assert_int_equal(rows_value("payload_octets", "forward", 0), 5000);
		assert_int_equal(rows_value("payload_octets", "reverse", 0), 70);
	}
}

static void
totals_of_an_exporter_that_begins_a_flow_anew_count_at_an_active_timeout(void **state)
{
	(void)state;
	ONE("[forward.octets]", "octetTotalCount flowEndReason initialTCPFlags:1", 5000,
	    2, 0x12);
	assert_int_equal(rows_value("octets", "forward", 0), 5000);
}

static void
totals_without_an_end_reason_count_as_they_are(void **state)
{
	(void)state;
	ONE("[forward.octets]", "octetTotalCount", 5000);
	assert_int_equal(rows_value("octets", "forward", 0), 5000);
}

static void
integers_may_be_longer_than_their_type_and_end_at_its_top(void **state)
{
	(void)state;
	ONE("[protocolIdentifier, ipClassOfService]",
	    "protocolIdentifier:2 ipClassOfService:4", 17, 0x1234);
	assert_int_equal(rows_value("protocolIdentifier", "", 0), 17);
	assert_int_equal(rows_value("ipClassOfService", "", 0), 255);
	assert_int_equal(rows.batch.saturated, 1);
}

static void
flows_counts_records_that_end(void **state)
{
	(void)state;
	for (unsigned reason = 1; reason <= 3; reason++) {
		ONE("[flows]", "flowEndReason", reason);
		assert_int_equal(rows_value("flows", "", 0), reason != 2);
	}
	for (unsigned event = 1; event <= 5;
	     event++) { /* created, ended, ..., updated */
		ONE("[flows]", "firewallEvent", event);
		assert_int_equal(rows_value("flows", "", 0), event != 1 && event != 5);
	}
	ONE("[flows]", "", 0);
	assert_int_equal(rows_value("flows", "", 0), 1);
	ONE("[flows]", "deltaFlowCount:4", 12);
	assert_int_equal(rows_value("flows", "", 0), 12);
}

static void
duration_is_computed_or_as_sent(void **state)
{
	(void)state;
	ONE("[duration_ms]", "flowStartMilliseconds flowEndMilliseconds", 1000, 3500);
	assert_int_equal(rows_value("duration_ms", "", 0), 2500);
	ONE("[duration_ms]", "flowStartMilliseconds flowEndMilliseconds", 3500, 1000);
	assert_int_equal(rows_value("duration_ms", "", 0), 0);
	ONE("[duration_ms]", "flowDurationMicroseconds", 2500999);
	assert_int_equal(rows_value("duration_ms", "", 0), 2500);
	ONE("[duration_ms]", "", 0);
	assert_true(rows_is_null("duration_ms", "", 0));
}

static void
a_one_way_template_has_zeros_on_the_reverse_side(void **state)
{
	(void)state;
	ONE("[reverse.packets, reverse.octets, reverse.payload_min]",
	    "packetDeltaCount minimumPayloadOctets", 1, 40);
	assert_false(rows_is_null("packets", "reverse", 0));
	assert_int_equal(rows_value("packets", "reverse", 0), 0);
	assert_true(rows_is_null("octets", "reverse", 0));
	assert_true(rows_is_null("payload_min", "reverse", 0));
}

/* The field that was scaled. */
static int64_t
scaled(void)
{
	for (unsigned i = 0; i < rows.layout->count; i++) {
		if (rows.layout->fields[i].source == SOURCE_SCALED) {
			return batch_values(&rows.batch, (int)i)[0];
		}
	}
	fail_msg("nothing is scaled");
	return -1;
}

static void
counters_are_scaled_by_what_their_record_says(void **state)
{
	(void)state;
	ONE("[scaled.forward.octets]", "octetDeltaCount samplingInterval", 5000, 10);
	assert_int_equal(scaled(), 50000);
	ONE("[scaled.forward.octets]", "octetDeltaCount samplingProbability", 5000,
	    0x3fd0000000000000); /* 0.25 */
	assert_int_equal(scaled(), 20000);
	ONE("[scaled.forward.octets]", "octetDeltaCount", 5000);
	assert_int_equal(scaled(), 5000);
	assert_int_equal(rows.batch.saturated, 0);
	ONE("[scaled.forward.octets]", "octetDeltaCount samplingInterval", INT64_MAX,
	    10);
	assert_int_equal(scaled(), INT64_MAX);
	assert_int_equal(rows.batch.saturated, 1);
}

static void
counters_are_scaled_by_what_their_sampler_is_known_to_do(void **state)
{
	static const char *const fields[] = {"octetDeltaCount samplerId",
	    "octetDeltaCount selectorId", "octetDeltaCount ingressInterface",
	    "octetDeltaCount vlanId"};
	static const int64_t expected[] = {50000, 100000, 150000, 200000};
	struct sampling *sampling = NULL;

	(void)state;
	sampling_set(&sampling, SAMPLING_SAMPLER, 3, 10);
	sampling_set(&sampling, SAMPLING_SELECTOR, 3, 20);
	sampling_set(&sampling, SAMPLING_INTERFACE, 3, 30);
	sampling_set(&sampling, SAMPLING_DOMAIN, 0, 40);
	for (unsigned i = 0; i < 4; i++) {
		struct support_set s = rows_addresses();
		char text[100];
		rows_open("[scaled.forward.octets]");
		rows.batch.sampling = sampling;
		support_put(&s, 5000, 8);
		support_put(&s, 3, 4);
		snprintf(text, sizeof text, ADDRESSES "%s:4", fields[i]);
		assert_int_equal(rows_decode(text, &s), 1);
		assert_int_equal(scaled(), expected[i]);
		rows_close(NULL);
	}
	free(sampling);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, rows_close)
	const struct CMUnitTest tests[] = {
	    TEST(a_start_or_end_may_follow_from_a_duration),
	    TEST(totals_count_when_the_flow_ends),
	    TEST(counters_of_a_record_count_at_an_active_timeout_though_called_totals),
	    TEST(
		totals_of_an_exporter_that_begins_a_flow_anew_count_at_an_active_timeout),
	    TEST(totals_without_an_end_reason_count_as_they_are),
	    TEST(integers_may_be_longer_than_their_type_and_end_at_its_top),
	    TEST(flows_counts_records_that_end),
	    TEST(duration_is_computed_or_as_sent),
	    TEST(a_one_way_template_has_zeros_on_the_reverse_side),
	    TEST(counters_are_scaled_by_what_their_record_says),
	    TEST(counters_are_scaled_by_what_their_sampler_is_known_to_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
