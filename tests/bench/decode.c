/* Decoding a record of 54 bytes, as routers send it, into the row that the tables pairs
 * and services need: nanoseconds of the thread's CPU time a record, the best of several
 * rounds. Message, set and template are looked up for each 26 records, as in a
 * datagram. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/rows/intern.h"
#include "collector/rows/layout.h"
#include "collector/rows/normalise.h"
#include "common/config/yaml.h"
#include "common/ipfix/message.h"
#include "common/ipfix/template.h"

#define RECORD      54
#define RECORDS     26 /* of a message */
#define MESSAGES    20000
#define ROUNDS      9
#define TEMPLATE_ID 256
#define GOAL_NS     30

/* Element and length: addresses, ports, protocol, flags, octets, packets, start, end in
 * milliseconds, interfaces. */
static const uint16_t fields[][2] = {{8, 4}, {12, 4}, {7, 2}, {11, 2}, {4, 1}, {6, 1},
    {1, 8}, {2, 8}, {152, 8}, {153, 8}, {10, 4}, {14, 4}};
#define FIELDS (sizeof fields / sizeof fields[0])

static const char columns[] =
    "[exporter, sourceAddress, sourceTransportPort, destinationAddress, "
    "destinationTransportPort, protocolIdentifier, flowStart, flowEnd, duration_ms, "
    "flows, "
    "forward.packets, forward.octets, forward.payload_octets, reverse.packets, "
    "reverse.octets, reverse.payload_octets]";

static struct {
	struct templates *templates;
	struct layout *layout;
	struct batch batch;
	struct plan *plan;
} reader;
static uint8_t message[MESSAGE_HEADER + MESSAGE_SET_HEADER + RECORDS * RECORD];
static uint64_t rows;

static uint8_t *
put(uint8_t *p, uint64_t v, unsigned n)
{
	for (unsigned i = n; i-- > 0; v >>= 8) {
		p[i] = (uint8_t)v;
	}
	return p + n;
}

static void
make_message(void)
{
	uint8_t *p = put(message, 10, 2);

	p = put(p, sizeof message, 2);
	p = put(p, 1493205079, 4);
	p = put(p, 0, 8);
	p = put(p, TEMPLATE_ID, 2);
	p = put(p, sizeof message - MESSAGE_HEADER, 2);
	for (unsigned i = 0; i < RECORDS; i++) {
		const uint64_t values[FIELDS] = {0x0a000001 + i, 0xc0000201, 40000 + i,
		    443, 6, 0x1b, 12345 + i, 17, 1493205077123, 1493205078123 + i, 1,
		    2};
		for (unsigned k = 0; k < FIELDS; k++) {
			p = put(p, values[k], fields[k][1]);
		}
	}
}

static void
die(const char *what)
{
	fprintf(stderr, "decode: %s\n", what);
	exit(1);
}

static void
open_reader(const struct elements *elements)
{
	struct err e = {"no memory"};
	struct schema_record *record = NULL;
	struct yaml *y = NULL;
	struct template_counts counts = {0};
	uint8_t bytes[4 + 4 * FIELDS], *p = put(put(bytes, TEMPLATE_ID, 2), FIELDS, 2);
	int rc;

	for (unsigned i = 0; i < FIELDS; i++) {
		p = put(put(p, fields[i][0], 2), fields[i][1], 2);
	}
	rc = schema_record_load("schemas/records/conversation.yaml", &record, &e);
	rc = rc < 0 ? rc : yaml_parse("columns", columns, strlen(columns), &y, &e);
	rc = rc < 0 ? rc : layout_new(record, elements, &reader.layout, &e);
	for (unsigned i = 0; rc >= 0 && i < yaml_root(y)->count; i++) {
		rc = layout_field(
		    reader.layout, y, yaml_root(y)->items[i], SIDE_NONE, &e);
	}
	rc = rc < 0 ? rc : layout_finish(reader.layout, &e);
	if (rc < 0 || batch_init(&reader.batch, reader.layout, intern_new()) < 0) {
		die(e.text);
	}
	reader.templates = templates_new(1, FIELDS);
	templates_read_set(reader.templates, elements, TEMPLATE_SET_ID,
	    cursor_of(bytes, sizeof bytes), false, &counts);
	if (templates_find(reader.templates, TEMPLATE_ID) == NULL) {
		die("the template was not taken");
	}
	reader.plan =
	    plan_new(reader.layout, templates_find(reader.templates, TEMPLATE_ID));
}

static void
read_message(void)
{
	struct cursor c = cursor_of(message, sizeof message), set;
	struct message_header h;
	uint16_t id;

	if (message_read_header(&c, &h) < 0) {
		die("the message was not taken");
	}
	while (message_next_set(&c, &id, &set) == 1) {
		size_t at = 0;
		int n;
		if (templates_find(reader.templates, id) == NULL) {
			die("no template");
		}
		while ((n = plan_decode(reader.plan, set.at, cursor_left(&set), &at,
			    &reader.batch)) > 0) {
			rows += (uint64_t)n;
		}
	}
}

static double
cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int
main(void)
{
	struct elements *elements = elements_new(ELEMENT_PEN_OWN);
	struct err e = {"no memory"};
	double best = 1e9;

	if (elements == NULL ||
	    elements_read_xml(elements, "schemas/elements.xml", &e) < 0) {
		die(e.text);
	}
	make_message();
	open_reader(elements);
	for (unsigned i = 0; i < ROUNDS; i++) {
		double start = cpu_ns(), ns;
		for (unsigned k = 0; k < MESSAGES; k++) {
			read_message();
		}
		ns = (cpu_ns() - start) / ((double)MESSAGES * RECORDS);
		best = ns < best ? ns : best;
	}
	if (rows != (uint64_t)ROUNDS * MESSAGES * RECORDS) {
		die("not every record was decoded");
	}
	printf(
	    "codec.decode_54_bytes %.1f - - (ns a record; goal %d)\n", best, GOAL_NS);
	return 0;
}
