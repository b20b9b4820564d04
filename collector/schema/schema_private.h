/* Parts of reading a table's schema: schema.c reads the table and its columns,
 * schema_emit.c its conditions and emits, schema_stitch.c how one-way flows are
 * stitched, schema_view.c its views; schema_read.c reads words, names and durations. */
#ifndef COLLECTOR_SCHEMA_SCHEMA_PRIVATE_H
#define COLLECTOR_SCHEMA_SCHEMA_PRIVATE_H

#include "collector/schema/schema.h"

/* The index of a scalar among names (NULL after the last), or complains with the nearest
 * name. */
int schema_choose(const struct yaml *y, const struct yaml_node *node, const char *what,
    const char *const *names, struct err *e);
/* { field: value | [values] | { operator: operand, ... }, ... }, all of which hold. */
int schema_read_conditions(const struct schema_table *t, const struct yaml_node *map,
    struct schema_conditions *ret, struct err *e);
/* list may be NULL: one emit without conditions. */
int schema_read_emits(
    struct schema_table *t, const struct yaml_node *list, struct err *e);

/* `views`, and the view that `deduplicate` makes.  Columns must have been read. */
int schema_read_views(
    struct schema_table *t, const struct yaml_node *root, struct err *e);
int schema_read_stitch(
    struct schema_table *t, const struct yaml_node *node, struct err *e);

#endif
