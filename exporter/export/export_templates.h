/* schemas/templates.yaml compiled: for each list an encode plan per address family and
 * direction.  Used by export.c only.  Read at start-up, constant afterwards. */
#ifndef EXPORTER_EXPORT_EXPORT_TEMPLATES_H
#define EXPORTER_EXPORT_EXPORT_TEMPLATES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/ipfix/element.h"
#include "common/ipfix/encode.h"

enum export_list { EXPORT_PACKET, EXPORT_TRACE, EXPORT_LISTS };

/* A list's template ids: first_id + variant. */
#define EXPORT_BIFLOW   1
#define EXPORT_IPV6     2
#define EXPORT_VARIANTS 4

#define EXPORT_MAX_FIELDS 128 /* of one template; more than there are names to list */

struct export_template {
	struct encode_plan *plan;
	uint64_t key_fields; /* flowKeyIndicator: bit n is the n-th field */
};

struct export_templates {
	struct export_template list[EXPORT_LISTS][EXPORT_VARIANTS];
	/* Enterprise elements in use, each once: what RFC 5610 records describe. */
	const struct element *described[2 * EXPORT_MAX_FIELDS];
	unsigned described_count;
};

/* Template ids that the options templates have are refused.  On failure *ret is
 * untouched. */
int export_templates_read(const char *path, const struct elements *elements,
    struct export_templates *ret, struct err *e);
void export_templates_done(struct export_templates *t);

#endif
