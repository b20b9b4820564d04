/* Information elements: what an element *is*.  The registry is libfixbuf's information
 * model (IANA) plus XML registries in the format that libfixbuf and YAF users already
 * have (schemas/elements.xml first).  Filled at start-up, read-only afterwards: any
 * thread may read. */
#ifndef COMMON_IPFIX_ELEMENT_H
#define COMMON_IPFIX_ELEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

#define ELEMENT_PEN_REVERSE 29305 /* RFC 5103: reverse of IANA elements */
#define ELEMENT_PEN_CISCO   9
#define ELEMENT_PEN_CERT    6871
#define ELEMENT_PEN_OWN     32473 /* documentation PEN (RFC 5612) until one is assigned */
#define ELEMENT_ENTERPRISE  0x8000 /* bit of an id in a template: a PEN follows */
#define ELEMENT_ID_MAX      0x7fff
#define ELEMENT_VARIABLE    65535 /* a field's length in a template (RFC 7011, 7) */

enum element_type { /* values of informationElementDataType (RFC 5610, RFC 6313) */
	ELEMENT_OCTETS,
	ELEMENT_U8,
	ELEMENT_U16,
	ELEMENT_U32,
	ELEMENT_U64,
	ELEMENT_I8,
	ELEMENT_I16,
	ELEMENT_I32,
	ELEMENT_I64,
	ELEMENT_F32,
	ELEMENT_F64,
	ELEMENT_BOOL,
	ELEMENT_MAC,
	ELEMENT_STRING,
	ELEMENT_TIME_S,
	ELEMENT_TIME_MS,
	ELEMENT_TIME_US, /* NTP 64 bit */
	ELEMENT_TIME_NS, /* NTP 64 bit */
	ELEMENT_IPV4,
	ELEMENT_IPV6,
	ELEMENT_BASIC_LIST,
	ELEMENT_SUB_TEMPLATE_LIST,
	ELEMENT_SUB_TEMPLATE_MULTI_LIST,
};

struct element {
	const char *name;        /* "octetDeltaCount", "reverseOctetDeltaCount" */
	const char *description; /* or NULL; owned by the registry, like name */
	uint32_t pen;            /* 0: IANA */
	uint16_t id; /* without the enterprise bit; reverse enterprise: id | 0x4000 */
	uint16_t length; /* natural length in bytes; 65535: variable */
	enum element_type type;
	uint8_t semantics;             /* informationElementSemantics */
	uint16_t units;                /* informationElementUnits */
	uint64_t range_min, range_max; /* 0, 0: none */
	bool is_reverse;
	bool is_reversible;
};

struct elements;

/* Whether our own elements may have this enterprise number; -EINVAL with a sentence. */
int elements_check_own_pen(uint64_t pen, struct err *e);
/* own_pen replaces ELEMENT_PEN_OWN in XML registries read later.  NULL: no memory. */
struct elements *elements_new(uint32_t own_pen);
void elements_free(struct elements *s);
uint32_t elements_own_pen(const struct elements *s);
int elements_read_xml(struct elements *s, const char *path, struct err *e);
/* Adds one element learned elsewhere (RFC 5610); -EEXIST when (pen, id) is known. */
int elements_add(struct elements *s, const struct element *element);

const struct element *elements_find(
    const struct elements *s, uint32_t pen, uint16_t id);
const struct element *elements_find_name(const struct elements *s, const char *name);
/* For complaints: the known name nearest to this one, or NULL. */
const char *elements_nearest(const struct elements *s, const char *name);
/* The reverse of a forward element (RFC 5103 section 6), or NULL. */
const struct element *elements_reverse(
    const struct elements *s, const struct element *forward);
/* All of them, in no order; n grows only in elements_add and elements_read_xml. */
size_t elements_count(const struct elements *s);
const struct element *elements_at(const struct elements *s, size_t i);

#endif
