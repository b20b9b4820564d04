/* Templates and data sets for tests, made of names and numbers. */
#ifndef TESTS_COLLECTOR_PROTOCOL_SUPPORT_SET_H
#define TESTS_COLLECTOR_PROTOCOL_SUPPORT_SET_H

#include <stddef.h>
#include <stdint.h>

#include "collector/tables/tables.h"
#include "common/ipfix/element.h"
#include "common/ipfix/template.h"
#include "tests/unit/common/base/support_directory.h"

/* libfixbuf's elements and schemas/elements.xml; one for the whole test program. */
struct elements *support_elements(void);

/* A template set of one template: "sourceIPv4Address octetDeltaCount:4 userName:v".
 * A number is the wire length, v variable. */
struct template *support_template(uint16_t id, const char *fields);
/* Frees all templates made so far. */
void support_templates_free(void);

struct support_set {
	uint8_t bytes[65536];
	size_t length;
};
/* Big-endian unsigned of n bytes. */
void support_put(struct support_set *s, uint64_t v, unsigned n);
/* Several of n bytes each. */
void support_put_each(
    struct support_set *s, unsigned n, const uint64_t *values, unsigned count);
#define SUPPORT_PUT(s, n, ...)                                                         \
	support_put_each(s, n, (const uint64_t[]){__VA_ARGS__},                        \
	    sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))
void support_put_bytes(struct support_set *s, const void *bytes, size_t n);
/* Dotted IPv4 (4 bytes) or IPv6 (16 bytes). */
void support_put_address(struct support_set *s, const char *text);

/* support_directory() with the project's records: a test writes its tables beside them. */
const char *support_schemas(void);

/* Tables of the project's schemas; names ends with NULL. */
struct tables *support_tables(const char *const *names);
/* The same with so little memory for plans. */
struct tables *support_tables_within(const char *const *names, size_t plan_bytes);

/* One value of a query on DIR/file as text, "NULL" for NULL; rows are joined by ";",
 * columns by "|". */
const char *support_query(const char *directory, const char *file, const char *sql);

#endif
