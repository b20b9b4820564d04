/* Any bytes as a YAML document: read or refused with a sentence, never more than the
 * bounds that yaml.h names. */
#include <stdlib.h>
#include <string.h>

#include "common/config/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void
check(bool holds)
{
	if (!holds) {
		abort();
	}
}

/* Visits every node as a reader would; aliases are visited each time. */
static unsigned
walk(const struct yaml_node *n, unsigned depth)
{
	unsigned nodes = 1;

	check(n != NULL && depth <= 64 && n->line > 0 && n->column > 0);
	if (n->kind == YAML_SCALAR) {
		check(n->text != NULL && n->count == 0);
		return 1;
	}
	for (unsigned i = 0; i < n->count; i++) {
		if (n->kind == YAML_MAP) {
			check(n->keys[i]->kind == YAML_SCALAR);
			check(yaml_get(n, n->keys[i]->text) == n->items[i]);
			nodes++;
		}
		nodes += walk(n->items[i], depth + 1);
	}
	return nodes;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static const char *const known[] = {"table", "from", "values"};
	struct yaml *y = NULL;
	struct err e = {""};
	uint64_t number;
	bool truth;

	if (yaml_parse("fuzz", bytes, length, &y, &e) < 0) {
		check(y == NULL && strncmp(e.text, "fuzz:", 5) == 0);
		return 0;
	}
	if (yaml_root(y) != NULL) {
		const struct yaml_node *root = yaml_root(y);
		check(walk(root, 1) <= 100000);
		(void)yaml_u64(y, root, 1000, &number, &e);
		(void)yaml_bool(y, root, &truth, &e);
		if (root->kind == YAML_MAP) {
			(void)yaml_check_keys(y, root, known, 3, &e);
		}
	}
	yaml_unload(y);
	return 0;
}
