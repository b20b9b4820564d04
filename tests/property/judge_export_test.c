/* libfixbuf as an independent reader of what export writes: random records of every
 * kind, statistics, interfaces and descriptions must read back element by element, in
 * messages of several sizes, without one warning (so sequence numbers are right too).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fixbuf/public.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/ipfix/message.h"
#include "exporter/export/export.h"

#define RECORDS        500
#define DOMAIN         77
#define EXPECTED_NAMES 64 /* fields of one record at most */
#define NOW            (UINT64_C(1700000000) * NS_PER_SECOND)

static struct elements *registry;
static uint64_t random_state;
static unsigned warnings;
static char first_warning[256];

static uint64_t
random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Numbers of every magnitude, the ends of their range among them. */
static uint64_t
random_number(unsigned bits)
{
	uint64_t top = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
	switch (random_u64() % 8) {
	case 0:
		return 0;
	case 1:
		return top;
	default:
		return (random_u64() & top) >> random_u64() % bits;
	}
}

static uint64_t
random_time(void)
{
	return NOW + random_u64() % (1000 * NS_PER_SECOND);
}

static void
random_address(struct address *a, bool is_ipv6)
{
	uint64_t halves[2] = {random_u64(), random_u64()};
	memcpy(a->bytes, halves, 16);
	a->bytes[0] = 0x20;
	if (!is_ipv6) {
		address_from_ipv4(a, (const uint8_t *)halves);
	}
}

static void
random_record(struct flow_record *r)
{
	bool is_ipv6 = random_u64() % 2 != 0;
	*r = (struct flow_record){
	    .source_port = (uint16_t)random_number(16),
	    .destination_port = (uint16_t)random_number(16),
	    .vlan = (uint16_t)random_number(12),
	    .protocol = (uint8_t)random_number(8),
	    .end_reason = (uint8_t)(1 + random_u64() % 5),
	    .biflow_direction = (uint8_t)(random_u64() % 2),
	    .is_trace = random_u64() % 4 == 0,
	    .has_reverse = random_u64() % 3 != 0,
	    .interface = (uint32_t)random_number(32),
	    .start_ns = random_time(),
	    .end_ns = random_time(),
	};
	random_address(&r->source, is_ipv6);
	random_address(&r->destination, is_ipv6);
	for (unsigned i = 0; i < 2; i++) {
		r->side[i] = (struct flow_side){
		    .packets = random_number(64),
		    .octets = random_number(64),
		    .payload_octets = random_number(64),
		    .payload_sumsq = random_number(64),
		    .payload_min = (uint32_t)random_number(32),
		    .payload_max = (uint32_t)random_number(32),
		    .iat_min_us = (uint32_t)random_number(32),
		    .iat_max_us = (uint32_t)random_number(32),
		    .iat_sum_us = random_number(64),
		    .iat_sumsq = (double)random_number(64) * 1.37,
		    .tcp_flags = (uint8_t)random_number(8),
		    .tcp_flags_initial = (uint8_t)random_number(8),
		    .ttl_min = (uint8_t)random_number(8),
		    .ttl_max = (uint8_t)random_number(8),
		    .tos = (uint8_t)random_number(8),
		};
	}
}

/* What the reader expects, in order: flow records and statistics. */
static struct flow_record expected[RECORDS];
static const struct export_interface interfaces[] = {
    {1, "eth0", "uplink"}, {2, "a name that is rather long for an interface", NULL}};
static const struct export_statistics statistics = {.packets = 123456,
    .octets = UINT64_MAX,
    .dropped_packets = 5,
    .ignored_packets = 6,
    .not_sent_records = 7,
    .first_ns = NOW};

/* One value as libfixbuf hands it out. */
struct value {
	const char *name; /* without "reverse" */
	unsigned side;
	uint64_t number; /* integers, times; floats: their bits */
	const uint8_t *bytes;
	size_t length;
};

static uint64_t
double_bits(double d)
{
	uint64_t bits;
	memcpy(&bits, &d, sizeof bits);
	return bits;
}

static void
expect_number(const struct value *v, uint64_t number)
{
	if (v->number != number) {
		fail_msg("%s is %llu, not %llu", v->name, (unsigned long long)v->number,
		    (unsigned long long)number);
	}
}

/* The nanoseconds since 1970 of an NTP timestamp, read the plain way. */
static uint64_t
ntp_to_ns(uint64_t ntp)
{
	uint64_t seconds = (ntp >> 32) - 2208988800u;
	return seconds * NS_PER_SECOND + ((ntp & UINT32_MAX) * NS_PER_SECOND >> 32);
}

static void
expect_address(const struct value *v, const struct address *a)
{
	if (v->length == 4) {
		expect_number(v, (uint64_t)a->bytes[12] << 24 | a->bytes[13] << 16 |
				     a->bytes[14] << 8 | a->bytes[15]);
	} else {
		assert_int_equal(v->length, 16);
		assert_memory_equal(v->bytes, a->bytes, 16);
	}
}

static bool
is_named(const struct value *v, const char *name)
{
	return strcmp(v->name, name) == 0;
}

static void
check_common_value(const struct value *v, const struct flow_record *r)
{
	assert_int_equal(v->side, 0);
	if (is_named(v, "sourceIPv4Address") || is_named(v, "sourceIPv6Address")) {
		expect_address(v, &r->source);
	} else if (is_named(v, "destinationIPv4Address") ||
		   is_named(v, "destinationIPv6Address")) {
		expect_address(v, &r->destination);
	} else if (is_named(v, "sourceTransportPort")) {
		expect_number(v, r->source_port);
	} else if (is_named(v, "destinationTransportPort")) {
		expect_number(v, r->destination_port);
	} else if (is_named(v, "protocolIdentifier")) {
		expect_number(v, r->protocol);
	} else if (is_named(v, "flowEndReason")) {
		expect_number(v, r->end_reason);
	} else if (is_named(v, "biflowDirection")) {
		expect_number(v, r->biflow_direction);
	} else if (is_named(v, "vlanId")) {
		expect_number(v, r->vlan);
	} else if (is_named(v, "ingressInterface")) {
		expect_number(v, r->interface);
	} else if (is_named(v, "flowStartNanoseconds")) {
		assert_true(ntp_to_ns(v->number) == r->start_ns);
	} else if (is_named(v, "flowEndNanoseconds")) {
		assert_true(ntp_to_ns(v->number) == r->end_ns);
	} else {
		fail_msg("nobody expects %s", v->name);
	}
}

static void
check_value(const struct value *v, const struct flow_record *r)
{
	const struct flow_side *s = &r->side[v->side];
	const struct {
		const char *name;
		uint64_t number;
	} sides[] = {
	    {"packetDeltaCount", s->packets},
	    {"octetDeltaCount", s->octets},
	    {"dataByteCount", s->payload_octets},
	    {"minimumPayloadOctets", s->payload_min},
	    {"maximumPayloadOctets", s->payload_max},
	    {"payloadOctetSumOfSquares", s->payload_sumsq},
	    {"minimumInterarrivalMicroseconds", s->iat_min_us},
	    {"maximumInterarrivalMicroseconds", s->iat_max_us},
	    {"interarrivalMicrosecondSum", s->iat_sum_us},
	    {"interarrivalMicrosecondSumOfSquares", double_bits(s->iat_sumsq)},
	    {"tcpControlBits", s->tcp_flags},
	    {"initialTCPFlags", s->tcp_flags_initial},
	    {"minimumTTL", s->ttl_min},
	    {"maximumTTL", s->ttl_max},
	    {"ipClassOfService", s->tos},
	};
	for (unsigned i = 0; i < sizeof sides / sizeof sides[0]; i++) {
		if (is_named(v, sides[i].name)) {
			expect_number(v, sides[i].number);
			return;
		}
	}
	check_common_value(v, r);
}

static unsigned flows_seen, types_seen, keys_seen, interfaces_seen, statistics_seen;

static bool
equals_text(const struct value *v, const char *text)
{
	size_t n = strlen(text);
	return v->length == n && (n == 0 || memcmp(v->bytes, text, n) == 0);
}

static void
check_type_record(const struct value *v)
{
	const struct element *x =
	    elements_find(registry, (uint32_t)v[0].number, (uint16_t)v[1].number);
	assert_non_null(x);
	expect_number(&v[2], x->type);
	expect_number(&v[3], x->semantics);
	expect_number(&v[4], x->units);
	assert_true(equals_text(&v[7], x->name));
	assert_true(equals_text(&v[8], x->description == NULL ? "" : x->description));
	types_seen++;
}

static void
check_options_record(const struct value *v, unsigned n)
{
	if (is_named(&v[0], "privateEnterpriseNumber")) {
		assert_int_equal(n, 9);
		check_type_record(v);
	} else if (is_named(&v[0], "templateId")) {
		expect_number(&v[1], 0x1f);
		keys_seen++;
	} else if (is_named(&v[0], "ingressInterface")) {
		const struct export_interface *i = &interfaces[interfaces_seen++];
		expect_number(&v[0], i->index);
		assert_true(equals_text(&v[1], i->name));
		assert_true(
		    equals_text(&v[2], i->description == NULL ? "" : i->description));
	} else if (is_named(&v[0], "observationDomainId")) {
		expect_number(&v[0], DOMAIN);
		assert_true(is_named(&v[1], "systemInitTimeMilliseconds"));
		expect_number(&v[1], NOW / 1000000);
		expect_number(&v[2], statistics.packets);
		expect_number(&v[3], statistics.octets);
		expect_number(&v[4], RECORDS);
		expect_number(&v[5], statistics.ignored_packets);
		expect_number(&v[6], statistics.dropped_packets);
		statistics_seen++;
	} else {
		assert_true(is_named(&v[0], "exportingProcessId"));
		expect_number(&v[2], RECORDS - statistics.not_sent_records);
		expect_number(&v[4], statistics.not_sent_records);
		statistics_seen++;
	}
}

struct reader {
	fbInfoModel_t *model;
	fbSession_t *session;
	fBuf_t *buffer;
	uint32_t sequence; /* of the next message */
};

static void
stop(GError *error)
{
	fail_msg("libfixbuf: %s", error == NULL ? "no reason" : error->message);
}

static void
count_warning(
    const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer data)
{
	(void)domain;
	(void)level;
	(void)data;
	if (warnings++ == 0) {
		snprintf(first_warning, sizeof first_warning, "%s", message);
	}
}

/* Asks libfixbuf for records as they are on the wire: the same elements with the same
 * lengths. */
static void
mirror_template(struct reader *x, fbTemplate_t *external, uint16_t id)
{
	GError *error = NULL;
	if (fbSessionGetTemplate(x->session, TRUE, id, &error) != NULL) {
		return;
	}
	g_clear_error(&error);
	fbTemplate_t *t = fbTemplateAlloc(x->model);
	for (unsigned i = 0; i < fbTemplateCountElements(external); i++) {
		fbInfoElement_t *element = fbTemplateGetIndexedIE(external, i);
		if (!fbTemplateAppend(t, element, &error)) {
			stop(error);
		}
	}
	uint16_t scope = fbTemplateGetOptionsScope(external);
	if (scope > 0) {
		fbTemplateSetOptionsScope(t, scope);
	}
	if (fbSessionAddTemplate(x->session, TRUE, id, t, &error) == 0) {
		stop(error);
	}
}

/* The i-th value; returns the bytes it takes in libfixbuf's record. */
static size_t
take_value(const fbInfoElement_t *element, const uint8_t *at, struct value *ret)
{
	const char *name = element->ref.canon->ref.name;
	static char forward[EXPECTED_NAMES][64];
	static unsigned slot;
	char *copy = forward[slot++ % EXPECTED_NAMES];
	bool is_reverse = strncmp(name, "reverse", 7) == 0;
	snprintf(copy, 64, "%s", is_reverse ? name + 7 : name);
	if (is_reverse) {
		copy[0] = (char)g_ascii_tolower(copy[0]);
	}
	*ret = (struct value){
	    .name = copy, .side = is_reverse, .bytes = at, .length = element->len};
	switch (element->len) {
	case 1:
		ret->number = *at;
		break;
	case 2: {
		uint16_t v;
		memcpy(&v, at, 2);
		ret->number = v;
		break;
	}
	case 4: {
		uint32_t v;
		memcpy(&v, at, 4);
		ret->number = v;
		break;
	}
	case 8:
		memcpy(&ret->number, at, 8);
		break;
	case FB_IE_VARLEN: {
		fbVarfield_t v;
		memcpy(&v, at, sizeof v);
		ret->bytes = v.buf;
		ret->length = v.len;
		return sizeof v;
	}
	default:
		break;
	}
	return element->len;
}

static void
take_record(fbTemplate_t *external, const uint8_t *bytes, size_t length)
{
	struct value values[EXPECTED_NAMES];
	unsigned n = fbTemplateCountElements(external);
	size_t at = 0;
	assert_true(n <= EXPECTED_NAMES);
	for (unsigned i = 0; i < n; i++) {
		at += take_value(
		    fbTemplateGetIndexedIE(external, i), bytes + at, &values[i]);
	}
	assert_int_equal(at, length);
	if (fbTemplateGetOptionsScope(external) > 0) {
		check_options_record(values, n);
		return;
	}
	assert_true(flows_seen < RECORDS);
	const struct flow_record *r = &expected[flows_seen++];
	for (unsigned i = 0; i < n; i++) {
		check_value(&values[i], r);
	}
	unsigned sides = r->is_trace ? 2 : 15;
	unsigned common = r->is_trace ? 8 : 11;
	assert_int_equal(n, r->has_reverse ? common + 2 * sides : common - 1 + sides);
}

/* The sender's part (sequence numbers), then libfixbuf's. */
static void
read_message(struct reader *x, uint8_t *message, size_t length)
{
	GError *error = NULL;
	fBufSetBuffer(x->buffer, message, length);
	for (;;) {
		uint16_t id = 0;
		uint8_t record[2048];
		size_t n = sizeof record;
		fbTemplate_t *external =
		    fBufNextCollectionTemplate(x->buffer, &id, &error);
		if (external == NULL) {
			break;
		}
		mirror_template(x, external, id);
		if (!fBufSetInternalTemplate(x->buffer, id, &error) ||
		    !fBufNext(x->buffer, record, &n, &error)) {
			stop(error);
		}
		take_record(external, record, n);
	}
	if (!g_error_matches(error, FB_ERROR_DOMAIN, FB_ERROR_BUFSZ) &&
	    !g_error_matches(error, FB_ERROR_DOMAIN, FB_ERROR_EOM)) {
		stop(error);
	}
	g_clear_error(&error);
}

static void
take_message(const uint8_t *message, size_t length, uint32_t records, void *data)
{
	struct reader *x = data;
	uint8_t copy[MESSAGE_MAX];
	memcpy(copy, message, length);
	message_set_sequence(copy, x->sequence);
	x->sequence += records;
	read_message(x, copy, length);
}

static void
read_preamble(struct reader *x, struct export *exporter)
{
	const struct export_preamble *p = export_preamble(exporter, NOW);
	uint8_t copy[MESSAGE_MAX];
	assert_non_null(p);
	for (size_t at = 0; at < p->length;) {
		size_t n = (size_t)message_length(p->bytes + at, p->length - at);
		memcpy(copy, p->bytes + at, n);
		read_message(x, copy, n);
		at += n;
	}
	x->sequence = p->records;
}

static void
judge(uint32_t message_size)
{
	struct err e;
	GError *error = NULL;
	struct export *exporter = NULL;
	struct reader x = {.model = fbInfoModelAlloc()};
	flows_seen = types_seen = keys_seen = interfaces_seen = statistics_seen = 0;
	random_state = message_size;
	if (!fbInfoModelReadXMLFile(x.model, "schemas/elements.xml", &error)) {
		stop(error);
	}
	x.session = fbSessionAlloc(x.model);
	x.buffer = fBufAllocForCollection(x.session, NULL);
	fBufSetAutomaticMode(x.buffer, FALSE);
	warnings = 0;

	const struct export_settings s = {
	    "schemas/templates.yaml", DOMAIN, message_size, take_message, &x};
	if (export_new(&s, registry, &exporter, &e) < 0) {
		fail_msg("%s", e.text);
	}
	export_set_interfaces(exporter, interfaces, 2);
	read_preamble(&x, exporter);
	for (unsigned i = 0; i < RECORDS; i++) {
		random_record(&expected[i]);
		export_record(exporter, &expected[i], NOW);
	}
	export_statistics(exporter, &statistics, NOW);
	export_flush(exporter, NOW);
	export_free(exporter);

	assert_int_equal(flows_seen, RECORDS);
	assert_int_equal(types_seen, 18);
	assert_int_equal(keys_seen, 8);
	assert_int_equal(interfaces_seen, 2);
	assert_int_equal(statistics_seen, 2);
	if (warnings > 0) {
		fail_msg("libfixbuf: %s", first_warning);
	}
	fBufFree(x.buffer);
	fbInfoModelFree(x.model);
}

static void
libfixbuf_reads_small_messages_as_they_were_meant(void **state)
{
	(void)state;
	judge(700);
}

static void
libfixbuf_reads_messages_for_udp_as_they_were_meant(void **state)
{
	(void)state;
	judge(1400);
}

static void
libfixbuf_reads_the_largest_messages_as_they_were_meant(void **state)
{
	(void)state;
	judge(MESSAGE_MAX);
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
	g_log_set_default_handler(count_warning, NULL);
	return 0;
}

static int
close_registry(void **state)
{
	(void)state;
	elements_free(registry);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(libfixbuf_reads_small_messages_as_they_were_meant),
	    cmocka_unit_test(libfixbuf_reads_messages_for_udp_as_they_were_meant),
	    cmocka_unit_test(libfixbuf_reads_the_largest_messages_as_they_were_meant),
	};
	return cmocka_run_group_tests(tests, open_registry, close_registry);
}
