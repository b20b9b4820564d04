/* libfixbuf as an exporter of structured data, for test_structured_data.py:
 *   fixbuf_lists FILE RECORDS
 * The i-th record has
 *   basicList              of sourceTransportPort: i of them, 1000 i + k
 *   basicList              of applicationName: "name 0" to "name i", the last not UTF-8
 *   subTemplateList        of NAMED: i mod 3 records
 *   subTemplateMultiList   of NAMED (one record) and of LISTED (two), whose records
 * have a basicList of sourceIPv6Address. */
#include <fixbuf/public.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLOW   300
#define NAMED  301
#define LISTED 302

static fbInfoElementSpec_t flow_fields[] = {
    {"flowStartMilliseconds", 8, 0},
    {"flowEndMilliseconds", 8, 0},
    {"octetDeltaCount", 8, 0},
    {"packetDeltaCount", 8, 0},
    {"sourceIPv4Address", 4, 0},
    {"destinationIPv4Address", 4, 0},
    {"sourceTransportPort", 2, 0},
    {"destinationTransportPort", 2, 0},
    {"protocolIdentifier", 1, 0},
    {"ipVersion", 1, 0},
    {"ipClassOfService", 1, 0},
    {"ipTTL", 1, 0},
    {"basicList", FB_IE_VARLEN, 0},
    {"basicList", FB_IE_VARLEN, 0},
    {"subTemplateList", FB_IE_VARLEN, 0},
    {"subTemplateMultiList", FB_IE_VARLEN, 0},
    FB_IESPEC_NULL,
};

struct flow {
	uint64_t start_ms, end_ms, octets, packets;
	uint32_t source, destination;
	uint16_t source_port, destination_port;
	uint8_t protocol, version, tos, ttl;
	fbBasicList_t ports, names;
	fbSubTemplateList_t named;
	fbSubTemplateMultiList_t mixed;
};

static fbInfoElementSpec_t named_fields[] = {
    {"applicationName", FB_IE_VARLEN, 0},
    {"flowStartNanoseconds", 8, 0},
    {"octetDeltaCount", 8, 0},
    {"sourceIPv4Address", 4, 0},
    {"tcpControlBits", 2, 0},
    {"dataRecordsReliability", 1, 0},
    {"protocolIdentifier", 1, 0},
    FB_IESPEC_NULL,
};

struct named {
	fbVarfield_t name;
	uint64_t start, octets;
	uint32_t source;
	uint16_t flags;
	uint8_t is_reliable, protocol;
};

static fbInfoElementSpec_t listed_fields[] = {
    {"basicList", FB_IE_VARLEN, 0},
    {"sourceMacAddress", 6, 0},
    {"vlanId", 2, 0},
    FB_IESPEC_NULL,
};

struct listed {
	fbBasicList_t addresses;
	uint8_t mac[6];
	uint16_t vlan;
};

static fbInfoModel_t *model;
static fbSession_t *session;
/* libfixbuf does not count paddingOctets in what lies in memory: there is none. */
static fbTemplate_t *named, *listed; /* in this host's form */

static void
check(int is_well, GError *const *e)
{
	if (!is_well) {
		fprintf(stderr, "fixbuf_lists: %s\n", *e != NULL ? (*e)->message : "?");
		exit(1);
	}
}

static fbTemplate_t *
define(uint16_t id, fbInfoElementSpec_t *fields)
{
	fbTemplate_t *internal = fbTemplateAlloc(model);
	fbTemplate_t *external = fbTemplateAlloc(model);
	GError *e = NULL;

	check(fbTemplateAppendSpecArray(internal, fields, 1, &e), &e);
	check(fbTemplateAppendSpecArray(external, fields, 0, &e), &e);
	check(fbSessionAddTemplate(session, TRUE, id, internal, &e) != 0, &e);
	check(fbSessionAddTemplate(session, FALSE, id, external, &e) != 0, &e);
	return internal;
}

static const fbInfoElement_t *
element(const char *name)
{
	return fbInfoModelGetElementByName(model, name);
}

static void
fill_named(struct named *r, uint32_t i, uint32_t k)
{
	static char names[8][32];
	char *name = names[k % 8];

	*r = (struct named){.start = ((uint64_t)(1493205077 + i) + 2208988800u) << 32 |
				     UINT64_C(0x80000000),
	    .octets = UINT64_MAX - k,
	    .source = 0xc0000200 + k,
	    .flags = 0x12,
	    .is_reliable = 1 + k % 2,
	    .protocol = 17};
	r->name.len = (size_t)snprintf(name, sizeof names[0], "host %u.%u", i, k);
	r->name.buf = (uint8_t *)name;
}

static void
fill_listed(struct listed *r, uint32_t i, uint32_t k)
{
	uint8_t *at;

	memset(r, 0, sizeof *r);
	memcpy(r->mac, "\2\0\0\0\0", 5);
	r->mac[5] = (uint8_t)k;
	r->vlan = 7;
	at = fbBasicListInit(&r->addresses, FB_LIST_SEM_EXACTLY_ONE_OF,
	    element("sourceIPv6Address"), (uint16_t)(k + 1));
	for (uint32_t n = 0; n <= k; n++, at += 16) {
		memset(at, 0, 16);
		memcpy(at, "\x20\1\x0d\xb8", 4);
		at[14] = (uint8_t)i;
		at[15] = (uint8_t)n;
	}
}

static void
fill_lists(struct flow *r, uint32_t i)
{
	static char names[64][16];
	fbSubTemplateMultiListEntry_t *entry;
	uint16_t *ports = fbBasicListInit(
	    &r->ports, FB_LIST_SEM_ALL_OF, element("sourceTransportPort"), (uint16_t)i);
	fbVarfield_t *texts = fbBasicListInit(&r->names, FB_LIST_SEM_ORDERED,
	    element("applicationName"), (uint16_t)(i + 1));
	struct named *records = fbSubTemplateListInit(
	    &r->named, FB_LIST_SEM_NONE_OF, NAMED, named, (uint16_t)(i % 3));
	struct listed *lists;

	for (uint32_t k = 0; k < i; k++) {
		ports[k] = (uint16_t)(1000 * i + k);
	}
	for (uint32_t k = 0; k <= i; k++) {
		texts[k].len = (size_t)snprintf(
		    names[k], sizeof names[k], k == i ? "\xff \"%u\\" : "name %u", k);
		texts[k].buf = (uint8_t *)names[k];
	}
	for (uint32_t k = 0; k < i % 3; k++) {
		fill_named(&records[k], i, k);
	}
	entry = fbSubTemplateMultiListInit(&r->mixed, FB_LIST_SEM_ONE_OR_MORE_OF, 2);
	fill_named(fbSubTemplateMultiListEntryInit(entry, NAMED, named, 1), i, 5);
	entry = fbSubTemplateMultiListGetNextEntry(&r->mixed, entry);
	lists = fbSubTemplateMultiListEntryInit(entry, LISTED, listed, 2);
	fill_listed(&lists[0], i, 0);
	fill_listed(&lists[1], i, 1);
}

int
main(int argc, char **argv)
{
	GError *e = NULL;
	fBuf_t *buffer;
	uint32_t records;

	if (argc != 3 || (records = (uint32_t)atoi(argv[2])) > 63) {
		fprintf(stderr, "usage: fixbuf_lists FILE RECORDS (at most 63)\n");
		return 2;
	}
	model = fbInfoModelAlloc();
	session = fbSessionAlloc(model);
	define(FLOW, flow_fields);
	named = define(NAMED, named_fields);
	listed = define(LISTED, listed_fields);
	buffer = fBufAllocForExport(session, fbExporterAllocFile(argv[1]));
	check(fbSessionExportTemplates(session, &e), &e);
	check(fBufSetInternalTemplate(buffer, FLOW, &e), &e);
	check(fBufSetExportTemplate(buffer, FLOW, &e), &e);
	for (uint32_t i = 1; i <= records; i++) {
		struct flow r = {
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
		fill_lists(&r, i);
		check(fBufAppend(buffer, (uint8_t *)&r, sizeof r, &e), &e);
		fbBasicListClear(&r.ports);
		fbBasicListClear(&r.names);
		fbSubTemplateListClear(&r.named);
		fbSubTemplateMultiListClear(&r.mixed);
	}
	check(fBufEmit(buffer, &e), &e);
	fBufFree(buffer);
	fbInfoModelFree(model);
	return 0;
}
