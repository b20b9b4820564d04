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
#include "common/ipfix/message.h"
#include "common/ipfix/template.h"
#include "exporter/export/export.h"

#define NOW (1700000000 * NS_PER_SECOND)

static struct elements *registry;
static struct export *exporter;

/* What was sent, and what a reader makes of it. */
static uint8_t sent[1 << 20];
static size_t sent_length;
static unsigned sent_messages;
static uint32_t sent_records;
static size_t longest_message;

static void
take(const uint8_t *message, size_t length, uint32_t records, void *data)
{
	(void)data;
	assert_true(sent_length + length <= sizeof sent);
	assert_int_equal(message_length(message, length), length);
	memcpy(sent + sent_length, message, length);
	sent_length += length;
	sent_messages++;
	sent_records += records;
	longest_message = length > longest_message ? length : longest_message;
}

static int
open_registry(void **state)
{
	(void)state;
	struct err e;
	registry = elements_new(ELEMENT_PEN_OWN);
	assert_non_null(registry);
	if (elements_read_xml(registry, "schemas/elements.xml", &e) < 0) {
		fail_msg("%s", e.text);
	}
	return 0;
}

static int
close_registry(void **state)
{
	(void)state;
	elements_free(registry);
	return 0;
}

static struct export *
open_export(uint32_t message_size)
{
	struct err e;
	struct export *x = NULL;
	const struct export_settings s = {
	    "schemas/templates.yaml", 42, message_size, take, NULL};
	if (export_new(&s, registry, &x, &e) < 0) {
		fail_msg("%s", e.text);
	}
	return x;
}

static int
make_exporter(void **state)
{
	(void)state;
	sent_length = 0;
	sent_messages = 0;
	sent_records = 0;
	longest_message = 0;
	exporter = open_export(1400);
	return 0;
}

static int
free_exporter(void **state)
{
	(void)state;
	export_free(exporter);
	return 0;
}

/* Reads messages the plain way: each data record goes to the callback. */
struct record {
	const struct template *t;
	const uint8_t *bytes;
	size_t length;
	uint32_t sequence, export_time, domain; /* of its message */
};
typedef void record_reader(const struct record *r);

/* Length of one value, and where it begins after its length bytes. */
static size_t
value_length(const struct template_field *f, struct cursor *c)
{
	if (f->length != ELEMENT_VARIABLE) {
		return f->length;
	}
	size_t n = cursor_u8(c);
	return n == 255 ? cursor_u16(c) : n;
}

static size_t
record_length(const struct template *t, struct cursor c)
{
	const uint8_t *begin = c.at;
	for (unsigned i = 0; i < t->field_count; i++) {
		cursor_take(&c, value_length(&t->fields[i], &c));
	}
	assert_false(c.failed);
	return (size_t)(c.at - begin);
}

static void
read_set(const struct templates *templates, uint16_t id, struct cursor set,
    const struct message_header *h, record_reader *reader)
{
	const struct template *t = templates_find(templates, id);
	assert_non_null(t);
	while (cursor_left(&set) > 0) {
		size_t n = record_length(t, set);
		const struct record r = {
		    t, cursor_take(&set, n), n, h->sequence, h->export_time, h->domain};
		reader(&r);
	}
}

static void
read_messages(struct templates *templates, const uint8_t *bytes, size_t length,
    record_reader *reader)
{
	struct cursor c = cursor_of(bytes, length);
	while (cursor_left(&c) > 0) {
		struct cursor m =
		    cursor_sub(&c, (size_t)message_length(c.at, cursor_left(&c)));
		struct message_header h;
		struct cursor set;
		uint16_t id;
		assert_int_equal(message_read_header(&m, &h), 0);
		while (message_next_set(&m, &id, &set) == 1) {
			struct template_counts counts = {0};
			if (id < TEMPLATE_MIN_ID) {
				templates_read_set(
				    templates, registry, id, set, false, &counts);
				assert_int_equal(counts.bad + counts.refused, 0);
			} else {
				read_set(templates, id, set, &h, reader);
			}
		}
	}
}

static void
read_all(record_reader *reader)
{
	struct templates *templates = templates_new(100, 200);
	const struct export_preamble *p = export_preamble(exporter, NOW);
	assert_non_null(p);
	read_messages(templates, p->bytes, p->length, reader);
	export_flush(exporter, NOW);
	read_messages(templates, sent, sent_length, reader);
	templates_free(templates);
}

/* The value of a named field: where and how long; NULL: the record has none. */
static const uint8_t *
find_value(const struct record *r, const char *name, size_t *ret_length)
{
	struct cursor c = cursor_of(r->bytes, r->length);
	for (unsigned i = 0; i < r->t->field_count; i++) {
		*ret_length = value_length(&r->t->fields[i], &c);
		const uint8_t *value = cursor_take(&c, *ret_length);
		const struct element *x = r->t->fields[i].element;
		if (x != NULL && strcmp(x->name, name) == 0) {
			return value;
		}
	}
	return NULL;
}

static bool
has(const struct record *r, const char *name)
{
	size_t n;
	return find_value(r, name, &n) != NULL;
}

static uint64_t
number(const struct record *r, const char *name)
{
	size_t n = 0;
	const uint8_t *v = find_value(r, name, &n);
	if (v == NULL) {
		fail_msg("template %u has no %s", r->t->id, name);
	}
	return load_uint(v, n);
}

static void
assert_text(const struct record *r, const char *name, const char *expected)
{
	size_t n = 0;
	const uint8_t *v = find_value(r, name, &n);
	assert_non_null(v);
	assert_int_equal(n, strlen(expected));
	assert_memory_equal(v, expected, n);
}

static struct flow_record
sample(bool is_ipv6, bool has_reverse, bool is_trace)
{
	struct flow_record r = {.source_port = 40000,
	    .destination_port = 443,
	    .vlan = 7,
	    .protocol = 6,
	    .end_reason = FLOW_END_DETECTED,
	    .biflow_direction = 1,
	    .is_trace = is_trace,
	    .has_reverse = has_reverse,
	    .interface = 3,
	    .start_ns = NOW + 123456789,
	    .end_ns = NOW + 223456789};
	assert_int_equal(
	    address_parse(is_ipv6 ? "2001:db8::1" : "192.0.2.1", &r.source), 0);
	assert_int_equal(
	    address_parse(is_ipv6 ? "2001:db8::2" : "192.0.2.2", &r.destination), 0);
	for (unsigned i = 0; i < 2; i++) {
		r.side[i] = (struct flow_side){.packets = 10 + i,
		    .octets = 1000 + i,
		    .payload_octets = 600 + i,
		    .payload_sumsq = 60000 + i,
		    .payload_min = i,
		    .payload_max = 1460 + i,
		    .iat_min_us = 5 + i,
		    .iat_max_us = 50 + i,
		    .iat_sum_us = 500 + i,
		    .iat_sumsq = 1234.5 + i,
		    .tcp_flags = (uint8_t)(0x1b + i),
		    .tcp_flags_initial = (uint8_t)(2 + i),
		    .ttl_min = (uint8_t)(60 + i),
		    .ttl_max = (uint8_t)(64 + i),
		    .tos = (uint8_t)(4 + i)};
	}
	return r;
}

static const struct {
	bool is_ipv6, has_reverse, is_trace;
	uint16_t template_id;
} variants[] = {
    {false, false, false, 256},
    {false, true, false, 257},
    {true, false, false, 258},
    {true, true, false, 259},
    {false, false, true, 264},
    {false, true, true, 265},
    {true, false, true, 266},
    {true, true, true, 267},
};
#define VARIANTS (sizeof variants / sizeof variants[0])

static unsigned seen;

static void
check_template_id(const struct record *r)
{
	if (r->t->scope_count == 0) {
		assert_int_equal(r->t->id, variants[seen].template_id);
		seen++;
	}
}

static void
each_kind_of_record_has_its_template(void **state)
{
	(void)state;
	seen = 0;
	for (unsigned i = 0; i < VARIANTS; i++) {
		struct flow_record r = sample(
		    variants[i].is_ipv6, variants[i].has_reverse, variants[i].is_trace);
		export_record(exporter, &r, NOW);
	}
	read_all(check_template_id);
	assert_int_equal(seen, VARIANTS);
	assert_int_equal(export_records(exporter), VARIANTS);
	assert_int_equal(sent_records, VARIANTS);
}

static void
check_side(const struct record *r, const char *prefix, unsigned i)
{
	const struct {
		const char *name;
		uint64_t value;
	} expected[] = {
	    {"packetDeltaCount", 10},
	    {"octetDeltaCount", 1000},
	    {"dataByteCount", 600},
	    {"minimumPayloadOctets", 0},
	    {"maximumPayloadOctets", 1460},
	    {"payloadOctetSumOfSquares", 60000},
	    {"minimumInterarrivalMicroseconds", 5},
	    {"maximumInterarrivalMicroseconds", 50},
	    {"interarrivalMicrosecondSum", 500},
	    {"tcpControlBits", 0x1b},
	    {"initialTCPFlags", 2},
	    {"minimumTTL", 60},
	    {"maximumTTL", 64},
	    {"ipClassOfService", 4},
	};
	char name[80];
	for (unsigned k = 0; k < sizeof expected / sizeof expected[0]; k++) {
		snprintf(name, sizeof name, "%s%s", prefix, expected[k].name);
		if (prefix[0] != '\0') {
			name[7] = (char)(name[7] - 'a' + 'A');
		}
		assert_int_equal(number(r, name), expected[k].value + i);
	}
	uint64_t bits =
	    number(r, i == 0 ? "interarrivalMicrosecondSumOfSquares"
			     : "reverseInterarrivalMicrosecondSumOfSquares");
	double sumsq;
	memcpy(&sumsq, &bits, sizeof sumsq);
	assert_true(sumsq == 1234.5 + i);
}

static void
check_values(const struct record *r)
{
	if (r->t->scope_count > 0) {
		return;
	}
	assert_int_equal(number(r, "sourceTransportPort"), 40000);
	assert_int_equal(number(r, "destinationTransportPort"), 443);
	assert_int_equal(number(r, "protocolIdentifier"), 6);
	assert_int_equal(number(r, "flowEndReason"), 3);
	assert_int_equal(number(r, "biflowDirection"), 1);
	assert_int_equal(number(r, "vlanId"), 7);
	assert_int_equal(number(r, "ingressInterface"), 3);
	assert_int_equal(number(r, "sourceIPv4Address"), 0xc0000201);
	assert_int_equal(number(r, "destinationIPv4Address"), 0xc0000202);
	assert_int_equal(
	    number(r, "flowStartNanoseconds") >> 32, NOW / NS_PER_SECOND + 2208988800);
	check_side(r, "", 0);
	check_side(r, "reverse", 1);
	seen++;
}

static void
a_biflow_carries_every_value_of_both_sides(void **state)
{
	(void)state;
	seen = 0;
	struct flow_record r = sample(false, true, false);
	export_record(exporter, &r, NOW);
	read_all(check_values);
	assert_int_equal(seen, 1);
}

static void
check_one_way(const struct record *r)
{
	if (r->t->scope_count > 0) {
		return;
	}
	assert_true(has(r, "packetDeltaCount"));
	assert_false(has(r, "reversePacketDeltaCount"));
	assert_false(has(r, "biflowDirection"));
	seen++;
}

static void
a_conversation_in_one_direction_has_neither_reverse_nor_direction(void **state)
{
	(void)state;
	seen = 0;
	struct flow_record r = sample(false, false, false);
	export_record(exporter, &r, NOW);
	read_all(check_one_way);
	assert_int_equal(seen, 1);
}

static void
check_ipv6(const struct record *r)
{
	if (r->t->scope_count > 0) {
		return;
	}
	assert_false(has(r, "sourceIPv4Address"));
	size_t n = 0;
	const uint8_t *v = find_value(r, "sourceIPv6Address", &n);
	assert_non_null(v);
	assert_int_equal(n, 16);
	assert_int_equal(v[0], 0x20);
	assert_int_equal(v[15], 1);
	seen++;
}

static void
ipv6_goes_out_as_ipv6(void **state)
{
	(void)state;
	seen = 0;
	struct flow_record r = sample(true, true, false);
	export_record(exporter, &r, NOW);
	read_all(check_ipv6);
	assert_int_equal(seen, 1);
}

static void
messages_stay_within_their_size(void **state)
{
	(void)state;
	struct flow_record r = sample(true, true, false);
	for (unsigned i = 0; i < 100; i++) {
		export_record(exporter, &r, NOW);
	}
	export_flush(exporter, NOW);
	assert_true(sent_messages > 5);
	assert_true(longest_message <= 1400);
	assert_true(longest_message > 1400 - 300);
	assert_int_equal(sent_records, 100);
}

static void
a_flush_without_records_sends_nothing(void **state)
{
	(void)state;
	export_flush(exporter, NOW);
	struct flow_record r = sample(false, true, false);
	export_record(exporter, &r, NOW);
	export_flush(exporter, NOW);
	export_flush(exporter, NOW);
	assert_int_equal(sent_messages, 1);
}

static void
check_header(const struct record *r)
{
	if (r->t->scope_count == 0) {
		assert_int_equal(r->domain, 42);
		assert_int_equal(r->export_time, NOW / NS_PER_SECOND);
		assert_int_equal(r->sequence, 0);
		seen++;
	}
}

static void
a_message_says_when_it_left_and_whose_it_is(void **state)
{
	(void)state;
	seen = 0;
	struct flow_record r = sample(false, true, false);
	export_record(exporter, &r, NOW - 5 * NS_PER_SECOND);
	read_all(check_header);
	assert_int_equal(seen, 1);
}

static unsigned types, reverse_types, keys;

static void
check_descriptions(const struct record *r)
{
	if (has(r, "informationElementName")) {
		assert_int_equal(r->t->scope_count, 2);
		uint32_t pen = (uint32_t)number(r, "privateEnterpriseNumber");
		uint16_t id = (uint16_t)number(r, "informationElementId");
		const struct element *x = elements_find(registry, pen, id);
		assert_non_null(x);
		assert_text(r, "informationElementName", x->name);
		assert_int_equal(number(r, "informationElementDataType"), x->type);
		assert_int_equal(
		    number(r, "informationElementSemantics"), x->semantics);
		assert_int_equal(number(r, "informationElementUnits"), x->units);
		types++;
		reverse_types += x->is_reverse;
	} else if (has(r, "flowKeyIndicator")) {
		assert_int_equal(number(r, "flowKeyIndicator"), 0x1f);
		keys++;
	}
}

static void
the_preamble_describes_enterprise_elements_and_flow_keys(void **state)
{
	(void)state;
	types = reverse_types = keys = 0;
	read_all(check_descriptions);
	assert_int_equal(types, 18); /* 7 own and 2 of CERT, each with its reverse */
	assert_int_equal(reverse_types, 9);
	assert_int_equal(keys, VARIANTS);
}

/* Where in the preamble the first set of this id begins. */
static size_t
place_of_set(uint16_t wanted)
{
	const struct export_preamble *p = export_preamble(exporter, NOW);
	struct cursor c = cursor_of(p->bytes, p->length);
	while (cursor_left(&c) > 0) {
		struct cursor m =
		    cursor_sub(&c, (size_t)message_length(c.at, cursor_left(&c)));
		struct message_header h;
		struct cursor set;
		uint16_t id;
		assert_int_equal(message_read_header(&m, &h), 0);
		while (message_next_set(&m, &id, &set) == 1) {
			if (id == wanted) {
				return (size_t)(set.at - p->bytes);
			}
		}
	}
	fail_msg("no set %u", wanted);
	return 0;
}

static void
types_are_described_before_templates_use_them(void **state)
{
	(void)state;
	assert_true(place_of_set(512) < place_of_set(TEMPLATE_SET_ID));
}

static void
check_interfaces(const struct record *r)
{
	if (has(r, "interfaceName")) {
		seen++;
		assert_int_equal(number(r, "ingressInterface"), seen);
		assert_text(r, "interfaceName", seen == 1 ? "eth0" : "tap");
		assert_text(r, "interfaceDescription", seen == 1 ? "uplink" : "");
	}
}

static void
the_preamble_names_the_interfaces(void **state)
{
	(void)state;
	seen = 0;
	const struct export_interface list[] = {
	    {1, "eth0", "uplink"}, {2, "tap", NULL}};
	assert_int_equal(export_set_interfaces(exporter, list, 2), 0);
	read_all(check_interfaces);
	assert_int_equal(seen, 2);
}

static void
the_preamble_numbers_its_messages_from_zero(void **state)
{
	(void)state;
	struct export *x = open_export(700);
	const struct export_preamble *p = export_preamble(x, NOW);
	struct cursor c = cursor_of(p->bytes, p->length);
	unsigned messages = 0;
	uint32_t last = 0;
	while (cursor_left(&c) > 0) {
		struct message_header h;
		struct cursor m = c;
		assert_int_equal(message_read_header(&m, &h), 0);
		assert_true(messages > 0 ? h.sequence >= last : h.sequence == 0);
		assert_int_equal(h.export_time, NOW / NS_PER_SECOND);
		assert_true(h.length <= 700);
		last = h.sequence;
		cursor_take(&c, h.length);
		messages++;
	}
	assert_true(messages > 3);
	assert_true(p->records > last);
	assert_int_equal(p->records, 18 + VARIANTS);
	assert_ptr_equal(export_preamble(x, NOW + 1), p);
	export_free(x);
}

static void
check_statistics(const struct record *r)
{
	if (has(r, "packetTotalCount")) {
		assert_int_equal(r->t->scope_count, 1);
		assert_int_equal(number(r, "observationDomainId"), 42);
		assert_int_equal(number(r, "packetTotalCount"), 1000);
		assert_int_equal(number(r, "octetTotalCount"), 90000);
		assert_int_equal(number(r, "droppedPacketTotalCount"), 7);
		assert_int_equal(number(r, "ignoredPacketTotalCount"), 8);
		assert_int_equal(number(r, "observedFlowTotalCount"), 3);
		assert_int_equal(
		    number(r, "systemInitTimeMilliseconds"), NOW / 1000000);
		seen++;
	} else if (has(r, "exportedMessageTotalCount")) {
		assert_int_equal(r->t->scope_count, 1);
		assert_int_equal(number(r, "exportedMessageTotalCount"), 1);
		assert_int_equal(number(r, "exportedFlowRecordTotalCount"), 2);
		assert_int_equal(
		    number(r, "exportedOctetTotalCount"), load_u16(sent + 2));
		assert_int_equal(number(r, "notSentFlowTotalCount"), 1);
		seen++;
	}
}

static void
statistics_count_what_went_before_and_are_records_themselves(void **state)
{
	(void)state;
	seen = 0;
	struct flow_record r = sample(false, true, false);
	for (unsigned i = 0; i < 3; i++) {
		export_record(exporter, &r, NOW);
	}
	const struct export_statistics s = {.packets = 1000,
	    .octets = 90000,
	    .dropped_packets = 7,
	    .ignored_packets = 8,
	    .not_sent_records = 1,
	    .first_ns = NOW};
	export_statistics(exporter, &s, NOW);
	read_all(check_statistics);
	assert_int_equal(seen, 2);
	assert_int_equal(sent_records, 5);
	assert_int_equal(export_records(exporter), 3);
}

/* export_new() with these templates must fail with a sentence that holds `part`. */
static void
refuse(const char *yaml, uint32_t message_size, const char *part)
{
	char path[] = "/tmp/export_testXXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
	close(fd);
	struct err e = {""};
	struct export *x = NULL;
	const struct export_settings s = {path, 42, message_size, take, NULL};
	assert_true(export_new(&s, registry, &x, &e) < 0);
	assert_null(x);
	unlink(path);
	if (strstr(e.text, part) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", e.text, part);
	}
}

#define LIST(id, common, sides)                                                        \
	"{first_id: " id ", common: [" common "], sides: [" sides "]}\n"
#define FILE_OF(packet, trace) "templates:\n  packet: " packet "  trace: " trace
#define GOOD                   LIST("264", "sourceAddress", "octetDeltaCount")

static void
mistakes_in_the_templates_are_named_with_their_place(void **state)
{
	(void)state;
	refuse("", 1400, "'templates:' is missing");
	refuse("packet: 1\n", 1400, "templates");
	refuse("templates:\n  packet: " GOOD, 1400, "'trace' is missing");
	refuse("templates:\n  packets: " GOOD, 1400, "did you mean 'packet'");
	refuse(FILE_OF("{first_id: 256, common: []}\n", GOOD), 1400, ":2:");
	refuse(FILE_OF(LIST("255", "sourceAddress", ""), GOOD), 1400, "start at 256");
	refuse(FILE_OF(LIST("65533", "sourceAddress", ""), GOOD), 1400, "too large");
	refuse(FILE_OF(LIST("510", "sourceAddress", ""), GOOD), 1400, "512 to 516");
	refuse(FILE_OF(LIST("262", "sourceAddress", ""), GOOD), 1400, ":3:");
	refuse(FILE_OF(LIST("256", "sourceAdress", ""), GOOD), 1400,
	    "did you mean 'sourceAddress'");
	refuse(FILE_OF(LIST("256", "mplsTopLabelTTL", ""), GOOD), 1400,
	    "--list-elements lists what");
	refuse(FILE_OF(LIST("256", "octetDeltaCount", ""), GOOD), 1400,
	    "belongs under 'sides'");
	refuse(FILE_OF(LIST("256", "vlanId, vlanId", ""), GOOD), 1400, "twice");
	refuse(FILE_OF(LIST("256", "flowStartSeconds", "flowStartSeconds"), GOOD), 1400,
	    "already listed under 'common'");
	refuse(FILE_OF(LIST("256", "", ""), GOOD), 1400, "0 fields");
}

static void
an_impossible_message_size_is_refused_with_the_possible_ones(void **state)
{
	(void)state;
	refuse(FILE_OF(LIST("256", "sourceAddress", ""), GOOD), 100, "expected ");
	refuse(FILE_OF(LIST("256", "sourceAddress", ""), GOOD), 65536, "to 65535");
}

static void
an_element_that_no_registry_has_is_refused(void **state)
{
	(void)state;
	struct err e;
	struct export *x = NULL;
	struct elements *bare = elements_new(ELEMENT_PEN_OWN);
	const struct export_settings s = {
	    "schemas/templates.yaml", 42, 1400, take, NULL};
	assert_true(export_new(&s, bare, &x, &e) < 0);
	assert_non_null(strstr(e.text, "'dataByteCount' is missing from the element"));
	elements_free(bare);
}

static void
every_element_that_can_be_listed_can_be_sent(void **state)
{
	(void)state;
	char *text = NULL;
	size_t length = 0;
	FILE *f = open_memstream(&text, &length);
	export_list_elements(f);
	fclose(f);
	char yaml[4096] = "templates:\n  packet: {first_id: 256, common: [";
	size_t n = strlen(yaml);
	unsigned group = 0;
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		char name[64];
		if (line[0] != ' ') {
			n += (size_t)snprintf(yaml + n, sizeof yaml - n, "%s",
			    group++ == 1 ? "], sides: [" : "");
		} else if (sscanf(line, " %63s", name) == 1 &&
			   (group == 1 || strncmp(name, "flow", 4) != 0)) {
			n += (size_t)snprintf(yaml + n, sizeof yaml - n, "%s, ", name);
		}
	}
	snprintf(yaml + n, sizeof yaml - n, "]}\n  trace: " GOOD);
	free(text);
	refuse(yaml, 10, "invalid message size 10 "); /* all else is right */
}

#define test(f) cmocka_unit_test_setup_teardown(f, make_exporter, free_exporter)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    test(each_kind_of_record_has_its_template),
	    test(a_biflow_carries_every_value_of_both_sides),
	    test(a_conversation_in_one_direction_has_neither_reverse_nor_direction),
	    test(ipv6_goes_out_as_ipv6),
	    test(messages_stay_within_their_size),
	    test(a_flush_without_records_sends_nothing),
	    test(a_message_says_when_it_left_and_whose_it_is),
	    test(the_preamble_describes_enterprise_elements_and_flow_keys),
	    test(types_are_described_before_templates_use_them),
	    test(the_preamble_names_the_interfaces),
	    test(the_preamble_numbers_its_messages_from_zero),
	    test(statistics_count_what_went_before_and_are_records_themselves),
	    test(mistakes_in_the_templates_are_named_with_their_place),
	    test(an_impossible_message_size_is_refused_with_the_possible_ones),
	    test(an_element_that_no_registry_has_is_refused),
	    test(every_element_that_can_be_listed_can_be_sent),
	};
	return cmocka_run_group_tests(tests, open_registry, close_registry);
}
