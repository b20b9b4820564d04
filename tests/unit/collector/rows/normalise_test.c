#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/collector/rows/support_rows.h"

static void
every_form_of_time_becomes_nanoseconds(void **state)
{
	static const struct {
		const char *name;
		uint64_t high, low;
		int64_t ns;
	} cases[] = {
	    {"flowStartSeconds:4", 0, 1493205077, 1493205077000000000},
	    {"flowStartMilliseconds:8", 1493205077123 >> 32, 1493205077123 & UINT32_MAX,
		1493205077123000000},
	    /* .123456 s and .123456789 s as fractions of 2^32, rounded */
	    {"flowStartMicroseconds:8", 1493205077 + 2208988800u, 530239482,
		1493205077123456000},
	    {"flowStartNanoseconds:8", 1493205077 + 2208988800u, 530242871,
		1493205077123456789},
	    /* NTP seconds from before 1970 are of the era that begins in 2036 */
	    {"flowStartNanoseconds:8", 0, 0, 2085978496000000000},
	    {"flowStartMilliseconds:8", UINT32_MAX, UINT32_MAX, INT64_MAX},
	};
	(void)state;
	rows_open("[flowStart]");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct support_set s = rows_addresses();
		char fields[128];
		if (strstr(cases[i].name, ":8") != NULL) {
			support_put(&s, cases[i].high, 4);
		}
		support_put(&s, cases[i].low, 4);
		snprintf(fields, sizeof fields, ADDRESSES "%s", cases[i].name);
		assert_int_equal(rows_decode(fields, &s), 1);
		assert_int_equal(rows_value("flowStart", "", 0), cases[i].ns);
	}
}

#define LIST(values)                                                                   \
	"{\"semantic\":\"allOf\",\"element\":\"sourceTransportPort\",\"values\":"      \
	"[" values "]}"

static void
lists_become_texts_also_several_of_one_element(void **state)
{
	struct support_set s = rows_addresses();

	(void)state;
	rows_open("[basicList, octetDeltaCount]");
	support_put_bytes(&s, "\7\3\0\7\0\2\0\x50", 8);
	support_put(&s, 5, 8);
	support_put_bytes(&s, "\0\7\3\0\7\0\2\0\x51", 9);
	assert_int_equal(
	    rows_decode(
		ADDRESSES "basicList:v octetDeltaCount basicList:v basicList:v", &s),
	    1);
	assert_string_equal(
	    rows_text("basicList", 0), "[" LIST("80") ",{}," LIST("81") "]");
	assert_int_equal(rows_value("octetDeltaCount", "", 0), 5);
	assert_int_equal(rows.batch.lists.counts.malformed, 0);
}

static void
lists_of_fixed_length_become_texts_in_each_record(void **state)
{
	struct support_set s = {.length = 0};

	(void)state;
	rows_open("[basicList, octetDeltaCount]");
	for (unsigned i = 0; i < 3; i++) {
		support_put_address(&s, "10.0.0.1");
		support_put_address(&s, "10.0.0.2");
		support_put_bytes(&s, "\3\0\7\0\2\0\x50", 7);
		support_put(&s, 5, 8);
		support_put_bytes(&s, "\3\0\7\0\2\0", 6);
		support_put(&s, 0x51 + i, 1);
	}
	assert_int_equal(
	    rows_decode(ADDRESSES "basicList:7 octetDeltaCount basicList:7", &s), 3);
	assert_string_equal(
	    rows_text("basicList", 0), "[" LIST("80") "," LIST("81") "]");
	assert_string_equal(
	    rows_text("basicList", 2), "[" LIST("80") "," LIST("83") "]");
}

static void
a_record_with_a_malformed_list_is_kept(void **state)
{
	struct support_set s = rows_addresses();

	(void)state;
	rows_open("[basicList, subTemplateList, octetDeltaCount]");
	support_put_bytes(&s, "\3\1\2\3", 4);
	support_put(&s, 5, 8);
	assert_int_equal(rows_decode(ADDRESSES "basicList:v octetDeltaCount", &s), 1);
	assert_string_equal(rows_text("basicList", 0),
	    "{\"malformed\":\"its header is cut short\",\"length\":3}");
	assert_true(rows_is_null("subTemplateList", "", 0));
	assert_int_equal(rows_value("octetDeltaCount", "", 0), 5);
	assert_int_equal(rows.batch.lists.counts.malformed, 1);
}

#define EXPORT_NS 1500000000000000000

/* Start 5 s, end 2 s before the message was sent. */
static struct support_set
set_of_uptimes(uint32_t uptime_ms)
{
	struct support_set s = rows_addresses();

	SUPPORT_PUT(&s, 4, uptime_ms - 5000, uptime_ms - 2000);
	rows.batch.clock = (struct protocol_clock){
	    .export_ns = EXPORT_NS, .uptime_ms = uptime_ms, .has_uptime = true};
	return s;
}
#define UPTIMES ADDRESSES "flowStartSysUpTime flowEndSysUpTime"

static void
uptimes_count_from_the_message_also_where_they_wrapped(void **state)
{
	const uint32_t uptimes[] = {3600000, 3000, 0, UINT32_MAX};

	(void)state;
	rows_open("[flowStart, flowEnd, duration_ms]");
	for (unsigned i = 0; i < 4; i++) {
		struct support_set s = set_of_uptimes(uptimes[i]);
		assert_int_equal(rows_decode(UPTIMES, &s), 1);
		assert_int_equal(
		    rows_value("flowStart", "", 0), EXPORT_NS - 5000000000);
		assert_int_equal(rows_value("flowEnd", "", 0), EXPORT_NS - 2000000000);
		assert_int_equal(rows_value("duration_ms", "", 0), 3000);
	}
}

static void
uptimes_without_a_clock_are_no_times_but_a_duration(void **state)
{
	struct support_set s;

	(void)state;
	rows_open("[flowStart, flowEnd, duration_ms]");
	s = set_of_uptimes(3600000);
	rows.batch.clock.has_uptime = false;
	assert_int_equal(rows_decode(UPTIMES, &s), 1);
	assert_true(rows_is_null("flowStart", "", 0));
	assert_true(rows_is_null("flowEnd", "", 0));
	assert_int_equal(rows_value("duration_ms", "", 0), 3000);
}

static void
uptimes_may_count_from_what_the_record_says(void **state)
{
	struct support_set s;

	(void)state;
	rows_open("[flowStart, flowEnd]");
	s = set_of_uptimes(3600000);
	support_put(&s, EXPORT_NS / 1000000 - 3600123, 8);
	rows.batch.clock.has_uptime = false;
	assert_int_equal(rows_decode(UPTIMES " systemInitTimeMilliseconds", &s), 1);
	assert_int_equal(rows_value("flowStart", "", 0), EXPORT_NS - 5123000000);
	assert_int_equal(rows_value("flowEnd", "", 0), EXPORT_NS - 2123000000);
	assert_false(rows_is_null("flowStart", "", 0));
}

static void
records_of_variable_length_may_say_since_when_too(void **state)
{
	struct support_set s;

	(void)state;
	rows_open("[flowStart]");
	s = set_of_uptimes(3600000);
	support_put(&s, 2 << 16 | 0x6162, 3); /* "ab" */
	support_put(&s, EXPORT_NS / 1000000 - 3600000, 8);
	assert_int_equal(
	    rows_decode(UPTIMES " interfaceName:v systemInitTimeMilliseconds", &s), 1);
	assert_int_equal(rows_value("flowStart", "", 0), EXPORT_NS - 5000000000);
}

static void
deltas_count_back_from_the_message(void **state)
{
	struct support_set s = rows_addresses();

	(void)state;
	rows_open("[flowStart, flowEnd]");
	SUPPORT_PUT(&s, 4, 1500, 0);
	rows.batch.clock.export_ns = EXPORT_NS;
	assert_int_equal(
	    rows_decode(
		ADDRESSES "flowStartDeltaMicroseconds flowEndDeltaMicroseconds", &s),
	    1);
	assert_int_equal(rows_value("flowStart", "", 0), EXPORT_NS - 1500000);
	assert_int_equal(rows_value("flowEnd", "", 0), EXPORT_NS);
}

static void
an_event_begins_and_ends_when_it_was_observed(void **state)
{
	(void)state;
	ONE("[flowStart, flowEnd]", "observationTimeMilliseconds", EXPORT_NS / 1000000);
	assert_int_equal(rows_value("flowStart", "", 0), EXPORT_NS);
	assert_int_equal(rows_value("flowEnd", "", 0), EXPORT_NS);
}

static void
an_uptime_by_itself_is_the_number_that_was_sent(void **state)
{
	struct support_set s;

	(void)state;
	rows_open("[flowStartSysUpTime]");
	s = set_of_uptimes(3600000);
	assert_int_equal(rows_decode(UPTIMES, &s), 1);
	assert_int_equal(rows_value("flowStartSysUpTime", "", 0), 3595000);
}

static void
reduced_integers_of_every_length_are_read(void **state)
{
	(void)state;
	rows_open("[forward.octets]");
	for (unsigned n = 1; n <= 8; n++) {
		struct support_set s = rows_addresses();
		char fields[128];
		support_put(&s, 0x0102030405060708u & (UINT64_MAX >> (64 - 8 * n)), n);
		snprintf(fields, sizeof fields, ADDRESSES "octetDeltaCount:%u", n);
		assert_int_equal(rows_decode(fields, &s), 1);
		assert_int_equal(rows_value("octets", "forward", 0),
		    0x0102030405060708u & (UINT64_MAX >> (64 - 8 * n)));
	}
}

static void
counters_beyond_the_top_saturate_and_are_counted(void **state)
{
	(void)state;
	ONE("[forward.octets]", "octetDeltaCount", UINT64_MAX);
	assert_int_equal(rows_value("octets", "forward", 0), INT64_MAX);
	assert_int_equal(rows.batch.saturated, 1);
}

static void
signed_integers_keep_their_sign(void **state)
{
	(void)state;
	ONE("[mibObjectValueInteger]", "mibObjectValueInteger:2", (uint64_t)-5);
	assert_int_equal(rows_value("mibObjectValueInteger", "", 0), -5);
}

static void
floats_of_both_lengths_are_read_and_nonsense_is_zero(void **state)
{
	static const uint64_t bits[][2] = {
	    {4, 0x40200000}, {8, 0x4004000000000000}, {4, 0x7fc00000}};
	static const double expected[] = {2.5, 2.5, 0};

	(void)state;
	rows_open("[forward.iat_sumsq]");
	for (unsigned i = 0; i < 3; i++) {
		struct support_set s = rows_addresses();
		char fields[128];
		support_put(&s, bits[i][1], (unsigned)bits[i][0]);
		snprintf(fields, sizeof fields,
		    ADDRESSES "interarrivalMicrosecondSumOfSquares:%u",
		    (unsigned)bits[i][0]);
		assert_int_equal(rows_decode(fields, &s), 1);
		assert_true(rows_real("iat_sumsq", "forward", 0) == expected[i]);
	}
}

static void
a_mapped_ipv6_address_is_the_ipv4_address(void **state)
{
	struct support_set s = {.length = 0};
	uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};

	(void)state;
	rows_open("[sourceAddress]");
	support_put_bytes(&s, mapped, 16);
	support_put_bytes(&s, mapped, 16);
	assert_int_equal(
	    rows_decode("sourceIPv6Address destinationIPv6Address", &s), 1);
	assert_string_equal(rows_address("sourceAddress", 0), "10.0.0.1");
}

static void
a_field_of_impossible_length_is_null_and_the_next_choice_counts(void **state)
{
	(void)state;
	ONE("[flowStart, forward.packets]",
	    "flowStartMilliseconds:3 flowStartSeconds packetDeltaCount:1", 7, 9, 5);
	assert_int_equal(rows_value("flowStart", "", 0), 9000000000);
	assert_int_equal(rows_value("packets", "forward", 0), 5);
	ONE("[flowStart]", "flowStartMilliseconds:3", 7);
	assert_true(rows_is_null("flowStart", "", 0));
}

/* destinationTransportPort of a record with these fields, whose numbers are these. */
#define PORT_OF(fields, ...)                                                           \
	(rows_one("[destinationTransportPort]", ADDRESSES fields,                      \
	     (const uint64_t[]){__VA_ARGS__}),                                         \
	    rows_is_null("destinationTransportPort", "", 0)                            \
		? -1                                                                   \
		: rows_value("destinationTransportPort", "", 0))

static void
type_and_code_of_icmp_stand_where_a_port_would(void **state)
{
	(void)state;
	assert_int_equal(PORT_OF("icmpTypeCodeIPv4 ipTTL", 0x301, 9), 0x301);
	assert_int_equal(PORT_OF("icmpTypeCodeIPv6 ipTTL", 0x301, 9), 0x301);
	assert_int_equal(PORT_OF("icmpTypeIPv4 icmpCodeIPv4 ipTTL", 3, 1, 9), 0x301);
	assert_int_equal(PORT_OF("ipTTL icmpTypeIPv6 icmpCodeIPv6", 3, 1, 9), 0x109);
	assert_int_equal(
	    PORT_OF("icmpTypeIPv4:1 destinationTransportPort", 3, 0x109), 0x109);
}

static void
a_type_of_icmp_without_its_code_is_no_port(void **state)
{
	(void)state;
	assert_int_equal(PORT_OF("icmpTypeIPv4 ipTTL icmpCodeIPv4", 3, 1, 9), -1);
	assert_int_equal(PORT_OF("ipTTL ipTTL icmpTypeIPv4", 3, 1, 9), -1);
}

static void
an_address_of_zero_leaves_its_place_to_the_other_version(void **state)
{
	static const char *const templates[] = {
	    "sourceIPv4Address sourceIPv6Address destinationIPv6Address "
	    "destinationIPv4Address",
	    "sourceIPv4Address sourceIPv6Address destinationIPv6Address "
	    "destinationIPv4Address interfaceName:v"};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct support_set s = {.length = 0};
		rows_open("[sourceAddress, destinationAddress]");
		support_put_address(&s, "0.0.0.0");
		support_put_address(&s, "2001:db8::1");
		support_put_address(&s, "2001:db8::2");
		support_put_address(&s, "0.0.0.0");
		support_put(&s, 0, i);
		support_put_address(&s, "0.0.0.0");
		support_put_address(&s, "::");
		support_put_address(&s, "::");
		support_put_address(&s, "10.0.0.2");
		support_put(&s, 0, i);
		assert_int_equal(rows_decode(templates[i], &s), 2);
		assert_string_equal(rows_address("sourceAddress", 0), "2001:db8::1");
		assert_string_equal(rows_address("sourceAddress", 1), "0.0.0.0");
		assert_string_equal(
		    rows_address("destinationAddress", 0), "2001:db8::2");
		assert_string_equal(rows_address("destinationAddress", 1), "10.0.0.2");
		rows_close(NULL);
	}
}

static void
counters_of_zero_leave_their_place_to_what_went_out(void **state)
{
	struct support_set s = rows_addresses();

	(void)state;
	rows_open("[forward.packets, forward.octets]");
	SUPPORT_PUT(&s, 4, 0, 7);
	support_put(&s, UINT64_MAX, 8);
	support_put(&s, 6, 4);
	assert_int_equal(
	    rows_decode(ADDRESSES "octetDeltaCount:4 packetDeltaCount:4 "
				  "postOctetDeltaCount postPacketDeltaCount:4",
		&s),
	    1);
	assert_int_equal(rows_value("octets", "forward", 0), INT64_MAX);
	assert_int_equal(rows.batch.saturated, 1);
	assert_int_equal(rows_value("packets", "forward", 0), 7);
}

static void
fields_that_were_not_sent_are_null(void **state)
{
	(void)state;
	ONE("[forward.packets, forward.octets, flowStart, vlanId]", "packetDeltaCount",
	    1);
	assert_false(rows_is_null("packets", "forward", 0));
	assert_true(rows_is_null("octets", "forward", 0));
	assert_true(rows_is_null("flowStart", "", 0));
	assert_true(rows_is_null("vlanId", "", 0));
}

static void
reverse_elements_are_the_reverse_side(void **state)
{
	(void)state;
	ONE("[forward.packets, reverse.packets, reverse.octets]",
	    "packetDeltaCount reversePacketDeltaCount", 3, 4);
	assert_int_equal(rows_value("packets", "forward", 0), 3);
	assert_int_equal(rows_value("packets", "reverse", 0), 4);
	assert_true(rows_is_null("octets", "reverse", 0));
}

static void
initiator_and_responder_counters_are_the_two_sides(void **state)
{
	(void)state;
	ONE("[forward.octets, reverse.octets]", "initiatorOctets responderOctets", 3,
	    4);
	assert_int_equal(rows_value("octets", "forward", 0), 3);
	assert_int_equal(rows_value("octets", "reverse", 0), 4);
}

static void
direction_two_swaps_ends_and_sides_and_what_is_null(void **state)
{
	struct support_set s = {.length = 0};

	(void)state;
	rows_open("[sourceAddress, sourceTransportPort, forward.packets, "
		  "reverse.packets, forward.payload_min, reverse.payload_min, vlanId]");
	for (unsigned direction = 1; direction <= 2; direction++) {
		support_put_address(&s, "10.0.0.1");
		support_put_address(&s, "10.0.0.2");
		SUPPORT_PUT(&s, 2, 1111, 80);
		SUPPORT_PUT(&s, 8, 3, 4);
		support_put(&s, 40, 4);
		support_put(&s, 7, 2);
		support_put(&s, direction, 1);
	}
	assert_int_equal(
	    rows_decode(ADDRESSES "sourceTransportPort destinationTransportPort "
				  "packetDeltaCount reversePacketDeltaCount "
				  "minimumPayloadOctets vlanId biflowDirection",
		&s),
	    2);
	assert_int_equal(rows.batch.row_count[0], 1);
	assert_int_equal(rows.batch.row_count[1], 1);
	assert_int_equal(rows.batch.rows[1][0], 1);
	assert_string_equal(rows_address("sourceAddress", 1), "10.0.0.2");
	assert_int_equal(rows_value("sourceTransportPort", "", 0), 1111);
	assert_int_equal(rows_value("sourceTransportPort", "", 1), 80);
	assert_int_equal(rows_value("packets", "forward", 1), 4);
	assert_int_equal(rows_value("packets", "reverse", 1), 3);
	assert_int_equal(rows_value("payload_min", "reverse", 1), 40);
	assert_false(rows_is_null("payload_min", "forward", 0));
	assert_true(rows_is_null("payload_min", "forward", 1));
	assert_false(rows_is_null("payload_min", "reverse", 1));
	assert_false(rows_is_null("vlanId", "", 1));
	assert_int_equal(rows_value("vlanId", "", 1), 7);
}

static void
records_of_variable_length_are_walked(void **state)
{
	struct support_set s = {.length = 0};
	size_t n = 0;

	(void)state;
	rows_open("[userName, forward.packets]");
	for (unsigned i = 0; i < 2; i++) {
		support_put_address(&s, "10.0.0.1");
		support_put_address(&s, "10.0.0.2");
		if (i == 0) {
			support_put(&s, 2, 1);
			support_put_bytes(&s, "ab", 2);
		} else { /* the long form of a length (RFC 7011 section 7) */
			support_put(&s, 255, 1);
			support_put(&s, 3, 2);
			support_put_bytes(&s,
			    "c\xff"
			    "e",
			    3);
		}
		support_put(&s, i + 10, 4);
	}
	support_put(&s, 0, 3); /* padding */
	assert_int_equal(rows_decode(ADDRESSES "userName:v packetDeltaCount:4", &s), 2);
	assert_string_equal(
	    intern_text(rows.intern, (uint32_t)rows_value("userName", "", 0), &n),
	    "ab");
	assert_string_equal(
	    intern_text(rows.intern, (uint32_t)rows_value("userName", "", 1), &n),
	    "c?e");
	assert_int_equal(rows_value("packets", "forward", 1), 11);
}

static void
a_variable_record_beyond_the_set_is_refused_after_those_before_it(void **state)
{
	const struct template *t;
	struct support_set s = {.length = 0};
	size_t at = 0;

	(void)state;
	rows_open("[userName]");
	for (unsigned i = 0; i < 2; i++) {
		support_put_address(&s, "10.0.0.1");
		support_put_address(&s, "10.0.0.2");
		SUPPORT_PUT(&s, 1, i == 0 ? 1 : 200, 'x');
	}
	t = support_template(256, ADDRESSES "userName:v");
	rows.plan = plan_new(rows.layout, t);
	assert_int_equal(
	    plan_decode(rows.plan, s.bytes, s.length, &at, &rows.batch), 1);
	assert_int_equal(
	    plan_decode(rows.plan, s.bytes, s.length, &at, &rows.batch), -EBADMSG);
}

static void
a_template_without_addresses_is_another_record(void **state)
{
	(void)state;
	rows_open("[forward.packets]");
	rows.plan =
	    plan_new(rows.layout, support_template(256, "packetDeltaCount userName:v"));
	assert_false(plan_is_usable(rows.plan));
	plan_free(rows.plan);
	rows.plan =
	    plan_new(rows.layout, support_template(256, ADDRESSES "packetDeltaCount"));
	assert_true(plan_is_usable(rows.plan));
}

static void
padding_shorter_than_a_record_is_ignored(void **state)
{
	struct support_set s = rows_addresses();

	(void)state;
	rows_open("[sourceAddress]");
	support_put(&s, 0, 7);
	assert_int_equal(rows_decode(ADDRESSES, &s), 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, rows_close)
	const struct CMUnitTest tests[] = {
	    TEST(every_form_of_time_becomes_nanoseconds),
	    TEST(uptimes_count_from_the_message_also_where_they_wrapped),
	    TEST(uptimes_without_a_clock_are_no_times_but_a_duration),
	    TEST(uptimes_may_count_from_what_the_record_says),
	    TEST(records_of_variable_length_may_say_since_when_too),
	    TEST(deltas_count_back_from_the_message),
	    TEST(an_event_begins_and_ends_when_it_was_observed),
	    TEST(an_uptime_by_itself_is_the_number_that_was_sent),
	    TEST(reduced_integers_of_every_length_are_read),
	    TEST(counters_beyond_the_top_saturate_and_are_counted),
	    TEST(signed_integers_keep_their_sign),
	    TEST(floats_of_both_lengths_are_read_and_nonsense_is_zero),
	    TEST(a_mapped_ipv6_address_is_the_ipv4_address),
	    TEST(a_field_of_impossible_length_is_null_and_the_next_choice_counts),
	    TEST(type_and_code_of_icmp_stand_where_a_port_would),
	    TEST(an_address_of_zero_leaves_its_place_to_the_other_version),
	    TEST(counters_of_zero_leave_their_place_to_what_went_out),
	    TEST(a_type_of_icmp_without_its_code_is_no_port),
	    TEST(fields_that_were_not_sent_are_null),
	    TEST(reverse_elements_are_the_reverse_side),
	    TEST(initiator_and_responder_counters_are_the_two_sides),
	    TEST(direction_two_swaps_ends_and_sides_and_what_is_null),
	    TEST(records_of_variable_length_are_walked),
	    TEST(a_variable_record_beyond_the_set_is_refused_after_those_before_it),
	    TEST(a_template_without_addresses_is_another_record),
	    TEST(padding_shorter_than_a_record_is_ignored),
	    TEST(lists_become_texts_also_several_of_one_element),
	    TEST(lists_of_fixed_length_become_texts_in_each_record),
	    TEST(a_record_with_a_malformed_list_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
