#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/config/yaml_private.h"

const char *
yaml_name(const struct yaml *y)
{
	return y->name;
}

const struct yaml_node *
yaml_get(const struct yaml_node *map, const char *key)
{
	if (map == NULL || map->kind != YAML_MAP) {
		return NULL;
	}
	for (unsigned i = 0; i < map->count; i++) {
		if (strcmp(map->keys[i]->text, key) == 0) {
			return map->items[i];
		}
	}
	return NULL;
}

int
yaml_complain(const struct yaml *y, const struct yaml_node *node, struct err *e,
    const char *fmt, ...)
{
	char sentence[sizeof e->text];
	va_list args;

	va_start(args, fmt);
	vsnprintf(sentence, sizeof sentence, fmt, args);
	va_end(args);
	return err_set(e, -EINVAL, "%.*s:%u:%u: %s", NAME_KEPT, yaml_name(y),
	    node->line, node->column, sentence);
}

int
yaml_check_keys(const struct yaml *y, const struct yaml_node *map,
    const char *const *known, unsigned n, struct err *e)
{
	for (unsigned i = 0; i < map->count; i++) {
		const char *key = map->keys[i]->text;
		const char *nearest;
		unsigned k = 0;
		while (k < n && strcmp(key, known[k]) != 0) {
			k++;
		}
		if (k < n) {
			continue;
		}
		nearest = err_nearest(key, known, n);
		if (nearest != NULL) {
			return yaml_complain(y, map->keys[i], e,
			    "unknown key '%.*s'; did you mean '%s'?", KEY_SHOWN, key,
			    nearest);
		}
		return yaml_complain(y, map->keys[i], e,
		    "unknown key '%.*s' (expected %s%s%s%s%s%s)", KEY_SHOWN, key,
		    n > 0 ? known[0] : "no keys", n > 1 ? ", " : "",
		    n > 1 ? known[1] : "", n > 2 ? ", " : "", n > 2 ? known[2] : "",
		    n > 3 ? " ..." : "");
	}
	return 0;
}

static const char *
kind_name(enum yaml_kind kind)
{
	return kind == YAML_LIST ? "a list" : kind == YAML_MAP ? "a map" : "a value";
}

int
yaml_u64(const struct yaml *y, const struct yaml_node *node, uint64_t max,
    uint64_t *ret, struct err *e)
{
	uint64_t v = 0;
	const char *p = node->text;

	if (node->kind != YAML_SCALAR) {
		return yaml_complain(y, node, e,
		    "expected a whole number such as 15, not %s",
		    kind_name(node->kind));
	}
	if (*p == '\0') {
		return yaml_complain(y, node, e,
		    "expected a whole number such as 15, but the value is empty");
	}
	for (; *p != '\0'; p++) {
		unsigned d = (unsigned)(unsigned char)*p - '0';
		if (d > 9) {
			return yaml_complain(y, node, e,
			    "invalid number '%.*s' (expected a whole number such as "
			    "15)",
			    KEY_SHOWN, node->text);
		}
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, d, &v) || v > max) {
			return yaml_complain(y, node, e,
			    "%.*s is too large (maximum %llu)", KEY_SHOWN, node->text,
			    (unsigned long long)max);
		}
	}
	*ret = v;
	return 0;
}

int
yaml_bool(const struct yaml *y, const struct yaml_node *node, bool *ret, struct err *e)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

	if (node->kind == YAML_SCALAR) {
		for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
			if (strcasecmp(node->text, words[i]) == 0) {
				*ret = i % 2 == 1;
				return 0;
			}
		}
		return yaml_complain(y, node, e,
		    "invalid value '%.*s' (expected true or false)", KEY_SHOWN,
		    node->text);
	}
	return yaml_complain(
	    y, node, e, "expected true or false, not %s", kind_name(node->kind));
}
