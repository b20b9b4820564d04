#include "exporter/export/export_options.h"

#include <errno.h>
#include <stddef.h>

#define MAX_FIELDS 9

struct option_field {
	const char *name;
	enum encode_source source;
	size_t offset;
};

struct option_spec {
	unsigned scope_count;
	struct option_field fields[MAX_FIELDS];
};

#define AT(type, member) offsetof(struct export_option_##type, member)

static const struct option_spec specs[EXPORT_OPTIONS] = {
    [EXPORT_OPTION_TYPE] = {2,
	{
	    {"privateEnterpriseNumber", ENCODE_U32, AT(type, pen)},
	    {"informationElementId", ENCODE_U16, AT(type, id)},
	    {"informationElementDataType", ENCODE_U8, AT(type, type)},
	    {"informationElementSemantics", ENCODE_U8, AT(type, semantics)},
	    {"informationElementUnits", ENCODE_U16, AT(type, units)},
	    {"informationElementRangeBegin", ENCODE_U64, AT(type, range_begin)},
	    {"informationElementRangeEnd", ENCODE_U64, AT(type, range_end)},
	    {"informationElementName", ENCODE_STRING, AT(type, name)},
	    {"informationElementDescription", ENCODE_STRING, AT(type, description)},
	}},
    [EXPORT_OPTION_KEYS] = {1,
	{
	    {"templateId", ENCODE_U16, AT(keys, template_id)},
	    {"flowKeyIndicator", ENCODE_U64, AT(keys, key_fields)},
	}},
    [EXPORT_OPTION_INTERFACE] = {1,
	{
	    {"ingressInterface", ENCODE_U32, AT(interface, index)},
	    {"interfaceName", ENCODE_STRING, AT(interface, name)},
	    {"interfaceDescription", ENCODE_STRING, AT(interface, description)},
	}},
    [EXPORT_OPTION_METERING] = {1,
	{
	    {"observationDomainId", ENCODE_U32, AT(metering, domain)},
	    {"systemInitTimeMilliseconds", ENCODE_TIME_NS, AT(metering, start_ns)},
	    {"packetTotalCount", ENCODE_U64, AT(metering, packets)},
	    {"octetTotalCount", ENCODE_U64, AT(metering, octets)},
	    {"observedFlowTotalCount", ENCODE_U64, AT(metering, flows)},
	    {"ignoredPacketTotalCount", ENCODE_U64, AT(metering, ignored_packets)},
	    {"droppedPacketTotalCount", ENCODE_U64, AT(metering, dropped_packets)},
	}},
    [EXPORT_OPTION_EXPORTING] = {1,
	{
	    {"exportingProcessId", ENCODE_U32, AT(exporting, process)},
	    {"exportedMessageTotalCount", ENCODE_U64, AT(exporting, messages)},
	    {"exportedFlowRecordTotalCount", ENCODE_U64, AT(exporting, records)},
	    {"exportedOctetTotalCount", ENCODE_U64, AT(exporting, octets)},
	    {"notSentFlowTotalCount", ENCODE_U64, AT(exporting, not_sent_flows)},
	}},
};

static int
compile(const struct elements *elements, const struct option_spec *spec,
    uint16_t template_id, struct encode_plan **ret, struct err *e)
{
	struct encode_field fields[MAX_FIELDS];
	unsigned n = 0;
	for (; n < MAX_FIELDS && spec->fields[n].name != NULL; n++) {
		const struct option_field *f = &spec->fields[n];
		const struct element *x = elements_find_name(elements, f->name);
		if (x == NULL) {
			return err_set(e, -ENOENT,
			    "element %s is missing from the element registries",
			    f->name);
		}
		fields[n] = (struct encode_field){
		    .element = x, .source = f->source, .offset = f->offset};
	}
	return encode_compile(
	    &(struct encode_layout){fields, n, template_id, spec->scope_count}, ret, e);
}

int
export_options_compile(const struct elements *elements,
    struct encode_plan *ret[static EXPORT_OPTIONS], struct err *e)
{
	struct encode_plan *plans[EXPORT_OPTIONS] = {NULL};
	for (unsigned i = 0; i < EXPORT_OPTIONS; i++) {
		int rc = compile(elements, &specs[i],
		    (uint16_t)(EXPORT_OPTIONS_FIRST_ID + i), &plans[i], e);
		if (rc < 0) {
			while (i > 0) {
				encode_free(plans[--i]);
			}
			return rc;
		}
	}
	for (unsigned i = 0; i < EXPORT_OPTIONS; i++) {
		ret[i] = plans[i];
	}
	return 0;
}

/* A reverse element is described like any other, under its own number and name: a
 * reader without the registry cannot know that bit 14 means "reverse". */
struct export_option_type
export_option_type(const struct element *x)
{
	return (struct export_option_type){
	    .pen = x->pen,
	    .id = x->id,
	    .type = (uint8_t)x->type,
	    .semantics = x->semantics,
	    .units = x->units,
	    .range_begin = x->range_min,
	    .range_end = x->range_max,
	    .name = x->name,
	    .description = x->description,
	};
}
