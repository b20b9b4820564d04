/* libfixbuf as an exporter, for test_udp.py:
 *   fixbuf_send udp|tcp PORT RECORDS
 * The i-th record: 10.0.0.i -> 192.0.2.1, i packets, 100 i octets. */
#include <fixbuf/public.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEMPLATE 300

static fbInfoElementSpec_t fields[] = {
    {"flowStartMilliseconds", 8, 0},
    {"flowEndMilliseconds", 8, 0},
    {"octetDeltaCount", 8, 0},
    {"packetDeltaCount", 8, 0},
    {"sourceIPv4Address", 4, 0},
    {"destinationIPv4Address", 4, 0},
    {"sourceTransportPort", 2, 0},
    {"destinationTransportPort", 2, 0},
    {"protocolIdentifier", 1, 0},
    {"paddingOctets", 3, 1},
    FB_IESPEC_NULL,
};

struct record { /* in libfixbuf's hands the fields are of this host's order */
	uint64_t start_ms, end_ms, octets, packets;
	uint32_t source, destination;
	uint16_t source_port, destination_port;
	uint8_t protocol, padding[3];
};

static void
check(int is_well, GError *e)
{
	if (!is_well) {
		fprintf(stderr, "fixbuf_send: %s\n", e != NULL ? e->message : "?");
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	fbInfoModel_t *model = fbInfoModelAlloc();
	fbSession_t *session = fbSessionAlloc(model);
	fbConnSpec_t to = {.host = (char[]){"127.0.0.1"}};
	fbTemplate_t *internal = fbTemplateAlloc(model);
	fbTemplate_t *external = fbTemplateAlloc(model);
	GError *e = NULL;
	fBuf_t *buffer;

	if (argc != 4) {
		fprintf(stderr, "usage: fixbuf_send udp|tcp PORT RECORDS\n");
		return 2;
	}
	to.transport = strcmp(argv[1], "udp") == 0 ? FB_UDP : FB_TCP;
	to.svc = argv[2];
	check(fbTemplateAppendSpecArray(internal, fields, 1, &e), e);
	check(fbTemplateAppendSpecArray(external, fields, 0, &e), e);
	check(fbSessionAddTemplate(session, TRUE, TEMPLATE, internal, &e) != 0, e);
	check(fbSessionAddTemplate(session, FALSE, TEMPLATE, external, &e) != 0, e);
	buffer = fBufAllocForExport(session, fbExporterAllocNet(&to));
	check(fbSessionExportTemplates(session, &e), e);
	check(fBufSetInternalTemplate(buffer, TEMPLATE, &e), e);
	check(fBufSetExportTemplate(buffer, TEMPLATE, &e), e);
	for (uint32_t i = 1; i <= (uint32_t)atoi(argv[3]); i++) {
		struct record r = {
		    .start_ms = 1700000000000 + i,
		    .end_ms = 1700000001000 + i,
		    .octets = 100 * i,
		    .packets = i,
		    .source = 0x0a000000 + i,
		    .destination = 0xc0000201,
		    .source_port = 40000,
		    .destination_port = 80,
		    .protocol = 6,
		};
		check(fBufAppend(buffer, (uint8_t *)&r, sizeof r, &e), e);
	}
	check(fBufEmit(buffer, &e), e);
	fBufFree(buffer);
	fbInfoModelFree(model);
	return 0;
}
