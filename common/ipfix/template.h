/* Template records and the set of them that one transport session and observation
 * domain has defined (RFC 7011 sections 3.4, 8).  Read from the wire; bounded in number
 * and in fields.
 * Threads: the owner's.  Memory: templates belong to their struct templates. */
#ifndef COMMON_IPFIX_TEMPLATE_H
#define COMMON_IPFIX_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cursor.h"
#include "common/ipfix/element.h"

#define TEMPLATE_SET_ID         2
#define OPTIONS_TEMPLATE_SET_ID 3
#define TEMPLATE_MIN_ID         256
/* Fields of length 0 take work and no bytes: with thousands of them a message of
 * records of one byte would take seconds.  Real templates have a few. */
#define TEMPLATE_MAX_EMPTY 32

struct template_field {
	const struct element *element; /* NULL: unknown element, skipped by length */
	uint32_t pen;
	uint16_t id;     /* without the enterprise bit */
	uint16_t length; /* on the wire; 65535: variable */
};

struct template
{
	uint16_t id;
	bool is_options;
	uint16_t scope_count; /* an options template's first fields are its scope */
	uint16_t field_count;
	uint16_t record_length; /* of each record; is_variable: of the shortest */
	bool is_variable;
	uint64_t seen_ns; /* when it last arrived, see templates_set_time() */
	/* Of each field, how many fields of the same element come before it; NULL where
	 * all are 0. */
	const uint16_t *repeats;
	void *reader; /* what the reader keeps with it; reader_free() releases it */
	void (*reader_free)(void *reader);
	size_t raw_length; /* the template record as received, for snapshots */
	uint8_t *raw;
	struct template_field fields[];
};

struct templates;

struct template_counts { /* what a template set brought */
	unsigned added, repeated, redefined, withdrawn;
	unsigned unknown; /* fields, of those added and redefined, in no registry */
	unsigned options; /* templates, of those added, repeated and redefined */
	unsigned bad;     /* malformed records, and withdrawals of nothing */
	/* Beyond max_templates, max_fields, or TEMPLATE_MAX_EMPTY empty fields. */
	unsigned refused;
	unsigned ignored;   /* withdrawals where none are allowed */
	unsigned no_memory; /* not kept because memory is short */
};

struct templates *templates_new(unsigned max_templates, unsigned max_fields);
void templates_free(struct templates *s);
unsigned templates_count(const struct templates *s);
/* Memory that the templates take, without what their reader keeps. */
size_t templates_bytes(const struct templates *s);
/* Templates that are read from now on came at this time. */
void templates_set_time(struct templates *s, uint64_t now_ns);
/* Forgets those that came last before this time. */
void templates_remove_older(struct templates *s, uint64_t before_ns);

/* Reads the body of a template set (set_id 2) or options template set (3).
 * Rules (RFC 7011 section 8.1): an equal template again is repeated; a different one
 * under the same id replaces it (counted as redefined: some exporters do it without
 * withdrawal); field count 0 withdraws, id 2 or 3 with count 0 withdraws all of that
 * kind.  Zeros that pad the end are passed over.  A template whose records would
 * have length 0, or be longer than any message, is bad; those behind a bad one are read
 * unless its fields do not lie within the set.  An options template may have no scope:
 * RFC 7011 section 3.4.2.2 forbids it, but exporters do it. */
void templates_read_set(struct templates *s, const struct elements *elements,
    uint16_t set_id, struct cursor body, bool allow_withdrawal,
    struct template_counts *counts);

/* Finds elements that the registry has learned since templates were read.  What readers
 * kept without them goes. */
void templates_learn(struct templates *s, const struct elements *elements);

/* NULL: unknown.  Constant time. */
struct template *templates_find(const struct templates *s, uint16_t id);
/* The first field of this element; -1: none. */
int template_find_field(const struct template *t, uint32_t pen, uint16_t id);
/* Calls each(t, data) for every template, in ascending id order. */
void templates_each(const struct templates *s,
    void (*each)(const struct template *t, void *data), void *data);

#endif
