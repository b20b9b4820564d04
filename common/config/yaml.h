/* A YAML document as a tree that knows line and column of every node, and names the
 * place in every complaint.  Wraps libyaml.  Aliases are resolved; depth is limited to
 * 64, nodes to 100 000; duplicate keys are errors.
 * Memory: the caller owns the document; nodes live until yaml_unload(). */
#ifndef COMMON_CONFIG_YAML_H
#define COMMON_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
	enum yaml_kind kind;
	unsigned line, column; /* from 1 */
	const char *text; /* scalar: its text; plain tells whether it was unquoted */
	bool plain;
	unsigned count;                       /* list: items; map: pairs */
	const struct yaml_node *const *keys;  /* map only: scalars */
	const struct yaml_node *const *items; /* list items, or map values */
};

struct yaml;

/* 0, or a negative code with the sentence "file:line:column: ..." in e. */
int yaml_load(const char *path, struct yaml **ret, struct err *e);
int yaml_parse(const char *name, const void *bytes, size_t length, struct yaml **ret,
    struct err *e);
void yaml_unload(struct yaml *y); /* yaml_free is a function inside libyaml */
/* NULL for an empty document. */
const struct yaml_node *yaml_root(const struct yaml *y);
const char *yaml_name(const struct yaml *y); /* file name as given */

/* Value of key in a map, or NULL. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/* "file:line:column: sentence" at node; returns -EINVAL. */
int yaml_complain(const struct yaml *y, const struct yaml_node *node, struct err *e,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Every key of map must be one of the n known names; complains with the nearest. */
int yaml_check_keys(const struct yaml *y, const struct yaml_node *map,
    const char *const *known, unsigned n, struct err *e);

/* Scalars as values; complain with what was expected. */
int yaml_u64(const struct yaml *y, const struct yaml_node *node, uint64_t max,
    uint64_t *ret, struct err *e);
int yaml_bool(
    const struct yaml *y, const struct yaml_node *node, bool *ret, struct err *e);

#endif
