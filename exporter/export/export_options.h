/* The options templates that the exporter sends and the structs their records are
 * encoded from.  Used by export.c only. */
#ifndef EXPORTER_EXPORT_EXPORT_OPTIONS_H
#define EXPORTER_EXPORT_EXPORT_OPTIONS_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/ipfix/element.h"
#include "common/ipfix/encode.h"

enum export_option {
	EXPORT_OPTION_TYPE,      /* RFC 5610: what an enterprise element is */
	EXPORT_OPTION_KEYS,      /* RFC 7011 section 4.4: flow keys of a template */
	EXPORT_OPTION_INTERFACE, /* name and description of an ingressInterface */
	EXPORT_OPTION_METERING,  /* statistics of the metering process */
	EXPORT_OPTION_EXPORTING, /* statistics of the exporting process */
	EXPORT_OPTIONS,
};
#define EXPORT_OPTIONS_FIRST_ID 512 /* template ids: this + enum export_option */

struct export_option_type {
	uint64_t range_begin, range_end;
	const char *name, *description; /* NULL: none */
	uint32_t pen;
	uint16_t id, units;
	uint8_t type, semantics;
};
struct export_option_keys {
	uint64_t key_fields;
	uint16_t template_id;
};
struct export_option_interface {
	const char *name, *description;
	uint32_t index;
};
struct export_option_metering {
	uint64_t start_ns, packets, octets, flows, ignored_packets, dropped_packets;
	uint32_t domain;
};
struct export_option_exporting {
	uint64_t messages, records, octets, not_sent_flows;
	uint32_t process;
};

/* 0, or a negative code with the sentence: the registry lacks an element. */
int export_options_compile(const struct elements *elements,
    struct encode_plan *ret[static EXPORT_OPTIONS], struct err *e);

struct export_option_type export_option_type(const struct element *x);

#endif
