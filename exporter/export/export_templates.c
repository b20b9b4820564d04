#include "exporter/export/export_templates.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "common/config/yaml.h"
#include "common/ipfix/template.h"
#include "exporter/conversation/flow_record.h"
#include "exporter/export/export.h"
#include "exporter/export/export_options.h"

/* An element that a record can fill.  `ipv6` set: the name stands for one element or
 * the other, by the template's address family. */
struct fillable {
	const char *name;
	const char *ipv4, *ipv6; /* NULL: name is the element */
	uint16_t offset;         /* in flow_record, or in flow_side for the sides */
	uint8_t source;          /* enum encode_source */
	bool is_key;
	bool is_biflow_only;
	const char *meaning;
};

#define RECORD(member) offsetof(struct flow_record, member)
#define SIDE(member)   offsetof(struct flow_side, member)

static const struct fillable common_fields[] = {
    {"sourceAddress", "sourceIPv4Address", "sourceIPv6Address", RECORD(source),
	ENCODE_ADDRESS, true, false, "the originator"},
    {"destinationAddress", "destinationIPv4Address", "destinationIPv6Address",
	RECORD(destination), ENCODE_ADDRESS, true, false, "the responder"},
    {"sourceTransportPort", NULL, NULL, RECORD(source_port), ENCODE_U16, true, false,
	"0 for protocols without ports"},
    {"destinationTransportPort", NULL, NULL, RECORD(destination_port), ENCODE_U16, true,
	false, "for ICMP type x 256 + code"},
    {"protocolIdentifier", NULL, NULL, RECORD(protocol), ENCODE_U8, true, false, ""},
    {"flowEndReason", NULL, NULL, RECORD(end_reason), ENCODE_U8, false, false, ""},
    {"biflowDirection", NULL, NULL, RECORD(biflow_direction), ENCODE_U8, false, true,
	"in biflow templates only"},
    {"vlanId", NULL, NULL, RECORD(vlan), ENCODE_U16, false, false,
	"0: none; the outermost"},
    {"dot1qVlanId", NULL, NULL, RECORD(vlan), ENCODE_U16, false, false,
	"0: none; the outermost"},
    {"ingressInterface", NULL, NULL, RECORD(interface), ENCODE_U32, false, false,
	"which capture, from 1"},
    {"flowStartSeconds", NULL, NULL, RECORD(start_ns), ENCODE_TIME_NS, false, false,
	""},
    {"flowStartMilliseconds", NULL, NULL, RECORD(start_ns), ENCODE_TIME_NS, false,
	false, ""},
    {"flowStartMicroseconds", NULL, NULL, RECORD(start_ns), ENCODE_TIME_NS, false,
	false, ""},
    {"flowStartNanoseconds", NULL, NULL, RECORD(start_ns), ENCODE_TIME_NS, false, false,
	""},
    {"flowEndSeconds", NULL, NULL, RECORD(end_ns), ENCODE_TIME_NS, false, false, ""},
    {"flowEndMilliseconds", NULL, NULL, RECORD(end_ns), ENCODE_TIME_NS, false, false,
	""},
    {"flowEndMicroseconds", NULL, NULL, RECORD(end_ns), ENCODE_TIME_NS, false, false,
	""},
    {"flowEndNanoseconds", NULL, NULL, RECORD(end_ns), ENCODE_TIME_NS, false, false,
	""},
};

#define SIDE_FIELD(name, member, source, meaning)                                      \
	{                                                                              \
		name, NULL, NULL, SIDE(member), source, false, false, meaning          \
	}
static const struct fillable side_fields[] = {
    SIDE_FIELD("packetDeltaCount", packets, ENCODE_U64, ""),
    SIDE_FIELD("octetDeltaCount", octets, ENCODE_U64, "by the IP headers"),
    SIDE_FIELD("dataByteCount", payload_octets, ENCODE_U64, "transport payload"),
    SIDE_FIELD("minimumPayloadOctets", payload_min, ENCODE_U32, "per packet"),
    SIDE_FIELD("maximumPayloadOctets", payload_max, ENCODE_U32, "per packet"),
    SIDE_FIELD("maxPacketSize", payload_max, ENCODE_U32, "the same, at most 65535"),
    SIDE_FIELD("payloadOctetSumOfSquares", payload_sumsq, ENCODE_U64, "per packet"),
    SIDE_FIELD("minimumInterarrivalMicroseconds", iat_min_us, ENCODE_U32, ""),
    SIDE_FIELD("maximumInterarrivalMicroseconds", iat_max_us, ENCODE_U32, ""),
    SIDE_FIELD("interarrivalMicrosecondSum", iat_sum_us, ENCODE_U64, ""),
    SIDE_FIELD("interarrivalMicrosecondSumOfSquares", iat_sumsq, ENCODE_F64, ""),
    SIDE_FIELD("tcpControlBits", tcp_flags, ENCODE_U8, "of all packets together"),
    SIDE_FIELD("initialTCPFlags", tcp_flags_initial, ENCODE_U8, "of the first packet"),
    SIDE_FIELD("minimumTTL", ttl_min, ENCODE_U8, "or hop limit"),
    SIDE_FIELD("maximumTTL", ttl_max, ENCODE_U8, "or hop limit"),
    SIDE_FIELD("ipClassOfService", tos, ENCODE_U8, "of the first packet"),
    SIDE_FIELD("flowStartSeconds", first_ns, ENCODE_TIME_NS, "of this direction"),
    SIDE_FIELD("flowStartMilliseconds", first_ns, ENCODE_TIME_NS, "of this direction"),
    SIDE_FIELD("flowStartMicroseconds", first_ns, ENCODE_TIME_NS, "of this direction"),
    SIDE_FIELD("flowStartNanoseconds", first_ns, ENCODE_TIME_NS, "of this direction"),
    SIDE_FIELD("flowEndSeconds", last_ns, ENCODE_TIME_NS, "of this direction"),
    SIDE_FIELD("flowEndMilliseconds", last_ns, ENCODE_TIME_NS, "of this direction"),
    SIDE_FIELD("flowEndMicroseconds", last_ns, ENCODE_TIME_NS, "of this direction"),
    SIDE_FIELD("flowEndNanoseconds", last_ns, ENCODE_TIME_NS, "of this direction"),
};

#define COUNT(array) ((unsigned)(sizeof(array) / sizeof((array)[0])))
_Static_assert(COUNT(common_fields) + 2 * COUNT(side_fields) <= EXPORT_MAX_FIELDS,
    "a template with every field fits");

/* The names that may stand in one YAML list. */
struct field_group {
	const char *key, *other_key;
	const struct fillable *fields, *other_fields;
	unsigned count, other_count;
};

static const struct field_group common_group = {
    .key = "common",
    .other_key = "sides",
    .fields = common_fields,
    .other_fields = side_fields,
    .count = COUNT(common_fields),
    .other_count = COUNT(side_fields),
};
static const struct field_group side_group = {
    .key = "sides",
    .other_key = "common",
    .fields = side_fields,
    .other_fields = common_fields,
    .count = COUNT(side_fields),
    .other_count = COUNT(common_fields),
};

/* One list of templates.yaml, checked. */
struct list_spec {
	uint16_t first_id;
	const struct fillable *common[COUNT(common_fields)];
	const struct fillable *sides[COUNT(side_fields)];
	unsigned common_count, side_count;
};

struct reader {
	const struct yaml *yaml;
	const struct elements *elements;
	struct err *e;
};

static const struct fillable *
find_field(const struct fillable *fields, unsigned count, const char *name)
{
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(fields[i].name, name) == 0) {
			return &fields[i];
		}
	}
	return NULL;
}

static int
complain_of_name(const struct reader *r, const struct yaml_node *node,
    const struct field_group *group)
{
	const char *names[COUNT(common_fields) + COUNT(side_fields)];
	unsigned n = 0;
	if (find_field(group->other_fields, group->other_count, node->text) != NULL) {
		return yaml_complain(r->yaml, node, r->e,
		    "'%s' belongs under '%s', not under '%s'", node->text,
		    group->other_key, group->key);
	}
	for (; n < group->count; n++) {
		names[n] = group->fields[n].name;
	}
	const char *near = err_nearest(node->text, names, n);
	if (near != NULL) {
		return yaml_complain(r->yaml, node, r->e,
		    "the exporter cannot fill '%.60s'; did you mean '%s'?", node->text,
		    near);
	}
	return yaml_complain(r->yaml, node, r->e,
	    "the exporter cannot fill '%.60s'; --list-elements lists what it can",
	    node->text);
}

/* The registry must know the element, and for the sides its reverse. */
static int
check_elements(const struct reader *r, const struct yaml_node *node,
    const struct fillable *field, bool is_side)
{
	const char *names[] = {
	    field->ipv4 == NULL ? field->name : field->ipv4,
	    field->ipv6 == NULL ? field->name : field->ipv6,
	};
	for (unsigned i = 0; i < 2; i++) {
		const struct element *x = elements_find_name(r->elements, names[i]);
		if (x == NULL) {
			return yaml_complain(r->yaml, node, r->e,
			    "element '%s' is missing from the element registries",
			    names[i]);
		}
		if (is_side && elements_reverse(r->elements, x) == NULL) {
			return yaml_complain(r->yaml, node, r->e,
			    "the element registries do not mark '%s' as reversible",
			    names[i]);
		}
	}
	return 0;
}

static int
read_names(const struct reader *r, const struct yaml_node *list,
    const struct field_group *group, const struct fillable **ret, unsigned *ret_count)
{
	unsigned n = 0;
	if (list->kind != YAML_LIST) {
		return yaml_complain(r->yaml, list, r->e,
		    "'%s' must be a list of element names, one per line after a dash",
		    group->key);
	}
	for (unsigned i = 0; i < list->count; i++) {
		const struct yaml_node *node = list->items[i];
		if (node->kind != YAML_SCALAR) {
			return yaml_complain(
			    r->yaml, node, r->e, "expected an element name");
		}
		const struct fillable *field =
		    find_field(group->fields, group->count, node->text);
		if (field == NULL) {
			return complain_of_name(r, node, group);
		}
		for (unsigned k = 0; k < n; k++) {
			if (ret[k] == field) {
				return yaml_complain(r->yaml, node, r->e,
				    "'%s' is listed twice", node->text);
			}
		}
		int rc = check_elements(r, node, field, group == &side_group);
		if (rc < 0) {
			return rc;
		}
		ret[n++] = field;
	}
	*ret_count = n;
	return 0;
}

static int
read_first_id(const struct reader *r, const struct yaml_node *node, uint16_t *ret)
{
	uint64_t id = 0;
	int rc = yaml_u64(r->yaml, node, UINT16_MAX - (EXPORT_VARIANTS - 1), &id, r->e);
	if (rc < 0) {
		return rc;
	}
	if (id < TEMPLATE_MIN_ID) {
		return yaml_complain(r->yaml, node, r->e,
		    "template ids start at %d (RFC 7011)", TEMPLATE_MIN_ID);
	}
	if (id + EXPORT_VARIANTS > EXPORT_OPTIONS_FIRST_ID &&
	    id < EXPORT_OPTIONS_FIRST_ID + EXPORT_OPTIONS) {
		return yaml_complain(r->yaml, node, r->e,
		    "template ids %d to %d are reserved for options templates",
		    EXPORT_OPTIONS_FIRST_ID,
		    EXPORT_OPTIONS_FIRST_ID + EXPORT_OPTIONS - 1);
	}
	*ret = (uint16_t)id;
	return 0;
}

static int
read_list(const struct reader *r, const struct yaml_node *map, struct list_spec *ret)
{
	static const char *const keys[] = {"first_id", "common", "sides"};
	const struct yaml_node *nodes[3];
	if (map->kind != YAML_MAP) {
		return yaml_complain(r->yaml, map, r->e,
		    "a list of templates needs 'first_id', 'common' and 'sides'");
	}
	int rc = yaml_check_keys(r->yaml, map, keys, 3, r->e);
	for (unsigned i = 0; rc == 0 && i < 3; i++) {
		nodes[i] = yaml_get(map, keys[i]);
		if (nodes[i] == NULL) {
			rc = yaml_complain(
			    r->yaml, map, r->e, "'%s' is missing", keys[i]);
		}
	}
	if (rc == 0) {
		rc = read_first_id(r, nodes[0], &ret->first_id);
	}
	if (rc == 0) {
		rc = read_names(
		    r, nodes[1], &common_group, ret->common, &ret->common_count);
	}
	if (rc == 0) {
		rc = read_names(r, nodes[2], &side_group, ret->sides, &ret->side_count);
	}
	for (unsigned i = 0; rc == 0 && i < ret->side_count; i++) {
		for (unsigned k = 0; k < ret->common_count; k++) {
			if (strcmp(ret->sides[i]->name, ret->common[k]->name) == 0) {
				return yaml_complain(r->yaml, nodes[2]->items[i], r->e,
				    "'%s' is already listed under 'common'",
				    ret->sides[i]->name);
			}
		}
	}
	return rc;
}

static void
describe(struct export_templates *t, const struct element *x)
{
	if (x->pen == 0 || x->pen == ELEMENT_PEN_REVERSE) {
		return;
	}
	for (unsigned i = 0; i < t->described_count; i++) {
		if (t->described[i] == x) {
			return;
		}
	}
	t->described[t->described_count++] = x;
}

static int
compile_variant(const struct reader *r, const struct list_spec *spec, unsigned variant,
    struct export_templates *t, struct export_template *ret)
{
	const struct elements *elements = r->elements;
	struct encode_field fields[EXPORT_MAX_FIELDS];
	unsigned n = 0;
	uint64_t keys = 0;
	for (unsigned i = 0; i < spec->common_count; i++) {
		const struct fillable *f = spec->common[i];
		if (f->is_biflow_only && (variant & EXPORT_BIFLOW) == 0) {
			continue;
		}
		const char *family = (variant & EXPORT_IPV6) != 0 ? f->ipv6 : f->ipv4;
		keys |= f->is_key && n < 64 ? UINT64_C(1) << n : 0;
		fields[n++] = (struct encode_field){
		    .element =
			elements_find_name(elements, family == NULL ? f->name : family),
		    .source = f->source,
		    .offset = f->offset,
		};
	}
	for (unsigned side = 0; side <= (variant & EXPORT_BIFLOW); side++) {
		for (unsigned i = 0; i < spec->side_count; i++) {
			const struct fillable *f = spec->sides[i];
			const struct element *x = elements_find_name(elements, f->name);
			fields[n++] = (struct encode_field){
			    .element = side == 0 ? x : elements_reverse(elements, x),
			    .source = f->source,
			    .offset = RECORD(side[0]) +
				      side * sizeof(struct flow_side) + f->offset,
			};
		}
	}
	for (unsigned i = 0; i < n; i++) {
		describe(t, fields[i].element);
	}
	ret->key_fields = keys;
	return encode_compile(&(struct encode_layout){.fields = fields,
				  .count = n,
				  .template_id = (uint16_t)(spec->first_id + variant)},
	    &ret->plan, r->e);
}

static int
compile(
    const struct reader *r, const struct list_spec *specs, struct export_templates *ret)
{
	struct export_templates t = {0};
	for (unsigned i = 0; i < EXPORT_LISTS; i++) {
		for (unsigned k = 0; k < EXPORT_VARIANTS; k++) {
			int rc = compile_variant(r, &specs[i], k, &t, &t.list[i][k]);
			if (rc < 0) {
				export_templates_done(&t);
				return rc;
			}
		}
	}
	*ret = t;
	return 0;
}

static int
read_lists(const struct reader *r, struct list_spec *specs)
{
	static const char *const top[] = {"templates"};
	static const char *const names[EXPORT_LISTS] = {"packet", "trace"};
	const struct yaml_node *root = yaml_root(r->yaml);
	if (root == NULL || root->kind != YAML_MAP ||
	    (root->count == 0 && yaml_get(root, top[0]) == NULL)) {
		return err_set(
		    r->e, -EINVAL, "%s: 'templates:' is missing", yaml_name(r->yaml));
	}
	int rc = yaml_check_keys(r->yaml, root, top, 1, r->e);
	if (rc < 0) {
		return rc;
	}
	const struct yaml_node *lists = yaml_get(root, top[0]);
	if (lists->kind != YAML_MAP) {
		return yaml_complain(
		    r->yaml, lists, r->e, "'templates' needs 'packet' and 'trace'");
	}
	rc = yaml_check_keys(r->yaml, lists, names, EXPORT_LISTS, r->e);
	for (unsigned i = 0; rc == 0 && i < EXPORT_LISTS; i++) {
		const struct yaml_node *list = yaml_get(lists, names[i]);
		if (list == NULL) {
			return yaml_complain(
			    r->yaml, lists, r->e, "'%s' is missing", names[i]);
		}
		rc = read_list(r, list, &specs[i]);
	}
	if (rc < 0) {
		return rc;
	}
	int distance = specs[EXPORT_TRACE].first_id - specs[EXPORT_PACKET].first_id;
	if (distance > -EXPORT_VARIANTS && distance < EXPORT_VARIANTS) {
		return yaml_complain(r->yaml, yaml_get(lists, names[EXPORT_TRACE]),
		    r->e,
		    "each list uses %d template ids from its first_id on; these "
		    "overlap those of '%s'",
		    EXPORT_VARIANTS, names[EXPORT_PACKET]);
	}
	return 0;
}

int
export_templates_read(const char *path, const struct elements *elements,
    struct export_templates *ret, struct err *e)
{
	struct list_spec specs[EXPORT_LISTS] = {0};
	struct yaml *yaml = NULL;
	int rc = yaml_load(path, &yaml, e);
	if (rc < 0) {
		return rc;
	}
	const struct reader r = {.yaml = yaml, .elements = elements, .e = e};
	rc = read_lists(&r, specs);
	if (rc == 0) {
		rc = compile(&r, specs, ret);
		if (rc < 0) {
			err_prefix(e, rc, "%s", path);
		}
	}
	yaml_unload(yaml);
	return rc;
}

void
export_templates_done(struct export_templates *t)
{
	for (unsigned i = 0; i < EXPORT_LISTS; i++) {
		for (unsigned k = 0; k < EXPORT_VARIANTS; k++) {
			encode_free(t->list[i][k].plan);
			t->list[i][k].plan = NULL;
		}
	}
}

static void
list_group(FILE *out, const struct field_group *group, const char *heading)
{
	fprintf(out, "%s\n", heading);
	for (unsigned i = 0; i < group->count; i++) {
		const struct fillable *f = &group->fields[i];
		fprintf(out, "  %-*s%s\n", f->meaning[0] == '\0' ? 0 : 38, f->name,
		    f->meaning);
	}
}

void
export_list_elements(FILE *out)
{
	list_group(out, &common_group, "common: once in every record");
	list_group(out, &side_group,
	    "sides: for each direction (the reverse in biflow templates only)");
}
