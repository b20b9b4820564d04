/* Reads the YAML of records and tables (schemas/records, schemas/tables) and checks its
 * shape: keys, names, strategies, operators.  layout.h and table.h look up what names
 * mean (fields, elements) and complain at the nodes kept here.
 * Every complaint is "file:line:column: what is wrong (what would be right)".
 * Threads: start-up.  Memory: a schema owns its YAML document, and so its strings. */
#ifndef COLLECTOR_SCHEMA_SCHEMA_H
#define COLLECTOR_SCHEMA_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/config/yaml.h"

#define SCHEMA_MAX_COLUMNS    128 /* of a table: keys and values */
#define SCHEMA_MAX_CONDITIONS 32
#define SCHEMA_MAX_EMITS      8
#define SCHEMA_MAX_ALIASES    16

enum schema_partition { PARTITION_NONE, PARTITION_DAY };
enum schema_storage { STORAGE_UPSERT, STORAGE_RUNS, STORAGE_APPEND };
enum schema_role {
	ROLE_KEY,
	ROLE_SUM,
	ROLE_MINIMIZE,
	ROLE_MAXIMIZE,
	ROLE_FIRST,
	ROLE_LAST,
	ROLE_VALUE,
	ROLE_COMPUTED,
};
enum schema_function { FUNCTION_NONE, FUNCTION_DAY, FUNCTION_PREFIX };
enum schema_computed { COMPUTED_MEAN, COMPUTED_STDDEV };
enum schema_side { SIDE_NONE, SIDE_FORWARD, SIDE_REVERSE };
enum schema_operator {
	OPERATOR_EQ,
	OPERATOR_NE,
	OPERATOR_IN,
	OPERATOR_BELOW,
	OPERATOR_ABOVE,
	OPERATOR_AT_LEAST,
	OPERATOR_AT_MOST,
	OPERATOR_BETWEEN,
	OPERATOR_PREFIX,
};

struct schema_column {
	const char *name;
	const struct yaml_node *node; /* where the column is named */
	enum schema_role role;
	/* Key or stored value: the field it comes from. */
	const struct yaml_node *field;
	bool is_scaled; /* by the exporter's sampling rate */
	enum schema_function function;
	unsigned ipv4_bits, ipv6_bits; /* FUNCTION_PREFIX */
	/* ROLE_COMPUTED: indices of other columns of this table; n is count - less. */
	enum schema_computed computed;
	unsigned sum, sumsq, count;
	uint64_t less;
};

struct schema_condition {
	const struct yaml_node *field; /* scalar: its name */
	enum schema_operator op;
	const struct yaml_node *operand; /* a list for in and between */
};

struct schema_conditions {
	struct schema_condition items[SCHEMA_MAX_CONDITIONS];
	unsigned count;
};

struct schema_alias {
	const char *name;
	const struct yaml_node *field;
};

struct schema_emit {
	struct schema_conditions when;
	struct schema_alias aliases[SCHEMA_MAX_ALIASES];
	unsigned alias_count;
	enum schema_side side;
};

struct schema_view {
	const char *name, *sql;
};

struct schema_table {
	struct yaml *yaml;
	const char *name, *from;
	const struct yaml_node *from_node;
	enum schema_partition partition;
	enum schema_storage storage;
	struct schema_column columns[SCHEMA_MAX_COLUMNS]; /* keys, then values */
	unsigned key_count, column_count;
	struct schema_conditions where;
	/* One without conditions when the file has none. */
	struct schema_emit emits[SCHEMA_MAX_EMITS];
	unsigned emit_count;
	struct schema_view *views; /* the last may be `once` */
	unsigned view_count;
	char *once;           /* name and SQL of the deduplicated view, or NULL */
	uint64_t max_keys;    /* 0: the general setting */
	uint64_t lateness_ns; /* when has_lateness */
	bool has_lateness;
	uint64_t version; /* from 1 */
	/* One-way flows become biflows; NULL: they stay as they are. */
	const struct yaml_node *stitch_node;
	uint64_t stitch_ns, max_waiting;
};

/* A field of a record and the elements that feed it. */
struct schema_field {
	const char *name;
	const struct yaml_node *node;
	const char *type;             /* "address", "time" or NULL: as its elements */
	const struct yaml_node *from; /* list or scalar of element names */
	const struct yaml_node *reverse; /* sides only */
	bool has_one_way;
	uint64_t one_way;
};

struct schema_record {
	struct yaml *yaml;
	const char *name;
	struct schema_field *fields, *sides;
	unsigned field_count, side_count;
	const struct yaml_node *computed; /* map of names to computations, or NULL */
	const struct yaml_node *requires; /* list of field names, or NULL */
	bool is_options;                  /* options records, else data records */
};

int schema_table_load(const char *path, struct schema_table **ret, struct err *e);
int schema_table_parse(const char *name, const void *bytes, size_t length,
    struct schema_table **ret, struct err *e);
void schema_table_free(struct schema_table *t);

int schema_record_load(const char *path, struct schema_record **ret, struct err *e);
int schema_record_parse(const char *name, const void *bytes, size_t length,
    struct schema_record **ret, struct err *e);
void schema_record_free(struct schema_record *r);

const char *schema_role_name(enum schema_role role);        /* as in flowpair_columns */
const char *schema_storage_name(enum schema_storage s);     /* "upsert" */
const char *schema_partition_name(enum schema_partition p); /* "day" */

/* "15s" "90min" "2h" "3d" as nanoseconds, or complains. */
int schema_duration(
    const struct yaml *y, const struct yaml_node *node, uint64_t *ret, struct err *e);
/* Names of tables, columns and views: a-z, 0-9 and _, beginning with a letter, not
 * reserved. */
int schema_check_name(const struct yaml *y, const struct yaml_node *node,
    const char *what, struct err *e);

#endif
