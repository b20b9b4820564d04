/* Layouts from inside: layout.c finds and adds the fields that names mean,
 * layout_finish.c what computing, swapping and scaling need beside them. */
#ifndef COLLECTOR_ROWS_LAYOUT_PRIVATE_H
#define COLLECTOR_ROWS_LAYOUT_PRIVATE_H

#include "collector/rows/layout.h"

const struct schema_field *layout_find_side(const struct layout *l, const char *name);
/* A side's forward or reverse field, found or added.  Like all that add: its number, or
 * negative with e. */
int layout_add_side(
    struct layout *l, const struct schema_field *side, bool is_reverse, struct err *e);
/* A field of the record's own by name; -ENOENT without a sentence: there is none. */
int layout_add_own(struct layout *l, const char *name, struct err *e);
int layout_add_element(struct layout *l, const struct element *element,
    const struct yaml *y, const struct yaml_node *node, struct err *e);
/* The field that is another one times the rate. */
int layout_add_scaled(struct layout *l, int of, struct err *e);
int layout_new_field(
    struct layout *l, const char *name, const char *side, struct err *e);

#endif
