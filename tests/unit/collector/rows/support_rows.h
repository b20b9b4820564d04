/* Rows for tests: one layout of schemas/records/conversation.yaml, and records that are
 * decoded into it.  A test opens it; rows_close() is its teardown. */
#ifndef TESTS_COLLECTOR_ROWS_SUPPORT_ROWS_H
#define TESTS_COLLECTOR_ROWS_SUPPORT_ROWS_H

#include "collector/rows/normalise.h"
#include "tests/unit/collector/protocol/support_set.h"

extern struct rows {
	struct schema_record *record;
	struct layout *layout;
	struct intern *intern;
	struct batch batch;
	struct plan *plan;
} rows;

/* names: a YAML list of fields; "scaled.X" is X times the sampling rate. */
void rows_open(const char *names);
int rows_close(void **state);

#define ADDRESSES "sourceIPv4Address destinationIPv4Address "

/* The beginning of a set: 10.0.0.1 and 10.0.0.2. */
struct support_set rows_addresses(void);
/* Decodes a set, at most BATCH_ROWS; what plan_decode() returns. */
int rows_decode(const char *fields, const struct support_set *s);
/* Opens a layout and decodes one record: addresses, then a number for each further field,
 * in the field's length. */
void rows_one(const char *names, const char *fields, const uint64_t *values);
#define ONE(names, fields, ...)                                                        \
	rows_one(names, ADDRESSES fields, (const uint64_t[]){__VA_ARGS__})

/* side: "forward", "reverse" or "". */
int rows_field(const char *name, const char *side);
int64_t rows_value(const char *name, const char *side, unsigned row);
double rows_real(const char *name, const char *side, unsigned row);
const char *rows_text(const char *name, unsigned row);
const char *rows_address(const char *name, unsigned row);
bool rows_is_null(const char *name, const char *side, unsigned group);

#endif
