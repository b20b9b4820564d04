#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/rows/normalise.h"
#include "collector/schema/schema.h"
#include "tests/unit/collector/protocol/support_set.h"

static struct schema_record *record;
static struct layout *layout;
static struct intern *intern;
static struct batch batch;
static struct plan *plan;

/* The layout of schemas/records/conversation.yaml with every field that a text names.
 */
static void
open_layout(const char *names)
{
	struct yaml *y = NULL;
	struct err e = {""};

	assert_int_equal(
	    schema_record_load("schemas/records/conversation.yaml", &record, &e), 0);
	assert_int_equal(layout_new(record, support_elements(), &layout, &e), 0);
	assert_int_equal(yaml_parse("names", names, strlen(names), &y, &e), 0);
	for (unsigned i = 0; i < yaml_root(y)->count; i++) {
		if (layout_field(layout, y, yaml_root(y)->items[i], SIDE_NONE, &e) <
		    0) {
			fail_msg("%s", e.text);
		}
	}
	assert_int_equal(layout_finish(layout, &e), 0);
	intern = intern_new();
	assert_int_equal(batch_init(&batch, layout, intern), 0);
	/* Names of elements live in the registry, those of fields in the record. */
	yaml_unload(y);
}

static int
tear_down(void **state)
{
	(void)state;
	plan_free(plan);
	plan = NULL;
	batch_done(&batch);
	intern_free(intern);
	intern = NULL;
	layout_free(layout);
	layout = NULL;
	schema_record_free(record);
	record = NULL;
	support_templates_free();
	return 0;
}

static int
field(const char *name, const char *side)
{
	for (unsigned i = 0; i < layout->count; i++) {
		if (strcmp(layout->fields[i].name, name) == 0 &&
		    strcmp(layout->fields[i].side, side) == 0) {
			return (int)i;
		}
	}
	fail_msg("no field %s", name);
	return -1;
}

static int64_t
value(const char *name, const char *side, unsigned row)
{
	return batch_values(&batch, field(name, side))[row];
}

static double
real(const char *name, const char *side, unsigned row)
{
	int64_t bits = value(name, side, row);
	double v;
	memcpy(&v, &bits, sizeof v);
	return v;
}

static bool
is_null(const char *name, const char *side, unsigned group)
{
	return nulls_has(batch.nulls[group], field(name, side));
}

/* Addresses first, then the fields under test; decodes one set of them. */
#define ADDRESSES "sourceIPv4Address destinationIPv4Address "

static int
decode(const char *fields, const struct support_set *s)
{
	const struct template *t = support_template(256, fields);
	size_t at = 0;

	plan_free(plan);
	plan = plan_new(layout, t);
	assert_non_null(plan);
	return plan_decode(plan, s->bytes, s->length, &at, &batch);
}

static struct support_set
set_of_addresses(void)
{
	struct support_set s = {.length = 0};

	support_put_address(&s, "10.0.0.1");
	support_put_address(&s, "10.0.0.2");
	return s;
}

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
	open_layout("[flowStart]");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct support_set s = set_of_addresses();
		char fields[128];
		if (strstr(cases[i].name, ":8") != NULL) {
			support_put(&s, cases[i].high, 4);
		}
		support_put(&s, cases[i].low, 4);
		snprintf(fields, sizeof fields, ADDRESSES "%s", cases[i].name);
		assert_int_equal(decode(fields, &s), 1);
		assert_int_equal(value("flowStart", "", 0), cases[i].ns);
	}
}

static const char *
text(const char *name, unsigned row)
{
	return intern_text(intern, (uint32_t)value(name, "", row), NULL);
}

#define LIST(values)                                                                   \
	"{\"semantic\":\"allOf\",\"element\":\"sourceTransportPort\",\"values\":"      \
	"[" values "]}"

static void
lists_become_texts_also_several_of_one_element(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[basicList, octetDeltaCount]");
	support_put_bytes(&s, "\7\3\0\7\0\2\0\x50", 8);
	support_put(&s, 5, 8);
	support_put_bytes(&s, "\0\7\3\0\7\0\2\0\x51", 9);
	assert_int_equal(
	    decode(ADDRESSES "basicList:v octetDeltaCount basicList:v basicList:v", &s),
	    1);
	assert_string_equal(text("basicList", 0), "[" LIST("80") ",{}," LIST("81") "]");
	assert_int_equal(value("octetDeltaCount", "", 0), 5);
	assert_int_equal(batch.lists.counts.malformed, 0);
}

static void
lists_of_fixed_length_become_texts_in_each_record(void **state)
{
	struct support_set s = {.length = 0};

	(void)state;
	open_layout("[basicList, octetDeltaCount]");
	for (unsigned i = 0; i < 3; i++) {
		support_put_address(&s, "10.0.0.1");
		support_put_address(&s, "10.0.0.2");
		support_put_bytes(&s, "\3\0\7\0\2\0\x50", 7);
		support_put(&s, 5, 8);
		support_put_bytes(&s, "\3\0\7\0\2\0", 6);
		support_put(&s, 0x51 + i, 1);
	}
	assert_int_equal(
	    decode(ADDRESSES "basicList:7 octetDeltaCount basicList:7", &s), 3);
	assert_string_equal(text("basicList", 0), "[" LIST("80") "," LIST("81") "]");
	assert_string_equal(text("basicList", 2), "[" LIST("80") "," LIST("83") "]");
}

static void
a_record_with_a_malformed_list_is_kept(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[basicList, subTemplateList, octetDeltaCount]");
	support_put_bytes(&s, "\3\1\2\3", 4);
	support_put(&s, 5, 8);
	assert_int_equal(decode(ADDRESSES "basicList:v octetDeltaCount", &s), 1);
	assert_string_equal(text("basicList", 0),
	    "{\"malformed\":\"its header is cut short\",\"length\":3}");
	assert_true(is_null("subTemplateList", "", 0));
	assert_int_equal(value("octetDeltaCount", "", 0), 5);
	assert_int_equal(batch.lists.counts.malformed, 1);
}

#define EXPORT_NS 1500000000000000000

/* Start 5 s, end 2 s before the message was sent. */
static struct support_set
set_of_uptimes(uint32_t uptime_ms)
{
	struct support_set s = set_of_addresses();

	support_put(&s, uptime_ms - 5000, 4);
	support_put(&s, uptime_ms - 2000, 4);
	batch.clock = (struct protocol_clock){
	    .export_ns = EXPORT_NS, .uptime_ms = uptime_ms, .has_uptime = true};
	return s;
}
#define UPTIMES ADDRESSES "flowStartSysUpTime flowEndSysUpTime"

static void
uptimes_count_from_the_message_also_where_they_wrapped(void **state)
{
	const uint32_t uptimes[] = {3600000, 3000, 0, UINT32_MAX};

	(void)state;
	open_layout("[flowStart, flowEnd, duration_ms]");
	for (unsigned i = 0; i < 4; i++) {
		struct support_set s = set_of_uptimes(uptimes[i]);
		assert_int_equal(decode(UPTIMES, &s), 1);
		assert_int_equal(value("flowStart", "", 0), EXPORT_NS - 5000000000);
		assert_int_equal(value("flowEnd", "", 0), EXPORT_NS - 2000000000);
		assert_int_equal(value("duration_ms", "", 0), 3000);
	}
}

static void
uptimes_without_a_clock_are_no_times_but_a_duration(void **state)
{
	struct support_set s;

	(void)state;
	open_layout("[flowStart, flowEnd, duration_ms]");
	s = set_of_uptimes(3600000);
	batch.clock.has_uptime = false;
	assert_int_equal(decode(UPTIMES, &s), 1);
	assert_true(is_null("flowStart", "", 0));
	assert_true(is_null("flowEnd", "", 0));
	assert_int_equal(value("duration_ms", "", 0), 3000);
}

static void
uptimes_may_count_from_what_the_record_says(void **state)
{
	struct support_set s;

	(void)state;
	open_layout("[flowStart, flowEnd]");
	s = set_of_uptimes(3600000);
	support_put(&s, EXPORT_NS / 1000000 - 3600123, 8);
	batch.clock.has_uptime = false;
	assert_int_equal(decode(UPTIMES " systemInitTimeMilliseconds", &s), 1);
	assert_int_equal(value("flowStart", "", 0), EXPORT_NS - 5123000000);
	assert_int_equal(value("flowEnd", "", 0), EXPORT_NS - 2123000000);
	assert_false(is_null("flowStart", "", 0));
}

static void
records_of_variable_length_may_say_since_when_too(void **state)
{
	struct support_set s;

	(void)state;
	open_layout("[flowStart]");
	s = set_of_uptimes(3600000);
	support_put(&s, 2 << 16 | 0x6162, 3); /* "ab" */
	support_put(&s, EXPORT_NS / 1000000 - 3600000, 8);
	assert_int_equal(
	    decode(UPTIMES " interfaceName:v systemInitTimeMilliseconds", &s), 1);
	assert_int_equal(value("flowStart", "", 0), EXPORT_NS - 5000000000);
}

static void
deltas_count_back_from_the_message(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[flowStart, flowEnd]");
	support_put(&s, 1500, 4);
	support_put(&s, 0, 4);
	batch.clock.export_ns = EXPORT_NS;
	assert_int_equal(
	    decode(ADDRESSES "flowStartDeltaMicroseconds flowEndDeltaMicroseconds", &s),
	    1);
	assert_int_equal(value("flowStart", "", 0), EXPORT_NS - 1500000);
	assert_int_equal(value("flowEnd", "", 0), EXPORT_NS);
}

static void
an_event_begins_and_ends_when_it_was_observed(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[flowStart, flowEnd]");
	support_put(&s, EXPORT_NS / 1000000, 8);
	assert_int_equal(decode(ADDRESSES "observationTimeMilliseconds", &s), 1);
	assert_int_equal(value("flowStart", "", 0), EXPORT_NS);
	assert_int_equal(value("flowEnd", "", 0), EXPORT_NS);
}

static void
an_uptime_by_itself_is_the_number_that_was_sent(void **state)
{
	struct support_set s;

	(void)state;
	open_layout("[flowStartSysUpTime]");
	s = set_of_uptimes(3600000);
	assert_int_equal(decode(UPTIMES, &s), 1);
	assert_int_equal(value("flowStartSysUpTime", "", 0), 3595000);
}

static void
a_start_or_end_may_follow_from_a_duration(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[flowStart, flowEnd, duration_ms]");
	support_put(&s, EXPORT_NS / 1000000, 8);
	support_put(&s, 2500, 4);
	assert_int_equal(
	    decode(ADDRESSES "flowEndMilliseconds flowDurationMilliseconds", &s), 1);
	assert_int_equal(value("flowStart", "", 0), EXPORT_NS - 2500000000);
	assert_false(is_null("flowStart", "", 0));
	assert_int_equal(value("duration_ms", "", 0), 2500);
	assert_int_equal(
	    decode(ADDRESSES "flowStartMilliseconds flowDurationMicroseconds", &s), 1);
	assert_int_equal(value("flowEnd", "", 0), EXPORT_NS + 2500000);
	assert_int_equal(value("flowStart", "", 0), EXPORT_NS);
}

static void
totals_count_when_the_flow_ends(void **state)
{
	(void)state;
	open_layout("[forward.octets, forward.packets]");
	for (uint8_t reason = 1; reason <= 5; reason++) {
		struct support_set s = set_of_addresses();
		support_put(&s, 5000, 8);
		support_put(&s, 7, 8);
		support_put(&s, reason, 1);
		assert_int_equal(decode(ADDRESSES "octetTotalCount packetDeltaCount "
						  "flowEndReason",
				     &s),
		    1);
		assert_int_equal(value("octets", "forward", 0), reason == 2 ? 0 : 5000);
		assert_int_equal(value("packets", "forward", 0), 7);
	}
}

static void
counters_of_a_record_count_at_an_active_timeout_though_called_totals(void **state)
{
	(void)state;
	open_layout("[forward.payload_octets, reverse.payload_octets]");
	for (uint8_t reason = 1; reason <= 5; reason++) {
		struct support_set s = set_of_addresses();
		support_put(&s, 5000, 8);
		support_put(&s, 70, 8);
		support_put(&s, reason, 1);
		assert_int_equal(decode(ADDRESSES "dataByteCount reverseDataByteCount "
						  "flowEndReason",
				     &s),
		    1);
		assert_int_equal(value("payload_octets", "forward", 0), 5000);
		assert_int_equal(value("payload_octets", "reverse", 0), 70);
	}
}

static void
totals_of_an_exporter_that_begins_a_flow_anew_count_at_an_active_timeout(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[forward.octets]");
	support_put(&s, 5000, 8);
	support_put(&s, 2, 1);
	support_put(&s, 0x12, 1);
	assert_int_equal(
	    decode(ADDRESSES "octetTotalCount flowEndReason initialTCPFlags:1", &s), 1);
	assert_int_equal(value("octets", "forward", 0), 5000);
}

static void
totals_without_an_end_reason_count_as_they_are(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[forward.octets]");
	support_put(&s, 5000, 8);
	assert_int_equal(decode(ADDRESSES "octetTotalCount", &s), 1);
	assert_int_equal(value("octets", "forward", 0), 5000);
}

static void
integers_may_be_longer_than_their_type_and_end_at_its_top(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[protocolIdentifier, ipClassOfService]");
	support_put(&s, 17, 2);
	support_put(&s, 0x1234, 4);
	assert_int_equal(
	    decode(ADDRESSES "protocolIdentifier:2 ipClassOfService:4", &s), 1);
	assert_int_equal(value("protocolIdentifier", "", 0), 17);
	assert_int_equal(value("ipClassOfService", "", 0), 255);
	assert_int_equal(batch.saturated, 1);
}

static void
reduced_integers_of_every_length_are_read(void **state)
{
	(void)state;
	open_layout("[forward.octets]");
	for (unsigned n = 1; n <= 8; n++) {
		struct support_set s = set_of_addresses();
		char fields[128];
		support_put(&s, 0x0102030405060708u & (UINT64_MAX >> (64 - 8 * n)), n);
		snprintf(fields, sizeof fields, ADDRESSES "octetDeltaCount:%u", n);
		assert_int_equal(decode(fields, &s), 1);
		assert_int_equal(value("octets", "forward", 0),
		    0x0102030405060708u & (UINT64_MAX >> (64 - 8 * n)));
	}
}

static void
counters_beyond_the_top_saturate_and_are_counted(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[forward.octets]");
	support_put(&s, UINT64_MAX, 8);
	assert_int_equal(decode(ADDRESSES "octetDeltaCount", &s), 1);
	assert_int_equal(value("octets", "forward", 0), INT64_MAX);
	assert_int_equal(batch.saturated, 1);
}

static void
signed_integers_keep_their_sign(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[mibObjectValueInteger]");
	support_put(&s, (uint64_t)-5, 2);
	assert_int_equal(decode(ADDRESSES "mibObjectValueInteger:2", &s), 1);
	assert_int_equal(value("mibObjectValueInteger", "", 0), -5);
}

static void
floats_of_both_lengths_are_read_and_nonsense_is_zero(void **state)
{
	static const uint64_t bits[][2] = {
	    {4, 0x40200000}, {8, 0x4004000000000000}, {4, 0x7fc00000}};
	static const double expected[] = {2.5, 2.5, 0};

	(void)state;
	open_layout("[forward.iat_sumsq]");
	for (unsigned i = 0; i < 3; i++) {
		struct support_set s = set_of_addresses();
		char fields[128];
		support_put(&s, bits[i][1], (unsigned)bits[i][0]);
		snprintf(fields, sizeof fields,
		    ADDRESSES "interarrivalMicrosecondSumOfSquares:%u",
		    (unsigned)bits[i][0]);
		assert_int_equal(decode(fields, &s), 1);
		assert_true(real("iat_sumsq", "forward", 0) == expected[i]);
	}
}

static void
a_mapped_ipv6_address_is_the_ipv4_address(void **state)
{
	struct support_set s = {.length = 0};
	uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
	char text[ADDRESS_TEXT];

	(void)state;
	open_layout("[sourceAddress]");
	support_put_bytes(&s, mapped, 16);
	support_put_bytes(&s, mapped, 16);
	assert_int_equal(decode("sourceIPv6Address destinationIPv6Address", &s), 1);
	address_format(batch_addresses(&batch, field("sourceAddress", "")), text);
	assert_string_equal(text, "10.0.0.1");
}

static void
a_field_of_impossible_length_is_null_and_the_next_choice_counts(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[flowStart, forward.packets]");
	support_put(&s, 7, 3);
	support_put(&s, 9, 4);
	support_put(&s, 5, 1);
	assert_int_equal(
	    decode(ADDRESSES
		"flowStartMilliseconds:3 flowStartSeconds packetDeltaCount:1",
		&s),
	    1);
	assert_int_equal(value("flowStart", "", 0), 9000000000);
	assert_int_equal(value("packets", "forward", 0), 5);
	tear_down(NULL);
	open_layout("[flowStart]");
	s = set_of_addresses();
	support_put(&s, 7, 3);
	assert_int_equal(decode(ADDRESSES "flowStartMilliseconds:3", &s), 1);
	assert_true(is_null("flowStart", "", 0));
}

/* destinationTransportPort of a record with these fields, whose bytes are 3, 1, 9. */
static int64_t
port_of(const char *fields)
{
	struct support_set s = set_of_addresses();

	open_layout("[destinationTransportPort]");
	support_put(&s, 3, 1);
	support_put(&s, 1, 1);
	support_put(&s, 9, 1);
	assert_int_equal(decode(fields, &s), 1);
	return is_null("destinationTransportPort", "", 0)
		   ? -1
		   : value("destinationTransportPort", "", 0);
}

static void
type_and_code_of_icmp_stand_where_a_port_would(void **state)
{
	(void)state;
	assert_int_equal(port_of(ADDRESSES "icmpTypeCodeIPv4 ipTTL"), 0x301);
	tear_down(NULL);
	assert_int_equal(port_of(ADDRESSES "icmpTypeCodeIPv6 ipTTL"), 0x301);
	tear_down(NULL);
	assert_int_equal(port_of(ADDRESSES "icmpTypeIPv4 icmpCodeIPv4 ipTTL"), 0x301);
	tear_down(NULL);
	assert_int_equal(port_of(ADDRESSES "ipTTL icmpTypeIPv6 icmpCodeIPv6"), 0x109);
	tear_down(NULL);
	assert_int_equal(
	    port_of(ADDRESSES "icmpTypeIPv4:1 destinationTransportPort"), 0x109);
}

static void
a_type_of_icmp_without_its_code_is_no_port(void **state)
{
	(void)state;
	assert_int_equal(port_of(ADDRESSES "icmpTypeIPv4 ipTTL icmpCodeIPv4"), -1);
	tear_down(NULL);
	assert_int_equal(port_of(ADDRESSES "ipTTL ipTTL icmpTypeIPv4"), -1);
}

static void
an_address_of_zero_leaves_its_place_to_the_other_version(void **state)
{
	static const char *const templates[] = {
	    "sourceIPv4Address sourceIPv6Address destinationIPv6Address "
	    "destinationIPv4Address",
	    "sourceIPv4Address sourceIPv6Address destinationIPv6Address "
	    "destinationIPv4Address interfaceName:v"};
	char text[ADDRESS_TEXT];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct support_set s = {.length = 0};
		open_layout("[sourceAddress, destinationAddress]");
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
		assert_int_equal(decode(templates[i], &s), 2);
		struct address *a = batch_addresses(&batch, field("sourceAddress", ""));
		address_format(&a[0], text);
		assert_string_equal(text, "2001:db8::1");
		address_format(&a[1], text);
		assert_string_equal(text, "0.0.0.0");
		a = batch_addresses(&batch, field("destinationAddress", ""));
		address_format(&a[0], text);
		assert_string_equal(text, "2001:db8::2");
		address_format(&a[1], text);
		assert_string_equal(text, "10.0.0.2");
		tear_down(NULL);
	}
}

static void
counters_of_zero_leave_their_place_to_what_went_out(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[forward.packets, forward.octets]");
	support_put(&s, 0, 4);
	support_put(&s, 7, 4);
	support_put(&s, UINT64_MAX, 8);
	support_put(&s, 6, 4);
	assert_int_equal(decode(ADDRESSES "octetDeltaCount:4 packetDeltaCount:4 "
					  "postOctetDeltaCount postPacketDeltaCount:4",
			     &s),
	    1);
	assert_int_equal(value("octets", "forward", 0), INT64_MAX);
	assert_int_equal(batch.saturated, 1);
	assert_int_equal(value("packets", "forward", 0), 7);
}

static void
fields_that_were_not_sent_are_null(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[forward.packets, forward.octets, flowStart, vlanId]");
	support_put(&s, 1, 8);
	assert_int_equal(decode(ADDRESSES "packetDeltaCount", &s), 1);
	assert_false(is_null("packets", "forward", 0));
	assert_true(is_null("octets", "forward", 0));
	assert_true(is_null("flowStart", "", 0));
	assert_true(is_null("vlanId", "", 0));
}

static void
a_one_way_template_has_zeros_on_the_reverse_side(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[reverse.packets, reverse.octets, reverse.payload_min]");
	support_put(&s, 1, 8);
	support_put(&s, 40, 4);
	assert_int_equal(
	    decode(ADDRESSES "packetDeltaCount minimumPayloadOctets", &s), 1);
	assert_false(is_null("packets", "reverse", 0));
	assert_int_equal(value("packets", "reverse", 0), 0);
	assert_true(is_null("octets", "reverse", 0));
	assert_true(is_null("payload_min", "reverse", 0));
}

static void
reverse_elements_are_the_reverse_side(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[forward.packets, reverse.packets, reverse.octets]");
	support_put(&s, 3, 8);
	support_put(&s, 4, 8);
	assert_int_equal(
	    decode(ADDRESSES "packetDeltaCount reversePacketDeltaCount", &s), 1);
	assert_int_equal(value("packets", "forward", 0), 3);
	assert_int_equal(value("packets", "reverse", 0), 4);
	assert_true(is_null("octets", "reverse", 0));
}

static void
initiator_and_responder_counters_are_the_two_sides(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[forward.octets, reverse.octets]");
	support_put(&s, 3, 8);
	support_put(&s, 4, 8);
	assert_int_equal(decode(ADDRESSES "initiatorOctets responderOctets", &s), 1);
	assert_int_equal(value("octets", "forward", 0), 3);
	assert_int_equal(value("octets", "reverse", 0), 4);
}

static void
direction_two_swaps_ends_and_sides_and_what_is_null(void **state)
{
	struct support_set s = {.length = 0};
	char text[ADDRESS_TEXT];

	(void)state;
	open_layout(
	    "[sourceAddress, sourceTransportPort, forward.packets, "
	    "reverse.packets, forward.payload_min, reverse.payload_min, vlanId]");
	for (unsigned direction = 1; direction <= 2; direction++) {
		support_put_address(&s, "10.0.0.1");
		support_put_address(&s, "10.0.0.2");
		support_put(&s, 1111, 2);
		support_put(&s, 80, 2);
		support_put(&s, 3, 8);
		support_put(&s, 4, 8);
		support_put(&s, 40, 4);
		support_put(&s, 7, 2);
		support_put(&s, direction, 1);
	}
	assert_int_equal(
	    decode(ADDRESSES "sourceTransportPort destinationTransportPort "
			     "packetDeltaCount reversePacketDeltaCount "
			     "minimumPayloadOctets vlanId biflowDirection",
		&s),
	    2);
	assert_int_equal(batch.row_count[0], 1);
	assert_int_equal(batch.row_count[1], 1);
	assert_int_equal(batch.rows[1][0], 1);
	address_format(batch_addresses(&batch, field("sourceAddress", "")) + 1, text);
	assert_string_equal(text, "10.0.0.2");
	assert_int_equal(value("sourceTransportPort", "", 0), 1111);
	assert_int_equal(value("sourceTransportPort", "", 1), 80);
	assert_int_equal(value("packets", "forward", 1), 4);
	assert_int_equal(value("packets", "reverse", 1), 3);
	assert_int_equal(value("payload_min", "reverse", 1), 40);
	assert_false(is_null("payload_min", "forward", 0));
	assert_true(is_null("payload_min", "forward", 1));
	assert_false(is_null("payload_min", "reverse", 1));
	assert_false(is_null("vlanId", "", 1));
	assert_int_equal(value("vlanId", "", 1), 7);
}

static void
flows_counts_records_that_end(void **state)
{
	struct support_set s = {.length = 0};

	(void)state;
	open_layout("[flows]");
	for (unsigned reason = 1; reason <= 3; reason++) {
		support_put_address(&s, "10.0.0.1");
		support_put_address(&s, "10.0.0.2");
		support_put(&s, reason, 1);
	}
	assert_int_equal(decode(ADDRESSES "flowEndReason", &s), 3);
	assert_int_equal(value("flows", "", 0), 1);
	assert_int_equal(value("flows", "", 1), 0);
	assert_int_equal(value("flows", "", 2), 1);
	s = set_of_addresses();
	assert_int_equal(decode(ADDRESSES, &s), 1);
	assert_int_equal(value("flows", "", 0), 1);
	support_put(&s, 12, 4);
	assert_int_equal(decode(ADDRESSES "deltaFlowCount:4", &s), 1);
	assert_int_equal(value("flows", "", 0), 12);
}

static void
duration_is_computed_or_as_sent(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[duration_ms]");
	support_put(&s, 1000, 8);
	support_put(&s, 3500, 8);
	assert_int_equal(
	    decode(ADDRESSES "flowStartMilliseconds flowEndMilliseconds", &s), 1);
	assert_int_equal(value("duration_ms", "", 0), 2500);
	s = set_of_addresses();
	support_put(&s, 3500, 8);
	support_put(&s, 1000, 8);
	assert_int_equal(
	    decode(ADDRESSES "flowStartMilliseconds flowEndMilliseconds", &s), 1);
	assert_int_equal(value("duration_ms", "", 0), 0);
	s = set_of_addresses();
	support_put(&s, 2500999, 4);
	assert_int_equal(decode(ADDRESSES "flowDurationMicroseconds", &s), 1);
	assert_int_equal(value("duration_ms", "", 0), 2500);
	s = set_of_addresses();
	assert_int_equal(decode(ADDRESSES, &s), 1);
	assert_true(is_null("duration_ms", "", 0));
}

static void
records_of_variable_length_are_walked(void **state)
{
	struct support_set s = {.length = 0};
	size_t n = 0;

	(void)state;
	open_layout("[userName, forward.packets]");
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
	assert_int_equal(decode(ADDRESSES "userName:v packetDeltaCount:4", &s), 2);
	assert_string_equal(
	    intern_text(intern, (uint32_t)value("userName", "", 0), &n), "ab");
	assert_string_equal(
	    intern_text(intern, (uint32_t)value("userName", "", 1), &n), "c?e");
	assert_int_equal(value("packets", "forward", 1), 11);
}

static void
a_variable_record_beyond_the_set_is_refused_after_those_before_it(void **state)
{
	const struct template *t;
	struct support_set s = {.length = 0};
	size_t at = 0;

	(void)state;
	open_layout("[userName]");
	for (unsigned i = 0; i < 2; i++) {
		support_put_address(&s, "10.0.0.1");
		support_put_address(&s, "10.0.0.2");
		support_put(&s, i == 0 ? 1 : 200, 1);
		support_put(&s, 'x', 1);
	}
	t = support_template(256, ADDRESSES "userName:v");
	plan = plan_new(layout, t);
	assert_int_equal(plan_decode(plan, s.bytes, s.length, &at, &batch), 1);
	assert_int_equal(plan_decode(plan, s.bytes, s.length, &at, &batch), -EBADMSG);
}

static void
a_template_without_addresses_is_another_record(void **state)
{
	(void)state;
	open_layout("[forward.packets]");
	plan = plan_new(layout, support_template(256, "packetDeltaCount userName:v"));
	assert_false(plan_is_usable(plan));
	plan_free(plan);
	plan = plan_new(layout, support_template(256, ADDRESSES "packetDeltaCount"));
	assert_true(plan_is_usable(plan));
}

static void
padding_shorter_than_a_record_is_ignored(void **state)
{
	struct support_set s = set_of_addresses();

	(void)state;
	open_layout("[sourceAddress]");
	support_put(&s, 0, 7);
	assert_int_equal(decode(ADDRESSES, &s), 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(every_form_of_time_becomes_nanoseconds),
	    TEST(uptimes_count_from_the_message_also_where_they_wrapped),
	    TEST(uptimes_without_a_clock_are_no_times_but_a_duration),
	    TEST(uptimes_may_count_from_what_the_record_says),
	    TEST(records_of_variable_length_may_say_since_when_too),
	    TEST(deltas_count_back_from_the_message),
	    TEST(an_event_begins_and_ends_when_it_was_observed),
	    TEST(an_uptime_by_itself_is_the_number_that_was_sent),
	    TEST(a_start_or_end_may_follow_from_a_duration),
	    TEST(totals_count_when_the_flow_ends),
	    TEST(counters_of_a_record_count_at_an_active_timeout_though_called_totals),
	    TEST(
		totals_of_an_exporter_that_begins_a_flow_anew_count_at_an_active_timeout),
	    TEST(totals_without_an_end_reason_count_as_they_are),
	    TEST(integers_may_be_longer_than_their_type_and_end_at_its_top),
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
	    TEST(a_one_way_template_has_zeros_on_the_reverse_side),
	    TEST(reverse_elements_are_the_reverse_side),
	    TEST(initiator_and_responder_counters_are_the_two_sides),
	    TEST(direction_two_swaps_ends_and_sides_and_what_is_null),
	    TEST(flows_counts_records_that_end),
	    TEST(duration_is_computed_or_as_sent),
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
