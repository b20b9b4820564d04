/* Ports for later fragments: a bounded memory of first fragments (1024 of them, the
 * oldest replaced, none used after 30 s).  Deterministic: the same packets give the
 * same answers.  Owned by the decoder. */
#ifndef EXPORTER_DECODE_DECODE_FRAGMENT_H
#define EXPORTER_DECODE_DECODE_FRAGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/address.h"

struct fragments;

/* What fragments of one packet share.  No padding: compared as bytes. */
struct fragment_key {
	struct address source, destination;
	uint32_t id;
	uint16_t vlan;
	uint16_t protocol; /* of the IP header or the IPv6 fragment header */
};
_Static_assert(sizeof(struct fragment_key) == 40, "fragment_key has no padding");

/* What only the first fragment tells. */
struct fragment_ends {
	uint16_t source_port, destination_port;
	uint16_t icmp;    /* type << 8 | code */
	uint8_t protocol; /* behind all extension headers */
};

struct fragments *fragments_new(void); /* NULL: no memory */
void fragments_free(struct fragments *f);
void fragments_add(struct fragments *f, const struct fragment_key *key,
    const struct fragment_ends *ends, uint64_t time_ns);
/* NULL: the first fragment was not seen, or too long ago. */
const struct fragment_ends *fragments_find(
    const struct fragments *f, const struct fragment_key *key, uint64_t time_ns);

#endif
