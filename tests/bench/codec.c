/* Encoding and decoding of a 36-field biflow record, ours against libfixbuf, in one
 * run: codec.encode OURS_NS LIBFIXBUF_NS RATIO Times are thread CPU nanoseconds per
 * record, the best of several alternating rounds; both sides fill whole messages of
 * 16384 bytes. */
#include <fixbuf/public.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/rows/intern.h"
#include "collector/rows/layout.h"
#include "collector/rows/normalise.h"
#include "common/config/yaml.h"
#include "common/ipfix/encode.h"
#include "common/ipfix/message.h"
#include "common/ipfix/template.h"
#include "exporter/conversation/flow_record.h"

#define FIELDS       36
#define RECORDS      200000
#define ROUNDS       7
#define MESSAGE_SIZE 16384
#define TEMPLATE_ID  300

#define RECORD(member) offsetof(struct flow_record, member)
#define SIDE(member)   offsetof(struct flow_record, side[0].member)

static const struct bench_field {
	const char *name;
	enum encode_source source;
	size_t offset;
	bool is_side;
} fields[] = {
    {"sourceIPv4Address", ENCODE_ADDRESS, RECORD(source), false},
    {"destinationIPv4Address", ENCODE_ADDRESS, RECORD(destination), false},
    {"sourceTransportPort", ENCODE_U16, RECORD(source_port), false},
    {"destinationTransportPort", ENCODE_U16, RECORD(destination_port), false},
    {"protocolIdentifier", ENCODE_U8, RECORD(protocol), false},
    {"flowEndReason", ENCODE_U8, RECORD(end_reason), false},
    {"biflowDirection", ENCODE_U8, RECORD(biflow_direction), false},
    {"ingressInterface", ENCODE_U32, RECORD(interface), false},
    {"flowStartNanoseconds", ENCODE_TIME_NS, RECORD(start_ns), false},
    {"flowEndNanoseconds", ENCODE_TIME_NS, RECORD(end_ns), false},
    {"packetDeltaCount", ENCODE_U64, SIDE(packets), true},
    {"octetDeltaCount", ENCODE_U64, SIDE(octets), true},
    {"dataByteCount", ENCODE_U64, SIDE(payload_octets), true},
    {"minimumPayloadOctets", ENCODE_U32, SIDE(payload_min), true},
    {"maximumPayloadOctets", ENCODE_U32, SIDE(payload_max), true},
    {"payloadOctetSumOfSquares", ENCODE_U64, SIDE(payload_sumsq), true},
    {"minimumInterarrivalMicroseconds", ENCODE_U32, SIDE(iat_min_us), true},
    {"maximumInterarrivalMicroseconds", ENCODE_U32, SIDE(iat_max_us), true},
    {"interarrivalMicrosecondSum", ENCODE_U64, SIDE(iat_sum_us), true},
    {"interarrivalMicrosecondSumOfSquares", ENCODE_F64, SIDE(iat_sumsq), true},
    {"tcpControlBits", ENCODE_U8, SIDE(tcp_flags), true},
    {"minimumTTL", ENCODE_U8, SIDE(ttl_min), true},
    {"maximumTTL", ENCODE_U8, SIDE(ttl_max), true},
};
#define NAMES (sizeof fields / sizeof fields[0])

static const struct element *columns[FIELDS]; /* in template order */

static struct encode_plan *
compile_ours(const struct elements *elements)
{
	struct encode_field list[FIELDS];
	unsigned n = 0;
	for (unsigned side = 0; side < 2; side++) {
		for (unsigned i = 0; i < NAMES; i++) {
			const struct bench_field *f = &fields[i];
			if (side == 1 && !f->is_side) {
				continue;
			}
			const struct element *x = elements_find_name(elements, f->name);
			columns[n] = side == 0 ? x : elements_reverse(elements, x);
			list[n] = (struct encode_field){.element = columns[n],
			    .source = f->source,
			    .offset = f->offset + side * sizeof(struct flow_side)};
			n++;
		}
	}
	struct err e;
	struct encode_plan *p = NULL;
	if (n != FIELDS ||
	    encode_compile(&(struct encode_layout){list, n, TEMPLATE_ID, 0}, &p, &e) <
		0) {
		fprintf(stderr, "codec: %s\n", n != FIELDS ? "not 36 fields" : e.text);
		exit(1);
	}
	return p;
}

static double
cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void
fill(struct flow_record *r)
{
	*r = (struct flow_record){.source_port = 40000,
	    .destination_port = 443,
	    .protocol = 6,
	    .end_reason = 3,
	    .biflow_direction = 1,
	    .interface = 1,
	    .start_ns = 1493205077123456789,
	    .end_ns = 1493205078123456789};
	address_from_ipv4(&r->source, (const uint8_t[]){192, 0, 2, 1});
	address_from_ipv4(&r->destination, (const uint8_t[]){198, 51, 100, 7});
	for (unsigned i = 0; i < 2; i++) {
		r->side[i] = (struct flow_side){.packets = 17,
		    .octets = 12345,
		    .payload_octets = 11111,
		    .payload_sumsq = 12345678,
		    .payload_max = 1460,
		    .iat_min_us = 12,
		    .iat_max_us = 98765,
		    .iat_sum_us = 999999,
		    .iat_sumsq = 1.5e10,
		    .tcp_flags = 0x1b,
		    .ttl_min = 60,
		    .ttl_max = 64};
	}
}

/* Messages made and a sum over their bytes, so that nothing is optimised away. */
static uint64_t written;

static double
encode_ours(const struct encode_plan *p, struct message *m, struct flow_record *r)
{
	double start = cpu_ns();
	message_begin(m, 1, 0);
	for (unsigned i = 0; i < RECORDS; i++) {
		r->side[0].packets = i;
		uint8_t *space = message_reserve(m, TEMPLATE_ID, encode_max_length(p));
		if (space == NULL) {
			written += message_end(m);
			message_begin(m, 1, 0);
			space = message_reserve(m, TEMPLATE_ID, encode_max_length(p));
		}
		message_commit(m, encode_record(p, r, space), true);
	}
	written += message_end(m);
	return (cpu_ns() - start) / RECORDS;
}

struct fixbuf {
	fbInfoModel_t *model;
	fbSession_t *session;
	fBuf_t *out, *in;
	uint8_t message[MESSAGE_SIZE];
	uint8_t record[512];
	uint16_t length;
};

static void
die(GError *error)
{
	fprintf(stderr, "codec: libfixbuf: %s\n", error == NULL ? "?" : error->message);
	exit(1);
}

static fbTemplate_t *
fixbuf_template(struct fixbuf *x)
{
	GError *error = NULL;
	fbTemplate_t *t = fbTemplateAlloc(x->model);
	x->length = 0;
	for (unsigned i = 0; i < FIELDS; i++) {
		fbInfoElementSpec_t spec = {
		    (char *)columns[i]->name, columns[i]->length, 0};
		if (!fbTemplateAppendSpec(t, &spec, 0, &error)) {
			die(error);
		}
		x->length = (uint16_t)(x->length + columns[i]->length);
	}
	return t;
}

static void
fixbuf_open(struct fixbuf *x)
{
	GError *error = NULL;
	x->model = fbInfoModelAlloc();
	if (!fbInfoModelReadXMLFile(x->model, "schemas/elements.xml", &error)) {
		die(error);
	}
	x->session = fbSessionAlloc(x->model);
	fbTemplate_t *t = fixbuf_template(x);
	if (fbSessionAddTemplate(x->session, TRUE, TEMPLATE_ID, t, &error) == 0 ||
	    fbSessionAddTemplate(x->session, FALSE, TEMPLATE_ID, t, &error) == 0) {
		die(error);
	}
	x->out = fBufAllocForExport(
	    x->session, fbExporterAllocBuffer(x->message, sizeof x->message));
	fBufSetAutomaticMode(x->out, FALSE);
	if (!fBufSetInternalTemplate(x->out, TEMPLATE_ID, &error) ||
	    !fBufSetExportTemplate(x->out, TEMPLATE_ID, &error)) {
		die(error);
	}
}

static double
encode_fixbuf(struct fixbuf *x)
{
	double start = cpu_ns();
	for (unsigned i = 0; i < RECORDS; i++) {
		GError *error = NULL;
		memcpy(x->record, &i, sizeof i);
		while (!fBufAppend(x->out, x->record, x->length, &error)) {
			if (!g_error_matches(error, FB_ERROR_DOMAIN, FB_ERROR_EOM)) {
				die(error);
			}
			g_clear_error(&error);
			if (!fBufEmit(x->out, &error)) {
				die(error);
			}
			written++;
		}
	}
	return (cpu_ns() - start) / RECORDS;
}

/* --- decoding --- */

static struct {
	uint8_t templates[MESSAGE_SIZE], data[MESSAGE_SIZE]; /* one message each */
	size_t templates_length, data_length;
	uint32_t records; /* in data */
} sample;

static void
make_sample(const struct encode_plan *p, struct message *m, const struct flow_record *r)
{
	uint8_t *space;
	message_begin(m, 1, 0);
	space = message_reserve(m, TEMPLATE_SET_ID, encode_template(p, NULL));
	message_commit(m, encode_template(p, space), false);
	sample.templates_length = message_end(m);
	memcpy(sample.templates, m->bytes, sample.templates_length);
	message_begin(m, 1, 0);
	while (
	    (space = message_reserve(m, TEMPLATE_ID, encode_max_length(p))) != NULL) {
		message_commit(m, encode_record(p, r, space), true);
	}
	sample.records = m->records;
	sample.data_length = message_end(m);
	memcpy(sample.data, m->bytes, sample.data_length);
}

struct ours {
	struct templates *templates;
	struct layout *layout;
	struct batch batch;
	struct plan *plan;
};

/* A row with a column for each of the 36 elements. */
static void
ours_open(struct ours *x, const struct elements *elements)
{
	struct err e = {""};
	struct schema_record *record = NULL;
	struct yaml *y = NULL;
	char names[FIELDS * 64];
	size_t n = 0;
	struct template_counts counts = {0};
	for (unsigned i = 0; i < FIELDS; i++) {
		n += (size_t)snprintf(
		    names + n, sizeof names - n, "- %s\n", columns[i]->name);
	}
	int rc = schema_record_load("schemas/records/conversation.yaml", &record, &e);
	rc = rc < 0 ? rc : yaml_parse("columns", names, n, &y, &e);
	rc = rc < 0 ? rc : layout_new(record, elements, &x->layout, &e);
	for (unsigned i = 0; rc >= 0 && i < FIELDS; i++) {
		rc = layout_field(x->layout, y, yaml_root(y)->items[i], SIDE_NONE, &e);
	}
	rc = rc < 0 ? rc : layout_finish(x->layout, &e);
	if (rc < 0 || batch_init(&x->batch, x->layout, intern_new()) < 0) {
		fprintf(stderr, "codec: %s\n", e.text);
		exit(1);
	}
	x->templates = templates_new(1, FIELDS);
	templates_read_set(x->templates, elements, TEMPLATE_SET_ID,
	    cursor_of(sample.templates + MESSAGE_HEADER + MESSAGE_SET_HEADER,
		sample.templates_length - MESSAGE_HEADER - MESSAGE_SET_HEADER),
	    false, &counts);
	x->plan = plan_new(x->layout, templates_find(x->templates, TEMPLATE_ID));
}

/* Frames the message, finds the template, decodes every record into rows. */
static void
read_ours(struct ours *x)
{
	struct cursor c = cursor_of(sample.data, sample.data_length);
	struct message_header h;
	struct cursor set;
	uint16_t id;
	if (message_read_header(&c, &h) < 0) {
		abort();
	}
	while (message_next_set(&c, &id, &set) == 1) {
		const struct template *t = templates_find(x->templates, id);
		size_t at = 0;
		int n;
		if (t == NULL) {
			abort();
		}
		while ((n = plan_decode(
			    x->plan, set.at, cursor_left(&set), &at, &x->batch)) > 0) {
			written += (uint64_t)n;
		}
	}
}

static double
decode_ours(struct ours *x)
{
	unsigned messages = RECORDS / sample.records + 1;
	double start = cpu_ns();
	for (unsigned i = 0; i < messages; i++) {
		read_ours(x);
	}
	return (cpu_ns() - start) / ((double)messages * sample.records);
}

static void
read_fixbuf(struct fixbuf *x, uint8_t *message, size_t length)
{
	GError *error = NULL;
	size_t n = sizeof x->record;
	fBufSetBuffer(x->in, message, length);
	while (fBufNext(x->in, x->record, &n, &error)) {
		written += x->record[0];
		n = sizeof x->record;
	}
	if (!g_error_matches(error, FB_ERROR_DOMAIN, FB_ERROR_BUFSZ) &&
	    !g_error_matches(error, FB_ERROR_DOMAIN, FB_ERROR_EOM)) {
		die(error);
	}
	g_clear_error(&error);
}

static void
fixbuf_open_reader(struct fixbuf *x)
{
	GError *error = NULL;
	fbSession_t *session = fbSessionAlloc(x->model);
	if (fbSessionAddTemplate(
		session, TRUE, TEMPLATE_ID, fixbuf_template(x), &error) == 0) {
		die(error);
	}
	x->in = fBufAllocForCollection(session, NULL);
	fBufSetAutomaticMode(x->in, FALSE);
	if (!fBufSetInternalTemplate(x->in, TEMPLATE_ID, &error)) {
		die(error);
	}
	read_fixbuf(x, sample.templates, sample.templates_length);
}

static double
decode_fixbuf(struct fixbuf *x)
{
	static uint32_t sequence;
	unsigned messages = RECORDS / sample.records + 1;
	double start = cpu_ns();
	for (unsigned i = 0; i < messages; i++) {
		message_set_sequence(sample.data, sequence);
		read_fixbuf(x, sample.data, sample.data_length);
		sequence += sample.records;
	}
	return (cpu_ns() - start) / ((double)messages * sample.records);
}

static double
least(double a, double b)
{
	return a < b ? a : b;
}

int
main(void)
{
	static struct fixbuf fixbuf;
	static struct ours ours;
	struct err e;
	struct message m;
	struct flow_record r;
	struct elements *elements = elements_new(ELEMENT_PEN_OWN);
	if (elements == NULL ||
	    elements_read_xml(elements, "schemas/elements.xml", &e) < 0) {
		fprintf(stderr, "codec: %s\n", elements == NULL ? "no memory" : e.text);
		return 1;
	}
	struct encode_plan *plan = compile_ours(elements);
	if (message_init(&m, MESSAGE_SIZE) < 0) {
		return 1;
	}
	fill(&r);
	fixbuf_open(&fixbuf);
	make_sample(plan, &m, &r);
	ours_open(&ours, elements);
	fixbuf_open_reader(&fixbuf);
	double best[4] = {1e9, 1e9, 1e9, 1e9};
	for (unsigned i = 0; i < ROUNDS; i++) {
		best[0] = least(best[0], encode_ours(plan, &m, &r));
		best[1] = least(best[1], encode_fixbuf(&fixbuf));
		best[2] = least(best[2], decode_ours(&ours));
		best[3] = least(best[3], decode_fixbuf(&fixbuf));
	}
	printf("codec.encode %.1f %.1f %.3f\n", best[0], best[1], best[0] / best[1]);
	printf("codec.decode %.1f %.1f %.3f\n", best[2], best[3], best[2] / best[3]);
	message_done(&m);
	encode_free(plan);
	elements_free(elements);
	return written == 0;
}
